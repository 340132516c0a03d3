//! The proxy variables: which proxy the requests to a server are sent through. Pure but for
//! [`Proxies::from_env`].
//!
//! A value that cannot be parsed is an error that does not repeat it, because it may contain a
//! password. So no request goes around a proxy that was meant to be used.

use std::ffi::OsString;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ipnet::IpNet;
use reqwest::Url;
use reqwest::header::HeaderValue;

use crate::config::ConfigError;
use crate::config::setting::Setting;

/// The variables of `https` and of `http` servers, and of both. As in curl the one in lower case
/// comes first, and an empty one counts as unset.
const HTTPS: [&str; 2] = ["https_proxy", "HTTPS_PROXY"];
const HTTP: [&str; 2] = ["http_proxy", "HTTP_PROXY"];
const ALL: [&str; 2] = ["all_proxy", "ALL_PROXY"];
const NO_PROXY: [&str; 2] = ["no_proxy", "NO_PROXY"];

/// The schemes that are recognised; those of SOCKS are not supported.
const SCHEMES: [&str; 7] = [
    "http", "https", "socks", "socks4", "socks4a", "socks5", "socks5h",
];
const EXPECTED: &str = "[http://][USER:PASSWORD@]HOST[:PORT]";
const EXPECTED_ENCODED: &str =
    "the user and the password percent-encoded, such as %2F for / and %40 for @";
const EXPECTED_ENTRY: &str =
    "names, domains such as .example.com, IP addresses, CIDR or HOST:PORT, separated by commas";

/// The proxies of the environment and the servers that are reached without them.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    https: Option<Proxy>,
    http: Option<Proxy>,
    /// The proxy of `ALL_PROXY`, which may be SOCKS: desktop tools set it so for other programs.
    all: Option<Proxy>,
    exempt: Vec<Exemption>,
}

/// A proxy. Its `Debug` and `Display` show neither user nor password.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// The variable that sets it.
    variable: &'static str,
    /// The URL without user and password.
    pub(crate) url: Url,
    /// The value of `Proxy-Authorization`.
    pub(crate) authorization: Option<HeaderValue>,
}

/// An entry of `NO_PROXY`.
#[derive(Clone, Debug)]
struct Exemption {
    host: HostPattern,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum HostPattern {
    Any,
    /// A domain and its subdomains, in lower case.
    Domain(String),
    /// The addresses of a network, or one address.
    Network(IpNet),
}

/// Why a value is invalid.
type Problem = (&'static str, &'static str);

const INVALID: Problem = ("invalid value", EXPECTED);
const SOCKS: Problem = ("SOCKS is not supported", EXPECTED);
const NOT_ENCODED: Problem = ("invalid user or password", EXPECTED_ENCODED);

/// Returns whether the server is on this machine, by its name or IP address.
pub(crate) fn is_loopback(server: &Url) -> bool {
    match server_host(server) {
        Some(Host::Ip(ip)) => ip.is_loopback(),
        Some(Host::Name(name)) => name == "localhost",
        None => false,
    }
}

// === impl Proxies ===

impl Proxies {
    /// Reads the variables of this process.
    ///
    /// # Errors
    /// Returns an error if one of them is invalid, even if the other case of its name is used. A
    /// SOCKS proxy in `ALL_PROXY` is an error only for a server that would use it.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::parse(|name| std::env::var_os(name))
    }

    /// Parses the variables that `get` returns.
    fn parse(get: impl Fn(&str) -> Option<OsString>) -> Result<Self, ConfigError> {
        let exempt = read_variable(&get, NO_PROXY, |_, text| parse_no_proxy(text))?;
        Ok(Self {
            https: read_variable(&get, HTTPS, parse_http_proxy)?,
            http: read_variable(&get, HTTP, parse_http_proxy)?,
            all: read_variable(&get, ALL, parse_proxy)?,
            exempt: exempt.unwrap_or_default(),
        })
    }

