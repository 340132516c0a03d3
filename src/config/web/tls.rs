//! `tls_server_config`: the server's certificate, client authentication, and TLS parameters.
//!
//! The files that it names are not read here, but by [`Pem::read`].

use std::net::IpAddr;
use std::path::Path;

use rustls::crypto::SupportedKxGroup;
use rustls::{SupportedCipherSuite, SupportedProtocolVersion};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::config::ConfigError;
use crate::config::account::MAX_CERT_BYTES;
use crate::config::setting::Setting;
use crate::config::web::tls_names;
use crate::config::yaml::{Bool, List, Located, Section, Text};
use crate::file;
use crate::secret::SecretSource;

/// The values of `client_auth_type`, by Go's names.
const CLIENT_AUTH_TYPES: &str = "NoClientCert, RequestClientCert, RequireAnyClientCert, VerifyClientCertIfGiven or RequireAndVerifyClientCert";

/// Some editors write it before the text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The TLS configuration of the server.
#[derive(Clone, Debug)]
pub struct Tls {
    /// `cert` or `cert_file`.
    pub certificate: Pem,
    /// `key` or `key_file`.
    pub key: Pem,
    /// `client_auth_type` and its keys; absent if no certificate is requested from clients.
    pub clients: Option<ClientAuth>,
    /// `min_version` to `max_version`.
    pub versions: Vec<&'static SupportedProtocolVersion>,
    /// `cipher_suites`.
    pub suites: Vec<SupportedCipherSuite>,
    /// `curve_preferences`.
    pub kx_groups: Vec<&'static dyn SupportedKxGroup>,
    /// `prefer_server_cipher_suites`; default true.
    pub prefer_server_cipher_suites: bool,
}

/// The authentication of clients by certificate.
#[derive(Clone, Debug)]
pub struct ClientAuth {
    /// Whether a client without a certificate is rejected.
    pub required: bool,
    /// The CA that must have signed the certificate; absent if any certificate is accepted.
    pub ca: Option<Pem>,
    /// `client_allowed_sans`; empty if every name is allowed.
    pub allowed_sans: Vec<String>,
}

/// PEM text or the file that has it, with the key that gave it.
#[derive(Clone, Debug)]
pub struct Pem {
    /// The start of an error: the key that gave it, and the path of the file.
    pub origin: String,
    source: SecretSource,
}

/// The section before validation.
#[derive(Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawTls {
    cert: Text,
    cert_file: Text,
    key: Text,
    key_file: Text,
    client_ca: Text,
    client_ca_file: Text,
    client_auth_type: Text,
    client_allowed_sans: List,
    min_version: Text,
    max_version: Text,
    cipher_suites: List,
    prefer_server_cipher_suites: Bool,
    curve_preferences: List,
}

impl Tls {
    /// Validates the section; an empty one is absent. Paths are relative to `dir`.
    pub(super) fn new(
        root: &Section,
        raw: Located<Option<RawTls>>,
        dir: &Path,
    ) -> Result<Option<Self>, ConfigError> {
        let section = root.child("tls_server_config", raw.line);
        let raw = raw.value.unwrap_or_default();
        if raw == RawTls::default() {
            return Ok(None);
        }
        let certificate = pem(&section, "cert", raw.cert, raw.cert_file, dir)?;
        let key = pem(&section, "key", raw.key, raw.key_file, dir)?;
        let ca = pem(
            &section,
            "client_ca",
            raw.client_ca,
            raw.client_ca_file,
            dir,
        )?;
        let auth_type = section.text_or("client_auth_type", raw.client_auth_type, "NoClientCert");
        let allowed_sans = allowed_sans(&section, raw.client_allowed_sans)?;
        let clients = client_auth(&section, &auth_type, ca, allowed_sans)?;
        let versions = tls_names::versions(
            &section.text_or("min_version", raw.min_version, "TLS12"),
            &section.text_or("max_version", raw.max_version, "TLS13"),
        )?;
        let suites = section.list("cipher_suites", raw.cipher_suites);
        let suites = tls_names::cipher_suites(&suites, &versions)?;
        let kx_groups =
            tls_names::curves(&section.list("curve_preferences", raw.curve_preferences))?;
        let prefer_server = section.bool_or(
            "prefer_server_cipher_suites",
            raw.prefer_server_cipher_suites,
            true,
        )?;
        Ok(Some(Self {
            certificate: certificate
                .ok_or_else(|| section.invalid("cert_file or cert is missing"))?,
            key: key.ok_or_else(|| section.invalid("key_file or key is missing"))?,
            clients,
            versions,
            suites,
            kx_groups,
            prefer_server_cipher_suites: prefer_server,
        }))
    }

    /// Returns the paths of all files that it names.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let mut pems = vec![&self.certificate, &self.key];
        pems.extend(self.clients.iter().flat_map(|clients| &clients.ca));
        pems.into_iter().filter_map(Pem::file)
    }
}

