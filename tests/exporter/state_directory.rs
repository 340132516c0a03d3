//! Tests of `--state.directory` with real processes that are stopped, killed and started again.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use ringcentral_exporter::simulator::scenario::Limits;
use ringcentral_exporter::simulator::{
    Fault, JournalEntry, Operation, Scenario, SimResponse, Simulator,
};

use crate::common::clock::ManualClock;
use crate::common::exporter_process::{ExporterProcess, command_for_simulator, output};
use crate::common::scrape_response::ScrapeResponse;
use crate::common::unlimited_requests;
use crate::harness::bind_loopback;

/// A life of the exporter.
struct Life {
    process: ExporterProcess,
    url: String,
}

impl Life {
    async fn start(simulator: &Simulator, directory: &Path) -> Self {
        let flag = format!("--state.directory={}", directory.display());
        let flags = ["--web.listen-address=127.0.0.1:0", &flag];
        let mut process = ExporterProcess::start(command_for_simulator(simulator, &flags));
        let url = process.wait_for_url().await;
        Self { process, url }
    }

    async fn scrape(&self) -> ScrapeResponse {
        ScrapeResponse::get(
            &crate::common::http(),
            &format!("{}/metrics", self.url),
            &[],
        )
        .await
    }

    async fn end(mut self, signal: &str) -> String {
        self.process.signal(signal).await;
        self.process.wait_for_exit().await;
        self.process.log
    }
}

async fn start_simulator(scenario: Scenario) -> Simulator {
    Simulator::start(bind_loopback().await, scenario, 1).unwrap()
}

fn requests(simulator: &Simulator, operation: Operation) -> usize {
    let journal = simulator.journal().into_iter();
    journal
        .filter(|entry| entry.operation == Some(operation))
        .count()
}

fn refused(simulator: &Simulator) -> Vec<JournalEntry> {
    let journal = simulator.journal().into_iter();
    journal.filter(|entry| entry.status == Some(429)).collect()
}

#[tokio::test]
async fn killed_exporters_send_nothing_inside_a_penalty() {
    let directory = tempfile::tempdir().unwrap();
    let simulator = start_simulator(Scenario::normal()).await;
    let refusal = SimResponse::too_many_requests(Some(600)).with("X-Rate-Limit-Group", "heavy");
    simulator.inject(Fault::once(Operation::ActiveCalls, refusal));
    for life in 0..4 {
        let exporter = Life::start(&simulator, directory.path()).await;
        let scraped = exporter.scrape().await;
        assert_eq!(scraped.up(), 0.0, "life {life}");
        let series = "ringcentral_api_blocked_until_timestamp_seconds{account=\"default\",operation=\"active_calls\"}";
        let left = scraped.value(series) - jiff::Timestamp::now().as_second() as f64;
        assert!((300.0..=601.0).contains(&left), "life {life}: {left}");
        assert!(
            scraped.value("ringcentral_next_fetch_timestamp_seconds{account=\"default\"}") > 0.0
        );
        exporter.end("KILL").await;
    }
    assert_eq!(requests(&simulator, Operation::ActiveCalls), 1);
    assert_eq!(requests(&simulator, Operation::Token), 1);
}

#[tokio::test]
async fn frequent_restarts_cause_no_429_of_the_login() {
    let directory = tempfile::tempdir().unwrap();
    let simulator = start_simulator(Scenario::normal()).await;
    let mut up = 0.0;
    for _ in 0..7 {
        let exporter = Life::start(&simulator, directory.path()).await;
        let first = exporter.scrape().await.up();
        exporter.scrape().await;
        let log = exporter.end("TERM").await;
        let delays = log.matches("the rate limit delays the first fetch").count();
        assert_eq!(delays, usize::from(first == 0.0), "{log}");
        up += first;
    }
    assert_eq!(refused(&simulator), []);
    assert!((2.0..7.0).contains(&up), "{up}");
}

#[tokio::test]
async fn kills_after_long_fetches_cause_no_429() {
    let directory = tempfile::tempdir().unwrap();
    let scenario = Scenario {
        max_per_page: 20,
        calls_per_minute: 40.0,
        extensions: 200,
        limits: Limits {
            auth: unlimited_requests().heavy,
            ..Limits::default()
        },
        ..Scenario::normal()
    };
    let simulator = start_simulator(scenario).await;
    for _ in 0..5 {
        let exporter = Life::start(&simulator, directory.path()).await;
        exporter.scrape().await;
        exporter.end("KILL").await;
    }
    let pages = requests(&simulator, Operation::ActiveCalls);
    assert!((5..=8).contains(&pages), "{pages}");
    assert_eq!(refused(&simulator), []);
}

/// Returns the ids of the ended calls in the list at an instant.
fn ended(simulator: &Simulator, unix_ms: i64) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for record in simulator.listed_at(unix_ms) {
        if record.result != "In Progress" && record.kind != "Fax" {
            ids.insert(record.id);
        }
    }
    ids
}

/// Returns the sum of a counter over its labels.
fn total(scraped: &ScrapeResponse, family: &str) -> f64 {
    let mut total = 0.0;
    for line in scraped.text.lines() {
        if line.starts_with(family) {
            total += line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap();
        }
    }
    total
}

