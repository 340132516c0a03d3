//! The certificates of `client_ca_file`: what they accept.
//!
//! As in Go, a certificate is accepted if it is one of them, byte by byte, or if one of them signed
//! it. Only a CA may sign others. A certificate of the file that has expired accepts nothing.

use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{CertificateError, DistinguishedName, Error, RootCertStore};
use x509_cert::certificate::Version;
use x509_cert::der::asn1::Uint;
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage};
use x509_cert::spki::SubjectPublicKeyInfoOwned;
use x509_cert::time::Validity;
use x509_cert::{Certificate, TbsCertificate};

use crate::clock::Moment;
use crate::config::ConfigError;
use crate::config::web::Pem;
use crate::web::pem_files::{read_certificates, unsupported_key_kind};
use crate::web::tls::validity_warning;

const CLIENT_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");
const ANY_PURPOSE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");
const EXPECTED: &str = "valid CAs for client certificates, with a key RSA with 2048 to 8192 bits, ECDSA P-256 or P-384, or Ed25519";

/// The certificates of `client_ca_file`.
#[derive(Debug)]
pub(crate) struct ClientCas {
    certificates: Vec<CaCertificate>,
    subjects: Vec<DistinguishedName>,
    provider: Arc<CryptoProvider>,
    /// What does not accept all that an operator may expect, for the log.
    pub(crate) warnings: Vec<String>,
}

#[derive(Debug)]
struct CaCertificate {
    der: CertificateDer<'static>,
    /// Only this certificate, as a trust anchor.
    roots: RootCertStore,
    validity: Validity,
    /// Whether it may sign the certificates of clients.
    is_issuer: bool,
}

impl ClientCas {
    /// Reads the certificates.
    ///
    /// # Errors
    /// Returns an error if a certificate can accept no client, or if all have expired.
    pub(crate) fn read(
        pem: &Pem,
        provider: &Arc<CryptoProvider>,
        now: Moment,
    ) -> Result<Self, ConfigError> {
        let mut cas = Self {
            certificates: Vec::new(),
            subjects: Vec::new(),
            provider: provider.clone(),
            warnings: Vec::new(),
        };
        for (n, der) in read_certificates(pem)?.into_iter().enumerate() {
            let place = format!("certificate {}", n + 1);
            let ca = CaCertificate::new(der, provider)
                .map_err(|reason| pem.invalid(&format!("{place}: {reason}"), EXPECTED))?;
            for warning in ca.warnings(now) {
                cas.warnings
                    .push(format!("{}: {place}: {warning}", pem.origin));
            }
            cas.subjects.extend(ca.roots.subjects());
            cas.certificates.push(ca);
        }
        if cas.certificates.iter().all(|ca| ca.has_expired(now)) {
            return Err(pem.invalid("every certificate has expired", EXPECTED));
        }
        Ok(cas)
    }

    /// Returns the subjects, from which a client chooses its certificate.
    pub(crate) fn subjects(&self) -> &[DistinguishedName] {
        &self.subjects
    }

    /// Verifies the certificate of a client.
    ///
    /// # Errors
    /// Returns an error if it is neither one of these certificates nor signed by one of them, or if
    /// one of both has expired.
    pub(crate) fn verify(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let mut roots = RootCertStore::empty();
        for ca in &self.certificates {
            let is_valid = ca.check_validity(now);
            if ca.der == *certificate {
                return is_valid;
            }
            if ca.is_issuer && is_valid.is_ok() {
                roots.extend(ca.roots.roots.iter().cloned());
            }
        }
        if roots.is_empty() {
            return Err(CertificateError::UnknownIssuer.into());
        }
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), self.provider.clone())
                .build()
                .map_err(|error| Error::General(error.to_string()))?;
        verifier
            .verify_client_cert(certificate, intermediates, now)
            .map(|_| ())
    }
}

