//! `tls_server_config`: our certificate, whom we believe, and which TLS we speak.
//!
//! Owns: which keys go together. Refuses to know: what stands in the files.

use std::fmt;
use std::path::{Path, PathBuf};

use rustls::crypto::SupportedKxGroup;
use rustls::{SupportedCipherSuite, SupportedProtocolVersion};
use secrecy::{ExposeSecret, SecretString};

use crate::config::ConfigError;
use crate::config::setting::Setting;
use crate::config::web::tls_names;
use crate::config::yaml::Section;
use crate::file;

/// Larger than any bundle of certificates.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// How we speak TLS.
#[derive(Clone, Debug)]
pub struct Tls {
    /// `cert` or `cert_file`.
    pub certificate: Pem,
    /// `key` or `key_file`.
    pub key: Pem,
    /// `client_auth_type` and what belongs to it; none if no certificate is asked for.
    pub clients: Option<ClientAuth>,
    /// `min_version` to `max_version`.
    pub versions: Vec<&'static SupportedProtocolVersion>,
    /// `cipher_suites`.
    pub suites: Vec<SupportedCipherSuite>,
    /// `curve_preferences`.
    pub kx_groups: Vec<&'static dyn SupportedKxGroup>,
    /// `prefer_server_cipher_suites`.
    pub prefer_server_cipher_suites: bool,
}

/// What is asked of clients.
#[derive(Clone, Debug)]
pub struct ClientAuth {
    /// Whether one without a certificate is refused.
    pub required: bool,
    /// Whose signature a certificate needs; none if it may be anybody's.
    pub ca: Option<Pem>,
    /// `client_allowed_sans`; empty if every name is allowed.
    pub allowed_sans: Vec<String>,
}

/// Something in PEM form, and where it was given.
#[derive(Clone, Debug)]
pub struct Pem {
    setting: String,
    source: PemSource,
}

#[derive(Clone)]
enum PemSource {
    Inline(SecretString),
    File(PathBuf),
}

impl fmt::Debug for PemSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline(_) => f.write_str("Inline([redacted])"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

impl Tls {
    /// Validates the section; none if it is empty. Paths are relative to `folder`.
    pub(super) fn new(mut section: Section, folder: &Path) -> Result<Option<Self>, ConfigError> {
        if section.is_empty() {
            return Ok(None);
        }
        let certificate = pem(&mut section, "cert", "cert_file", folder)?;
        let key = pem(&mut section, "key", "key_file", folder)?;
        let clients = client_auth(&mut section, folder)?;
        let versions = versions(&mut section)?;
        let suites = tls_names::suites(&section.list("cipher_suites")?)?;
        let our_order = section.switch("prefer_server_cipher_suites", true)?;
        let curves = tls_names::curves(&section.list("curve_preferences")?)?;
        let certificate =
            certificate.ok_or_else(|| section.wrong("cert_file or cert is missing"))?;
        let key = key.ok_or_else(|| section.wrong("key_file or key is missing"))?;
        section.end()?;
        Ok(Some(Self {
            certificate,
            key,
            clients,
            versions,
            suites,
            kx_groups: curves,
            prefer_server_cipher_suites: our_order,
        }))
    }

    /// All that stands in files of its own.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let ca = self
            .clients
            .as_ref()
            .and_then(|clients| clients.ca.as_ref());
        [Some(&self.certificate), Some(&self.key), ca]
            .into_iter()
            .flatten()
            .filter_map(Pem::file)
    }
}

impl Pem {
    /// The text as it is now.
    ///
    /// # Errors
    /// When its file is unreadable, empty, or larger than any such file.
    pub fn read(&self, accepted: &str) -> Result<Vec<u8>, ConfigError> {
        let bytes = match &self.source {
            PemSource::Inline(text) => text.expose_secret().as_bytes().to_vec(),
            PemSource::File(path) => file::read(path, MAX_BYTES)
                .map_err(|error| self.invalid(&error.to_string(), accepted))?,
        };
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(self.invalid("it is empty", accepted));
        }
        Ok(bytes)
    }

    /// A complaint about the content, which is not repeated.
    #[must_use]
    pub fn invalid(&self, what: &str, accepted: &str) -> ConfigError {
        ConfigError(format!("{self}: {what}; accepted is {accepted}"))
    }

    fn file(&self) -> Option<&Path> {
        match &self.source {
            PemSource::Inline(_) => None,
            PemSource::File(path) => Some(path),
        }
    }
}