/// All counters are 0 in the first exposition, so the first list after a restart counts with the
/// second.
#[tokio::test]
async fn calls_that_end_during_a_restart_are_counted_once() {
    let directory = tempfile::tempdir().unwrap();
    let clock = ManualClock::new();
    let simulator = start_simulator(clock.attach_to(Scenario {
        limits: Limits {
            auth: unlimited_requests().heavy,
            ..unlimited_requests()
        },
        ..Scenario::normal()
    }))
    .await;
    let mut counted = 0.0;
    let mut sessions = 0.0;
    let mut listed = Vec::new();
    for signal in ["TERM", "TERM", "KILL", "TERM"] {
        let exporter = Life::start(&simulator, directory.path()).await;
        let first = exporter.scrape().await;
        assert_eq!(total(&first, "ringcentral_calls_ended_total{"), 0.0);
        let scraped = exporter.scrape().await;
        assert_eq!(scraped.up(), 1.0);
        counted += total(&scraped, "ringcentral_calls_ended_total{");
        sessions += total(&scraped, "ringcentral_call_sessions_started_total{");
        listed.push(ended(&simulator, simulator.now()));
        let log = exporter.end(signal).await;
        assert!(!log.contains("state directory"), "{log}");
        clock.advance(Duration::from_secs(60));
    }
    // The fourth life follows a kill, so its first list is a baseline.
    let known: BTreeSet<_> = listed[1].union(&listed[2]).collect();
    let expected = known.iter().filter(|id| !listed[0].contains(**id)).count();
    assert!(expected > 10, "{expected}");
    assert_eq!(counted, expected as f64);
    assert!(sessions > 0.0);
}

#[tokio::test]
async fn state_has_no_secret_no_call_and_mode_0600() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let simulator = start_simulator(Scenario::normal()).await;
    let exporter = Life::start(&simulator, directory.path()).await;
    assert_eq!(exporter.scrape().await.up(), 1.0);
    exporter.end("TERM").await;
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        names.insert(name.split('-').next().unwrap().to_owned());
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
        let text = name + &std::fs::read_to_string(&path).unwrap();
        for private in [
            &simulator.jwt(),
            &simulator.client_secret(),
            &simulator.client_id(),
            &simulator.owner_id().to_string(),
            &simulator.account_id().to_string(),
        ] {
            assert!(!text.contains(private.as_str()), "{private} in {text}");
        }
        for record in simulator.listed_at(simulator.now()) {
            let id = record.id;
            assert!(!text.contains(&id), "{id} in {text}");
        }
    }
    let expected = ["calls", "limits", "lock", "login"].map(str::to_owned);
    assert_eq!(names, BTreeSet::from(expected));
}

#[tokio::test]
async fn damaged_state_is_ignored_with_one_warning() {
    let directory = tempfile::tempdir().unwrap();
    let simulator = start_simulator(Scenario::normal()).await;
    let exporter = Life::start(&simulator, directory.path()).await;
    exporter.scrape().await;
    exporter.end("TERM").await;
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        std::fs::write(entry.unwrap().path(), "{\"version\":1,\"state\":{").unwrap();
    }
    let exporter = Life::start(&simulator, directory.path()).await;
    assert_eq!(exporter.scrape().await.up(), 1.0);
    let log = exporter.end("TERM").await;
    let warnings = log.matches("level=warn").count();
    assert_eq!(warnings, 1, "{log}");
    assert!(
        log.contains("is ignored") && log.contains("--state.directory"),
        "{log}"
    );
}

#[tokio::test]
async fn check_inside_a_penalty_says_how_long_to_wait() {
    let directory = tempfile::tempdir().unwrap();
    let simulator = start_simulator(Scenario::normal()).await;
    let refusal = SimResponse::too_many_requests(Some(600));
    simulator.inject(Fault::once(Operation::ActiveCalls, refusal));
    let exporter = Life::start(&simulator, directory.path()).await;
    assert_eq!(exporter.scrape().await.up(), 0.0);
    let before = simulator.journal().len();
    let flag = format!("--state.directory={}", directory.path().display());
    let (code, report, _) = output(command_for_simulator(&simulator, &["check", &flag])).await;
    assert_eq!(code, Some(1), "{report}");
    assert!(report.contains("FAILED: rate_limited: "), "{report}");
    assert!(report.contains("requests are blocked until "), "{report}");
    assert_eq!(simulator.journal().len(), before, "{report}");
    exporter.end("TERM").await;
}

#[tokio::test]
async fn check_leaves_the_saved_calls_to_the_exporter() {
    let directory = tempfile::tempdir().unwrap();
    let simulator = start_simulator(Scenario {
        limits: Limits {
            auth: unlimited_requests().heavy,
            ..unlimited_requests()
        },
        ..Scenario::normal()
    })
    .await;
    let exporter = Life::start(&simulator, directory.path()).await;
    assert_eq!(exporter.scrape().await.up(), 1.0);
    exporter.end("TERM").await;
    let flag = format!("--state.directory={}", directory.path().display());
    let (code, report, _) = output(command_for_simulator(&simulator, &["check", &flag])).await;
    assert_eq!(code, Some(0), "{report}");
    let files = std::fs::read_dir(directory.path()).unwrap();
    let names = files.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(names.into_iter().any(|name| name.starts_with("calls-")));
}

#[tokio::test]
async fn unusable_state_directory_exits_2() {
    let simulator = start_simulator(Scenario::normal()).await;
    for path in ["/dev/null", "/nowhere/state", "/proc"] {
        let flag = format!("--state.directory={path}");
        let (code, _, error) = output(command_for_simulator(&simulator, &[&flag])).await;
        assert_eq!(code, Some(2), "{error}");
        let begin = format!("ringcentral-exporter: --state.directory (STATE_DIRECTORY): {path}: ");
        assert!(
            error.starts_with(&begin) && error.lines().count() == 1,
            "{error}"
        );
    }
}
