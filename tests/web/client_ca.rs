//! Tests of `client_ca_file` with certificates of every kind that openssl writes. Each behaves as in
//! Go, or is an error at start.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::curl::CurlResponse;
use crate::harness::{TLS, TestExporter};
use crate::pki::Pki;
use crate::startup_errors::startup_error;

const WEB: &str = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: clients.pem\n";
const EXPECTED: &str = "valid CAs for client certificates, with a key RSA with 2048 to 8192 bits, ECDSA P-256 or P-384, or Ed25519";
/// Shell functions: a key, a certificate of version 3 with extensions, and one of version 1, each
/// signed by itself or by another one.
const FUNCTIONS: &str = r#"
key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:${2:-P-256} -out "$1.key"; }
request() { openssl req -new -key "$1.key" -subj "/CN=$1" -out "$1.csr"; }
self_signed() { # NAME EXTENSION...
    name=$1; shift; request "$name"; printf '%s\n' "$@" >ext
    openssl x509 -req -in "$name.csr" -signkey "$name.key" -days 2 -extfile ext -out "$name.crt"
}
signed() { # NAME CA EXTENSION...
    name=$1; ca=$2; shift 2; key "$name"; request "$name"; printf '%s\n' "$@" >ext
    openssl x509 -req -in "$name.csr" -CA "$ca.crt" -CAkey "$ca.key" -CAcreateserial -days 2 \
        -extfile ext -out "$name.crt"
}
version_1() { request "$1"; openssl x509 -req -in "$1.csr" -signkey "$1.key" -days 2 -out "$1.crt"; }
signed_version_1() {
    key "$1"; request "$1"
    openssl x509 -req -in "$1.csr" -CA "$2.crt" -CAkey "$2.key" -CAcreateserial -days 2 -out "$1.crt"
}
"#;

/// Creates certificates by commands that use `FUNCTIONS`.
fn create(commands: &str) -> Pki {
    let pki = Pki::new();
    pki.run(&format!("{FUNCTIONS}{commands}"));
    pki
}

async fn start(commands: &str) -> TestExporter {
    TestExporter::start_with_pki(create(commands), &format!("{TLS}{WEB}"), &[]).await
}

async fn get(exporter: &TestExporter, client: &str, version: &[&str]) -> CurlResponse {
    let pki = &exporter.pki;
    let (certificate, key) = (
        pki.arg(&format!("{client}.crt")),
        pki.arg(&format!("{client}.key")),
    );
    let arguments = [&["--cert", &certificate, "--key", &key], version].concat();
    exporter.curl("/metrics", &arguments).await
}

/// Asserts the status that this client gets over TLS 1.2 and 1.3; 0 for a refused handshake.
async fn assert_status(exporter: &TestExporter, client: &str, status: u16) {
    let any_key = ["--ciphers", "DEFAULT:@SECLEVEL=0"];
    for version in [&["--tls-max", "1.2"] as &[_], &[]] {
        let response = get(exporter, client, &[&any_key, version].concat()).await;
        assert_eq!(
            response.status, status,
            "{client} {version:?}: {response:?}"
        );
        // The second is how curl shows an alert about an expired certificate.
        let is_refused = ["alert", "SSL certificate verification failed"]
            .iter()
            .any(|text| response.error.contains(text));
        assert!(is_refused || status != 0, "{client}: {response:?}");
    }
}

#[tokio::test]
async fn self_signed_client_certificate_accepts_itself() {
    for extensions in [
        "basicConstraints=critical,CA:TRUE",
        "basicConstraints=critical,CA:TRUE extendedKeyUsage=clientAuth",
        "basicConstraints=CA:FALSE",
        "basicConstraints=CA:FALSE extendedKeyUsage=clientAuth keyUsage=digitalSignature",
        "subjectAltName=DNS:own",
    ] {
        let exporter = start(&format!(
            "key own; self_signed own {extensions}; cp own.crt clients.pem; key other; self_signed other {extensions}"
        ))
        .await;
        assert_status(&exporter, "own", 200).await;
        assert_status(&exporter, "other", 0).await;
        assert_status(&exporter, "client", 0).await;
        assert_eq!(exporter.curl("/metrics", &[]).await.status, 0);
    }
}

#[tokio::test]
async fn certificate_without_its_key_is_refused() {
    for own in ["self_signed own basicConstraints=CA:TRUE", "version_1 own"] {
        let exporter = start(&format!("key own; {own}; cp own.crt clients.pem")).await;
        assert_other_key_is_refused(&exporter, "own").await;
    }
}

