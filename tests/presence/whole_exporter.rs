//! The whole exporter over real sockets against the simulated account, whose clock the test moves: gauges and counters
//! equal the truth.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use ringcentral_exporter::config::PresenceMode;
use ringcentral_exporter::simulator::limiter::Limit;
use ringcentral_exporter::simulator::presence::Presence;
use ringcentral_exporter::simulator::scenario::{EventBody, Limits};
use ringcentral_exporter::simulator::{
    EventEntry, Fault, GatewayFault, Operation, Scenario, SimResponse, Simulator,
};
use tokio::time::sleep;

use crate::common::clock::ManualClock;
use crate::common::notifications::settled_events;
use crate::faults::Observer;
use crate::harness::{ScrapeResponse, TestExporter, bind_loopback};
use crate::recording::changes_telephony;
use crate::verifier::status;

const STEP: Duration = Duration::from_secs(5);

struct Test {
    observer: Observer,
    clock: ManualClock,
    initial: HashMap<u64, Presence>,
}

impl Test {
    /// Starts an exporter whose audits are this far apart, in real time.
    async fn start(only_changed: bool, audit: Duration) -> Self {
        let clock = ManualClock::starting_now();
        let scenario = Scenario {
            extensions: 100,
            calls_per_minute: 30.0,
            token_lifetime: Duration::from_secs(24 * 3_600),
            // The windows do not pass while the clock stands still.
            limits: Limits {
                heavy: Limit::per_minute(10_000),
                auth: Limit::per_minute(100),
                ..Limits::default()
            },
            event_body: EventBody {
                only_changed,
                ids_as_text: only_changed,
            },
            ..Scenario::normal()
        };
        let scenario = clock.attach_to(scenario);
        let simulator = Simulator::start(bind_loopback().await, scenario, 1).unwrap();
        let exporter = TestExporter::start_for_simulator(simulator, |config| {
            config.accounts[0].presence = PresenceMode::Events;
            config.settings.presence.audit = Some(audit);
        })
        .await;
        let mut observer = Observer::new(exporter, "truth");
        observer.wait_until_up().await;
        let now = observer.exporter.simulator.now();
        let initial = truth_at(&observer.exporter.simulator, now);
        Self {
            observer,
            clock,
            initial,
        }
    }

    fn simulator(&self) -> &Simulator {
        &self.observer.exporter.simulator
    }

    /// Moves the clock and waits until everything that is due then has been sent. Returns the journal.
    async fn advance(&self, by: Duration) -> Vec<EventEntry> {
        self.clock.advance(by);
        settled_events(self.simulator()).await
    }

