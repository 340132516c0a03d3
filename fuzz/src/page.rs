//! Pages of the active-calls list: from bytes to counters and exposition. An input has up to eight
//! lists of one page, each with the number of records that would be before it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use ringcentral_exporter::account::state::{AccountState, FetchReport, TimedSnapshot};
use ringcentral_exporter::calls::{
    Call, CallEvents, CallState, CallTracker, Direction, LabelLimiter, Snapshot,
};
use ringcentral_exporter::clock::Moment;
use ringcentral_exporter::ringcentral::wire::{CallPage, parse_page, parse_page_after};
use serde_json::Value;

use crate::anonymize::anonymize;
use crate::created_times::CreatedTimes;
use crate::fixtures::{METRICS, counters, fixed_moment, parse_exposition, render_account};
use crate::json;
use crate::oracle::{TrackerOracle, count_live_sessions};

/// Separates the lists of an input. It is a control character that JSON does not allow.
const SEPARATOR: u8 = 0x1e;
const MAX_LISTS: usize = 8;
/// The maximum number of records of a page.
const MAX_RECORDS: usize = 10_000;
/// The maximum length of a text, in bytes.
const MAX_TEXT_LEN: usize = 8 * 1024;
/// The maximum length of an id, in bytes.
const MAX_ID_LEN: usize = 64;
const LIST_INTERVAL: Duration = Duration::from_secs(15);
/// RingCentral's documented results, further results up to their limit, and `other`.
const MAX_RESULTS: usize = 45 + 64 + 1;

/// The exposition after a sequence of lists, and what it must contain.
#[derive(Debug, PartialEq)]
struct Exposed {
    text: String,
    /// Number of calls in the last list.
    listed: usize,
    /// Number of calls that ended after the first list.
    ended: usize,
}

/// Checks that each list is counted correctly, that no private value is shown, and that records do
/// not affect each other.
pub fn check(data: &[u8]) {
    let lists = data.split(|byte| *byte == SEPARATOR).take(MAX_LISTS);
    let mut bodies = Vec::new();
    for list in lists {
        let (earlier_records, body) = crate::split_earlier_records(list);
        assert_list_limited(body, earlier_records);
        bodies.push(body);
    }
    let now = fixed_moment();
    expose(&bodies, now).assert_complete();
    for body in &bodies {
        assert_bytes_cost_only_their_field(body);
        assert_long_text_unreadable(body);
    }
    let mut pages = Vec::new();
    let mut anonymized = Vec::new();
    let mut extended = Vec::new();
    for body in bodies {
        let Ok(page) = serde_json::from_slice::<Value>(body) else {
            continue;
        };
        let Some(anonymous) = anonymize(page.clone()) else {
            return;
        };
        pages.push(page.to_string());
        anonymized.push(anonymous.to_string());
        extended.push(with_null_record(page).to_string());
    }
    let exposed = expose(&pages, now);
    assert_eq!(exposed, expose(&anonymized, now), "a private value matters");
    assert_eq!(exposed, expose(&extended, now), "an invalid record matters");
}

/// Asserts that bytes that are not UTF-8 cost only the field whose value they are, and that a mark before the page
/// changes nothing.
fn assert_bytes_cost_only_their_field(body: &[u8]) {
    let Ok(page) = parse_page(body, 1) else {
        return;
    };
    let marked = [b"\xef\xbb\xbf", body].concat();
    let marked = parse_page(&marked, 1);
    assert!(
        marked.is_err() || marked.as_ref() == Ok(&page),
        "the mark matters"
    );
    let Ok(text) = str::from_utf8(body) else {
        return;
    };
    for name in ["\"name\":\"", "\"phoneNumber\":\""] {
        if let Some((before, after)) = text.split_once(name)
            && before.matches('"').count() % 2 == 0
            && !before.contains('\\')
        {
            let broken = [before, name, after].map(str::as_bytes);
            let broken = [broken[0], broken[1], b"\xff\0", broken[2]].concat();
            assert_eq!(
                parse_page(&broken, 1).as_ref(),
                Ok(&page),
                "a byte of a name matters"
            );
        }
    }
}

