//! Check of the scrapes: each is answered, each shows one list of the simulator or no calls, and
//! ended calls are counted exactly where the exporter reports no coverage gap.
//!
//! The expected values come from the simulated company, by the rules of `common::oracle`. The
//! journal of the API shows which list a snapshot can have.

use std::collections::BTreeMap;
use std::time::Duration;

use ringcentral_exporter::simulator::{JournalEntry, Operation, Simulator};

use crate::common::MAX_WAIT;
use crate::common::oracle::{self, CALL_FAMILIES};
use crate::event_log::EventLog;
use crate::harness::SCRAPE_INTERVAL;
use crate::scrapes::Scrape;

type Samples = BTreeMap<String, f64>;

const ACCOUNT: &str = "default";
/// `--scrape.max-age`.
const MAX_AGE_MS: i64 = 120_000;
/// Maximum duration of a fetch: a login and a call list.
const MAX_FETCH_MS: i64 = 40_000;
/// Difference between two readings of the same clock.
const CLOCK_TOLERANCE_MS: i64 = 2;
/// Time after the end of the faults and penalties until the exporter must have recovered: a request
/// that hangs, and a rate limit window that the other client has used up.
const RECOVERY_MS: i64 = 90_000;
/// Time after the other client has used the limit during which failures are allowed.
const OTHER_CLIENT_EFFECT: Duration = Duration::from_secs(150);

/// The state of the check and the figures for the report.
#[derive(Default)]
pub struct MetricsCheck {
    pub scrapes: u64,
    pub slowest_ms: i64,
    /// Scrapes with calls.
    pub with_calls: u64,
    /// Scrapes without calls because the snapshot was too old.
    pub without_calls: u64,
    /// Scrapes with `ringcentral_up` 0.
    pub down: u64,
    /// Scrapes at which the exporter had to have recovered.
    pub recovery_checks: u64,
    pub snapshots: u64,
    pub max_age_ms: i64,
    pub calls_counted: f64,
    pub calls_expected: f64,
    pub calls_outside_gaps: f64,
    pub gaps: f64,
    pub lost: f64,
    /// The longest period without a coverage gap.
    pub longest_exact_ms: i64,
    /// Start of the current period without a coverage gap.
    exact_since: i64,
    /// Time of the latest scrape of each server.
    last_scrape: BTreeMap<usize, i64>,
    /// Snapshots by their timestamp.
    known: BTreeMap<i64, KnownSnapshot>,
}

/// A snapshot that was found to equal a list.
#[derive(Clone)]
struct KnownSnapshot {
    listed_at: i64,
    calls: Samples,
    counters: Samples,
    gaps: f64,
}

/// The sources of the expected values.
pub struct Sources<'a> {
    pub simulator: &'a Simulator,
    pub journal: &'a [JournalEntry],
    pub events: &'a EventLog,
}

impl MetricsCheck {
    /// Checks a scrape and returns the violations.
    pub async fn check(&mut self, scrape: &Scrape, sources: &Sources<'_>) -> Vec<String> {
        let mut violations = Vec::new();
        self.scrapes += 1;
        violations.extend(self.check_response(scrape));
        violations.extend(self.check_recovery(scrape, sources.events));
        let has_calls = scrape.family(CALL_FAMILIES[2]).next().is_some();
        let snapshot_ms = scrape
            .value("ringcentral_snapshot_timestamp_seconds")
            .map(|seconds| (seconds * 1000.0).round() as i64);
        match (snapshot_ms, has_calls) {
            (Some(snapshot_ms), true) => {
                violations.extend(self.check_calls(scrape, snapshot_ms, sources).await);
            }
            (None, true) => violations.push("calls without a snapshot timestamp".to_owned()),
            (snapshot_ms, false) => violations.extend(self.check_absence(scrape, snapshot_ms)),
        }
        violations
            .into_iter()
            .map(|violation| format!("server {} at {}: {violation}", scrape.server, scrape.at_ms))
            .collect()
    }