    /// Scrapes once all events that were sent have been received.
    async fn scrape(&mut self) -> (ScrapeResponse, Vec<EventEntry>) {
        loop {
            let events = self.simulator().events();
            let sent: u32 = events.iter().map(|event| event.copies).sum();
            let response = self.observer.scrape().await;
            let received = response.value("ringcentral_events_total{account=\"default\"}");
            assert!(received <= f64::from(sent), "{received} of {sent}");
            if received == f64::from(sent) {
                return (response, events);
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
}

fn truth_at(simulator: &Simulator, at: i64) -> HashMap<u64, Presence> {
    let mut truth = HashMap::new();
    for row in simulator.switchboard().presence_at(at) {
        truth.extend(row.status.map(|status| (row.extension_id, status)));
    }
    truth
}

/// Returns the series of a family that are not 0.
fn non_zero(response: &ScrapeResponse, family: &str) -> BTreeMap<String, f64> {
    let mut samples = response.samples();
    samples.retain(|series, value| *value != 0.0 && series.split('{').next() == Some(family));
    samples
}

/// Returns the expected gauges.
fn gauges(truth: &HashMap<u64, Presence>) -> BTreeMap<String, f64> {
    let mut gauges = BTreeMap::new();
    for presence in truth.values() {
        let status = status(*presence);
        let series = format!(
            "ringcentral_extensions{{account=\"default\",telephony_status=\"{}\",presence_status=\"{}\",dnd_status=\"{}\"}}",
            status.telephony.as_str(),
            status.presence.as_str(),
            status.dnd.as_str()
        );
        *gauges.entry(series).or_default() += 1.0;
    }
    gauges
}

/// Returns the statuses after everything that was sent: of each extension the change with the highest sequence.
fn sent_state(initial: &HashMap<u64, Presence>, events: &[EventEntry]) -> HashMap<u64, Presence> {
    let mut state = initial.clone();
    // In the order of the changes.
    for event in events.iter().filter(|event| event.copies > 0) {
        state.insert(event.change.extension_id, event.change.to);
    }
    state
}

/// Returns the expected counts of changes, and of durations with their sums.
fn counters(events: &[EventEntry]) -> [BTreeMap<String, f64>; 3] {
    let [mut changes, mut counts, mut sums] = [(); 3].map(|()| BTreeMap::new());
    let mut began: HashMap<u64, i64> = HashMap::new();
    for event in events.iter().filter(|event| event.copies > 0) {
        let change = &event.change;
        if !changes_telephony(change) {
            continue;
        }
        let (from, to) = (
            status(change.from).telephony.as_str(),
            status(change.to).telephony.as_str(),
        );
        let series = format!(
            "ringcentral_extension_status_changes_total{{account=\"default\",from=\"{from}\",to=\"{to}\"}}"
        );
        *changes.entry(series).or_default() += 1.0;
        let Some(began) = began.insert(change.extension_id, change.at_ms) else {
            continue;
        };
        if from != "NoCall" {
            let family = "ringcentral_extension_status_duration_seconds";
            let labels = format!("{{account=\"default\",telephony_status=\"{from}\"}}");
            *counts.entry(format!("{family}_count{labels}")).or_default() += 1.0;
            let seconds = (change.at_ms - began) as f64 / 1_000.0;
            *sums.entry(format!("{family}_sum{labels}")).or_default() += seconds;
        }
    }
    [changes, counts, sums]
}

fn assert_counters(response: &ScrapeResponse, events: &[EventEntry]) {
    let [changes, counts, sums] = counters(events);
    let duration = "ringcentral_extension_status_duration_seconds";
    assert_eq!(
        non_zero(response, "ringcentral_extension_status_changes_total"),
        changes
    );
    assert_eq!(non_zero(response, &format!("{duration}_count")), counts);
    let actual = non_zero(response, &format!("{duration}_sum"));
    assert_eq!(actual.len(), sums.len());
    for (series, sum) in sums {
        assert!(
            (actual[&series] - sum).abs() < 0.01,
            "{series}: {} for {sum}",
            actual[&series]
        );
    }
}

async fn assert_reliable_stream_is_exact(only_changed: bool) {
    let mut test = Test::start(only_changed, Duration::from_secs(65)).await;
    let (mut minutes, mut compared) = (0, 0);
    // The number of events in a minute differs between runs.
    while minutes < 40 || compared < 1_000 {
        minutes += 1;
        assert!(minutes < 400, "{compared} events");
        for _ in 0..12 {
            test.advance(STEP).await;
        }
        let (response, events) = test.scrape().await;
        let expected = gauges(&sent_state(&test.initial, &events));
        assert_eq!(non_zero(&response, "ringcentral_extensions"), expected);
        assert_counters(&response, &events);
        compared = events.len();
    }
    // Once the third read has begun, the one before it, an audit, has been compared.
    let reads = "ringcentral_api_requests_total{account=\"default\",operation=\"presence\"}";
    let has_audited = |response: &ScrapeResponse| response.value(reads) >= 3.0;
    let response = test.observer.wait_until("audited", has_audited).await;
    for family in [
        "ringcentral_presence_corrections_total",
        "ringcentral_events_discarded_total",
    ] {
        assert_eq!(non_zero(&response, family), BTreeMap::new());
    }
    test.observer.exporter.stop().await;
}

#[tokio::test]
async fn metrics_of_a_reliable_stream_equal_the_truth() {
    assert_reliable_stream_is_exact(true).await;
}

#[tokio::test]
async fn metrics_with_full_bodies_equal_the_truth() {
    assert_reliable_stream_is_exact(false).await;
}

/// Returns the expected counts of discarded events, by reason, of those due until `now` on one connection.
fn discarded(events: &[EventEntry], now: i64) -> BTreeMap<String, f64> {
    let mut copies = Vec::new();
    for (number, event) in events.iter().enumerate() {
        let due = event.due_ms.iter().flatten().filter(|due| **due <= now);
        copies.extend(due.enumerate().map(|(copy, due)| (*due, number, copy)));
    }
    copies.sort_unstable();
    let mut discarded = BTreeMap::new();
    let mut newest: HashMap<u64, u64> = HashMap::new();
    for (_, number, copy) in copies {
        let event = &events[number];
        let newest = newest.entry(event.change.extension_id).or_default();
        let reason = if copy > 0 {
            "duplicate"
        } else if event.sequence < *newest {
            "late"
        } else {
            *newest = event.sequence;
            continue;
        };
        let series = format!(
            "ringcentral_events_discarded_total{{account=\"default\",reason=\"{reason}\"}}"
        );
        *discarded.entry(series).or_default() += 1.0;
    }
    discarded
}

/// Returns the number of extensions whose status is not the one that the notifications reported.
fn count_wrong(known: &HashMap<u64, Presence>, truth: &HashMap<u64, Presence>) -> usize {
    let is_wrong = |(id, presence): &(&u64, &Presence)| status(known[*id]) != status(**presence);
    truth.iter().filter(is_wrong).count()
}

/// Lost, repeated and late events until an audit, whose corrections are what is wrong then; after that a gap.
#[tokio::test]
async fn audit_corrects_what_was_lost_and_a_gap_hides_it() {
    // So long that the first audit comes after all events.
    let mut test = Test::start(false, Duration::from_secs(120)).await;
    let unreliable = GatewayFault::Unreliable {
        lost: 0.1,
        duplicated: 0.1,
        late: 0.1,
    };
    test.simulator()
        .inject(Fault::always(Operation::Notification, unreliable));
    let mut steps = 0;
    // How many events there are, and which of them an audit corrects, differs between runs.
    loop {
        let events = test.advance(STEP).await;
        steps += 1;
        if steps < 200 {
            continue;
        }
        let now = test.simulator().now();
        let known = sent_state(&test.initial, &events);
        let wrong = count_wrong(&known, &truth_at(test.simulator(), now));
        if discarded(&events, now).len() == 2 && wrong > 0 {
            break;
        }
        assert!(steps < 2_000, "{wrong} are wrong");
    }
    let (before, events) = test.scrape().await;
    // From here on the clock stands still.
    let known = sent_state(&test.initial, &events);
    assert_eq!(non_zero(&before, "ringcentral_extensions"), gauges(&known));
    let now = test.simulator().now();
    let truth = truth_at(test.simulator(), now);
    let wrong = count_wrong(&known, &truth);
    let corrections = "ringcentral_presence_corrections_total{account=\"default\"}";
    assert_eq!(before.value(corrections), 0.0);
    // All of them: a scrape may come while they are counted.
    let audited = |response: &ScrapeResponse| response.value(corrections) >= wrong as f64;
    let after = test.observer.wait_until("audited", audited).await;
    assert_eq!(after.value(corrections), wrong as f64);
    assert_eq!(non_zero(&after, "ringcentral_extensions"), gauges(&truth));
    assert_eq!(
        non_zero(&after, "ringcentral_events_discarded_total"),
        discarded(&events, now)
    );
    // What is seen before the gap ends after it.
    let changes = "ringcentral_extension_status_duration_seconds_count";
    test.simulator().clear_faults();
    // There is no new connection before the clock is moved.
    test.simulator().inject(Fault::always(
        Operation::EventToken,
        SimResponse::unavailable(503),
    ));
    test.simulator().inject(Fault::once(
        Operation::EventStream,
        GatewayFault::Disconnect,
    ));
    let is_lost = |response: &ScrapeResponse| response.extensions().is_none();
    let during = test.observer.wait_until("lost", is_lost).await;
    test.clock.advance(Duration::from_secs(600));
    test.simulator().clear_faults();
    let after = test.observer.wait_until_up().await;
    let truth = truth_at(test.simulator(), test.simulator().now());
    assert_eq!(non_zero(&after, "ringcentral_extensions"), gauges(&truth));
    assert_eq!(
        after.value(corrections),
        wrong as f64,
        "a read after a gap is no audit"
    );
    assert_eq!(non_zero(&after, changes), non_zero(&during, changes));
    test.observer.exporter.stop().await;
}