/// Asserts that a page is read whole up to the maximum of the list, and is an error beyond it.
fn assert_list_limited(body: &[u8], earlier_records: usize) {
    let Ok(page) = parse_page(body, 1) else {
        return;
    };
    let is_short = earlier_records + page.records() <= crate::MAX_LIST_RECORDS;
    match parse_page_after(body, 1, earlier_records) {
        Ok(read) => assert!(page.records() == 0 || is_short && read == page),
        Err(_) => assert!(!is_short, "a list below the maximum is an error"),
    }
}

/// Asserts that a text of more than 8 KiB counts as one that is not text, also if it is mostly white space.
fn assert_long_text_unreadable(body: &[u8]) {
    let Ok(text) = str::from_utf8(body) else {
        return;
    };
    for name in ["\"result\":\"", "\"direction\":\"", "\"startTime\":\""] {
        if let Some((before, after)) = text.split_once(name)
            && before.matches('"').count() % 2 == 0
            && !before.contains('\\')
        {
            let with = |value: &[u8]| {
                let body = [before.as_bytes(), name.as_bytes(), value, after.as_bytes()];
                parse_page(&body.concat(), 1).ok()
            };
            let long = with(&[b' '; MAX_TEXT_LEN + 1]);
            assert_eq!(long, with(b"\xff"), "a text of more than 8 KiB is read");
        }
    }
}

/// Appends a record that is not an object.
fn with_null_record(mut page: Value) -> Value {
    if let Some(records) = page.get_mut("records").and_then(Value::as_array_mut) {
        records.push(Value::Null);
    }
    page
}

/// Parses and tracks the lists, without those that are invalid, and renders the exposition after
/// the last one.
fn expose(bodies: &[impl AsRef<[u8]>], start: Moment) -> Exposed {
    let mut labels = LabelLimiter::new(METRICS.extension_label, METRICS.max_extensions);
    let mut tracker = CallTracker::default();
    let mut oracle = TrackerOracle::default();
    let counters = counters();
    let mut created_times = CreatedTimes::new(start);
    let mut state = AccountState::default();
    let mut now = start;
    let (mut listed, mut ended) = (0, 0);
    for body in bodies {
        let Some(calls) = parse_list(body.as_ref()) else {
            continue;
        };
        let events = tracker.update(&calls, now);
        oracle.check(&calls, &events);
        let repeated = tracker.update(&calls, now);
        assert_eq!(repeated, CallEvents::default(), "events of a repeated list");
        counters.record_events(&events, &mut labels, now);
        let snapshot = Snapshot::from_calls(&calls, &mut labels);
        assert_adds_up(&snapshot, &calls);
        counters.init_extensions(snapshot.extensions(), now);
        if !events.ended.is_empty() {
            created_times.check(&counters, now);
        }
        state = fetched(snapshot, now);
        listed = calls.len();
        ended += events.ended.len();
        now = now.after(LIST_INTERVAL);
    }
    let text = render_account(state, &counters, &METRICS, now);
    Exposed {
        text,
        listed,
        ended,
    }
}

/// Returns the calls of a page, of each id only the last one.
fn parse_list(body: &[u8]) -> Option<Vec<Call>> {
    let page = match parse_page(body, 1) {
        Ok(page) => page,
        Err(error) => {
            let other = ["missing records", "missing address of the next page"];
            crate::assert_known_error(&error, "page of calls", &other);
            return None;
        }
    };
    assert_records_counted(body, &page);
    page.calls.iter().for_each(assert_valid);
    let mut seen = HashSet::new();
    let mut calls = page.calls;
    calls.reverse();
    calls.retain(|call| seen.insert(call.id.clone()));
    calls.reverse();
    Some(calls)
}

/// Asserts that each record is a call, a fax, or skipped for a documented reason.
fn assert_records_counted(body: &[u8], page: &CallPage) {
    let (mut calls, mut skipped) = (0, 0);
    for record in json::items(json::member(body, "records").expect("list of records")) {
        if !is_valid_record(record) {
            skipped += 1;
        } else if !is_fax(record) {
            calls += 1;
        }
    }
    assert!(page.records() <= MAX_RECORDS, "more records than allowed");
    assert_eq!(page.skipped, skipped, "skipped records");
    assert_eq!(page.calls.len(), calls, "calls");
}