    /// Checks that the scrape succeeded within the timeout. On a busy machine Prometheus can skip one.
    fn check_response(&mut self, scrape: &Scrape) -> Option<String> {
        let took = scrape.answered_ms() - scrape.at_ms;
        self.slowest_ms = self.slowest_ms.max(took);
        let interval = SCRAPE_INTERVAL.as_millis() as i64;
        if let Some(previous) = self.last_scrape.insert(scrape.server, scrape.at_ms) {
            let gap = scrape.at_ms - previous;
            if gap > interval + MAX_WAIT.as_millis() as i64 {
                return Some(format!("{gap} ms after the previous scrape"));
            }
        }
        let up = scrape.value("up");
        if up == Some(1.0) && took <= interval {
            return None;
        }
        Some(format!("no response: up {up:?} after {took} ms"))
    }

    /// Checks that the exporter has recovered, if nothing has disturbed it for long enough.
    fn check_recovery(&mut self, scrape: &Scrape, events: &EventLog) -> Option<String> {
        let up = scrape.value("ringcentral_up")?;
        self.down += u64::from(up == 0.0);
        let (phase_start, phase) = events.phase_at(scrape.at_ms)?;
        let mut disturbed_until = phase_start;
        for (_, until) in scrape.family("ringcentral_api_blocked_until_timestamp_seconds") {
            disturbed_until = disturbed_until.max((until * 1000.0) as i64);
        }
        if !phase.is_normal()
            || scrape.at_ms < disturbed_until + RECOVERY_MS
            || events.other_client_active(scrape.at_ms, OTHER_CLIENT_EFFECT)
        {
            return None;
        }
        self.recovery_checks += 1;
        if up == 1.0 {
            return None;
        }
        let without_faults = scrape.at_ms - phase_start;
        Some(format!(
            "not recovered after {without_faults} ms without faults"
        ))
    }

    /// Checks that calls are absent only if the snapshot is too old.
    fn check_absence(&mut self, scrape: &Scrape, snapshot_ms: Option<i64>) -> Option<String> {
        self.without_calls += 1;
        let age = scrape.answered_ms() - snapshot_ms?;
        let is_up = scrape.value("ringcentral_up") == Some(1.0);
        if !is_up && age >= MAX_AGE_MS {
            return None;
        }
        Some(format!("calls are absent with a snapshot of {age} ms"))
    }

    /// Checks that the snapshot is not too old and that its calls are correct.
    async fn check_calls(
        &mut self,
        scrape: &Scrape,
        snapshot_ms: i64,
        sources: &Sources<'_>,
    ) -> Option<String> {
        self.with_calls += 1;
        let age = scrape.at_ms - snapshot_ms;
        self.max_age_ms = self.max_age_ms.max(age);
        if age > MAX_AGE_MS + CLOCK_TOLERANCE_MS {
            return Some(format!("snapshot is {age} ms old"));
        }
        let mut calls = Samples::new();
        for family in CALL_FAMILIES {
            calls.extend(scrape.family(family).map(to_owned_sample));
        }
        let Some(known) = self.known.get(&snapshot_ms) else {
            return self
                .check_new_snapshot(scrape, snapshot_ms, calls, sources)
                .await;
        };
        if known.calls == calls {
            return None;
        }
        Some(format!("snapshot {snapshot_ms} has changed"))
    }

    /// Checks that a new snapshot equals a list that the API sent during its fetch.
    async fn check_new_snapshot(
        &mut self,
        scrape: &Scrape,
        snapshot_ms: i64,
        calls: Samples,
        sources: &Sources<'_>,
    ) -> Option<String> {
        let numbers = oracle::extension_numbers(sources.simulator);
        let from = snapshot_ms - CLOCK_TOLERANCE_MS;
        let until = scrape.answered_ms().min(snapshot_ms + MAX_FETCH_MS);
        let mut last = None;
        for listed_at in list_times_between(sources.journal, from, until) {
            let listed = oracle::fetch_listed(&sources.simulator.url(), listed_at).await;
            let expected = oracle::samples_for(ACCOUNT, &listed, &numbers);
            if expected == calls {
                let snapshot = KnownSnapshot::new(listed_at, calls, scrape);
                return self.check_counters(scrape, snapshot_ms, snapshot, sources);
            }
            last = Some((listed_at, expected));
        }
        let difference = last.map(|(at, expected)| (at, differences(&expected, &calls)));
        Some(format!(
            "snapshot {snapshot_ms} equals no list: {difference:?}"
        ))
    }

