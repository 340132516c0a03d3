//! The certificates of `client_ca_file`: what they accept.
//!
//! As in Go, a certificate is accepted if it is one of them, byte by byte, or if one of them signed
//! it. Only a CA may sign others. A certificate of the file that has expired accepts nothing.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
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
    /// The verifiers that were used last.
    verifiers: Mutex<Option<Verifiers>>,
    /// What does not accept all that an operator may expect, for the log.
    pub(crate) warnings: Vec<String>,
}

#[derive(Debug)]
struct CaCertificate {
    der: CertificateDer<'static>,
    /// Only this certificate, as a trust anchor.
    roots: RootCertStore,
    validity: Validity,
    /// Maximum number of certificates between it and that of a client; `None` if it may not sign others.
    max_intermediates: Option<usize>,
}

/// The verifiers for a period in which the same CAs are valid.
#[derive(Clone, Debug)]
struct Verifiers {
    /// Since 1970.
    period: Range<Duration>,
    all: Arc<Vec<Verifier>>,
}

/// The verifier of the CAs with the same maximum number of intermediates, which webpki does not check for its trust
/// anchors.
#[derive(Debug)]
struct Verifier {
    max_intermediates: usize,
    webpki: Arc<dyn ClientCertVerifier>,
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
            verifiers: Mutex::default(),
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
        let now = u64::try_from(now.wall.as_second()).unwrap_or(0);
        cas.verifiers(Duration::from_secs(now))
            .map_err(|error| pem.invalid(&error.to_string(), EXPECTED))?;
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
        let time = Duration::from_secs(now.as_secs());
        for ca in &self.certificates {
            if ca.der == *certificate {
                return ca.check_validity(time);
            }
        }
        let unknown_issuer = Error::from(CertificateError::UnknownIssuer);
        let mut result = Err(unknown_issuer.clone());
        for verifier in self.verifiers(time)?.all.iter() {
            // Clients send them in the order of the chain.
            let first = intermediates.get(..verifier.max_intermediates);
            let intermediates = first.unwrap_or(intermediates);
            match verifier
                .webpki
                .verify_client_cert(certificate, intermediates, now)
            {
                Ok(_) => return Ok(()),
                Err(error) if error == unknown_issuer => {}
                Err(error) => result = Err(error),
            }
        }
        result
    }

    /// Returns the verifiers of the CAs that are valid at a time since 1970. They are built again only after a validity
    /// has begun or ended.
    fn verifiers(&self, now: Duration) -> Result<Verifiers, Error> {
        let mut last = self
            .verifiers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(verifiers) = &*last
            && verifiers.period.contains(&now)
        {
            return Ok(verifiers.clone());
        }
        let verifiers = Verifiers {
            period: self.period(now),
            all: Arc::new(self.build_verifiers(now)?),
        };
        Ok(last.insert(verifiers).clone())
    }

    /// Returns the period around a time in which no validity begins or ends.
    fn period(&self, now: Duration) -> Range<Duration> {
        let mut period = Duration::ZERO..Duration::MAX;
        for CaCertificate { validity, .. } in &self.certificates {
            let begin = validity.not_before.to_unix_duration();
            // The last second is valid.
            let end = validity.not_after.to_unix_duration() + Duration::from_secs(1);
            for change in [begin, end] {
                if change <= now {
                    period.start = period.start.max(change);
                } else {
                    period.end = period.end.min(change);
                }
            }
        }
        period
    }

    fn build_verifiers(&self, now: Duration) -> Result<Vec<Verifier>, Error> {
        let mut roots = BTreeMap::<usize, RootCertStore>::new();
        for ca in &self.certificates {
            if let Some(max) = ca.max_intermediates
                && ca.check_validity(now).is_ok()
            {
                let anchors = ca.roots.roots.iter().cloned();
                roots
                    .entry(max)
                    .or_insert_with(RootCertStore::empty)
                    .extend(anchors);
            }
        }
        let mut verifiers = Vec::new();
        for (max_intermediates, roots) in roots {
            let webpki =
                WebPkiClientVerifier::builder_with_provider(roots.into(), self.provider.clone())
                    .build()
                    .map_err(|error| Error::General(error.to_string()))?;
            verifiers.push(Verifier {
                max_intermediates,
                webpki,
            });
        }
        Ok(verifiers)
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
            max_intermediates: max_intermediates(certificate),
            der,
        })
    }

    fn warnings(&self, now: Moment) -> Vec<String> {
        let mut warnings = Vec::from_iter(validity_warning(&self.der, now));
        if self.max_intermediates.is_none() {
            warnings.push("not a CA: of clients, it accepts only itself".to_owned());
        }
        warnings
    }

    fn has_expired(&self, now: Moment) -> bool {
        let now = u64::try_from(now.wall.as_second()).unwrap_or(0);
        self.validity.not_after.to_unix_duration() < Duration::from_secs(now)
    }

    fn check_validity(&self, now: Duration) -> Result<(), Error> {
        if self.validity.not_after.to_unix_duration() < now {
            return Err(CertificateError::Expired.into());
        }
        if self.validity.not_before.to_unix_duration() > now {
            return Err(CertificateError::NotValidYet.into());
        }
        Ok(())
    }
}