/// Asserts that a client is refused that sends this certificate and signs with the key of `client`,
/// which curl does not do.
async fn assert_other_key_is_refused(exporter: &TestExporter, certificate: &str) {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let certificate =
            CertificateDer::from_pem_file(exporter.pki.path(&format!("{certificate}.crt")));
        let provider = rustls::crypto::ring::default_provider();
        let key = PrivateKeyDer::from_pem_file(exporter.pki.path("client.key")).unwrap();
        let key = provider.key_provider.load_private_key(key).unwrap();
        let client = SingleCertAndKey::from(CertifiedKey::new(vec![certificate.unwrap()], key));
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_file(exporter.pki.path("ca.crt"));
        roots.add(ca.unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(provider.into())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_client_cert_resolver(Arc::new(client));
        let response = request(exporter, config).await;
        assert!(response.is_empty(), "{version:?}: {response}");
    }
}

/// Sends a request and returns the response, or an empty text if the handshake fails.
async fn request(exporter: &TestExporter, config: ClientConfig) -> String {
    let address = exporter.address.replace("localhost", "127.0.0.1");
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut response = String::new();
    if let Ok(mut stream) = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
    {
        let request = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let _ = stream.write_all(request).await;
        let _ = stream.read_to_string(&mut response).await;
    }
    response
}

/// Unlike Go, which accepts the one that is a CA.
#[tokio::test]
async fn unsupported_client_certificates_are_refused() {
    let exporter = start(
        "key own; self_signed own basicConstraints=CA:TRUE; cp own.crt clients.pem
        signed leaf own basicConstraints=CA:FALSE; signed sub own basicConstraints=CA:TRUE
        signed server-only own extendedKeyUsage=serverAuth
        signed any-purpose own extendedKeyUsage=anyExtendedKeyUsage
        signed both own extendedKeyUsage=anyExtendedKeyUsage,clientAuth
        again() {
            name=$1; shift; request $name; echo basicConstraints=CA:FALSE >ext
            openssl x509 -req -in $name.csr -CA own.crt -CAkey own.key -CAcreateserial -extfile ext -out $name.crt $@
        }
        key large P-521; again large -days 2
        key old; again old -days -1",
    )
    .await;
    assert_status(&exporter, "leaf", 200).await;
    assert_status(&exporter, "both", 200).await;
    for client in ["sub", "server-only", "any-purpose", "large", "old"] {
        assert_status(&exporter, client, 0).await;
    }
    assert_status(&exporter, "leaf", 200).await;
}

#[tokio::test]
async fn only_ca_certificates_may_sign() {
    for (extensions, status) in [
        ("basicConstraints=CA:TRUE", 200),
        ("basicConstraints=CA:TRUE keyUsage=keyCertSign", 200),
        ("basicConstraints=CA:TRUE extendedKeyUsage=clientAuth", 200),
        ("basicConstraints=CA:TRUE keyUsage=digitalSignature", 0),
        ("basicConstraints=CA:FALSE", 0),
        ("subjectAltName=DNS:own", 0),
    ] {
        let exporter = start(&format!(
            "key own; self_signed own {extensions}; cp own.crt clients.pem
            signed leaf own basicConstraints=CA:FALSE; signed purpose own extendedKeyUsage=serverAuth"
        ))
        .await;
        assert_status(&exporter, "leaf", status).await;
        assert_status(&exporter, "own", 200).await;
        assert_status(&exporter, "purpose", 0).await;
        let warning = "clients.pem: certificate 1: not a CA: of clients, it accepts only itself";
        let log = &exporter.process.log;
        assert_eq!(log.contains(warning), status == 0, "{extensions}: {log}");
    }
}

/// webpki counts the intermediates of a CA that is itself an intermediate, and not those of a root.
#[tokio::test]
async fn path_length_limits_the_intermediates() {
    let ca = "basicConstraints=critical,CA:TRUE";
    for (root, sub, direct, one, two) in [
        ("", "", 200, 200, 200),
        (",pathlen:0", "", 200, 0, 0),
        (",pathlen:1", "", 200, 200, 0),
        (",pathlen:2", "", 200, 200, 200),
        ("", ",pathlen:0", 200, 200, 0),
    ] {
        let exporter = start(&format!(
            "key own; self_signed own {ca}{root}; cp own.crt clients.pem
            signed direct own basicConstraints=CA:FALSE
            signed sub own {ca}{sub}; signed one sub basicConstraints=CA:FALSE; cat sub.crt >>one.crt
            signed sub2 sub {ca}; signed two sub2 basicConstraints=CA:FALSE; cat sub2.crt sub.crt >>two.crt"
        ))
        .await;
        for (client, status) in [("direct", direct), ("one", one), ("two", two)] {
            assert_status(&exporter, client, status).await;
        }
    }
}

#[tokio::test]
async fn version_1_ca_accepts_itself_and_signs() {
    let exporter = start(
        "key own; version_1 own; cp own.crt clients.pem
        openssl x509 -noout -text -in own.crt | grep -q 'Version: 1 '
        signed leaf own basicConstraints=CA:FALSE; signed_version_1 old own",
    )
    .await;
    assert_status(&exporter, "own", 200).await;
    assert_status(&exporter, "leaf", 200).await;
    // Unlike Go.
    assert_status(&exporter, "old", 0).await;
    let rsa =
        start("openssl genrsa -out own.key 2048; version_1 own; cp own.crt clients.pem").await;
    assert_status(&rsa, "own", 200).await;
}