    /// Returns the proxy for a server. A server on this machine is reached without one.
    ///
    /// # Errors
    /// Returns an error if the proxy for the server's scheme is SOCKS.
    pub fn for_server(&self, server: &Url) -> Result<Option<&Proxy>, ConfigError> {
        let Some(proxy) = self.for_scheme(server) else {
            return Ok(None);
        };
        if proxy.is_socks() {
            return Err(invalid(proxy.variable, SOCKS));
        }
        Ok((!self.is_exempt(server) && !is_loopback(server)).then_some(proxy))
    }

    /// Returns the proxy for a server and the variable that sets it, or why a proxy that is set is
    /// not used. Returns `None` if no proxy is set.
    pub(crate) fn describe(&self, server: &Url) -> Option<String> {
        if let Ok(Some(proxy)) = self.for_server(server) {
            return Some(format!("{proxy} ({})", proxy.variable));
        }
        let is_set = self.https.is_some() || self.http.is_some() || self.all.is_some();
        let reason = match server.scheme() {
            _ if is_loopback(server) => "the server is on this machine",
            _ if self.is_exempt(server) => "NO_PROXY names the server",
            "http" => "HTTP_PROXY is not set",
            _ => "HTTPS_PROXY is not set",
        };
        is_set.then(|| format!("none: {reason}"))
    }

    fn for_scheme(&self, server: &Url) -> Option<&Proxy> {
        let of_scheme = match server.scheme() {
            "http" => &self.http,
            _ => &self.https,
        };
        of_scheme.as_ref().or(self.all.as_ref())
    }

    fn is_exempt(&self, server: &Url) -> bool {
        self.exempt.iter().any(|entry| entry.matches(server))
    }
}

/// Parses both spellings of a variable and returns the first that is set.
fn read_variable<T>(
    get: impl Fn(&str) -> Option<OsString>,
    names: [&'static str; 2],
    parse: impl Fn(&'static str, &str) -> Result<T, Problem>,
) -> Result<Option<T>, ConfigError> {
    let mut found = None;
    for name in names {
        let value = get(name).unwrap_or_default();
        if value.is_empty() {
            continue;
        }
        let Some(text) = value.to_str() else {
            return Err(invalid(name, ("invalid value", "UTF-8 text")));
        };
        let parsed = parse(name, text).map_err(|problem| invalid(name, problem))?;
        found.get_or_insert(parsed);
    }
    Ok(found)
}

fn invalid(variable: &str, (reason, expected): Problem) -> ConfigError {
    Setting::new(variable, "").invalid_redacted(reason, expected)
}

// === impl Proxy ===

impl Proxy {
    /// Returns whether the connection to the proxy itself uses TLS.
    pub(crate) fn uses_tls(&self) -> bool {
        self.url.scheme() == "https"
    }

    fn is_socks(&self) -> bool {
        self.url.scheme().starts_with("socks")
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.url.as_str().trim_end_matches('/'))
    }
}

/// Parses the URL of a proxy that is not SOCKS.
fn parse_http_proxy(variable: &'static str, text: &str) -> Result<Proxy, Problem> {
    let proxy = parse_proxy(variable, text)?;
    match proxy.is_socks() {
        true => Err(SOCKS),
        false => Ok(proxy),
    }
}

/// Parses the URL of a proxy.
fn parse_proxy(variable: &'static str, text: &str) -> Result<Proxy, Problem> {
    let (scheme, rest) = split_scheme(text)?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if path.contains('@') || authority.matches('@').count() > 1 {
        return Err(NOT_ENCODED);
    }
    if !matches!(path, "" | "/") {
        return Err(INVALID);
    }
    let (user_info, address) = match authority.split_once('@') {
        Some((user_info, address)) => (Some(user_info), address),
        None => (None, authority),
    };
    let authorization = user_info.map(parse_user_info).transpose()?;
    let (host, port) = parse_host_port(address).ok_or(INVALID)?;
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    let url = Url::parse(&format!("{scheme}://{host}{port}")).map_err(|_| INVALID)?;
    Ok(Proxy {
        variable,
        url,
        authorization,
    })
}

/// Splits a URL after its scheme; without a scheme it is `http`, as in curl.
fn split_scheme(text: &str) -> Result<(&'static str, &str), Problem> {
    let (given, rest) = text.split_once("://").unwrap_or(("http", text));
    for scheme in SCHEMES {
        if given.eq_ignore_ascii_case(scheme) {
            return Ok((scheme, rest));
        }
    }
    Err(INVALID)
}

/// Returns the basic authorization of `USER` or `USER:PASSWORD`, both percent-encoded.
fn parse_user_info(text: &str) -> Result<HeaderValue, Problem> {
    if text.is_empty() {
        return Err(INVALID);
    }
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    let user = percent_decode(user).ok_or(NOT_ENCODED)?;
    let password = percent_decode(password).ok_or(NOT_ENCODED)?;
    if user.contains(&b':') {
        return Err(("invalid user or password", "a user without a colon"));
    }
    let credentials = BASE64_STANDARD.encode([&user, b":".as_slice(), &password].concat());
    let mut header =
        HeaderValue::from_str(&format!("Basic {credentials}")).map_err(|_| NOT_ENCODED)?;
    header.set_sensitive(true);
    Ok(header)
}

/// Decodes a user or password. Returns `None` if it has a character that must be encoded, or
/// contains a control character.
fn percent_decode(text: &str) -> Option<Vec<u8>> {
    let mut decoded = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let byte = match byte {
            b'%' => {
                let (digits, after) = rest.split_at_checked(2)?;
                rest = after;
                let [high, low] = digits.try_into().ok()?;
                hex_digit(high)? * 16 + hex_digit(low)?
            }
            b if b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:".contains(&b) => b,
            _ => return None,
        };
        if byte.is_ascii_control() {
            return None;
        }
        decoded.push(byte);
    }
    Some(decoded)
}