impl fmt::Display for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            PemSource::Inline(_) => f.write_str(&self.setting),
            PemSource::File(path) => write!(f, "{}: {}", self.setting, path.display()),
        }
    }
}

fn pem(
    section: &mut Section,
    inline: &'static str,
    file: &'static str,
    folder: &Path,
) -> Result<Option<Pem>, ConfigError> {
    let pem = |setting: String, source| Some(Pem { setting, source });
    match (section.text(inline)?, section.text(file)?) {
        (Some(_), Some(_)) => Err(section.wrong(&format!(
            "{inline} and {file} are both given; give one of them"
        ))),
        (Some(text), None) => Ok(pem(
            text.origin,
            PemSource::Inline(SecretString::from(text.value)),
        )),
        (None, Some(path)) if is_text(&path.value) => Err(path.invalid_redacted(
            "this is a PEM text, not a path",
            &format!("a path; a text goes under {inline}"),
        )),
        (None, Some(path)) => Ok(pem(path.origin, PemSource::File(folder.join(path.value)))),
        (None, None) => Ok(None),
    }
}

/// A key in the place of its path would be printed wherever the path is.
fn is_text(path: &str) -> bool {
    path.contains(['\n', '\r']) || path.trim_start().starts_with("-----")
}

fn versions(section: &mut Section) -> Result<Vec<&'static SupportedProtocolVersion>, ConfigError> {
    let (min, max) = (section.text("min_version")?, section.text("max_version")?);
    let least = min.as_ref().map_or(Ok(2), tls_names::version)?;
    let most = max.as_ref().map_or(Ok(3), tls_names::version)?;
    match max {
        Some(max) if least > most => Err(max.invalid("a version that is not below min_version")),
        _ => Ok(tls_names::versions(least, most)),
    }
}

fn client_auth(section: &mut Section, folder: &Path) -> Result<Option<ClientAuth>, ConfigError> {
    let ca = pem(section, "client_ca", "client_ca_file", folder)?;
    let policy = section.text("client_auth_type")?;
    let allowed = section.list("client_allowed_sans")?;
    let value = policy
        .as_ref()
        .map_or("NoClientCert", |policy| &policy.value);
    let (required, verified) = match value {
        "NoClientCert" => {
            let unused = unused(ca.is_some(), &allowed);
            return unused.map_or(Ok(None), |unused| {
                Err(worthless(section, unused, "asks for a certificate"))
            });
        }
        "RequestClientCert" => (false, false),
        // The second is the toolkit's older name for it.
        "RequireAnyClientCert" | "RequireClientCert" => (true, false),
        "VerifyClientCertIfGiven" => (false, true),
        "RequireAndVerifyClientCert" => (true, true),
        _ => {
            let accepted = "NoClientCert, RequestClientCert, RequireAnyClientCert, VerifyClientCertIfGiven or RequireAndVerifyClientCert";
            return Err(policy.map_or_else(
                || section.wrong(accepted),
                |policy| policy.invalid(accepted),
            ));
        }
    };
    if let Some(unused) = unused(ca.is_some(), &allowed).filter(|_| !verified) {
        return Err(worthless(section, unused, "verifies certificates"));
    }
    if verified && ca.is_none() {
        return Err(section.wrong(&format!(
            "{value} needs client_ca_file or client_ca: whose certificates to believe"
        )));
    }
    let allowed_names: Vec<_> = allowed.into_iter().map(|setting| setting.value).collect();
    // A client that shows no name has none of those that are allowed.
    let required = required || !allowed_names.is_empty();
    Ok(Some(ClientAuth {
        required,
        ca,
        allowed_sans: allowed_names,
    }))
}

fn unused(ca: bool, allowed: &[Setting]) -> Option<&'static str> {
    match (ca, allowed) {
        (true, _) => Some("client_ca_file or client_ca"),
        (false, [_, ..]) => Some("client_allowed_sans"),
        (false, []) => None,
    }
}

/// What would be read and never used looks like protection, and is none. Nor is a name in a certificate that nobody has
/// signed: whoever likes can write it.
fn worthless(section: &Section, unused: &str, policy: &str) -> ConfigError {
    section.wrong(&format!(
        "{unused} without a client_auth_type that {policy}; accepted is RequireAndVerifyClientCert beside it"
    ))
}