#[tokio::test]
async fn unverified_policy_accepts_version_1() {
    let pki = create("key own; version_1 own");
    let web = format!("{TLS}  client_auth_type: RequireAnyClientCert\n");
    let exporter = TestExporter::start_with_pki(pki, &web, &[]).await;
    assert_status(&exporter, "own", 200).await;
    assert_other_key_is_refused(&exporter, "own").await;
}

#[tokio::test]
async fn allowed_sans_apply_to_self_signed_certificate() {
    for (name, status) in [("own", 200), ("other", 0)] {
        let pki = create(
            "key own; self_signed own basicConstraints=CA:TRUE subjectAltName=DNS:own; cp own.crt clients.pem",
        );
        let web = format!("{TLS}{WEB}  client_allowed_sans: [one, {name}]\n");
        let exporter = TestExporter::start_with_pki(pki, &web, &[]).await;
        assert_status(&exporter, "own", status).await;
    }
}

#[tokio::test]
async fn expired_ca_accepts_no_client() {
    let expired =
        "openssl x509 -req -in own.csr -signkey own.key -days -1 -extfile ext -out own.crt";
    let commands = format!(
        "key own; self_signed own basicConstraints=CA:TRUE; signed leaf own basicConstraints=CA:FALSE
        {expired}; cat own.crt ca.crt >clients.pem"
    );
    let exporter = start(&commands).await;
    for (client, status) in [("client", 200), ("own", 0), ("leaf", 0)] {
        assert_status(&exporter, client, status).await;
    }
    let log = &exporter.process.log;
    assert!(
        log.contains("clients.pem: certificate 1: the certificate expired at"),
        "{log}"
    );

    let pki = create(&format!("{commands}; cp own.crt clients.pem"));
    let error = startup_error(&pki, &format!("{TLS}{WEB}")).await;
    let reason = "every certificate has expired";
    let expected = format!(
        "web.yml line 5: tls_server_config.client_ca_file: clients.pem: {reason}: expected {EXPECTED}"
    );
    assert_eq!(error, expected);
}

#[tokio::test]
async fn ca_that_no_client_satisfies_is_an_error() {
    let ca = "self_signed own basicConstraints=CA:TRUE";
    let cases = [
        (
            format!("key own P-521; {ca}"),
            "ECDSA P-521 keys are not supported",
        ),
        (
            format!("openssl genpkey -algorithm ed448 -out own.key; {ca}"),
            "Ed448 keys are not supported",
        ),
        (
            format!("openssl genpkey -algorithm RSA-PSS -out own.key; {ca}"),
            "RSA-PSS keys are not supported",
        ),
        (
            format!("openssl genrsa -out own.key 1024; {ca}"),
            "RSA keys with 1024 bits are not supported",
        ),
        (
            format!("key own; {ca} extendedKeyUsage=serverAuth"),
            "its extended key usage excludes client authentication",
        ),
    ];
    for (commands, reason) in cases {
        let pki = create(&format!("{commands}; cat ca.crt own.crt >clients.pem"));
        let error = startup_error(&pki, &format!("{TLS}{WEB}")).await;
        let place = "web.yml line 5: tls_server_config.client_ca_file: clients.pem: certificate 2";
        assert_eq!(error, format!("{place}: {reason}: expected {EXPECTED}"));
    }
}

#[tokio::test]
async fn refused_handshake_is_logged_once_per_cause() {
    let mut exporter =
        start("cp ca.crt clients.pem; key own; self_signed own basicConstraints=CA:FALSE").await;
    for _ in 0..3 {
        assert_status(&exporter, "own", 0).await;
        assert_eq!(exporter.curl("/metrics", &[]).await.status, 0);
        exporter.curl("/metrics", &["--tls-max", "1.1"]).await;
    }
    exporter.process.signal("TERM").await;
    exporter.process.wait_for_exit().await;
    let log = &exporter.process.log;
    let refused: Vec<_> = log
        .lines()
        .filter(|line| line.contains("level=info msg=\"TLS handshake refused\""))
        .collect();
    for cause in [
        "the certificate of the client is not signed by a valid CA of client_ca_file",
        "the client sent no certificate",
        "client and server have no TLS version, cipher suite or curve in common",
    ] {
        let of_cause = refused.iter().filter(|line| line.contains(cause));
        assert_eq!(of_cause.count(), 1, "{cause}: {log}");
    }
    assert!(
        log.matches("msg=\"TLS handshake failed\"").count() > refused.len(),
        "{log}"
    );
}
