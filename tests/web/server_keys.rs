//! Tests of server keys and certificates of every kind that openssl writes: each serves curl, or is
//! one line on standard error.

use crate::harness::TestExporter;
use crate::pki::Pki;
use crate::startup_errors::startup_error;

const SELF_SIGNED: &str = "openssl req -x509 -key key -out crt -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1";
const P_256: &str = "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key";
const RSA: &str = "openssl genrsa -out key 2048";
const KEY: &str = "expected one unencrypted private key in PEM format: RSA with 2048 to 4096 bits, ECDSA P-256 or P-384, or Ed25519";
const CERTIFICATES: &str = "expected certificates in PEM format";

/// Returns the web configuration with the files `crt` and `key`.
const WEB: &str = "tls_server_config: {cert_file: crt, key_file: key}\n";

/// Creates `key` by `commands`, and `crt` for it.
fn create(commands: &str) -> Pki {
    let pki = Pki::new();
    pki.run(&format!("{commands}\n{SELF_SIGNED}"));
    pki
}

/// Asserts that curl, which trusts `crt`, gets a response over TLS.
async fn assert_serves(pki: Pki, what: &str) {
    pki.run("cp trusted ca.crt || cp crt ca.crt");
    let exporter = TestExporter::start_with_pki(pki, WEB, &[]).await;
    let response = exporter.curl("/healthz", &[]).await;
    assert_eq!(response.status, 200, "{what}: {response:?}");
    let log = &exporter.process.log;
    assert!(!log.contains("level=warn"), "{what}: {log}");
}

/// Asserts that the exporter exits with this error, which begins with the key of the file.
async fn assert_fails(pki: &Pki, what: &str, error: &str) {
    let expected = format!("web.yml line 1: tls_server_config.{error}");
    assert_eq!(startup_error(pki, WEB).await, expected, "{what}");
}

#[tokio::test]
async fn supported_keys_serve_in_every_form() {
    let p_384 = "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out key";
    for commands in [
        RSA,
        "openssl genrsa -out key 3072",
        "openssl genrsa -out key 4096",
        "openssl genrsa -traditional -out key 2048",
        P_256,
        p_384,
        "openssl ecparam -name prime256v1 -genkey -out key",
        "openssl ecparam -name secp384r1 -genkey -noout -out key",
        "openssl genpkey -algorithm ed25519 -out key",
    ] {
        assert_serves(create(commands), commands).await;
    }
}

#[tokio::test]
async fn unsupported_keys_are_named() {
    let curve = |name: &str| format!("openssl ecparam -name {name} -genkey -noout -out key");
    let pkcs8 = "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521 -out key";
    let dsa = "openssl dsaparam -genkey -out key 1024";
    let cases = [
        (curve("secp521r1"), "ECDSA P-521 keys are not supported"),
        (pkcs8.to_owned(), "ECDSA P-521 keys are not supported"),
        (curve("secp224r1"), "ECDSA P-224 keys are not supported"),
        (curve("secp256k1"), "ECDSA secp256k1 keys are not supported"),
        (
            curve("brainpoolP256r1"),
            "ECDSA Brainpool keys are not supported",
        ),
        (
            "openssl genpkey -algorithm ed448 -out key".to_owned(),
            "Ed448 keys are not supported",
        ),
        (
            "openssl genpkey -algorithm RSA-PSS -out key".to_owned(),
            "RSA-PSS keys are not supported",
        ),
        (dsa.to_owned(), "DSA keys are not supported"),
        (
            "openssl genrsa -out key 1024".to_owned(),
            "RSA keys with less than 2048 bits or an exponent below 65537 are not supported",
        ),
        (
            "openssl genrsa -traditional -out key 1024".to_owned(),
            "RSA keys with less than 2048 bits or an exponent below 65537 are not supported",
        ),
        (
            "openssl genrsa -3 -out key 2048".to_owned(),
            "RSA keys with less than 2048 bits or an exponent below 65537 are not supported",
        ),
        (
            "openssl genrsa -primes 3 -out key 2048".to_owned(),
            "invalid or unsupported private key: VersionNotSupported",
        ),
        (
            "openssl genrsa -out key 2056".to_owned(),
            "invalid or unsupported private key: PrivateModulusLenNotMultipleOf512Bits",
        ),
        (
            "openssl genrsa -out key 5120".to_owned(),
            "RSA keys with more than 4096 bits are not supported",
        ),
    ];
    for (commands, reason) in cases {
        let pki = create(&commands);
        assert_fails(&pki, &commands, &format!("key_file: key: {reason}: {KEY}")).await;
    }
}