fn hex_digit(byte: u8) -> Option<u8> {
    u8::try_from(char::from(byte).to_digit(16)?).ok()
}

/// Splits `HOST` or `HOST:PORT` and returns the host as it is written in a URL.
fn parse_host_port(text: &str) -> Option<(String, Option<u16>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (ip, port) = rest.split_once(']')?;
        let ip: Ipv6Addr = ip.parse().ok()?;
        return match port {
            "" => Some((format!("[{ip}]"), None)),
            _ => Some((
                format!("[{ip}]"),
                Some(parse_port(port.strip_prefix(':')?)?),
            )),
        };
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(parse_port(port)?)),
        None => (text, None),
    };
    if host.parse::<Ipv4Addr>().is_err() && !is_name(host) {
        return None;
    }
    Some((host.to_ascii_lowercase(), port))
}

fn parse_port(text: &str) -> Option<u16> {
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|port| *port != 0)
}

/// Returns whether the text is a host name. One whose last label may be read as a number would be
/// an incomplete IPv4 address or a range; only a name of one label may begin with a digit.
fn is_name(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    let valid_char = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
    let valid_label =
        |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(valid_char);
    if !text.split('.').all(valid_label) {
        return false;
    }
    let is_letter = |c: char| c.is_ascii_alphabetic();
    match text.rsplit_once('.') {
        Some((_, last)) => last.starts_with(is_letter),
        None => text.contains(is_letter) && !text.to_ascii_lowercase().starts_with("0x"),
    }
}

// === impl Exemption ===

