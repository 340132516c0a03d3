//! Pages of the active-calls list, one history in each input: from bytes to counters and text.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use ringcentral_exporter::account::metrics::Instruments;
use ringcentral_exporter::account::state::Observation;
use ringcentral_exporter::account::state::{FetchReport, Listing};
use ringcentral_exporter::calls::{Call, Direction, Labels, Ledger, News, Snapshot, State};
use ringcentral_exporter::clock::Moment;
use ringcentral_exporter::ringcentral::wire::parse_page;
use serde_json::Value;

use crate::exporter::{METRICS, exposed, noon, readable};
use crate::json;
use crate::private::renamed;
use crate::tally::Tally;

/// Stands between the lists of a history; no JSON has it.
const SEPARATOR: u8 = 0x1e;
const LISTS_MOST: usize = 8;
/// Fields that a record may have once.
const FIELDS: [&str; 14] = [
    "id",
    "uri",
    "sessionId",
    "telephonySessionId",
    "startTime",
    "type",
    "direction",
    "result",
    "duration",
    "durationMs",
    "finished",
    "from",
    "to",
    "extension",
];

/// What comes of a list is counted rightly, and nothing private shows.
pub fn check(data: &[u8]) {
    let bodies: Vec<_> = data
        .split(|byte| *byte == SEPARATOR)
        .take(LISTS_MOST)
        .collect();
    let now = noon();
    told(
        &bodies
            .iter()
            .filter_map(|body| list(body))
            .collect::<Vec<_>>(),
        now,
    )
    .assert();
    let pages: Vec<Value> = bodies
        .iter()
        .filter_map(|body| serde_json::from_slice(body).ok())
        .collect();
    let Some(others) = pages
        .iter()
        .cloned()
        .map(renamed)
        .collect::<Option<Vec<_>>>()
    else {
        return;
    };
    let told = |pages: &[Value]| {
        let lists = pages
            .iter()
            .filter_map(|page| list(page.to_string().as_bytes()));
        self::told(&lists.collect::<Vec<_>>(), now)
    };
    assert_eq!(told(&pages), told(&others), "something private shows");
    assert_eq!(
        told(&pages),
        told(
            &pages
                .iter()
                .cloned()
                .map(with_odd_record)
                .collect::<Vec<_>>()
        ),
        "one for all"
    );
}

/// One more record, which none can read: the others are read one by one then, and no other way than at one go.
fn with_odd_record(mut page: Value) -> Value {
    if let Some(records) = page.get_mut("records").and_then(Value::as_array_mut) {
        records.push(Value::Null);
    }
    page
}

/// What a history amounts to.
#[derive(Debug, PartialEq)]
struct Told {
    text: String,
    listed: usize,
    ended: usize,
}

/// The calls of a page, each id once, the latest of each.
fn list(body: &[u8]) -> Option<Vec<Call>> {
    let page = match parse_page(body, 1) {
        Ok(page) => page,
        Err(why) => {
            crate::assert_closed_words(&why, "a page of calls");
            return None;
        }
    };
    assert_counted(body, page.calls.len(), page.unreadable);
    page.calls.iter().for_each(assert_sound);
    let mut seen = HashSet::new();
    let mut calls: Vec<_> = page
        .calls
        .into_iter()
        .rev()
        .filter(|call| seen.insert(call.id.clone()))
        .collect();
    calls.reverse();
    Some(calls)
}

/// Each record is a call, a fax, or left out for one of the reasons that are documented.
fn assert_counted(body: &[u8], calls: usize, unreadable: usize) {
    let records = json::parts(json::member(body, "records").expect("a list of records"));
    let (readable, odd): (Vec<_>, Vec<_>) = records
        .iter()
        .copied()
        .partition(|record| is_readable(record));
    let faxes = readable.iter().filter(|record| is_fax(record)).count();
    assert_eq!(unreadable, odd.len(), "records that were left out");
    assert_eq!(
        calls,
        readable.len() - faxes,
        "calls of {} records",
        records.len()
    );
}

fn is_readable(record: &[u8]) -> bool {
    let side = |name| json::member(record, name).filter(|side| json::is_object(side));
    json::is_object(record)
        && has_each_once(record, &FIELDS)
        && ["from", "to"]
            .iter()
            .filter_map(|name| side(name))
            .all(|it| has_each_once(it, &["extensionId", "extensionNumber"]))
        && side("extension").is_none_or(|it| has_each_once(it, &["id"]))
}

