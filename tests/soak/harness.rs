//! The programs of a run: the simulator, the proxy, the exporter's release build and two Prometheus
//! servers. Starts and stops them, injects the faults of each phase and records them in the event
//! log.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use ringcentral_exporter::simulator::limiter::{Limit, OtherClient};
use ringcentral_exporter::simulator::scenario::Limits;
use ringcentral_exporter::simulator::{
    Fault, FaultKind, JournalEntry, Operation, Scenario, SimResponse, Simulator,
};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::common::background_process::BackgroundProcess;
use crate::common::exporter_process::command;
use crate::common::prometheus::PrometheusServer;
use crate::event_log::{EventLog, Injection, Penalty, Rotation};
use crate::fault_schedule::{self, Api, Phase};
use crate::now_ms;
use crate::proxy::Proxy;

/// Scrape interval and timeout of each Prometheus server.
pub const SCRAPE_INTERVAL: Duration = Duration::from_secs(5);
/// Lifetime of a token. The exporter renews it after half of it.
pub const TOKEN_LIFE: Duration = Duration::from_secs(120);

/// All programs of a run.
pub struct Harness {
    pub simulator: Simulator,
    pub proxy: Proxy,
    pub exporter: BackgroundProcess,
    pub servers: [PrometheusServer; 2],
    folder: TempDir,
    events: Mutex<EventLog>,
    rng: Mutex<Rng>,
}

impl Harness {
    /// Starts all programs.
    pub async fn start(seed: u64, duration: Duration) -> Self {
        let other_client = other_client(duration);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let scenario = scenario(other_client, lists_per_minute(duration));
        let simulator = Simulator::start(listener, scenario, seed).unwrap();
        let events = EventLog::new(now_ms(), other_client);
        let proxy = Proxy::start(address, seed).await;
        let folder = tempfile::tempdir().unwrap();
        let exporter = start_exporter(&simulator, &proxy, &folder);
        let url = exporter.wait_for_url().await;
        let servers = [
            PrometheusServer::start(&[&url], SCRAPE_INTERVAL).await,
            PrometheusServer::start(&[&url], SCRAPE_INTERVAL).await,
        ];
        Self {
            simulator,
            proxy,
            exporter,
            servers,
            folder,
            events: Mutex::new(events),
            rng: Mutex::new(Rng::with_seed(seed)),
        }
    }

    /// Locks and returns the event log.
    pub fn events(&self) -> MutexGuard<'_, EventLog> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs the phases one after the other.
    pub async fn run_phases(&self, phases: &[Phase]) {
        for phase in phases {
            self.events().phases.push((now_ms(), *phase));
            self.proxy.set_network(phase.network);
            let _ = tokio::time::timeout(phase.duration, self.inject_faults(phase.api)).await;
            self.end_phase();
        }
    }

    /// Stops the exporter with SIGTERM and returns its exit code.
    pub async fn stop(&mut self) -> Option<i32> {
        self.events().stopped_ms = Some(now_ms());
        self.signal("TERM");
        self.exporter.wait_for_exit().await.code()
    }

    /// Injects faults of the API at random intervals until the future is dropped.
    async fn inject_faults(&self, api: Api) {
        loop {
            match api {
                Api::Normal => sleep(Duration::MAX).await,
                Api::EvictingTokens => self.evict_tokens(),
                Api::RotatingJwt => self.rotate_jwt().await,
                Api::RefusingLogins => self.refuse_login(),
                Api::Unavailable
                | Api::TooManyRequests
                | Api::Html
                | Api::Broken
                | Api::Forbidding => self.fail_list_request(api),
            }
            let pause_ms = if api == Api::Forbidding {
                60_000..60_001
            } else {
                5_000..12_000
            };
            let pause_ms = self.draw(|rng| rng.u64(pause_ms));
            sleep(Duration::from_millis(pause_ms)).await;
        }
    }

    /// Removes faults that applied to no request, and writes a rotated JWT to its file.
    fn end_phase(&self) {
        self.simulator.clear_faults();
        let last = self.last_sequence();
        let mut events = self.events();
        for injection in &mut events.injections {
            injection.until.get_or_insert(last);
        }
        drop(events);
        if self.is_rotation_pending() {
            self.write_jwt();
        }
    }

    /// Returns whether the file has an old JWT.
    fn is_rotation_pending(&self) -> bool {
        match self.events().rotations.last() {
            Some(rotation) => rotation.written_ms.is_none(),
            None => false,
        }
    }

    fn evict_tokens(&self) {
        self.events().evictions.push(now_ms());
        self.simulator.evict_tokens();
    }

    /// Replaces the JWT and ends all sessions. Writes the file some seconds later, in half of the
    /// cases followed by SIGHUP.
    async fn rotate_jwt(&self) {
        if !self.is_rotation_pending() {
            self.events().rotations.push(Rotation {
                at_ms: now_ms(),
                written_ms: None,
            });
            self.simulator.rotate_jwt();
            self.evict_tokens();
        }
        let pause_ms = self.draw(|rng| rng.u64(3_000..7_000));
        sleep(Duration::from_millis(pause_ms)).await;
        self.write_jwt();
        if self.draw(Rng::bool) {
            self.events().reloads.push(now_ms());
            self.signal("HUP");
        }
        // Waits for the end of the phase, so that a phase has one rotation.
        sleep(Duration::MAX).await;
    }