impl Exemption {
    fn matches(&self, server: &Url) -> bool {
        if self.port.is_some() && self.port != server.port_or_known_default() {
            return false;
        }
        match (&self.host, server_host(server)) {
            (HostPattern::Any, _) => true,
            (HostPattern::Domain(domain), Some(Host::Name(name))) => {
                let subdomain = name.strip_suffix(domain.as_str());
                subdomain.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
            (HostPattern::Network(network), Some(Host::Ip(ip))) => network.contains(&ip),
            _ => false,
        }
    }
}

/// The host of a server: a name in lower case, or an address, an IPv4 one never mapped to IPv6.
enum Host {
    Name(String),
    Ip(IpAddr),
}

fn server_host(server: &Url) -> Option<Host> {
    let host = server.host_str()?;
    if let Ok(ip) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Some(Host::Ip(ip.to_canonical()));
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    Some(Host::Name(name.to_ascii_lowercase()))
}

/// Parses a list of servers, separated by commas or blanks.
fn parse_no_proxy(text: &str) -> Result<Vec<Exemption>, Problem> {
    let mut exempt = Vec::new();
    for entry in text.split([',', ' ', '\t']) {
        if !entry.is_empty() {
            exempt.push(parse_exemption(entry).ok_or(("invalid entry", EXPECTED_ENTRY))?);
        }
    }
    Ok(exempt)
}

fn parse_exemption(entry: &str) -> Option<Exemption> {
    let without_port = |host| Some(Exemption { host, port: None });
    if entry == "*" {
        return without_port(HostPattern::Any);
    }
    let in_brackets = entry.strip_prefix('[');
    let network = match in_brackets.and_then(|rest| rest.split_once("]/")) {
        Some((ip, bits)) => format!("{ip}/{bits}").parse().map(IpNet::V6),
        None => entry.parse(),
    };
    if let Ok(network) = network {
        return without_port(HostPattern::Network(network));
    }
    if let Ok(ip) = entry.parse::<Ipv6Addr>() {
        return without_port(HostPattern::Network(ip.to_canonical().into()));
    }
    let domain = entry.strip_prefix('*').unwrap_or(entry);
    if domain.len() < entry.len() && !domain.starts_with('.') {
        return None;
    }
    let (host, port) = parse_host_port(domain.strip_prefix('.').unwrap_or(domain))?;
    let host = match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(_) if domain.starts_with('.') => return None,
        Ok(ip) => HostPattern::Network(ip.to_canonical().into()),
        Err(_) => HostPattern::Domain(host.strip_suffix('.').unwrap_or(&host).to_owned()),
    };
    Some(Exemption { host, port })
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    /// Parses variables, given as pairs of name and value.
    fn parse(variables: &[(&str, &str)]) -> Result<Proxies, ConfigError> {
        Proxies::parse(|name| {
            let variable = variables.iter().find(|(given, _)| *given == name);
            variable.map(|(_, value)| value.into())
        })
    }

    /// Returns the proxy for a server, or an empty text.
    fn proxy_for(variables: &[(&str, &str)], server: &str) -> String {
        let proxies = parse(variables).unwrap();
        let proxy = proxies.for_server(&server.parse().unwrap()).unwrap();
        proxy.map(ToString::to_string).unwrap_or_default()
    }

    #[test]
    fn valid_proxy_is_parsed() {
        let cases = [
            ("http://proxy:3128", "http://proxy:3128", ""),
            ("HTTP://Proxy:3128/", "http://proxy:3128", ""),
            ("https://proxy", "https://proxy", ""),
            ("proxy:3128", "http://proxy:3128", ""),
            ("proxy", "http://proxy", ""),
            ("3proxy:3128", "http://3proxy:3128", ""),
            ("proxy.xn--p1ai", "http://proxy.xn--p1ai", ""),
            ("proxy.example.com.", "http://proxy.example.com.", ""),
            ("10.0.0.1:3128", "http://10.0.0.1:3128", ""),
            ("[fd00::1]:3128", "http://[fd00::1]:3128", ""),
            ("[fd00::1]", "http://[fd00::1]", ""),
            ("http://alice:2024@proxy:1", "http://proxy:1", "alice:2024"),
            ("alice:2024@proxy:1", "http://proxy:1", "alice:2024"),
            ("http://alice@proxy", "http://proxy", "alice:"),
            ("http://:token@proxy", "http://proxy", ":token"),
            ("http://a:b:c@proxy", "http://proxy", "a:b:c"),
            (
                "http://a:'!$&()*+,;=@proxy",
                "http://proxy",
                "a:'!$&()*+,;=",
            ),
            (
                "http://dom%5Calice:2024%2fSe%40%25@proxy",
                "http://proxy",
                "dom\\alice:2024/Se@%",
            ),
        ];
        for (value, url, credentials) in cases {
            let proxy = parse_http_proxy("HTTPS_PROXY", value).unwrap();
            assert_eq!(proxy.to_string(), url, "{value}");
            let header = match credentials {
                "" => None,
                _ => Some(format!("Basic {}", BASE64_STANDARD.encode(credentials))),
            };
            let authorization = proxy.authorization.as_ref();
            assert_eq!(
                authorization.map(|value| value.to_str().unwrap()),
                header.as_deref(),
                "{value}"
            );
            assert!(!format!("{proxy:?}").contains("Basic"), "{value}");
        }
    }