/// Returns how many certificates may be between this one and that of a client, and `None` if it may
/// not sign others. One of version 1 has no extensions that say so, and may.
fn max_intermediates(certificate: &TbsCertificate) -> Option<usize> {
    if certificate.version() != Version::V3 {
        return Some(usize::MAX);
    }
    let Ok(Some((_, constraints))) = certificate.get_extension::<BasicConstraints>() else {
        return None;
    };
    let may_sign = match certificate.get_extension::<KeyUsage>() {
        Ok(Some((_, usage))) => usage.key_cert_sign(),
        other => other.is_ok(),
    };
    let max = constraints
        .path_len_constraint
        .map_or(usize::MAX, usize::from);
    (constraints.ca && may_sign).then_some(max)
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

#[cfg(test)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd,
    };
    use rustls::crypto::ring::default_provider;

    use super::*;

    /// Returns a CA that is valid from 1 January of one year to that of another, and a certificate of a client.
    fn issue(name: &str, years: Range<i32>) -> [CertificateDer<'static>; 2] {
        let key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::default();
        ca.distinguished_name.push(DnType::CommonName, name);
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.not_before = date_time_ymd(years.start, 1, 1);
        ca.not_after = date_time_ymd(years.end, 1, 1);
        let certificate = ca.self_signed(&key).unwrap().der().clone();
        let client = CertificateParams::new(["client".to_owned()]).unwrap();
        let issuer = Issuer::new(ca, key);
        let client = client.signed_by(&KeyPair::generate().unwrap(), &issuer);
        [certificate, client.unwrap().der().clone()]
    }

    fn year(year: i32) -> Duration {
        let seconds = date_time_ymd(year, 6, 1).unix_timestamp();
        Duration::from_secs(u64::try_from(seconds).unwrap())
    }

    #[test]
    fn verifiers_change_only_with_the_valid_cas() {
        let provider = Arc::new(default_provider());
        let issued = [issue("a", 2000..2020), issue("b", 2010..2030)];
        let cas = issued
            .iter()
            .map(|[ca, _]| CaCertificate::new(ca.clone(), &provider).unwrap());
        let cas = ClientCas {
            certificates: cas.collect(),
            subjects: Vec::new(),
            provider,
            verifiers: Mutex::default(),
            warnings: Vec::new(),
        };
        for (at, accepted) in [
            (1999, [false, false]),
            (2009, [true, false]),
            (2010, [true, true]),
            (2019, [true, true]),
            (2020, [false, true]),
            (2030, [false, false]),
            // The clock was set back.
            (2009, [true, false]),
        ] {
            for (n, [_, client]) in issued.iter().enumerate() {
                let now = UnixTime::since_unix_epoch(year(at));
                let is_accepted = cas.verify(client, &[], now).is_ok();
                assert_eq!(is_accepted, accepted[n], "{at}: {n}");
            }
        }
        let verifiers = |at| cas.verifiers(year(at)).unwrap().all;
        assert!(Arc::ptr_eq(&verifiers(2011), &verifiers(2018)));
        assert!(!Arc::ptr_eq(&verifiers(2018), &verifiers(2021)));
    }
}
