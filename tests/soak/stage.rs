//! Everything that runs: the simulated account, the bad network before it, the exporter's release build, and a pair of
//! Prometheus servers.
//!
//! Owns starting and stopping them, and acting out the phases. Writes all it does into the diary. Judges nothing.

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
use crate::diary::{Diary, Injection, Rotation};
use crate::now_ms;
use crate::proxy::Proxy;
use crate::weather::{self, Api, Phase};

/// The interval and the timeout of each Prometheus.
pub const INTERVAL: Duration = Duration::from_secs(5);
/// Tokens live so long, so they are renewed every 60 s.
pub const TOKEN_LIFE: Duration = Duration::from_secs(120);

/// All programs of a run.
pub struct Stage {
    pub simulator: Simulator,
    pub proxy: Proxy,
    pub exporter: BackgroundProcess,
    pub pair: [PrometheusServer; 2],
    folder: TempDir,
    diary: Mutex<Diary>,
    dice: Mutex<Rng>,
}

impl Stage {
    pub async fn start(seed: u64, duration: Duration) -> Self {
        let other_tool = other_tool(duration);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let simulator = Simulator::start(
            listener,
            scenario(other_tool, lists_a_minute(duration)),
            seed,
        )
        .unwrap();
        let diary = Diary::new(now_ms(), other_tool);
        let proxy = Proxy::start(address, seed).await;
        let folder = tempfile::tempdir().unwrap();
        let exporter = exporter(&simulator, &proxy, &folder);
        let url = exporter.wait_for_url().await;
        let pair = [
            PrometheusServer::start(&[&url], INTERVAL).await,
            PrometheusServer::start(&[&url], INTERVAL).await,
        ];
        let (diary, dice) = (Mutex::new(diary), Mutex::new(Rng::with_seed(seed)));
        Self {
            simulator,
            proxy,
            exporter,
            pair,
            folder,
            diary,
            dice,
        }
    }

    pub fn diary(&self) -> MutexGuard<'_, Diary> {
        self.diary.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Acts out one phase after the other.
    pub async fn play(&self, phases: &[Phase]) {
        for phase in phases {
            self.diary().phases.push((now_ms(), *phase));
            self.proxy.weather(phase.network);
            let _ = tokio::time::timeout(phase.lasts, self.trouble(phase.api)).await;
            self.settle();
        }
    }

    /// Asks the exporter to stop, and gives its exit code.
    pub async fn stop(&mut self) -> Option<i32> {
        self.diary().stopped_ms = Some(now_ms());
        self.signal("TERM");
        self.exporter.wait_for_exit().await.code()
    }

    /// Makes what a phase has of the API's troubles, again and again.
    async fn trouble(&self, api: Api) {
        loop {
            match api {
                Api::Well => sleep(Duration::MAX).await,
                Api::Evicting => self.evict(),
                Api::Rotating => self.rotate().await,
                Api::RefusingLogins => self.refuse_login(),
                Api::Unavailable | Api::TooMany | Api::Html | Api::Broken | Api::Forbidding => {
                    self.fail_list(api)
                }
            }
            let (least, most) = if api == Api::Forbidding {
                (60_000, 60_001)
            } else {
                (5_000, 12_000)
            };
            let pause = self.dice(|dice| dice.u64(least..most));
            sleep(Duration::from_millis(pause)).await;
        }
    }

    /// What a phase leaves behind: faults that met nobody go, and a rotated JWT gets into its file.
    fn settle(&self) {
        self.simulator.clear_faults();
        let last = self.last_sequence();
        for injection in self
            .diary()
            .injections
            .iter_mut()
            .filter(|injection| injection.until.is_none())
        {
            injection.until = Some(last);
        }
        if self
            .diary()
            .rotations
            .last()
            .is_some_and(|rotation| rotation.written_ms.is_none())
        {
            self.write_jwt();
        }
    }

    fn evict(&self) {
        self.diary().evictions.push(now_ms());
        self.simulator.evict_tokens();
    }

    /// The JWT changes and all sessions end; the file follows some seconds later, half of the time with a SIGHUP.
    async fn rotate(&self) {
        let pending = self
            .diary()
            .rotations
            .last()
            .is_some_and(|rotation| rotation.written_ms.is_none());
        if !pending {
            self.diary().rotations.push(Rotation {
                at_ms: now_ms(),
                written_ms: None,
            });
            self.simulator.rotate_jwt();
            self.evict();
        }
        sleep(Duration::from_millis(
            self.dice(|dice| dice.u64(3_000..7_000)),
        ))
        .await;
        self.write_jwt();
        if self.dice(Rng::bool) {
            self.diary().reloads.push(now_ms());
            self.signal("HUP");
        }
        // Once in a phase.
        sleep(Duration::MAX).await;
    }