    #[test]
    fn password_that_is_not_encoded_is_an_error() {
        let values = [
            "http://alice:2024/Secret@proxy:3128",
            "alice:2024/Secret@proxy:3128",
            "http://alice:2024?Secret@proxy",
            "http://alice:2024#Secret@proxy",
            "http://alice:2024@Secret@proxy",
            "http://alice:2024%Secret@proxy",
            "http://alice:2024%2@proxy",
            "http://alice:2024%@proxy",
            "http://alice:2024%+1@proxy",
            "http://alice:2024 Secret@proxy",
            "http://alice:2024\"Secret@proxy",
            "http://alice:2024[Secret]@proxy",
            "http://alice:2024\\Secret@proxy",
            "http://alice:2024Sécret@proxy",
            "http://alice:2024%0ASecret@proxy",
            "http://alice:2024%00@proxy",
            "http://ali/ce:2024@proxy",
        ];
        for value in values {
            assert_eq!(
                parse(&[("HTTPS_PROXY", value)]).unwrap_err().0,
                "HTTPS_PROXY: invalid user or password: expected the user and the password \
                 percent-encoded, such as %2F for / and %40 for @",
                "{value}"
            );
        }
        assert!(parse(&[("HTTPS_PROXY", "http://ali%3Ace:2024@proxy")]).is_err());
    }

