//! A certificate authority, and a folder with the certificates that it issued to a server and
//! several clients.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use tempfile::TempDir;

/// A certificate authority with its folder, which is deleted on drop.
pub struct Pki {
    folder: TempDir,
    authority: Issuer<'static, KeyPair>,
}

impl Pki {
    /// Creates an authority with `ca.crt`, and the certificates `server` for localhost and `client`
    /// for prometheus.example, each with `.crt` and `.key`.
    pub fn new() -> Self {
        let (authority, certificate) = create_authority("Test CA");
        let pki = Self {
            folder: tempfile::tempdir().unwrap(),
            authority,
        };
        pki.write("ca.crt", &certificate);
        pki.issue_server("server");
        pki.issue_client("client", "prometheus.example", |_| {});
        pki
    }

    /// Returns the path of a file.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns the path of a file as a command-line argument.
    pub fn arg(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Returns the folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file.
    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// Runs shell commands in the folder.
    pub fn run(&self, commands: &str) {
        let output = std::process::Command::new("sh")
            .args(["-euc", commands])
            .current_dir(self.folder())
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{commands}\n{error}");
    }

    /// Issues a certificate for localhost, with the file name as its common name.
    pub fn issue_server(&self, file: &str) {
        let mut params =
            CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, file);
        self.issue(file, &params, &self.authority);
    }

    /// Issues an expired certificate for localhost.
    pub fn issue_expired_server(&self, file: &str) {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_after = date_time_ymd(2021, 2, 3);
        self.issue(file, &params, &self.authority);
    }

    /// Issues a client certificate for a DNS name. `customise` changes its parameters.
    pub fn issue_client(
        &self,
        file: &str,
        name: &str,
        customise: impl FnOnce(&mut CertificateParams),
    ) {
        self.issue(file, &client_params(name, customise), &self.authority);
    }

    /// Issues a client certificate of another authority.
    pub fn issue_untrusted_client(&self, file: &str) {
        self.issue(
            file,
            &client_params("prometheus.example", |_| {}),
            &create_authority("Other CA").0,
        );
    }

    /// Writes `FILE.crt` and `FILE.key`.
    fn issue(&self, file: &str, params: &CertificateParams, issuer: &Issuer<'static, KeyPair>) {
        let key = KeyPair::generate().unwrap();
        self.write(
            &format!("{file}.crt"),
            &params.signed_by(&key, issuer).unwrap().pem(),
        );
        self.write(&format!("{file}.key"), &key.serialize_pem());
    }
}

/// Returns the parameters of a client certificate.
fn client_params(name: &str, customise: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    customise(&mut params);
    params
}

/// Creates an authority and returns its issuer and its certificate in PEM.
fn create_authority(name: &str) -> (Issuer<'static, KeyPair>, String) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    (Issuer::new(params, key), certificate)
}
