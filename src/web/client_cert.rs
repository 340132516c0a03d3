//! Certificates that clients show.
//!
//! Owns: which are let in: those whose chain is believed, where a CA was given, and of these the ones with an allowed
//! name. Without a CA a certificate is anybody's, and only that its key is held by who shows it is checked. Refuses to
//! know: files.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// Who is let in.
#[derive(Debug)]
pub struct SanVerifier {
    required: bool,
    chain: Option<Arc<dyn ClientCertVerifier>>,
    allowed_names: Vec<String>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl SanVerifier {
    /// `chain` verifies whose signature a certificate has; no `allowed_names` means that each is allowed.
    #[must_use]
    pub fn new(
        required: bool,
        chain: Option<Arc<dyn ClientCertVerifier>>,
        allowed_names: Vec<String>,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Self {
        Self {
            required,
            chain,
            allowed_names,
            algorithms,
        }
    }

    fn allows(&self, certificate: &CertificateDer<'_>) -> bool {
        self.allowed_names.is_empty()
            || names(certificate)
                .iter()
                .any(|name| self.allowed_names.contains(name))
    }
}

impl ClientCertVerifier for SanVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain
            .as_ref()
            .map_or(&[], |chain| chain.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if let Some(chain) = &self.chain {
            chain.verify_client_cert(certificate, intermediates, now)?;
        }
        if !self.allows(certificate) {
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
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The alternative names of a certificate: DNS, e-mail, IP and URI, as text. The subject's common name is none.
fn names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok(certificate) = Certificate::from_der(certificate) else {
        return Vec::new();
    };
    let names = certificate
        .tbs_certificate()
        .get_extension::<SubjectAltName>()
        .ok()
        .flatten();
    names.map_or_else(Vec::new, |(_, names)| {
        names.0.iter().filter_map(name).collect()
    })
}

fn name(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(text)
        | GeneralName::Rfc822Name(text)
        | GeneralName::UniformResourceIdentifier(text) => Some(text.as_str().to_owned()),
        GeneralName::IpAddress(bytes) => {
            address(bytes.as_bytes()).map(|address| address.to_string())
        }
        _ => None,
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
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
    fn names_of_all_four_kinds_are_found() {
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
        assert_eq!(names(&certificate), expected);
    }

    #[test]
    fn a_certificate_without_names_or_sense_has_none() {
        assert!(names(&certificate(Vec::new())).is_empty());
        assert!(names(&CertificateDer::from(vec![0x30, 0x03, 1])).is_empty());
    }
}