impl Pem {
    /// Reads the PEM text.
    ///
    /// # Errors
    /// Returns an error if its file cannot be read, is empty, or is larger than 4 MiB.
    pub fn read(&self, expected: &str) -> Result<Vec<u8>, ConfigError> {
        let bytes = match &self.source {
            SecretSource::Value(text) => text.expose_secret().as_bytes().to_vec(),
            SecretSource::File(path) => file::read(path, MAX_CERT_BYTES)
                .map_err(|error| self.invalid(&error.to_string(), expected))?,
        };
        let bytes = match bytes.strip_prefix(BYTE_ORDER_MARK) {
            Some(text) => text.to_vec(),
            None => bytes,
        };
        if bytes.trim_ascii().is_empty() {
            return Err(self.invalid("the PEM text is empty", expected));
        }
        Ok(bytes)
    }

    /// Returns an error about the content, which is not repeated.
    #[must_use]
    pub fn invalid(&self, reason: &str, expected: &str) -> ConfigError {
        ConfigError(format!("{}: {reason}: expected {expected}", self.origin))
    }

    fn file(&self) -> Option<&Path> {
        match &self.source {
            SecretSource::Value(_) => None,
            SecretSource::File(path) => Some(path),
        }
    }
}

/// Returns the PEM text of one of two keys: `inline_key` has the text itself, the other one, with
/// the suffix `_file`, the path of its file.
fn pem(
    section: &Section,
    inline_key: &str,
    inline: Text,
    file: Text,
    dir: &Path,
) -> Result<Option<Pem>, ConfigError> {
    let inline = section.text(inline_key, inline);
    let file = section.text(&format!("{inline_key}_file"), file);
    let (origin, source) = match (inline, file) {
        (None, None) => return Ok(None),
        (Some(_), Some(file)) => {
            return Err(
                file.invalid_redacted(&format!("conflicts with {inline_key}"), "only one of them")
            );
        }
        (Some(text), None) => {
            let source = SecretSource::Value(SecretString::from(text.value));
            (text.origin, source)
        }
        (None, Some(file)) if looks_like_pem(&file.value) => {
            return Err(file.invalid_redacted(
                "PEM text instead of a path",
                &format!("a path; PEM text belongs in {inline_key}"),
            ));
        }
        (None, Some(file)) => {
            let path = dir.join(file.value);
            let origin = format!("{}: {}", file.origin, crate::secret::redact_path(&path));
            (origin, SecretSource::File(path))
        }
    };
    Ok(Some(Pem { origin, source }))
}

/// Returns whether a path is PEM text by mistake. A private key must not be treated as a path,
/// since paths are shown.
fn looks_like_pem(path: &str) -> bool {
    path.contains(['\n', '\r']) || path.trim_start().starts_with("-----")
}

/// Returns the allowed names. An empty list is an error, since it would allow every name, and so is
/// a name that no certificate has.
fn allowed_sans(section: &Section, list: List) -> Result<Vec<Setting>, ConfigError> {
    let key = "client_allowed_sans";
    if list.value.as_ref().is_some_and(Vec::is_empty) {
        let place = section.child(key, list.line);
        return Err(place.invalid("the list is empty: expected at least one name"));
    }
    let names = section.list(key, list);
    for name in &names {
        if name.value.is_empty() || name.value.contains(char::is_whitespace) {
            return Err(name.invalid("a DNS name, IP address, e-mail address or URI"));
        }
    }
    Ok(names)
}

/// Returns an IP address in its usual form, and another name as it is written.
fn normalize_name(name: &Setting) -> String {
    match name.value.parse::<IpAddr>() {
        Ok(address) => address.to_string(),
        Err(_) => name.value.clone(),
    }
}

fn client_auth(
    section: &Section,
    auth_type: &Setting,
    ca: Option<Pem>,
    allowed_sans: Vec<Setting>,
) -> Result<Option<ClientAuth>, ConfigError> {
    let (required, verified) = match auth_type.value.as_str() {
        "NoClientCert" | "RequestClientCert" => (false, false),
        // The first one is the toolkit's older name.
        "RequireClientCert" | "RequireAnyClientCert" => (true, false),
        "VerifyClientCertIfGiven" => (false, true),
        "RequireAndVerifyClientCert" => (true, true),
        _ => return Err(auth_type.invalid(CLIENT_AUTH_TYPES)),
    };
    let ineffective_key = match &ca {
        _ if verified => None,
        Some(_) => Some("client_ca_file or client_ca"),
        None if allowed_sans.is_empty() => None,
        None => Some("client_allowed_sans"),
    };
    // Ignoring the key would look like protection. A name in an unsigned certificate proves
    // nothing.
    if let Some(key) = ineffective_key {
        return Err(section.invalid(&format!(
            "{key} has no effect with this client_auth_type: expected RequireAndVerifyClientCert"
        )));
    }
    if auth_type.value == "NoClientCert" {
        return Ok(None);
    }
    if verified && ca.is_none() {
        return Err(section
            .invalid("client_ca_file or client_ca is missing: expected the CA of the clients"));
    }
    Ok(Some(ClientAuth {
        // A client without a certificate has no allowed name.
        required: required || !allowed_sans.is_empty(),
        ca,
        allowed_sans: allowed_sans.iter().map(normalize_name).collect(),
    }))
}