fn is_valid_record(record: &[u8]) -> bool {
    json::is_object(record) && !is_repeated(record, "id")
}

/// Returns whether a key occurs more than once.
fn is_repeated(object: &[u8], wanted: &str) -> bool {
    let mut members = json::members(object);
    members.retain(|(key, _)| key.as_deref() == Some(wanted));
    members.len() > 1
}

fn is_fax(record: &[u8]) -> bool {
    let Some(kind) = json::member(record, "type") else {
        return false;
    };
    if is_repeated(record, "type") {
        return false;
    }
    match serde_json::from_slice::<String>(kind) {
        Ok(kind) => kind.trim().eq_ignore_ascii_case("fax"),
        Err(_) => false,
    }
}

fn assert_valid(call: &Call) {
    assert!(!call.id.is_empty(), "a call without an id");
    assert!(call.id.len() <= MAX_ID_LEN, "a long id is kept");
    for id in call.session.telephony.iter().chain(&call.session.session) {
        assert!(!id.is_empty() && id != "0", "{id:?} as a session id");
        assert!(id.len() <= MAX_ID_LEN, "a long session id is kept");
    }
    if let Some(duration) = call.duration {
        assert!(duration.is_finite() && duration >= 0.0, "{duration}");
    }
    assert_eq!(
        call.result.is_in_progress(),
        call.state == CallState::Live,
        "only a live record is in progress"
    );
    assert!(call.result.as_str().chars().count() <= 64);
}

fn fetched(snapshot: Snapshot, now: Moment) -> AccountState {
    AccountState {
        snapshot: Some(TimedSnapshot {
            snapshot: Arc::new(snapshot),
            fetched_at: now,
        }),
        last_fetch: Some(FetchReport {
            failure: None,
            duration: Duration::ZERO,
            pages: 1,
        }),
        ..AccountState::default()
    }
}

fn assert_adds_up(snapshot: &Snapshot, calls: &[Call]) {
    let (mut live, mut with_extension) = (0, 0);
    for call in calls {
        if call.state == CallState::Live {
            live += 1;
            with_extension += u64::from(call.extension.is_some());
        }
    }
    let listed = calls.len() as u64;
    assert_eq!(snapshot.records.values().sum::<u64>(), listed);
    assert_eq!(snapshot.in_progress.values().sum::<u64>(), live);
    assert_eq!(snapshot.sessions_in_progress, count_live_sessions(calls));
    for direction in [Direction::Inbound, Direction::Outbound] {
        assert!(snapshot.in_progress.contains_key(&direction));
    }
    assert!(snapshot.extensions_in_call <= with_extension);
    assert!(snapshot.folded_extensions <= listed && snapshot.folded_results <= listed);
}

impl Exposed {
    /// Asserts that the exposition has all calls, and label values in bounds.
    fn assert_complete(&self) {
        let exposition = parse_exposition(&self.text);
        let listed = exposition.sum("ringcentral_active_calls");
        assert_eq!(listed, self.listed as f64);
        for family in [
            "ringcentral_calls_ended_total",
            "ringcentral_extension_calls_ended_total",
        ] {
            assert_eq!(exposition.sum(family), self.ended as f64, "{family}");
        }
        let extensions = exposition.label_values("extension");
        for value in &extensions {
            assert!(is_extension(value), "{value:?}");
        }
        assert!(extensions.len() <= METRICS.max_extensions + 2);
        for value in exposition.label_values("direction") {
            assert!(["Inbound", "Outbound", "Unknown"].contains(&value));
        }
        let results = exposition.label_values("result");
        for value in &results {
            assert!((1..=64).contains(&value.chars().count()), "{value:?}");
        }
        assert!(results.len() <= MAX_RESULTS);
    }
}

fn is_extension(value: &str) -> bool {
    let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && (1..=20).contains(&value.len())) || ["none", "other"].contains(&value)
}
