//! Builds the TLS configuration of the server from `tls_server_config`.
//!
//! Sessions are not resumed: each handshake is complete, so that a client that was verified under
//! an older configuration is verified again under a newer one.

use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::server::{NoServerSessionStorage, ParsedCertificate};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ServerConfig, SupportedCipherSuite};
use x509_cert::Certificate;
use x509_cert::der::{Decode, Encode};

use crate::clock::Moment;
use crate::config::ConfigError;
use crate::config::web::{ClientAuth, Tls};
use crate::web::client_ca::ClientCas;
use crate::web::client_cert::SanVerifier;
use crate::web::pem_files::{
    CERTIFICATES, KEY, describe_unsupported_key, read_certificates, read_key,
};

/// The TLS configuration, and warnings about it.
pub(crate) struct TlsSetup {
    pub(crate) config: Arc<ServerConfig>,
    /// Whether certificates are valid now, and what `client_ca_file` accepts.
    pub(crate) warnings: Vec<String>,
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
    let chain = read_certificates(&tls.certificate)?;
    let mut warnings = Vec::new();
    if let Some(warning) = chain.first().and_then(|leaf| validity_warning(leaf, now)) {
        warnings.push(format!("{}: {warning}", tls.certificate.origin));
    }
    let certified_key = load_certified_key(tls, chain, &provider)?;
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&tls.versions)
        .map_err(|error| ConfigError(format!("tls_server_config: {error}")))?;
    check_suites_match_key(tls, &certified_key)?;
    let builder = match &tls.clients {
        Some(clients) => {
            let mut verifier = client_verifier(clients, &provider, now)?;
            if let Some(cas) = &mut verifier.cas {
                warnings.append(&mut cas.warnings);
            }
            builder.with_client_cert_verifier(Arc::new(verifier))
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
        warnings,
    })
}

fn load_certified_key(
    tls: &Tls,
    chain: Vec<CertificateDer<'static>>,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, ConfigError> {
    let key = read_key(&tls.key)?;
    let signing_key = provider.key_provider.load_private_key(key.clone_key());
    let signing_key =
        signing_key.map_err(|_| tls.key.invalid(&describe_unsupported_key(&key), KEY))?;
    let certified_key = CertifiedKey::new(chain, signing_key);
    check_key_matches(tls, &certified_key)?;
    Ok(certified_key)
}

/// Checks that the key belongs to the first certificate of the chain.
fn check_key_matches(tls: &Tls, certified_key: &CertifiedKey) -> Result<(), ConfigError> {
    let Some(key) = certified_key.key.public_key() else {
        return Ok(());
    };
    let public_keys: Vec<_> = certified_key.cert.iter().map(public_key).collect();
    match public_keys
        .iter()
        .position(|other| *other == Some(key.to_vec()))
    {
        Some(0) => Ok(()),
        Some(n) => Err(tls.certificate.invalid(
            &format!("the key belongs to certificate {} of the file", n + 1),
            "this certificate first, and then its issuers",
        )),
        None if matches!(public_keys.first(), Some(None)) => Err(tls
            .certificate
            .invalid("contains an invalid certificate", CERTIFICATES)),
        None => Err(tls.key.invalid(
            "does not match the certificate",
            &format!("the key of {}", tls.certificate.origin),
        )),
    }
}

/// Returns the public key of a certificate, in DER, and `None` if the certificate is invalid. The
/// parser of rustls has no version 1.
fn public_key(certificate: &CertificateDer<'static>) -> Option<Vec<u8>> {
    if let Ok(parsed) = ParsedCertificate::try_from(certificate) {
        return Some(parsed.subject_public_key_info().to_vec());
    }
    let parsed = Certificate::from_der(certificate).ok()?;
    parsed
        .tbs_certificate()
        .subject_public_key_info()
        .to_der()
        .ok()
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

/// Returns a warning if the certificate has expired or is not valid yet. It is not an error, since
/// scrapers that do not verify the certificate still work.
pub(super) fn validity_warning(leaf: &CertificateDer<'_>, now: Moment) -> Option<String> {
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
    now: Moment,
) -> Result<SanVerifier, ConfigError> {
    let cas = match &clients.ca {
        Some(ca) => Some(ClientCas::read(ca, provider, now)?),
        None => None,
    };
    Ok(SanVerifier {
        required: clients.required,
        cas,
        allowed_names: clients.allowed_sans.clone(),
        algorithms: provider.signature_verification_algorithms,
    })
}