/// Whether all keys are texts, and none of these stands there twice.
fn has_each_once(object: &[u8], fields: &[&str]) -> bool {
    let keys: Option<Vec<_>> = json::members(object)
        .into_iter()
        .map(|(key, _)| key)
        .collect();
    let once = |keys: Vec<String>| {
        fields
            .iter()
            .all(|field| keys.iter().filter(|key| key == field).count() <= 1)
    };
    keys.is_some_and(once)
}

fn is_fax(record: &[u8]) -> bool {
    let kind =
        json::member(record, "type").and_then(|kind| serde_json::from_slice::<String>(kind).ok());
    kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("fax"))
}

fn assert_sound(call: &Call) {
    assert!(
        !call.id.is_empty() && !call.session.is_empty(),
        "a call without an id"
    );
    assert!(
        call.duration
            .is_none_or(|duration| duration.is_finite() && duration >= 0.0)
    );
    assert_eq!(
        call.result.is_in_progress(),
        call.state == State::Live,
        "only a live record is in progress"
    );
    assert!(call.result.as_str().chars().count() <= 64);
}

fn told(history: &[Vec<Call>], start: Moment) -> Told {
    let mut labels = Labels::new(METRICS.extension_label, METRICS.max_extensions);
    let instruments = Instruments::new("fuzz", true).expect("instruments");
    let (mut ledger, mut tally, mut ended) = (Ledger::default(), Tally::default(), 0);
    let (mut now, mut observation) = (start, Observation::default());
    for calls in history {
        let news = ledger.enter(calls, now);
        tally.assert(calls, &news);
        assert_eq!(
            ledger.enter(calls, now),
            News::default(),
            "what comes again is no news"
        );
        ended += news.ended.len();
        instruments.calls.count(&news, &mut labels);
        observation = listed(calls, &mut labels, now);
        instruments.calls.meet(
            observation
                .latest
                .iter()
                .flat_map(|listing| listing.snapshot.extensions()),
        );
        now = now.after(Duration::from_secs(15));
    }
    let text = exposed(observation, &instruments, &METRICS, now);
    Told {
        text,
        listed: history.last().map_or(0, Vec::len),
        ended,
    }
}

fn listed(calls: &[Call], labels: &mut Labels, now: Moment) -> Observation {
    let snapshot = Snapshot::of(calls, labels);
    assert_adds_up(&snapshot, calls);
    Observation {
        latest: Some(Listing {
            snapshot: Arc::new(snapshot),
            taken: now,
        }),
        fetch: Some(FetchReport {
            failure: None,
            took: Duration::ZERO,
            pages: 1,
        }),
        ..Observation::default()
    }
}

fn assert_adds_up(snapshot: &Snapshot, calls: &[Call]) {
    let live = || calls.iter().filter(|call| call.state == State::Live);
    let (listed, in_progress) = (
        snapshot.records.values().sum::<u64>(),
        snapshot.in_progress.values().sum::<u64>(),
    );
    assert_eq!(
        (listed, in_progress),
        (calls.len() as u64, live().count() as u64)
    );
    let sessions: HashSet<_> = live().map(|call| &call.session).collect();
    assert_eq!(snapshot.sessions_in_progress, sessions.len() as u64);
    let both = [Direction::Inbound, Direction::Outbound];
    assert!(
        both.iter()
            .all(|direction| snapshot.in_progress.contains_key(direction))
    );
    assert!(
        snapshot.extensions_in_call
            <= live().filter(|call| call.extension.is_some()).count() as u64
    );
    assert!(snapshot.folded_extensions.max(snapshot.folded_results) <= listed);
}

impl Told {
    /// The text says it all, and its labels are in bounds.
    fn assert(&self) {
        let exposition = readable(&self.text);
        assert_eq!(
            exposition.sum("ringcentral_active_calls"),
            self.listed as f64
        );
        assert_eq!(
            exposition.sum("ringcentral_calls_ended_total"),
            self.ended as f64
        );
        assert_eq!(
            exposition.sum("ringcentral_extension_calls_ended_total"),
            self.ended as f64
        );
        let values = |wanted| {
            exposition
                .samples
                .iter()
                .filter_map(move |sample| sample.labels.get(wanted))
        };
        assert!(values("extension").all(|value| is_extension(value)));
        assert!(
            values("direction")
                .all(|value| ["Inbound", "Outbound", "Unknown"].contains(&value.as_str()))
        );
        assert!(values("result").all(|value| (1..=64).contains(&value.chars().count())));
        assert!(values("extension").collect::<HashSet<_>>().len() <= METRICS.max_extensions + 2);
        assert!(values("result").collect::<HashSet<_>>().len() <= 45 + 64 + 1);
    }
}

fn is_extension(value: &str) -> bool {
    let digits = (1..=20).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_digit());
    digits || ["none", "other"].contains(&value)
}