#[tokio::test]
async fn unusable_forms_of_keys_are_named() {
    let no_key = "contains no usable private key";
    let cases = [
        (
            P_256,
            "openssl pkcs8 -topk8 -passout pass:x -in key -out k",
            format!("{no_key}, but an encrypted private key"),
        ),
        (
            RSA,
            "openssl rsa -aes128 -traditional -passout pass:x -in key -out k",
            "the private key is encrypted".to_owned(),
        ),
        (
            P_256,
            "openssl ec -aes128 -passout pass:x -in key -out k",
            "the private key is encrypted".to_owned(),
        ),
        (
            P_256,
            "openssl pkey -pubout -in key -out k",
            format!("{no_key}, but a public key"),
        ),
        (
            P_256,
            "openssl pkey -outform DER -in key -out k",
            format!("{no_key}, but DER"),
        ),
        (
            P_256,
            "iconv -t UTF-16 key >k",
            format!("{no_key}, but UTF-16 text"),
        ),
        (
            P_256,
            "openssl ec -no_public -in key -out k",
            "invalid, or lacks its public key".to_owned(),
        ),
        (
            P_256,
            "openssl ec -param_enc explicit -in key -out k",
            "ECDSA explicit-parameter keys are not supported".to_owned(),
        ),
        (P_256, "sed 's/[A-Z]/!/' key >k", "invalid PEM".to_owned()),
        (P_256, "head -c 150 key >k", "invalid PEM".to_owned()),
        (P_256, "echo >k", "the PEM text is empty".to_owned()),
        (
            P_256,
            "openssl genrsa -out k 2048",
            "does not match the certificate".to_owned(),
        ),
    ];
    for (key, commands, reason) in cases {
        let pki = create(key);
        pki.run(&format!("{commands}; mv k key"));
        let expected = match reason.as_str() {
            "does not match the certificate" => {
                "expected the key of --web.config.file: web.yml line 1: tls_server_config.cert_file: crt"
            }
            _ => KEY,
        };
        assert_fails(
            &pki,
            commands,
            &format!("key_file: key: {reason}: {expected}"),
        )
        .await;
    }
}

#[tokio::test]
async fn usual_forms_of_files_serve() {
    for commands in [
        "cat key >>crt; cp crt key",
        "cat crt key >both; cp both crt; cp both key",
        "for f in crt key; do { printf '\\357\\273\\277'; cat $f; } >f; mv f $f; done",
        "sed -i 's/$/\\r/' crt key",
        "openssl x509 -text -in crt -out c; mv c crt; { echo text; cat key; } >k; mv k key",
        "openssl ecparam -name prime256v1 >k; cat key >>k; mv k key",
    ] {
        let pki = create(P_256);
        pki.run(&format!("cp crt trusted; {commands}"));
        assert_serves(pki, commands).await;
    }
}

#[tokio::test]
async fn unusable_certificates_are_named() {
    let no = "contains no certificate";
    let cases = [
        ("openssl x509 -outform DER -in crt -out c", format!("{no}, but DER: {CERTIFICATES}")),
        ("openssl x509 -trustout -in crt -out c", format!("{no}, but a TRUSTED CERTIFICATE: {CERTIFICATES}")),
        ("openssl req -new -key key -subj /CN=x -out c", format!("{no}, but a certificate request: {CERTIFICATES}")),
        ("cp key c", format!("{no}, but a private key: {CERTIFICATES}")),
        ("head -c 150 crt >c", format!("invalid PEM: {CERTIFICATES}")),
        (": >c", format!("the PEM text is empty: {CERTIFICATES}")),
        ("cat ca.crt crt >c", "the key belongs to certificate 2 of the file: expected this certificate first, and then its issuers".to_owned()),
    ];
    for (commands, error) in cases {
        let pki = create(P_256);
        pki.run(&format!("{commands}; mv c crt"));
        assert_fails(&pki, commands, &format!("cert_file: crt: {error}")).await;
    }
}

#[tokio::test]
async fn version_1_certificate_serves() {
    let version_1 = "openssl req -new -key key -subj /CN=localhost -out csr; openssl x509 -req -in csr -signkey key -days 2 -out crt";
    for key in [RSA, P_256] {
        let pki = create(key);
        pki.run(version_1);
        pki.run("openssl x509 -noout -text -in crt | grep -q 'Version: 1 '");
        assert_serves(pki, key).await;
    }
    let pki = create(P_256);
    pki.run(&format!("{version_1}; {P_256}"));
    let mismatch = "key_file: key: does not match the certificate: expected the key of --web.config.file: web.yml line 1: tls_server_config.cert_file: crt";
    assert_fails(&pki, "version 1 with another key", mismatch).await;
}
