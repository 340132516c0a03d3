//! TLS from its configuration: reads the files and sets rustls up.
//!
//! Owns: that a certificate, a key or a CA which cannot serve is one line that names its key and file, found before it
//! takes effect. Refuses to know: connections. Every handshake is a whole one: without resumption, what a client showed
//! under an older configuration counts for nothing under a newer one.

use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{Error, InconsistentKeys, RootCertStore, ServerConfig};
use x509_cert::Certificate;
use x509_cert::der::Decode;

use crate::clock::Moment;
use crate::config::ConfigError;
use crate::config::web::{ClientAuth, Pem, Tls};
use crate::web::client_cert::SanVerifier;

const CERTIFICATES: &str = "certificates in PEM form";
const KEY: &str = "one private key in PEM form, not encrypted: RSA, ECDSA or Ed25519";

/// A configuration that is ready to serve, and what a person should be told about it.
pub struct TlsSetup {
    /// For handshakes.
    pub config: Arc<ServerConfig>,
    /// Such as that the certificate has expired.
    pub warning: Option<String>,
}

/// Reads the files and sets rustls up.
///
/// # Errors
/// When a file is unreadable or holds something else, or key and certificate do not belong together.
pub fn server_config(tls: &Tls, now: Moment) -> Result<TlsSetup, ConfigError> {
    let provider = Arc::new(CryptoProvider {
        cipher_suites: tls.suites.clone(),
        kx_groups: tls.kx_groups.clone(),
        ..default_provider()
    });
    let chain = certificates(&tls.certificate)?;
    let warning = chain.first().and_then(|own| expired(own, now));
    let own = certified(tls, chain, &provider)?;
    let builder =
        ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(&tls.versions);
    let builder = builder.map_err(|error| {
        tls.certificate.invalid(
            &format!("cipher_suites do not serve: {error}"),
            "a suite of TLS 1.2 where TLS 1.3 is not spoken",
        )
    })?;
    suites_serve(tls, &own)?;
    let builder = match &tls.clients {
        None => builder.with_no_client_auth(),
        Some(clients) => {
            builder.with_client_cert_verifier(Arc::new(client_certificates(clients, &provider)?))
        }
    };
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(own)));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.ignore_client_order = tls.prefer_server_cipher_suites;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(TlsSetup {
        config: Arc::new(config),
        warning: warning.map(|when| format!("{}: {when}", tls.certificate)),
    })
}

fn certified(
    tls: &Tls,
    chain: Vec<CertificateDer<'static>>,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, ConfigError> {
    let pem = tls.key.read(KEY)?;
    let key = PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|_| tls.key.invalid("there is no such key in it", KEY))?;
    CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => tls.key.invalid(
            "it does not belong to the certificate",
            &format!("the key of {}", tls.certificate),
        ),
        Error::InvalidCertificate(_) => tls
            .certificate
            .invalid("the first certificate cannot be read", CERTIFICATES),
        _ => tls.key.invalid("the key cannot be read", KEY),
    })
}

/// A suite of TLS 1.2 names the kind of key, so that with none for ours each handshake would fail.
fn suites_serve(tls: &Tls, own: &CertifiedKey) -> Result<(), ConfigError> {
    let kind = own.key.algorithm();
    let spoken = tls
        .suites
        .iter()
        .filter(|suite| tls.versions.contains(&suite.version()));
    if spoken
        .into_iter()
        .any(|suite| suite.usable_for_signature_algorithm(kind))
    {
        return Ok(());
    }
    Err(tls.key.invalid(
        "no suite in cipher_suites serves this kind of key",
        "ECDHE_RSA for RSA, ECDHE_ECDSA for others",
    ))
}

fn certificates(pem: &Pem) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let bytes = pem.read(CERTIFICATES)?;
    let certificates = CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(pem.invalid("there is no certificate in it", CERTIFICATES)),
        Err(_) => Err(pem.invalid("it is damaged", CERTIFICATES)),
    }
}

/// An expired certificate is no reason to refuse: whoever scrapes without checking it still sees the calls.
fn expired(own: &CertificateDer<'_>, now: Moment) -> Option<String> {
    let certificate = Certificate::from_der(own).ok()?;
    let validity = certificate.tbs_certificate().validity();
    let now = Duration::from_secs(u64::try_from(now.wall.as_second()).ok()?);
    if validity.not_after.to_unix_duration() < now {
        Some(format!("this certificate ended at {}", validity.not_after))
    } else if validity.not_before.to_unix_duration() > now {
        Some(format!(
            "this certificate begins at {}",
            validity.not_before
        ))
    } else {
        None
    }
}

fn client_certificates(
    clients: &ClientAuth,
    provider: &Arc<CryptoProvider>,
) -> Result<SanVerifier, ConfigError> {
    let chain = match &clients.ca {
        None => None,
        Some(ca) => {
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots(ca)?), provider.clone())
                    .build();
            Some(verifier.map_err(|error| {
                ca.invalid(
                    &format!("nobody can be verified by it: {error}"),
                    CERTIFICATES,
                )
            })?)
        }
    };
    let algorithms = provider.signature_verification_algorithms;
    Ok(SanVerifier::new(
        clients.required,
        chain,
        clients.allowed_sans.clone(),
        algorithms,
    ))
}

fn roots(ca: &Pem) -> Result<RootCertStore, ConfigError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca)? {
        roots.add(certificate).map_err(|error| {
            ca.invalid(
                &format!("a certificate cannot be read: {error}"),
                CERTIFICATES,
            )
        })?;
    }
    Ok(roots)
}
