//! A request to the exporter over loopback. The first line of an input is method and target, the
//! others are headers.

use std::collections::BTreeSet;
use std::io::Read;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use flate2::read::GzDecoder;
use ringcentral_exporter::config::{
    Config, Log, LogFormat, Metrics, Network, Presence, Settings, State, Timeouts, Web,
};
use ringcentral_exporter::http::scrape::scrape_timeout;
use ringcentral_exporter::reload::Reloader;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::fixtures::{METRICS, SCRAPE, account, parse_exposition};
use crate::headers::header_map;

const ACCOUNTS: [&str; 3] = ["default", "a.b", "c-d_e"];
/// The paths that are served with GET and HEAD.
const GET_PATHS: [&str; 8] = [
    "/",
    "/sd",
    "/metrics",
    "/-/metrics",
    "/-/healthy",
    "/healthz",
    "/-/ready",
    "/readyz",
];
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(15);

thread_local! {
    static EXPORTER: LocalExporter = LocalExporter::start();
}

/// Checks that each request gets one well-formed response, which matches its path, method and
/// accounts.
pub fn check(data: &[u8]) {
    let mut lines = Vec::new();
    for line in data.split(|byte| *byte == b'\n') {
        lines.push(line.strip_suffix(b"\r").unwrap_or(line));
    }
    let timeout = scrape_timeout(&header_map(&lines), SCRAPE.timeout_offset);
    assert!(
        !timeout.is_zero() && timeout <= Duration::from_secs(60),
        "a scrape timeout of {timeout:?}"
    );
    let Some(bytes) = EXPORTER.with(|exporter| exporter.send(&lines)) else {
        return;
    };
    // An empty line ends the request, and the lines after it are another request.
    if lines.iter().any(|line| line.is_empty()) {
        return;
    }
    let response = Response::parse(&bytes, lines[0].starts_with(b"HEAD "));
    assert!(response.status < 500, "{}", response.status);
    if [400, 414, 431].contains(&response.status) {
        return;
    }
    if let Some(request) = RequestLine::parse(lines[0]) {
        request.assert_answered_by(&response);
    }
}

/// An exporter on the runtime of this thread. It runs while a request is sent.
struct LocalExporter {
    runtime: Runtime,
    address: SocketAddr,
}

impl LocalExporter {
    /// Starts an exporter with the accounts of [`ACCOUNTS`].
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("runtime");
        let address = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("socket");
            let address = listener.local_addr().expect("local address");
            let config = config();
            let reloader = Reloader::new(&config.settings, None).expect("no web configuration");
            tokio::spawn(ringcentral_exporter::run(
                config,
                Arc::new(reloader),
                vec![listener],
                std::future::pending(),
            ));
            address
        });
        Self { runtime, address }
    }

    /// Sends a request and returns the bytes of the response. Returns `None` if the connection was
    /// reset, as happens if the exporter has not read the whole request.
    fn send(&self, lines: &[&[u8]]) -> Option<Vec<u8>> {
        let mut request = [lines[0], b" HTTP/1.1\r\n"].concat();
        for line in &lines[1..] {
            request.extend_from_slice(line);
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"Connection: close\r\n\r\n");
        self.runtime.block_on(async {
            timeout(RESPONSE_TIMEOUT, exchange(self.address, &request))
                .await
                .expect("response in time")
        })
    }
}

async fn exchange(address: SocketAddr, request: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await.expect("connection");
    // Thousands of connections per second would otherwise use all ports.
    stream.set_zero_linger().expect("socket option");
    stream.write_all(request).await.ok()?;
    let mut response = Vec::new();
    stream.read_to_end(&mut response).await.ok()?;
    Some(response)
}

fn config() -> Config {
    let settings = Settings {
        web: Web {
            listen_addresses: Vec::new(),
            telemetry_path: "/metrics".to_owned(),
            config_file: None,
            enable_lifecycle: true,
        },
        metrics: Metrics {
            extension_info: false,
            ..METRICS
        },
        scrape: SCRAPE,
        presence: Presence { audit: None },
        state: State::default(),
        log: Log {
            level: tracing::Level::ERROR,
            format: LogFormat::Logfmt,
        },
        timeouts: Timeouts::default(),
        network: Network::default(),
    };
    Config {
        accounts: ACCOUNTS.map(account).into(),
        accounts_file: None,
        settings,
    }
}

/// A request line whose target is a path.
struct RequestLine<'a> {
    method: &'a str,
    path: &'a str,
    query: &'a str,
}

impl<'a> RequestLine<'a> {
    fn parse(line: &'a [u8]) -> Option<Self> {
        let (method, target) = str::from_utf8(line).ok()?.split_once(' ')?;
        if !target.starts_with('/') {
            return None;
        }
        let target = target.split('#').next()?;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Some(Self {
            method,
            path,
            query,
        })
    }

    /// Asserts that a response has the status and body of this request.
    fn assert_answered_by(&self, response: &Response) {
        match (self.path, self.method) {
            ("/-/reload", "POST") => assert!([200, 429].contains(&response.status)),
            ("/-/reload", _) => assert_eq!(response.status, 405),
            (path, _) if !GET_PATHS.contains(&path) => assert_eq!(response.status, 404),
            ("/metrics", "GET") => self.assert_metrics(response),
            (_, "GET") => self.assert_page(response),
            (_, "HEAD") => assert!(response.body.is_empty()),
            _ => assert_eq!(response.status, 405),
        }
    }