    #[test]
    fn invalid_proxy_is_an_error_without_its_value() {
        let values = "http:// http:/// http://:8080 http://@proxy http://alice:2024@ \
             http://alice:2024@:8080 ftp://proxy htp://proxy ://proxy http:proxy:3128 \
             http:/proxy http//proxy http://http://proxy 'http://proxy:3128' http://proxy] \
             http://[proxy] http://[fd00::1 http://fd00::1 http://[fd00::1]3128 \
             http://[fe80::1%25eth0]:3128 http://proxy: http://proxy:0 http://proxy:65536 \
             http://proxy:+80 http://proxy:80a http://proxy:80:80 http://proxy/path \
             http://proxy?query http://proxy#fragment http://proxy..example http://.proxy \
             http://pröxy http://10.0.0:3128 http://10.0.0.256 http://10.0.0.1-20:3128 \
             http://0x7f http://0x7f.1 http://10.0.0.0x7f http://0X7F000001:3128 \
             http://proxy.example.1a socks6://proxy socks5://proxy/path socks5://:1080 3128 *";
        let with_quotes_or_blanks = [
            "\"http://proxy:3128\"",
            " http://proxy",
            "http://proxy ",
            "http://pro xy",
            "http://proxy:3128\n",
            "http://proxy\r\n:3128",
            "http://pro\u{0}xy",
        ];
        for value in values.split(' ').chain(with_quotes_or_blanks) {
            for name in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "all_proxy"] {
                assert_eq!(
                    parse(&[(name, value)]).unwrap_err().0,
                    format!("{name}: invalid value: expected {EXPECTED}"),
                    "{value:?}"
                );
            }
        }
    }

    #[test]
    fn socks_proxy_is_an_error_where_it_would_be_used() {
        let expected = |name| format!("{name}: SOCKS is not supported: expected {EXPECTED}");
        let schemes = ["socks", "SOCKS4", "socks4a", "socks5", "socks5h"];
        for scheme in schemes {
            let socks = format!("{scheme}://alice:2024@proxy:1080/");
            for name in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"] {
                assert_eq!(parse(&[(name, &socks)]).unwrap_err().0, expected(name));
            }
            for (name, server, is_used) in [
                ("all_proxy", "https://pbx.example", false),
                ("ALL_PROXY", "https://pbx.example", false),
                ("all_proxy", "http://pbx.example", true),
                ("ALL_PROXY", "http://pbx.example", true),
            ] {
                let proxies = parse(&[(name, &socks), ("HTTPS_PROXY", "b")]).unwrap();
                let error = proxies.for_server(&server.parse().unwrap()).err();
                let expected = is_used.then(|| expected(name));
                assert_eq!(error.map(|error| error.0), expected, "{scheme} {server}");
            }
        }
    }

    #[test]
    fn value_that_is_not_utf8_is_an_error() {
        for name in ["HTTPS_PROXY", "no_proxy"] {
            let value = || OsString::from_vec(b"http://alice:\xff@proxy".to_vec());
            let error = Proxies::parse(|given| (given == name).then(value)).unwrap_err();
            assert_eq!(
                error.0,
                format!("{name}: invalid value: expected UTF-8 text")
            );
        }
    }

    #[test]
    fn variable_is_chosen_by_scheme_and_case() {
        let https = "https://pbx.example";
        let http = "http://pbx.example";
        let cases = [
            ("", https, ""),
            ("HTTPS_PROXY=a HTTP_PROXY=b", https, "http://a"),
            ("HTTPS_PROXY=a HTTP_PROXY=b", http, "http://b"),
            ("HTTPS_PROXY=a", http, ""),
            ("http_proxy=a", https, ""),
            ("ALL_PROXY=a", https, "http://a"),
            ("all_proxy=a", http, "http://a"),
            ("ALL_PROXY=a HTTPS_PROXY=b", https, "http://b"),
            ("https_proxy=a HTTPS_PROXY=b", https, "http://a"),
            ("https_proxy= HTTPS_PROXY=b", https, "http://b"),
            ("HTTPS_PROXY= ALL_PROXY=b", https, "http://b"),
            ("HTTPS_PROXY=a NO_PROXY=", https, "http://a"),
        ];
        for (text, server, proxy) in cases {
            let variables = text
                .split(' ')
                .filter_map(|variable| variable.split_once('='));
            let variables: Vec<_> = variables.collect();
            assert_eq!(proxy_for(&variables, server), proxy, "{text} {server}");
        }
        // The value that is not used must be valid, too.
        assert!(parse(&[("https_proxy", "a"), ("HTTPS_PROXY", "ftp://b")]).is_err());
        let exempt = [("HTTPS_PROXY", "a"), ("no_proxy", "x"), ("NO_PROXY", "*")];
        assert_eq!(proxy_for(&exempt, https), "http://a");
    }

    #[test]
    fn loopback_server_is_reached_without_proxy() {
        for host in [
            "127.0.0.1:1",
            "127.9.9.9",
            "[::1]:1",
            "[::ffff:127.0.0.1]",
            "localhost",
            "LOCALHOST.",
        ] {
            let server = format!("http://{host}");
            assert_eq!(proxy_for(&[("all_proxy", "a")], &server), "", "{host}");
        }
    }

    #[test]
    fn no_proxy_entry_matches_server() {
        let name = "https://pbx.example.com";
        let cases = [
            ("*", name, true),
            ("other, *", name, true),
            ("pbx.example.com", name, true),
            ("PBX.Example.com.", name, true),
            ("pbx.example.com", "https://PBX.EXAMPLE.COM.", true),
            ("example.com", name, true),
            (".example.com", name, true),
            ("*.example.com", name, true),
            (".example.com", "https://example.com", true),
            ("com", name, true),
            ("xample.com", name, false),
            (".xample.com", name, false),
            ("a.pbx.example.com", name, false),
            ("example.org", name, false),
            ("other , pbx.example.com\t,", name, true),
            ("other pbx.example.com", name, true),
            (",,", name, false),
            ("pbx.example.com:443", name, true),
            ("example.com:443", name, true),
            (".example.com:8443", name, false),
            ("*.example.com:8443", "https://pbx.example.com:8443", true),
            ("pbx.example.com:80", "http://pbx.example.com", true),
            ("pbx_1.example.com", "https://pbx_1.example.com", true),
            ("10.1.2.3", "https://10.1.2.3", true),
            ("10.1.2.3", "https://10.1.2.4", false),
            ("10.1.2.3:443", "https://10.1.2.3", true),
            ("10.1.2.3:444", "https://10.1.2.3", false),
            ("10.0.0.0/8", "https://10.1.2.3", true),
            ("10.9.9.9/8", "https://10.1.2.3", true),
            ("10.0.0.0/16", "https://10.1.2.3", false),
            ("0.0.0.0/0", "https://10.1.2.3", true),
            ("0.0.0.0/0", name, false),
            ("0.0.0.0/0", "https://[fd00::1]", false),
            ("10.1.2.3/32", "https://10.1.2.3", true),
            ("10.1.2.3", "https://[::ffff:10.1.2.3]", true),
            ("::ffff:10.1.2.3", "https://10.1.2.3", true),
            ("fd00::1", "https://[fd00::1]", true),
            ("[fd00::1]", "https://[fd00:0::1]", true),
            ("[fd00::1]:443", "https://[fd00::1]", true),
            ("[fd00::1]:444", "https://[fd00::1]", false),
            ("fd00::/8", "https://[fd00::1]", true),
            ("[fd00::]/8", "https://[fdff::1]", true),
            ("fd00::/64", "https://[fd00:1::1]", false),
            ("::/0", "https://[fd00::1]", true),
        ];
        for (list, server, is_exempt) in cases {
            let proxy = proxy_for(&[("ALL_PROXY", "a"), ("NO_PROXY", list)], server);
            assert_eq!(proxy.is_empty(), is_exempt, "{list:?} {server}");
        }
    }

    #[test]
    fn invalid_no_proxy_entry_is_an_error() {
        let entries = "http://pbx.example.com pbx.example.com/path pbx.example.com: pbx.example.com:0 \
             pbx.example.com:x pbx..example.com ..example.com . *. *example.com pbx.*.com ** \
             *:443 10.0.0 10.0.0. 10.0.0.* 10.0.0.1-20 0x7f 0x7f.0.0.1 10.0.0.0x1 10.0.0.0/-1 \
             10.0.0.0/8/8 10.0.0/8 [fd00::/8 fd00::]/8 [10.0.0.0]/8 10.0.0.256 .10.0.0.1 \
             10.0.0.0/33 10.0.0.0/ 10.0.0.0/+8 10.0.0.0/8:443 10.0.0.0/255.0.0.0 fd00::/129 \
             [fd00::1 [10.0.0.1] fd00:::1 pbx;example alice:2024@pbx.example.com";
        let with_quotes_or_breaks = ["\"pbx.example.com\"", "pbx.example.com\n"];
        for entry in entries.split(' ').chain(with_quotes_or_breaks) {
            let error = parse(&[("no_proxy", &format!("other,{entry}"))]).unwrap_err();
            assert_eq!(
                error.0,
                format!("no_proxy: invalid entry: expected {EXPECTED_ENTRY}"),
                "{entry:?}"
            );
        }
    }
}
