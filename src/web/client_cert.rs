//! Verification of client certificates.
//!
//! With a CA, a certificate needs a valid chain, and an allowed name if there is a list of them.
//! Without a CA any certificate is accepted, and only the possession of its private key is
//! verified.

use std::net::IpAddr;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerMisbehaved,
    SignatureScheme,
};
use x509_cert::Certificate;
use x509_cert::certificate::Version;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::spki::SubjectPublicKeyInfoOwned;

use crate::web::client_ca::{ClientCas, algorithm_id};

/// Verifier of client certificates: their chain, and their subject alternative names.
#[derive(Debug)]
pub(crate) struct SanVerifier {
    /// Whether a client without a certificate is rejected.
    pub(crate) required: bool,
    /// The certificates of `client_ca_file`; absent if any certificate is accepted.
    pub(crate) cas: Option<ClientCas>,
    /// Empty if every name is allowed.
    pub(crate) allowed_names: Vec<String>,
    pub(crate) algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for SanVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        match &self.cas {
            Some(cas) => cas.subjects(),
            None => &[],
        }
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if let Some(cas) = &self.cas {
            cas.verify(certificate, intermediates, now)?;
        }
        let names = subject_alt_names(certificate);
        let is_allowed = names.iter().any(|name| self.allowed_names.contains(name));
        if !self.allowed_names.is_empty() && !is_allowed {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match version_1_key(certificate) {
            Some(key) => verify_signature(message, &key, signature, &self.algorithms),
            None => verify_tls12_signature(message, certificate, signature, &self.algorithms),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let Some(key) = version_1_key(certificate) else {
            return verify_tls13_signature(message, certificate, signature, &self.algorithms);
        };
        let der = key.to_der().map_err(|_| CertificateError::BadEncoding)?;
        verify_tls13_signature_with_raw_key(message, &der.into(), signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Returns the public key of a certificate of version 1, which the parser of rustls does not have,
/// and `None` for other certificates.
fn version_1_key(certificate: &CertificateDer<'_>) -> Option<SubjectPublicKeyInfoOwned> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let certificate = certificate.tbs_certificate();
    let is_version_1 = certificate.version() == Version::V1;
    is_version_1.then(|| certificate.subject_public_key_info().clone())
}

/// Verifies a signature of TLS 1.2 with the algorithm that belongs to its scheme and to the key.
fn verify_signature(
    message: &[u8],
    key: &SubjectPublicKeyInfoOwned,
    signature: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let id = algorithm_id(key);
    let bits = key.subject_public_key.raw_bytes();
    for (scheme, algorithms) in algorithms.mapping {
        for algorithm in *algorithms {
            if *scheme == signature.scheme
                && Some(algorithm.public_key_alg_id().as_ref()) == id.as_deref()
            {
                return match algorithm.verify_signature(bits, message, signature.signature()) {
                    Ok(()) => Ok(HandshakeSignatureValid::assertion()),
                    Err(_) => Err(CertificateError::BadSignature.into()),
                };
            }
        }
    }
    Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into())
}

/// Returns the subject alternative names of a certificate: DNS names, e-mail addresses, IP
/// addresses and URIs. The common name is not one of them. An invalid certificate has no names.
fn subject_alt_names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok(certificate) = Certificate::from_der(certificate) else {
        return Vec::new();
    };
    match certificate.tbs_certificate().get_extension() {
        Ok(Some((_, SubjectAltName(names)))) => names.iter().filter_map(san_to_string).collect(),
        _ => Vec::new(),
    }
}

fn san_to_string(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(text)
        | GeneralName::Rfc822Name(text)
        | GeneralName::UniformResourceIdentifier(text) => Some(text.as_str().to_owned()),
        GeneralName::IpAddress(bytes) => Some(ip_from_bytes(bytes.as_bytes())?.to_string()),
        _ => None,
    }
}

fn ip_from_bytes(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(v4.into());
    }
    let v6 = <[u8; 16]>::try_from(bytes).ok()?;
    Some(v6.into())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    fn certificate(names: Vec<SanType>) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        params
            .self_signed(&KeyPair::generate().unwrap())
            .unwrap()
            .der()
            .clone()
    }

    #[test]
    fn all_four_kinds_of_names_are_found() {
        let certificate = certificate(vec![
            SanType::DnsName("prometheus.example".try_into().unwrap()),
            SanType::Rfc822Name("ops@example.com".try_into().unwrap()),
            SanType::IpAddress("192.0.2.1".parse().unwrap()),
            SanType::IpAddress("2001:db8::1".parse().unwrap()),
            SanType::URI("spiffe://example/prometheus".try_into().unwrap()),
        ]);
        let expected = [
            "prometheus.example",
            "ops@example.com",
            "192.0.2.1",
            "2001:db8::1",
            "spiffe://example/prometheus",
        ];
        assert_eq!(subject_alt_names(&certificate), expected);
    }

    #[test]
    fn invalid_certificate_has_no_names() {
        assert!(subject_alt_names(&certificate(Vec::new())).is_empty());
        assert!(subject_alt_names(&CertificateDer::from(vec![0x30, 0x03, 1])).is_empty());
    }
}
