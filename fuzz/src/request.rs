//! A request to the exporter over loopback. The first line of an input is method and target, the others are headers.

use std::collections::BTreeSet;
use std::io::Read;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use flate2::read::GzDecoder;
use ringcentral_exporter::config::{Common, Config, Log, LogFormat, Metrics, Patience, Web};
use ringcentral_exporter::http::deadline::time_for_scrape;
use ringcentral_exporter::reload::Reloader;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::exporter::{METRICS, SCRAPE, account, readable};
use crate::headers;

const ACCOUNTS: [&str; 3] = ["default", "a.b", "c-d_e"];
const FIXED: [&str; 8] = [
    "/",
    "/sd",
    "/metrics",
    "/-/metrics",
    "/-/healthy",
    "/healthz",
    "/-/ready",
    "/readyz",
];
const PATIENCE: Duration = Duration::from_secs(15);

thread_local! {
    static STAGE: Stage = Stage::new();
}

/// Every request has one well-formed answer, and it is that of its path, method and accounts.
pub fn check(data: &[u8]) {
    let lines: Vec<_> = data
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .collect();
    let time = time_for_scrape(&headers::map(&lines), SCRAPE.timeout_offset);
    assert!(
        !time.is_zero() && time <= Duration::from_secs(60),
        "no time for a scrape"
    );
    let Some(bytes) = STAGE.with(|stage| stage.ask(&lines)) else {
        return;
    };
    // An empty line ends a request, and what follows is another one.
    if lines.iter().any(|line| line.is_empty()) {
        return;
    }
    let asked = Asked::read(lines[0]);
    let answer = Answer::read(&bytes, lines[0].starts_with(b"HEAD "));
    assert!(answer.status < 500, "{} {:?}", answer.status, answer.text);
    if let Some(asked) = asked.filter(|_| ![400, 414, 431].contains(&answer.status)) {
        asked.assert(&answer);
    }
}

/// An exporter in this thread, which works while it is asked.
struct Stage {
    runtime: Runtime,
    address: SocketAddr,
}

impl Stage {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let address = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
            let address = listener.local_addr().expect("an address");
            let config = config();
            let reloader = Arc::new(Reloader::new(&config.common, None).expect("an open door"));
            tokio::spawn(ringcentral_exporter::run(
                config,
                reloader,
                vec![listener],
                std::future::pending(),
            ));
            address
        });
        Self { runtime, address }
    }

    /// The bytes of the answer; none if the connection was torn down, as it is when more was sent than is read.
    fn ask(&self, lines: &[&[u8]]) -> Option<Vec<u8>> {
        let mut request = [lines[0], b" HTTP/1.1\r\n"].concat();
        lines[1..]
            .iter()
            .for_each(|line| request.extend([line, &b"\r\n"[..]].concat()));
        request.extend(b"Connection: close\r\n\r\n");
        let answer = async {
            timeout(PATIENCE, exchange(self.address, &request))
                .await
                .expect("an answer in time")
        };
        self.runtime.block_on(answer)
    }
}

async fn exchange(address: SocketAddr, request: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    // Thousands of connections in a second would leave no port.
    stream.set_zero_linger().expect("a socket");
    let mut answer = Vec::new();
    stream.write_all(request).await.ok()?;
    stream.read_to_end(&mut answer).await.ok().map(|_| answer)
}

fn config() -> Config {
    let web = Web {
        listen: Vec::new(),
        telemetry_path: "/metrics".to_owned(),
        config_file: None,
        enable_lifecycle: true,
    };
    let log = Log {
        level: tracing::Level::ERROR,
        format: LogFormat::Logfmt,
    };
    let metrics = Metrics {
        extension_info: false,
        ..METRICS
    };
    let common = Common {
        web,
        scrape: SCRAPE,
        metrics,
        log,
        patience: Patience::default(),
    };
    Config {
        accounts: ACCOUNTS.map(account).into(),
        accounts_file: None,
        common,
    }
}

/// A request line of the common form, taken apart.
struct Asked<'a> {
    method: &'a str,
    path: &'a str,
    query: &'a str,
}

impl<'a> Asked<'a> {
    fn read(line: &'a [u8]) -> Option<Self> {
        let (method, target) = std::str::from_utf8(line).ok()?.split_once(' ')?;
        let target = target.split('#').next()?;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        path.starts_with('/').then_some(Self {
            method,
            path,
            query,
        })
    }

