//! Builds the TLS configuration of the server from `tls_server_config`.
//!
//! Sessions are not resumed: each handshake is complete, so that a client that was verified under
//! an older configuration is verified again under a newer one.

use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{Error, InconsistentKeys, RootCertStore, ServerConfig, SupportedCipherSuite};
use x509_cert::Certificate;
use x509_cert::der::Decode;

use crate::clock::Moment;
use crate::config::ConfigError;
use crate::config::web::{ClientAuth, Pem, Tls};
use crate::web::client_cert::SanVerifier;

const CERTIFICATES: &str = "certificates in PEM format";
const KEY: &str = "one unencrypted private key in PEM format: RSA, ECDSA or Ed25519";

/// The TLS configuration, and a warning about it.
pub(crate) struct TlsSetup {
    pub(crate) config: Arc<ServerConfig>,
    /// Set if the certificate has expired or is not valid yet.
    pub(crate) warning: Option<String>,
}

/// Reads the certificate files and builds the TLS configuration.
///
/// # Errors
/// Returns an error if a file cannot be read or is invalid, or if key and certificate do not match.
pub(crate) fn server_config(tls: &Tls, now: Moment) -> Result<TlsSetup, ConfigError> {
    let provider = Arc::new(CryptoProvider {
        cipher_suites: tls.suites.clone(),
        kx_groups: tls.kx_groups.clone(),
        ..default_provider()
    });
    let chain = parse_certificates(&tls.certificate)?;
    let warning = chain.first().and_then(|leaf| validity_warning(leaf, now));
    let certified_key = load_certified_key(tls, chain, &provider)?;
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&tls.versions)
        .map_err(|error| {
            let what = format!("invalid cipher_suites: {error}");
            let expected = "at least one suite of TLS 1.2 if TLS 1.3 is disabled";
            tls.certificate.invalid(&what, expected)
        })?;
    check_suites_match_key(tls, &certified_key)?;
    let builder = match &tls.clients {
        Some(clients) => {
            builder.with_client_cert_verifier(Arc::new(client_verifier(clients, &provider)?))
        }
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(certified_key)));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.ignore_client_order = tls.prefer_server_cipher_suites;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(TlsSetup {
        config: Arc::new(config),
        warning: warning.map(|warning| format!("{}: {warning}", tls.certificate.origin)),
    })
}

fn load_certified_key(
    tls: &Tls,
    chain: Vec<CertificateDer<'static>>,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, ConfigError> {
    let pem = tls.key.read(KEY)?;
    let Ok(key) = PrivateKeyDer::from_pem_slice(&pem) else {
        return Err(tls.key.invalid("contains no usable private key", KEY));
    };
    CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => tls.key.invalid(
            "does not match the certificate",
            &format!("the key of {}", tls.certificate.origin),
        ),
        Error::InvalidCertificate(_) => tls
            .certificate
            .invalid("contains an invalid certificate", CERTIFICATES),
        _ => tls.key.invalid("invalid key", KEY),
    })
}

/// Checks that a cipher suite can be used with the key. A suite of TLS 1.2 is only for one kind of
/// keys, and every handshake fails if there is none for this kind.
fn check_suites_match_key(tls: &Tls, certified_key: &CertifiedKey) -> Result<(), ConfigError> {
    let algorithm = certified_key.key.algorithm();
    let is_usable = |suite: &SupportedCipherSuite| {
        tls.versions.contains(&suite.version()) && suite.usable_for_signature_algorithm(algorithm)
    };
    if tls.suites.iter().any(is_usable) {
        return Ok(());
    }
    Err(tls.key.invalid(
        "no suite in cipher_suites can be used with this kind of key",
        "ECDHE_RSA for RSA, ECDHE_ECDSA for others",
    ))
}

fn parse_certificates(pem: &Pem) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let bytes = pem.read(CERTIFICATES)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let certificates = certificates.map_err(|_| pem.invalid("invalid PEM", CERTIFICATES))?;
    if certificates.is_empty() {
        return Err(pem.invalid("contains no certificate", CERTIFICATES));
    }
    Ok(certificates)
}

/// Returns a warning if the certificate has expired or is not valid yet. It is not an error, since
/// scrapers that do not verify the certificate still work.
fn validity_warning(leaf: &CertificateDer<'_>, now: Moment) -> Option<String> {
    let certificate = Certificate::from_der(leaf).ok()?;
    let validity = certificate.tbs_certificate().validity();
    let now = Duration::from_secs(u64::try_from(now.wall.as_second()).ok()?);
    let (begin, end) = (validity.not_before, validity.not_after);
    if end.to_unix_duration() < now {
        Some(format!("the certificate expired at {end}"))
    } else if begin.to_unix_duration() > now {
        Some(format!("the certificate is not valid before {begin}"))
    } else {
        None
    }
}

fn client_verifier(
    clients: &ClientAuth,
    provider: &Arc<CryptoProvider>,
) -> Result<SanVerifier, ConfigError> {
    let mut inner = None;
    if let Some(ca) = &clients.ca {
        let roots = Arc::new(root_store(ca)?);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone())
            .build()
            .map_err(|error| {
                let what = format!("cannot verify client certificates: {error}");
                ca.invalid(&what, CERTIFICATES)
            })?;
        inner = Some(verifier);
    }
    Ok(SanVerifier {
        required: clients.required,
        inner,
        allowed_names: clients.allowed_sans.clone(),
        algorithms: provider.signature_verification_algorithms,
    })
}

fn root_store(ca: &Pem) -> Result<RootCertStore, ConfigError> {
    let mut roots = RootCertStore::empty();
    for certificate in parse_certificates(ca)? {
        roots.add(certificate).map_err(|error| {
            let what = format!("contains an invalid certificate: {error}");
            ca.invalid(&what, CERTIFICATES)
        })?;
    }
    Ok(roots)
}