    /// Checks that as many calls were counted since the previous snapshot as ended, or at most as
    /// many after a coverage gap.
    fn check_counters(
        &mut self,
        scrape: &Scrape,
        snapshot_ms: i64,
        new: KnownSnapshot,
        sources: &Sources<'_>,
    ) -> Option<String> {
        self.snapshots += 1;
        self.lost = scrape.value("ringcentral_calls_lost_total").unwrap_or(0.0);
        let previous = self.known.range(..snapshot_ms).next_back();
        let previous = previous.map(|(_, snapshot)| snapshot.clone());
        self.known.insert(snapshot_ms, new.clone());
        let Some(previous) = previous else {
            self.exact_since = new.listed_at;
            if new.counters.values().any(|count| *count > 0.0) {
                return Some("calls of the first list were counted".to_owned());
            }
            return None;
        };
        let (from, until) = (previous.listed_at, new.listed_at);
        let ended = sources.simulator.switchboard().ended_between(from, until);
        let expected = oracle::ended_counters(ACCOUNT, &ended);
        let counted = increase(&new.counters, &previous.counters);
        self.record_counts(&previous, &new, total(&counted), total(&expected));
        let has_gap = new.gaps > previous.gaps;
        let is_valid = if has_gap {
            is_at_most(&counted, &expected)
        } else {
            counted == expected
        };
        if is_valid {
            return None;
        }
        Some(format!(
            "counts differ between {from} and {until}, gap {has_gap}: {:?}",
            differences(&expected, &counted)
        ))
    }

    fn record_counts(
        &mut self,
        previous: &KnownSnapshot,
        new: &KnownSnapshot,
        counted: f64,
        expected: f64,
    ) {
        self.calls_counted += counted;
        self.calls_expected += expected;
        self.gaps = new.gaps;
        if new.gaps > previous.gaps {
            self.exact_since = new.listed_at;
        } else {
            self.calls_outside_gaps += counted;
        }
        self.longest_exact_ms = self.longest_exact_ms.max(new.listed_at - self.exact_since);
    }
}

impl KnownSnapshot {
    fn new(listed_at: i64, calls: Samples, scrape: &Scrape) -> Self {
        let counters = scrape
            .family("ringcentral_calls_ended_total")
            .filter(|(_, count)| *count > 0.0)
            .map(to_owned_sample)
            .collect();
        let gaps = scrape
            .value("ringcentral_coverage_gaps_total")
            .unwrap_or(0.0);
        Self {
            listed_at,
            calls,
            counters,
            gaps,
        }
    }
}

fn to_owned_sample((series, value): (&String, f64)) -> (String, f64) {
    (series.clone(), value)
}

/// Returns the times of the lists that the API sent in this period.
fn list_times_between(journal: &[JournalEntry], from: i64, until: i64) -> Vec<i64> {
    journal
        .iter()
        .filter(|entry| entry.operation == Some(Operation::ActiveCalls))
        .filter_map(|entry| entry.listed_at_ms)
        .filter(|at| (from..=until).contains(at))
        .collect()
}

/// Returns the counters that have increased, with the difference.
fn increase(later: &Samples, earlier: &Samples) -> Samples {
    let mut increase = later.clone();
    for (name, count) in &mut increase {
        *count -= earlier.get(name).unwrap_or(&0.0);
    }
    increase.retain(|_, count| *count != 0.0);
    increase
}

fn total(samples: &Samples) -> f64 {
    samples.values().sum()
}

fn is_at_most(counted: &Samples, expected: &Samples) -> bool {
    counted
        .iter()
        .all(|(name, count)| *count >= 0.0 && *count <= *expected.get(name).unwrap_or(&0.0))
}

/// Returns the expected and the actual value of each series in which the two differ.
fn differences(
    expected: &Samples,
    actual: &Samples,
) -> BTreeMap<String, (Option<f64>, Option<f64>)> {
    let mut differences = BTreeMap::new();
    for name in expected.keys().chain(actual.keys()) {
        let values = (expected.get(name).copied(), actual.get(name).copied());
        if values.0 != values.1 {
            differences.insert(name.clone(), values);
        }
    }
    differences
}

/// Tests of the check: scrapes with one error each.
#[cfg(test)]
mod tests {
    use ringcentral_exporter::simulator::Scenario;
    use ringcentral_exporter::simulator::limiter::OtherClient;
    use tokio::net::TcpListener;