    fn write_jwt(&self) {
        std::fs::write(self.folder.path().join("jwt"), self.simulator.jwt()).unwrap();
        if let Some(rotation) = self.events().rotations.last_mut() {
            rotation.written_ms = Some(now_ms());
        }
    }

    fn refuse_login(&self) {
        let response = if self.draw(Rng::bool) {
            SimResponse::invalid_client(401)
        } else {
            SimResponse::grant_not_allowed()
        };
        self.inject("login refused", Operation::Token, response.into(), None);
        self.evict_tokens();
    }

    /// Injects a random fault of this condition for the next request for the call list.
    fn fail_list_request(&self, api: Api) {
        let (wait_seconds, pick) = self.draw(|rng| (rng.i64(5..25), rng.usize(0..5)));
        let penalty = |account_wide| {
            Some(Penalty {
                wait_ms: wait_seconds * 1000,
                account_wide,
            })
        };
        let retry_after =
            |response: SimResponse| FaultKind::from(response.with("Retry-After", wait_seconds));
        let (kind, fault, penalty) = match (api, pick) {
            (Api::Unavailable, 0 | 1) => (
                "503 with Retry-After",
                retry_after(SimResponse::unavailable(503)),
                penalty(false),
            ),
            (Api::Unavailable, _) => ("503", SimResponse::unavailable(503).into(), None),
            (Api::TooManyRequests, 0) => (
                "429 for the account",
                retry_after(SimResponse::too_many_requests(None)),
                penalty(true),
            ),
            (Api::TooManyRequests, _) => {
                let response =
                    SimResponse::too_many_requests(None).with("X-Rate-Limit-Group", "heavy");
                ("429 for the group", retry_after(response), penalty(false))
            }
            (Api::Html, 0..3) => (
                "HTML with 200",
                SimResponse::html(200, "Sign in").into(),
                None,
            ),
            (Api::Html, _) => (
                "HTML with 502",
                SimResponse::html(502, "Bad Gateway").into(),
                None,
            ),
            (Api::Forbidding, _) => (
                "403",
                SimResponse::user_lacks("ReadCompanyCallLog").into(),
                None,
            ),
            (_, 0) => ("truncated body", FaultKind::Truncate, None),
            (_, 1) => (
                "closed without a response",
                FaultKind::CloseBeforeResponse,
                None,
            ),
            (_, 2) => (
                "response after 12 s",
                FaultKind::Delay(Duration::from_secs(12)),
                None,
            ),
            (_, 3) => ("no response", FaultKind::Hang, None),
            _ => (
                "invalid JSON",
                FaultKind::Body("{\"records\":[".into()),
                None,
            ),
        };
        self.inject(kind, Operation::ActiveCalls, fault, penalty);
    }

    fn inject(
        &self,
        kind: &'static str,
        operation: Operation,
        fault: FaultKind,
        penalty: Option<Penalty>,
    ) {
        let after = self.last_sequence();
        self.events().injections.push(Injection {
            kind,
            operation,
            after,
            until: None,
            penalty,
        });
        self.simulator.inject(Fault::once(operation, fault));
    }

    fn last_sequence(&self) -> u64 {
        self.simulator
            .journal()
            .last()
            .map_or(0, |entry: &JournalEntry| entry.sequence)
    }

    fn signal(&self, name: &str) {
        let status = std::process::Command::new("kill")
            .args(["-s", name, &self.exporter.pid().to_string()])
            .status();
        assert!(status.unwrap().success());
    }

    fn draw<T>(&self, draw: impl FnOnce(&mut Rng) -> T) -> T {
        draw(&mut self.rng.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Returns the limit of the call list: the documented one in a long run, and one that allows a
/// fetch per scrape in a short run.
pub fn lists_per_minute(duration: Duration) -> u32 {
    if fault_schedule::is_short(duration) {
        60
    } else {
        10
    }
}

/// Returns a client that uses the whole limit after three quarters of a short run, and every eight
/// minutes of a long one.
fn other_client(duration: Duration) -> OtherClient {
    let first = duration.mul_f64(0.75).min(Duration::from_secs(240));
    OtherClient {
        requests: lists_per_minute(duration),
        first,
        every: Duration::from_secs(480),
    }
}

/// Returns a company whose list has one page. The pages of a longer list are of different times, so
/// that it equals no list of one time.
fn scenario(other_client: OtherClient, lists_per_minute: u32) -> Scenario {
    Scenario {
        calls_per_minute: 40.0,
        other_client: Some(other_client),
        limits: Limits {
            heavy: Limit::per_minute(lists_per_minute),
            ..Limits::default()
        },
        token_lifetime: TOKEN_LIFE,
        ..Scenario::normal()
    }
}

fn start_exporter(simulator: &Simulator, proxy: &Proxy, folder: &TempDir) -> BackgroundProcess {
    let jwt = folder.path().join("jwt");
    std::fs::write(&jwt, simulator.jwt()).unwrap();
    // The deadline of a scrape leaves 2 s of the timeout to a busy machine.
    let mut command = command(&[
        "--web.listen-address=127.0.0.1:0",
        "--scrape.timeout-offset=2s",
    ]);
    command
        .env("RC_SERVER_URL", proxy.url())
        .env("RC_CLIENT_ID", simulator.client_id())
        .env("RC_CLIENT_SECRET", simulator.client_secret())
        .env("RC_JWT_FILE", jwt);
    BackgroundProcess::start(&mut command)
}
