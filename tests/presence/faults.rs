//! Faults of the stream over real sockets, each against an exporter of its own: what presence shows, and that calls are
//! not affected.
//!
//! For each row the test asserts that presence is up before and after the fault, that its families show nothing of a gap,
//! that each scrape has current calls, and that the list of presence is read at most once per gap, plus once.

use std::io::{Read, Write};
use std::net::TcpListener as StdListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ringcentral_exporter::config::PresenceMode;
use ringcentral_exporter::simulator::{
    Fault, FaultKind, GatewayFault, Operation, Scenario, SimResponse, Simulator,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{Instant, sleep};

use crate::harness::{ScrapeResponse, TestExporter};

/// Far more than any row takes: a silent connection is noticed after 90 s, and reads are a minute apart.
const MAX_WAIT: Duration = Duration::from_secs(400);
const SCRAPE_INTERVAL: Duration = Duration::from_millis(1_500);

/// When a fault begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Before the first connection.
    Start,
    /// While events are received.
    Stream,
}

/// What a fault leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    /// There is no connection, and the `result` of attempts is `failed`.
    Failed,
    /// The connection is `lost`, which is a gap.
    Lost,
    /// Presence stays up, and this number of messages is counted as unreadable.
    Unreadable(u32),
    /// Presence stays up.
    None,
}

struct Row {
    name: &'static str,
    stage: Stage,
    faults: Vec<Fault>,
    effect: Effect,
    /// Whether a new login is made before presence can be up again, as a person would cause it.
    needs_login: bool,
}

fn row(name: &'static str, stage: Stage, fault: Fault, effect: Effect) -> Row {
    Row {
        name,
        stage,
        faults: vec![fault],
        effect,
        needs_login: false,
    }
}

/// Returns a row whose requests of `operation` fail until the faults are cleared.
fn refused(name: &'static str, operation: Operation, kind: impl Into<FaultKind>) -> Row {
    row(
        name,
        Stage::Start,
        Fault::always(operation, kind),
        Effect::Failed,
    )
}

/// Returns a row whose cause lasts until a person changes something.
fn forbidden(name: &'static str, operation: Operation, kind: impl Into<FaultKind>) -> Row {
    Row {
        needs_login: true,
        ..refused(name, operation, kind)
    }
}

/// Returns a row with a fault of an open connection.
fn stream(name: &'static str, fault: GatewayFault, effect: Effect) -> Row {
    row(
        name,
        Stage::Stream,
        Fault::once(Operation::EventStream, fault),
        effect,
    )
}

/// Returns a token response whose gateway is at this address.
fn gateway_at(uri: &str) -> FaultKind {
    FaultKind::Body(format!(r#"{{"uri":"{uri}","ws_access_token":"t","expires_in":60}}"#).into())
}

/// Starts a server that answers whatever it reads with an HTTP error, and returns its port.
fn server_without_tls() -> u16 {
    let listener = StdListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        }
    });
    port
}

fn text(message: &str) -> GatewayFault {
    GatewayFault::Text(message.to_owned())
}

/// Returns an unmasked frame of a server with this opcode.
fn frame(opcode: u8, payload: &[u8]) -> GatewayFault {
    let mut bytes = vec![0x80 | opcode, payload.len() as u8];
    bytes.extend_from_slice(payload);
    GatewayFault::RawBytes(bytes.into())
}