    use super::*;
    use crate::common::clock::ManualClock;

    /// Checks two correct scrapes, one minute apart, the second after a change. Returns the
    /// violations of the second.
    async fn violations(change: impl FnOnce(&mut Scrape)) -> Vec<String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let clock = ManualClock::new();
        let simulator = Simulator::start(listener, clock.attach_to(Scenario::normal()), 1).unwrap();
        let hours = Duration::from_secs(36_000);
        let events = EventLog::new(
            simulator.now(),
            OtherClient {
                requests: 10,
                first: hours,
                every: hours,
            },
        );
        let started = simulator.now();
        let first = correct_scrape(0, &simulator, started).await;
        clock.advance(Duration::from_secs(60));
        let mut second = correct_scrape(1, &simulator, started).await;
        change(&mut second);
        let journal = [started, simulator.now()].map(list_request);
        let sources = Sources {
            simulator: &simulator,
            journal: &journal,
            events: &events,
        };
        let mut check = MetricsCheck::default();
        assert!(check.check(&first, &sources).await.is_empty());
        check.check(&second, &sources).await
    }

    async fn correct_scrape(server: usize, simulator: &Simulator, started: i64) -> Scrape {
        let at_ms = simulator.now();
        let mut samples = oracle::expected_samples(simulator, ACCOUNT).await;
        let ended = simulator.switchboard().ended_between(started, at_ms);
        samples.extend(oracle::ended_counters(ACCOUNT, &ended));
        for (family, value) in [
            ("ringcentral_up", 1.0),
            (
                "ringcentral_snapshot_timestamp_seconds",
                at_ms as f64 / 1000.0,
            ),
        ] {
            samples.insert(format!("{family}{{account=\"{ACCOUNT}\"}}"), value);
        }
        samples.insert("up{}".to_owned(), 1.0);
        samples.insert("scrape_duration_seconds{}".to_owned(), 0.1);
        Scrape {
            server,
            at_ms,
            samples,
        }
    }

    fn list_request(at: i64) -> JournalEntry {
        JournalEntry {
            sequence: 1,
            arrived_ms: at,
            answered_ms: Some(at),
            operation: Some(Operation::ActiveCalls),
            target: String::new(),
            status: Some(200),
            in_penalty: false,
            records: None,
            listed_at_ms: Some(at),
        }
    }

    fn first_value<'a>(scrape: &'a mut Scrape, family: &str) -> &'a mut f64 {
        scrape
            .samples
            .iter_mut()
            .find(|(series, _)| series.split('{').next() == Some(family))
            .unwrap()
            .1
    }

    async fn assert_detected(message: &str, change: impl FnOnce(&mut Scrape)) {
        let violations = violations(change).await;
        assert!(
            violations
                .iter()
                .any(|violation| violation.contains(message)),
            "{violations:?}"
        );
    }

    #[tokio::test]
    async fn correct_scrape_passes() {
        assert_eq!(violations(|_| {}).await, Vec::<String>::new());
    }

    #[tokio::test]
    async fn wrong_number_of_calls_is_detected() {
        assert_detected("equals no list", |scrape| {
            *first_value(scrape, CALL_FAMILIES[0]) += 1.0
        })
        .await;
        assert_detected("equals no list", |scrape| {
            *first_value(scrape, CALL_FAMILIES[2]) -= 1.0
        })
        .await;
        assert_detected("gap false", |scrape| {
            *first_value(scrape, "ringcentral_calls_ended_total") += 1.0
        })
        .await;
        assert_detected("gap false", |scrape| {
            *first_value(scrape, "ringcentral_calls_ended_total") -= 1.0
        })
        .await;
    }

    #[tokio::test]
    async fn outdated_or_absent_calls_are_detected() {
        assert_detected("ms old", |scrape| scrape.at_ms += 121_000).await;
        assert_detected("calls are absent", |scrape| {
            scrape.samples.retain(|series, _| !series.contains("_in_"))
        })
        .await;
    }

    #[tokio::test]
    async fn failed_or_slow_scrape_is_detected() {
        assert_detected("no response", |scrape| *first_value(scrape, "up") = 0.0).await;
        assert_detected("no response", |scrape| {
            *first_value(scrape, "scrape_duration_seconds") = 5.1
        })
        .await;
    }
}