    fn assert_page(&self, response: &Response) {
        assert_eq!(response.status, 200);
        match self.path {
            "/-/metrics" => drop(parse_exposition(&response.body)),
            "/sd" => assert_discovery(&response.body),
            "/" => assert!(response.body.starts_with("<!DOCTYPE html>")),
            _ => crate::assert_one_line(response.body.trim_end()),
        }
    }

    /// Asserts that the response has the series of the requested accounts and of no others, or is a
    /// 404 if one of them is unknown.
    fn assert_metrics(&self, response: &Response) {
        let mut requested = BTreeSet::new();
        for (key, value) in query_pairs(self.query) {
            if key == "account" {
                requested.insert(value);
            }
        }
        if requested
            .iter()
            .any(|name| !ACCOUNTS.contains(&name.as_str()))
        {
            assert_eq!(response.status, 404);
            return crate::assert_one_line(response.body.trim_end_matches('\n'));
        }
        assert_eq!(response.status, 200);
        if requested.is_empty() {
            requested.extend(ACCOUNTS.map(str::to_owned));
        }
        let exposition = parse_exposition(&response.body);
        let exposed = exposition.label_values("account");
        assert_eq!(exposed, requested.iter().map(String::as_str).collect());
    }
}

/// Returns the keys and values of a query, decoded as form fields.
fn query_pairs(query: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for pair in query.split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        pairs.push((decode(key), decode(value)));
    }
    pairs
}

fn decode(text: &str) -> String {
    let mut decoded = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'+' => decoded.push(b' '),
            b'%' => match leading_hex_byte(after) {
                Some(byte) => {
                    decoded.push(byte);
                    rest = &after[2..];
                }
                None => decoded.push(b'%'),
            },
            byte => decoded.push(*byte),
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// Returns the byte whose two hexadecimal digits a text begins with.
fn leading_hex_byte(text: &[u8]) -> Option<u8> {
    let digits = str::from_utf8(text.get(..2)?).ok()?;
    if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        u8::from_str_radix(digits, 16).ok()
    } else {
        None
    }
}

/// Asserts that there is one target group per account, with a plausible address.
fn assert_discovery(text: &str) {
    let groups: serde_json::Value = serde_json::from_str(text).expect("JSON");
    let groups = groups.as_array().expect("array of groups");
    assert_eq!(groups.len(), ACCOUNTS.len());
    for (group, account) in groups.iter().zip(ACCOUNTS) {
        let target = group["targets"][0].as_str().expect("target");
        assert!(!target.is_empty());
        assert!(!target.contains(['/', '@', '?', '#', '"']), "{target:?}");
        assert!(!target.contains(char::is_whitespace), "{target:?}");
        assert_eq!(group["labels"]["instance"], format!("{target}/{account}"));
        assert_eq!(group["labels"]["__param_account"], account);
    }
}

/// A response with its body decompressed.
struct Response {
    status: u16,
    body: String,
}

impl Response {
    /// Parses the only response of a connection; any byte after it is an error.
    fn parse(bytes: &[u8], is_head: bool) -> Self {
        let end = bytes
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
            .expect("end of the headers");
        let head = str::from_utf8(&bytes[..end]).expect("headers in UTF-8");
        let body = &bytes[end + 4..];
        let lines: Vec<_> = head.split("\r\n").map(str::as_bytes).collect();
        let headers = header_map(&lines[1..]);
        let is_chunked = headers.contains_key("transfer-encoding");
        let body = match headers.get("content-length") {
            Some(length) => {
                let length: usize = length.to_str().unwrap().parse().expect("length");
                assert_eq!(body.len(), if is_head { 0 } else { length }, "body length");
                body.to_vec()
            }
            None if is_head => body.to_vec(),
            None => {
                assert!(is_chunked, "neither length nor chunks");
                join_chunks(body)
            }
        };
        let is_gzip = headers
            .get("content-encoding")
            .is_some_and(|value| value == "gzip");
        let body = if is_gzip && !body.is_empty() {
            let mut text = String::new();
            GzDecoder::new(body.as_slice())
                .read_to_string(&mut text)
                .expect("gzip");
            text
        } else {
            String::from_utf8(body).expect("body in UTF-8")
        };
        Self {
            status: parse_status(head).expect("status line"),
            body,
        }
    }
}

/// Joins the chunks of a body, which must end with the empty one.
fn join_chunks(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|window| window == b"\r\n");
        let line = line.expect("length of a chunk");
        let digits = str::from_utf8(&rest[..line]).expect("digits");
        let length = usize::from_str_radix(digits, 16).expect("length of a chunk");
        let chunk = &rest[line + 2..];
        body.extend_from_slice(&chunk[..length]);
        rest = chunk[length..]
            .strip_prefix(b"\r\n")
            .expect("end of a chunk");
        if length == 0 {
            assert!(rest.is_empty(), "bytes after the body");
            return body;
        }
    }
}

fn parse_status(head: &str) -> Option<u16> {
    let rest = head.strip_prefix("HTTP/1.1 ")?;
    rest.get(..3)?.parse().ok()
}