fn rows() -> Vec<Row> {
    use Effect::{Lost, Unreadable};
    use Operation::{EventConnection, EventToken, Subscription};
    let switching = SimResponse {
        status: 101,
        headers: Vec::new(),
        body: Vec::new().into(),
    }
    .with("Connection", "Upgrade")
    .with("Upgrade", "websocket");
    let close = |code| GatewayFault::Close {
        code,
        reason: "a reason".to_owned(),
    };
    vec![
        forbidden(
            "token: 403",
            EventToken,
            SimResponse::app_lacks("WebSocket"),
        ),
        refused("token: 401", EventToken, SimResponse::token_not_found()),
        refused(
            "token: 429",
            EventToken,
            SimResponse::too_many_requests(Some(5)),
        ),
        refused("token: 503", EventToken, SimResponse::unavailable(503)),
        refused(
            "token: no JSON",
            EventToken,
            FaultKind::Body("<html>".into()),
        ),
        refused("token: hangs", EventToken, FaultKind::Hang),
        refused("token: closed", EventToken, FaultKind::CloseBeforeResponse),
        refused(
            "gateway: unknown host",
            EventToken,
            gateway_at("ws://gateway.invalid/ws"),
        ),
        refused(
            "gateway: refused",
            EventToken,
            gateway_at("ws://127.0.0.1:1/ws"),
        ),
        refused(
            "gateway: no TLS",
            EventToken,
            gateway_at(&format!("wss://127.0.0.1:{}/ws", server_without_tls())),
        ),
        refused(
            "gateway: another scheme",
            EventToken,
            gateway_at("http://127.0.0.1:1/ws"),
        ),
        refused(
            "upgrade: 400",
            EventConnection,
            SimResponse::html(400, "Bad Request"),
        ),
        refused(
            "upgrade: 403",
            EventConnection,
            SimResponse::html(403, "Forbidden"),
        ),
        refused(
            "upgrade: 503",
            EventConnection,
            SimResponse::unavailable(503),
        ),
        refused("upgrade: 101 without Accept", EventConnection, switching),
        refused(
            "upgrade: 200",
            EventConnection,
            FaultKind::Body("{}".into()),
        ),
        refused("upgrade: hangs", EventConnection, FaultKind::Hang),
        refused(
            "upgrade: closed",
            EventConnection,
            FaultKind::CloseBeforeResponse,
        ),
        forbidden(
            "subscription: SUB-505",
            Subscription,
            SimResponse::too_many_subscriptions(),
        ),
        forbidden(
            "subscription: 403",
            Subscription,
            SimResponse::user_lacks("ReadPresence"),
        ),
        forbidden(
            "subscription: disabled filter",
            Subscription,
            GatewayFault::DisabledFilters,
        ),
        refused("subscription: hangs", Subscription, FaultKind::Hang),
        refused(
            "subscription: no id",
            Subscription,
            FaultKind::Body("{}".into()),
        ),
        stream("close 4400", close(4400), Lost),
        stream("close 1000", close(1000), Lost),
        stream("WSG-902", GatewayFault::Error { code: "WSG-902" }, Lost),
        stream("WSG-903", GatewayFault::Error { code: "WSG-903" }, Lost),
        stream("WSG-400", GatewayFault::Error { code: "WSG-400" }, Lost),
        stream("disconnect", GatewayFault::Disconnect, Lost),
        stream("silence", GatewayFault::Silence, Lost),
        stream("over 1 MiB", GatewayFault::Oversized(1024 * 1024 + 1), Lost),
        stream(
            "exactly 1 MiB",
            GatewayFault::Oversized(1024 * 1024),
            Unreadable(1),
        ),
        stream("invalid frame", frame(0xF, b"x"), Lost),
        stream(
            "not WebSocket",
            GatewayFault::RawBytes("HTTP/1.1 400 Bad Request\r\n\r\n".into()),
            Lost,
        ),
        stream("invalid UTF-8", frame(0x1, &[0xFF, 0xFE]), Lost),
        stream("binary frame", frame(0x2, b"[]"), Unreadable(1)),
        stream("no JSON", text("hello"), Unreadable(1)),
        stream("not an array", text("{}"), Unreadable(1)),
        stream("empty array", text("[]"), Unreadable(1)),
        stream(
            "no body",
            text(r#"[{"type":"ServerNotification"}]"#),
            Unreadable(1),
        ),
        stream(
            "null for all",
            text(r#"[{"type":"ServerNotification"},null]"#),
            Unreadable(1),
        ),
        stream(
            "no extension",
            text(r#"[{"type":"ServerNotification"},{"body":{"telephonyStatus":"Ringing"}}]"#),
            Unreadable(1),
        ),
        stream(
            "unknown type",
            text(r#"[{"type":"News"},{}]"#),
            Effect::None,
        ),
        stream(
            "slow",
            GatewayFault::Slow {
                piece: 64,
                pause: Duration::from_millis(10),
            },
            Effect::None,
        ),
    ]
}

impl ScrapeResponse {
    fn account_value(&self, name: &str) -> Option<f64> {
        self.samples()
            .get(&format!("{name}{{account=\"default\"}}"))
            .copied()
    }

    fn presence_up(&self) -> f64 {
        self.account_value("ringcentral_presence_up").unwrap()
    }

    fn connections(&self, result: &str) -> f64 {
        self.value(&format!(
            "ringcentral_event_connections_total{{account=\"default\",result=\"{result}\"}}"
        ))
    }

    fn unreadable(&self) -> f64 {
        self.value("ringcentral_events_discarded_total{account=\"default\",reason=\"unreadable\"}")
    }

    /// Returns the number of extensions of all states, if the family is there.
    pub fn extensions(&self) -> Option<f64> {
        let samples = self.samples();
        let mut values = samples
            .iter()
            .filter(|(series, _)| series.starts_with("ringcentral_extensions{"))
            .map(|(_, value)| value)
            .peekable();
        values.peek()?;
        Some(values.sum())
    }
}

/// An exporter with presence from events, and what its scrapes showed.
pub struct Observer {
    pub exporter: TestExporter,
    name: &'static str,
    started: Instant,
    scrapes: u32,
}

impl Observer {
    pub fn new(exporter: TestExporter, name: &'static str) -> Self {
        Self {
            exporter,
            name,
            started: Instant::now(),
            scrapes: 0,
        }
    }

    /// Scrapes and asserts that calls are current, and that the families of the state agree with `presence_up`.
    pub async fn scrape(&mut self) -> ScrapeResponse {
        let name = self.name;
        let response = self.exporter.scrape().await;
        self.scrapes += 1;
        assert_eq!(response.up(), 1.0, "{name}: {}", response.text);
        assert!(!response.call_samples().is_empty(), "{name}");
        if response.presence_up() == 1.0 {
            assert!(
                response.extensions().is_some_and(|count| count > 0.0),
                "{name}"
            );
        }
        response
    }

    /// Scrapes until `is_wanted`.
    pub async fn wait_until(
        &mut self,
        what: &str,
        is_wanted: impl Fn(&ScrapeResponse) -> bool,
    ) -> ScrapeResponse {
        let deadline = Instant::now() + MAX_WAIT;
        loop {
            let response = self.scrape().await;
            if is_wanted(&response) {
                return response;
            }
            let name = self.name;
            assert!(
                Instant::now() < deadline,
                "{name}: never {what}: {}",
                response.text
            );
            sleep(SCRAPE_INTERVAL).await;
        }
    }

    pub async fn wait_until_up(&mut self) -> ScrapeResponse {
        self.wait_until("up", |response| response.presence_up() == 1.0)
            .await
    }

    /// Asserts that calls were fetched as often as without presence, and that the list of presence was read once, and
    /// once more for each gap.
    fn assert_requests(&self, last: &ScrapeResponse) {
        let name = self.name;
        let gaps = last.account_value("ringcentral_event_gaps_total").unwrap();
        let reads = self.exporter.count_requests(Operation::Presence);
        assert!(
            reads as f64 <= 1.0 + gaps,
            "{name}: {reads} reads, {gaps} gaps"
        );
        let failed = last.samples().into_iter().any(|(series, value)| {
            series.starts_with("ringcentral_api_request_failures_total")
                && series.contains("operation=\"active_calls\"")
                && value > 0.0
        });
        // An evicted token is a failed request of a successful fetch.
        assert!(!failed || name.contains("login"), "{name}: {}", last.text);
        // Ten requests a minute, of which one is reserved; with a read that is due the calls have one less.
        let seconds = self.started.elapsed().as_secs();
        let fetches = self.exporter.count_requests(Operation::ActiveCalls) as u64;
        assert!(
            fetches >= seconds / 15,
            "{name}: {fetches} fetches in {seconds} s"
        );
        for entry in self.exporter.simulator.journal() {
            let is_injected = entry.operation == Some(Operation::EventToken);
            assert!(
                is_injected || entry.status != Some(429),
                "{name}: {entry:?}"
            );
            assert!(!entry.in_penalty, "{name}: {entry:?}");
        }
    }
}

/// Returns a small company with about 20 events a minute.
fn scenario() -> Scenario {
    Scenario {
        extensions: 60,
        calls_per_minute: 20.0,
        ..Scenario::normal()
    }
}

pub async fn start(scenario: Scenario, faults: &[Fault]) -> TestExporter {
    let listener = crate::harness::bind_loopback().await;
    let simulator = Simulator::start(listener, scenario, 1).unwrap();
    for fault in faults {
        simulator.inject(fault.clone());
    }
    TestExporter::start_for_simulator(simulator, |config| {
        config.accounts[0].presence = PresenceMode::Events;
    })
    .await
}

async fn run(row: Row) {
    let name = row.name;
    let at_start: &[Fault] = if row.stage == Stage::Start {
        &row.faults
    } else {
        &[]
    };
    // Without the deletion of the lost subscription there would be no other one.
    let scenario = Scenario {
        max_subscriptions: 1,
        ..scenario()
    };
    let exporter = start(scenario, at_start).await;
    let mut observer = Observer::new(exporter, name);
    let before = observer.scrape().await;
    if row.stage == Stage::Stream {
        observer.wait_until_up().await;
        for fault in &row.faults {
            observer.exporter.simulator.inject(fault.clone());
        }
    }
    match row.effect {
        Effect::Failed => {
            let failed = |response: &ScrapeResponse| response.connections("failed") > 0.0;
            let during = observer.wait_until("failed", failed).await;
            assert_eq!(during.presence_up(), 0.0, "{name}");
            assert_eq!(during.extensions(), None, "{name}");
            assert_eq!(during.connections("connected"), 0.0, "{name}");
            assert_eq!(before.presence_up(), 0.0, "{name}");
        }
        Effect::Lost => {
            let lost = |response: &ScrapeResponse| response.connections("lost") > 0.0;
            let during = observer.wait_until("lost", lost).await;
            assert_eq!(
                during.account_value("ringcentral_event_gaps_total"),
                Some(1.0),
                "{name}"
            );
            assert_eq!(during.presence_up(), 0.0, "{name}");
            assert_eq!(during.extensions(), None, "{name}");
        }
        Effect::Unreadable(count) => {
            let is_counted = |response: &ScrapeResponse| response.unreadable() == f64::from(count);
            let during = observer.wait_until("unreadable", is_counted).await;
            assert_eq!(during.presence_up(), 1.0, "{name}");
        }
        Effect::None => {
            let count =
                |response: &ScrapeResponse| response.account_value("ringcentral_events_total");
            let before = observer.scrape().await;
            let more = |response: &ScrapeResponse| count(response) > count(&before);
            let during = observer.wait_until("more events", more).await;
            assert_eq!(during.presence_up(), 1.0, "{name}");
            assert_eq!(during.unreadable(), 0.0, "{name}");
        }
    }
    observer.exporter.simulator.clear_faults();
    if row.needs_login {
        observer.exporter.simulator.evict_tokens();
    }
    let after = observer.wait_until_up().await;
    if matches!(row.effect, Effect::Unreadable(_) | Effect::None) {
        assert_eq!(after.connections("lost"), 0.0, "{name}");
        assert_eq!(
            after.account_value("ringcentral_event_gaps_total"),
            Some(0.0),
            "{name}"
        );
    }
    if !row.needs_login {
        observer.assert_requests(&after);
    }
    observer.exporter.stop().await;
    println!(
        "{name}: ok after {:?}, {} scrapes",
        observer.started.elapsed(),
        observer.scrapes
    );
}

/// Runs all rows concurrently, since they mostly wait, each in a thread, so that they share the processors.
#[test]
fn presence_reports_faults_and_calls_stay_current() {
    let mut threads = Vec::new();
    for row in rows() {
        let name = row.name;
        let test = move || {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            builder.enable_all().build().unwrap().block_on(run(row));
        };
        threads.push((name, std::thread::spawn(test)));
    }
    let mut failed = Vec::new();
    for (name, thread) in threads {
        if thread.join().is_err() {
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

/// The OAuth session whose connection is evicted is replaced by a new login, without a gap.
#[tokio::test]
async fn evicted_session_is_renewed_with_the_next_login() {
    let exporter = start(scenario(), &[]).await;
    let mut observer = Observer::new(exporter, "login after an eviction");
    observer.wait_until_up().await;
    observer.exporter.simulator.evict_tokens();
    let is_renewed = |response: &ScrapeResponse| response.connections("renewed") > 0.0;
    observer.wait_until("renewed", is_renewed).await;
    let after = observer.wait_until_up().await;
    observer.assert_requests(&after);
    observer.exporter.stop().await;
}

/// Forwards connections to `server`. Once `has_vanished` is set, nothing is forwarded any more of those that became a
/// WebSocket, and they stay open.
async fn relay(server: String, has_vanished: Arc<AtomicBool>) -> String {
    let listener = crate::harness::bind_loopback().await;
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = server.strip_prefix("http://").unwrap().to_owned();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&server).await.unwrap();
            let (client_reader, client_writer) = client.into_split();
            let (server_reader, server_writer) = server.into_split();
            let is_web_socket = Arc::new(AtomicBool::new(false));
            let vanished = || Vanished {
                is_web_socket: is_web_socket.clone(),
                has_vanished: has_vanished.clone(),
            };
            tokio::spawn(forward(client_reader, server_writer, vanished()));
            tokio::spawn(forward(server_reader, client_writer, vanished()));
        }
    });
    url
}

/// Whether a connection has stopped forwarding.
struct Vanished {
    is_web_socket: Arc<AtomicBool>,
    has_vanished: Arc<AtomicBool>,
}

async fn forward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, vanished: Vanished) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(size @ 1..) = from.read(&mut buffer).await {
        let bytes = &buffer[..size];
        if bytes.starts_with(b"GET /ws?") {
            vanished.is_web_socket.store(true, Ordering::Relaxed);
        }
        let is_web_socket = vanished.is_web_socket.load(Ordering::Relaxed);
        if is_web_socket && vanished.has_vanished.load(Ordering::Relaxed) {
            // Neither closed nor read any more.
            std::future::pending::<()>().await;
        }
        if to.write_all(bytes).await.is_err() {
            return;
        }
    }
}

/// Both ends of the connection are open, but nothing arrives any more, in neither direction.
#[tokio::test]
async fn vanished_gateway_is_a_gap_after_90_seconds() {
    let listener = crate::harness::bind_loopback().await;
    let simulator = Simulator::start(listener, scenario(), 1).unwrap();
    let has_vanished = Arc::new(AtomicBool::new(false));
    let url = relay(simulator.url(), has_vanished.clone()).await;
    let exporter = TestExporter::start_for_simulator(simulator, |config| {
        config.accounts[0].presence = PresenceMode::Events;
        config.accounts[0].server = url.parse().unwrap();
    })
    .await;
    let mut observer = Observer::new(exporter, "vanished gateway");
    observer.wait_until_up().await;
    has_vanished.store(true, Ordering::Relaxed);
    let is_down = |response: &ScrapeResponse| response.presence_up() == 0.0;
    observer.wait_until("down", is_down).await;
    has_vanished.store(false, Ordering::Relaxed);
    let after = observer.wait_until_up().await;
    assert_eq!(after.connections("lost"), 1.0);
    assert_eq!(
        after.account_value("ringcentral_event_gaps_total"),
        Some(1.0)
    );
    observer.assert_requests(&after);
    observer.exporter.stop().await;
}

/// The gateway rejects the deletion of the lost subscription, which counts against the limit until it is deleted.
#[tokio::test]
async fn lost_subscription_is_deleted_once_possible() {
    let scenario = Scenario {
        max_subscriptions: 1,
        ..scenario()
    };
    let mut observer = Observer::new(start(scenario, &[]).await, "refused deletion");
    observer.wait_until_up().await;
    let refusal = SimResponse::unavailable(503);
    for fault in [
        Fault::once(Operation::Subscription, refusal),
        Fault::once(Operation::EventStream, GatewayFault::Disconnect),
    ] {
        observer.exporter.simulator.inject(fault);
    }
    let lost = |response: &ScrapeResponse| response.connections("lost") > 0.0;
    let during = observer.wait_until("lost", lost).await;
    assert_eq!(during.presence_up(), 0.0);
    assert_eq!(during.extensions(), None);
    let after = observer.wait_until_up().await;
    assert_eq!(after.connections("connected"), 2.0);
    assert_eq!(after.connections("failed"), 0.0);
    observer.assert_requests(&after);
    observer.exporter.stop().await;
}