    fn assert(&self, answer: &Answer) {
        match (self.path, self.method) {
            ("/-/reload", "POST") => assert!([200, 429].contains(&answer.status)),
            ("/-/reload", _) => assert_eq!(answer.status, 405),
            (path, _) if !FIXED.contains(&path) => assert_eq!(answer.status, 404),
            (_, "GET") => self.assert_got(answer),
            (_, "HEAD") => assert!(answer.text.is_empty()),
            _ => assert_eq!(answer.status, 405),
        }
    }

    fn assert_got(&self, answer: &Answer) {
        match self.path {
            "/metrics" => self.assert_metrics(answer),
            "/-/metrics" => drop(readable(&answer.text)),
            "/sd" => assert_targets(&answer.text),
            "/" => assert!(answer.text.starts_with("<!doctype html>")),
            _ => crate::assert_one_line(answer.text.trim_end()),
        }
        assert!(self.path == "/metrics" || answer.status == 200);
    }

    /// The accounts that were asked for and no others; 404 if there is one that nobody knows.
    fn assert_metrics(&self, answer: &Answer) {
        let asked: BTreeSet<_> = pairs(self.query)
            .filter(|(key, _)| key == "account")
            .map(|(_, name)| name)
            .collect();
        if asked.iter().any(|name| !ACCOUNTS.contains(&name.as_str())) {
            crate::assert_one_line(answer.text.trim_end_matches('\n'));
            return assert_eq!(answer.status, 404);
        }
        assert_eq!(answer.status, 200);
        let exposition = readable(&answer.text);
        let told: BTreeSet<_> = exposition
            .samples
            .iter()
            .filter_map(|it| it.labels.get("account").cloned())
            .collect();
        let all = || ACCOUNTS.map(str::to_owned).into();
        assert_eq!(told, if asked.is_empty() { all() } else { asked });
    }
}

/// A query's keys and values, as a form writes them.
fn pairs(query: &str) -> impl Iterator<Item = (String, String)> {
    query.split('&').map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(key), decoded(value))
    })
}

fn decoded(text: &str) -> String {
    let (bytes, mut plain, mut at) = (text.as_bytes(), Vec::new(), 0);
    while let Some(byte) = bytes.get(at) {
        let digits = bytes
            .get(at + 1..at + 3)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let coded = digits
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
            .filter(|_| *byte == b'%');
        plain.push(coded.unwrap_or(if *byte == b'+' { b' ' } else { *byte }));
        at += if coded.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&plain).into_owned()
}

/// One group for each account, and an address that is one.
fn assert_targets(text: &str) {
    let groups: serde_json::Value = serde_json::from_str(text).expect("JSON");
    let groups = groups.as_array().expect("groups");
    assert_eq!(groups.len(), ACCOUNTS.len());
    for (group, account) in groups.iter().zip(ACCOUNTS) {
        let target = group["targets"][0].as_str().expect("a target");
        assert!(
            !target.is_empty()
                && !target.contains(['/', '@', '?', '#', '"'])
                && !target.contains(char::is_whitespace)
        );
        assert_eq!(group["labels"]["instance"], format!("{target}/{account}"));
        assert_eq!(group["labels"]["__param_account"], account);
    }
}

/// An answer, taken apart.
struct Answer {
    status: u16,
    text: String,
}

impl Answer {
    /// Asserts that there is one answer, and nothing more.
    fn read(bytes: &[u8], is_head: bool) -> Self {
        let end = bytes
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
            .expect("the end of a head");
        let head = std::str::from_utf8(&bytes[..end]).expect("a head in UTF-8");
        let body = &bytes[end + 4..];
        let mut lines = head.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok());
        let headers = headers::map(&lines.map(str::as_bytes).collect::<Vec<_>>());
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let length = header("content-length")
            .and_then(|length| length.parse::<usize>().ok())
            .expect("a length");
        assert_eq!(
            body.len(),
            if is_head { 0 } else { length },
            "the length of an answer"
        );
        Self {
            status: status.expect("a status"),
            text: text(body, header("content-encoding") == Some("gzip")),
        }
    }
}

fn text(body: &[u8], is_zipped: bool) -> String {
    let mut text = String::new();
    match is_zipped && !body.is_empty() {
        true => GzDecoder::new(body)
            .read_to_string(&mut text)
            .map(|_| text)
            .expect("gzip"),
        false => String::from_utf8(body.to_vec()).expect("UTF-8"),
    }
}
