//! A folder with a certificate authority's work: what a server and several clients need.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use tempfile::TempDir;

/// The folder; it goes when this is dropped.
pub struct Pki {
    folder: TempDir,
    authority: Issuer<'static, KeyPair>,
}

impl Pki {
    /// `ca.crt`; `server` for localhost, `client` for prometheus.example, each with `.crt` and `.key`.
    pub fn new() -> Self {
        let (authority, certificate) = authority("Our CA");
        let pki = Self {
            folder: tempfile::tempdir().unwrap(),
            authority,
        };
        pki.write("ca.crt", &certificate);
        pki.server("server");
        pki.client("client", "prometheus.example", |_| {});
        pki
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The path as an argument.
    pub fn arg(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// Another certificate for localhost, under this file name.
    pub fn server(&self, file: &str) {
        let mut params =
            CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, file);
        self.issue(file, &params, &self.authority);
    }

    /// A server's certificate that has ended.
    pub fn expired_server(&self, file: &str) {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_after = date_time_ymd(2021, 2, 3);
        self.issue(file, &params, &self.authority);
    }

    /// A client's certificate with this DNS name.
    pub fn client(&self, file: &str, name: &str, change: impl FnOnce(&mut CertificateParams)) {
        self.issue(file, &client(name, change), &self.authority);
    }

    /// A client's certificate of an authority that nobody knows.
    pub fn stranger(&self, file: &str) {
        self.issue(
            file,
            &client("prometheus.example", |_| {}),
            &authority("Their CA").0,
        );
    }

    fn issue(&self, file: &str, params: &CertificateParams, by: &Issuer<'static, KeyPair>) {
        let key = KeyPair::generate().unwrap();
        self.write(
            &format!("{file}.crt"),
            &params.signed_by(&key, by).unwrap().pem(),
        );
        self.write(&format!("{file}.key"), &key.serialize_pem());
    }
}

fn client(name: &str, change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    change(&mut params);
    params
}

fn authority(name: &str) -> (Issuer<'static, KeyPair>, String) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    (Issuer::new(params, key), certificate)
}