    fn write_jwt(&self) {
        std::fs::write(self.folder.path().join("jwt"), self.simulator.jwt()).unwrap();
        if let Some(rotation) = self.diary().rotations.last_mut() {
            rotation.written_ms = Some(now_ms());
        }
    }

    fn refuse_login(&self) {
        let refusal = if self.dice(Rng::bool) {
            SimResponse::invalid_client(401)
        } else {
            SimResponse::grant_not_allowed()
        };
        self.inject(
            "login refused",
            Operation::Token,
            refusal.into(),
            None,
            false,
        );
        self.evict();
    }

    /// One fault for the next request of the list.
    fn fail_list(&self, api: Api) {
        let (wait, pick) = self.dice(|dice| (dice.i64(5..25), dice.usize(0..5)));
        let (kind, fault, silences) = match (api, pick) {
            (Api::Unavailable, 0 | 1) => (
                "503 with Retry-After",
                later(SimResponse::unavailable(503), wait),
                true,
            ),
            (Api::Unavailable, _) => ("503", SimResponse::unavailable(503).into(), false),
            (Api::TooMany, 0) => (
                "429 for the account",
                later(SimResponse::too_many_requests(None), wait),
                true,
            ),
            (Api::TooMany, _) => {
                let reply =
                    SimResponse::too_many_requests(None).with("X-Rate-Limit-Group", "heavy");
                ("429 for the group", later(reply, wait), true)
            }
            (Api::Html, 0..3) => (
                "HTML with 200",
                SimResponse::html(200, "Sign in").into(),
                false,
            ),
            (Api::Html, _) => (
                "HTML with 502",
                SimResponse::html(502, "Bad Gateway").into(),
                false,
            ),
            (Api::Forbidding, _) => (
                "403",
                SimResponse::user_lacks("ReadCompanyCallLog").into(),
                false,
            ),
            (_, 0) => ("body cut", FaultKind::Truncate, false),
            (_, 1) => (
                "closed before the answer",
                FaultKind::CloseBeforeResponse,
                false,
            ),
            (_, 2) => (
                "answer after 12 s",
                FaultKind::Delay(Duration::from_secs(12)),
                false,
            ),
            (_, 3) => ("no answer at all", FaultKind::Hang, false),
            _ => ("no JSON", FaultKind::Body("{\"records\":[".into()), false),
        };
        self.inject(
            kind,
            Operation::ActiveCalls,
            fault,
            silences.then_some(wait * 1000),
            kind.ends_with("account"),
        );
    }

    fn inject(
        &self,
        kind: &'static str,
        operation: Operation,
        fault: FaultKind,
        wait_ms: Option<i64>,
        account_wide: bool,
    ) {
        let after = self.last_sequence();
        self.diary().injections.push(Injection {
            kind,
            operation,
            after,
            until: None,
            wait_ms,
            account_wide,
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

    fn dice<T>(&self, throw: impl FnOnce(&mut Rng) -> T) -> T {
        throw(&mut self.dice.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The limit of the list: as documented in a long run, and in a short one so high that each scrape may fetch.
pub fn lists_a_minute(duration: Duration) -> u32 {
    if weather::is_short(duration) { 60 } else { 10 }
}

fn later(reply: SimResponse, seconds: i64) -> FaultKind {
    reply.with("Retry-After", seconds).into()
}

/// It empties the bucket once towards the end of a short run, and every eight minutes of a long one.
fn other_tool(duration: Duration) -> OtherClient {
    let first = duration.mul_f64(0.75).min(Duration::from_secs(240));
    OtherClient {
        requests: lists_a_minute(duration),
        first,
        every: Duration::from_secs(480),
    }
}

/// A company whose list stays within one page: a list of several is of several instants, and no single truth is its.
fn scenario(other_tool: OtherClient, lists_a_minute: u32) -> Scenario {
    Scenario {
        calls_per_minute: 40.0,
        other_client: Some(other_tool),
        limits: Limits {
            heavy: Limit::per_minute(lists_a_minute),
            ..Limits::default()
        },
        token_lifetime: TOKEN_LIFE,
        ..Scenario::normal()
    }
}

fn exporter(simulator: &Simulator, proxy: &Proxy, folder: &TempDir) -> BackgroundProcess {
    let jwt = folder.path().join("jwt");
    std::fs::write(&jwt, simulator.jwt()).unwrap();
    let mut command = command(&["--web.listen-address", "127.0.0.1:0"]);
    command
        .env("RC_SERVER_URL", proxy.url())
        .env("RC_CLIENT_ID", simulator.client_id())
        .env("RC_CLIENT_SECRET", simulator.client_secret())
        .env("RC_JWT_FILE", jwt);
    BackgroundProcess::start(&mut command)
}