impl CaCertificate {
    /// # Errors
    /// Returns the reason why it can accept no client.
    fn new(der: CertificateDer<'static>, provider: &CryptoProvider) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        roots.add(der.clone()).map_err(|error| error.to_string())?;
        let certificate = Certificate::from_der(&der).map_err(|error| error.to_string())?;
        let certificate = certificate.tbs_certificate();
        check_key(certificate.subject_public_key_info(), provider)?;
        if !permits_client_auth(certificate) {
            return Err("its extended key usage excludes client authentication".to_owned());
        }
        Ok(Self {
            roots,
            validity: *certificate.validity(),
            is_issuer: is_issuer(certificate),
            der,
        })
    }

    fn warnings(&self, now: Moment) -> Vec<String> {
        let mut warnings = Vec::from_iter(validity_warning(&self.der, now));
        if !self.is_issuer {
            warnings.push("not a CA: of clients, it accepts only itself".to_owned());
        }
        warnings
    }

    fn has_expired(&self, now: Moment) -> bool {
        let now = u64::try_from(now.wall.as_second()).unwrap_or(0);
        self.validity.not_after.to_unix_duration() < Duration::from_secs(now)
    }

    fn check_validity(&self, now: UnixTime) -> Result<(), Error> {
        let now = Duration::from_secs(now.as_secs());
        if self.validity.not_after.to_unix_duration() < now {
            return Err(CertificateError::Expired.into());
        }
        if self.validity.not_before.to_unix_duration() > now {
            return Err(CertificateError::NotValidYet.into());
        }
        Ok(())
    }
}

/// Returns whether a certificate may sign others. One of version 1 has no extensions that say so,
/// and may.
fn is_issuer(certificate: &TbsCertificate) -> bool {
    if certificate.version() != Version::V3 {
        return true;
    }
    let Ok(Some((_, BasicConstraints { ca: true, .. }))) = certificate.get_extension() else {
        return false;
    };
    match certificate.get_extension::<KeyUsage>() {
        Ok(Some((_, usage))) => usage.key_cert_sign(),
        other => other.is_ok(),
    }
}

fn permits_client_auth(certificate: &TbsCertificate) -> bool {
    match certificate.get_extension() {
        Ok(Some((_, ExtendedKeyUsage(purposes)))) => {
            purposes.contains(&CLIENT_AUTH) || purposes.contains(&ANY_PURPOSE)
        }
        other => other.is_ok(),
    }
}

/// Checks that signatures of a public key can be verified.
fn check_key(key: &SubjectPublicKeyInfoOwned, provider: &CryptoProvider) -> Result<(), String> {
    let algorithms = provider.signature_verification_algorithms.all;
    let id = algorithm_id(key);
    let is_known = algorithms
        .iter()
        .any(|algorithm| Some(algorithm.public_key_alg_id().as_ref()) == id.as_deref());
    if !is_known {
        let kind = id.as_deref().and_then(unsupported_key_kind);
        return Err(format!("{} keys are not supported", kind.unwrap_or("such")));
    }
    match rsa_bits(key) {
        Some(bits) if !(2048..=8192).contains(&bits) => {
            Err(format!("RSA keys with {bits} bits are not supported"))
        }
        _ => Ok(()),
    }
}

/// Returns the DER of the algorithm and its parameters, without their enclosing sequence.
pub(super) fn algorithm_id(key: &SubjectPublicKeyInfoOwned) -> Option<Vec<u8>> {
    let mut id = key.algorithm.oid.to_der().ok()?;
    if let Some(parameters) = &key.algorithm.parameters {
        id.extend(parameters.to_der().ok()?);
    }
    Some(id)
}

/// Returns the size of an RSA key, and `None` for other keys.
fn rsa_bits(key: &SubjectPublicKeyInfoOwned) -> Option<u32> {
    let numbers = Vec::<Uint>::from_der(key.subject_public_key.as_bytes()?).ok()?;
    let modulus = numbers.first()?.as_bytes();
    let bits = u32::try_from(modulus.len()).ok()? * 8;
    Some(bits - modulus.first()?.leading_zeros())
}
