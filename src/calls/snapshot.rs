//! A list of calls, counted.
//!
//! Owns: every number that is built from one list. A snapshot is made once for each fetch and shared by all scrapes
//! until the next, so nothing of an earlier list can linger in it. Refuses to know: when it was made, and how the
//! numbers are called.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;

use super::{Call, CallResult, Direction, Extension, State};

/// Which name of an extension the label `extension` shows (`--metrics.extension-label`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtensionLabel {
    /// The number that people dial, else the id.
    Number,
    /// RingCentral's internal id.
    Id,
    /// No label: the counts add up.
    Off,
}

/// The label values of one series of `ringcentral_active_calls`, besides the account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordLabels {
    /// As listed.
    pub direction: Direction,
    /// As listed, in the documented spelling.
    pub result: CallResult,
    /// `None` when the label is off.
    pub extension: Option<String>,
}

/// What one list of calls amounts to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Records listed, live and ended: only what is there.
    pub records: BTreeMap<RecordLabels, u64>,
    /// Live records by direction; `Inbound` and `Outbound` are always there.
    pub in_progress: BTreeMap<Direction, u64>,
    /// Distinct sessions with a live record: how many calls there are.
    pub sessions_in_progress: u64,
    /// Distinct extensions with a live record.
    pub extensions_in_call: u64,
    /// When the longest-running live call began.
    pub oldest_start: Option<Timestamp>,
}

impl Snapshot {
    /// Counts the calls, which are distinct by id.
    #[must_use]
    pub fn of(calls: &[Call], label: ExtensionLabel) -> Self {
        let live = || calls.iter().filter(|call| call.state == State::Live);
        Self {
            records: records(calls, label),
            in_progress: by_direction(live()),
            sessions_in_progress: distinct(live().map(|call| call.session.as_str())),
            extensions_in_call: extensions(calls, live()),
            oldest_start: live().filter_map(|call| call.start).min(),
        }
    }
}

fn records(calls: &[Call], label: ExtensionLabel) -> BTreeMap<RecordLabels, u64> {
    let mut records = BTreeMap::new();
    for call in calls {
        let labels = RecordLabels {
            direction: call.direction,
            result: call.result.clone(),
            extension: extension_label(call, label),
        };
        *records.entry(labels).or_default() += 1;
    }
    records
}

/// An extension that the record knows by number alone has no id to show: with `Id` it reads `none` too.
fn extension_label(call: &Call, label: ExtensionLabel) -> Option<String> {
    let extension = call.extension.as_ref();
    let shown = match label {
        ExtensionLabel::Off => return None,
        ExtensionLabel::Number => extension.map(|extension| extension.number_or_id()),
        ExtensionLabel::Id => extension.and_then(|extension| extension.id.as_deref()),
    };
    Some(shown.unwrap_or("none").to_owned())
}

fn by_direction<'a>(live: impl Iterator<Item = &'a Call>) -> BTreeMap<Direction, u64> {
    let mut counts = BTreeMap::from([(Direction::Inbound, 0), (Direction::Outbound, 0)]);
    for call in live {
        *counts.entry(call.direction).or_default() += 1;
    }
    counts
}

/// Some records name an extension by its id, some by its number alone: those that do both tell who is the same.
fn extensions<'a>(calls: &'a [Call], live: impl Iterator<Item = &'a Call>) -> u64 {
    let named = calls.iter().filter_map(|call| call.extension.as_ref());
    let both = named.filter_map(|extension| Some((extension.number.as_deref()?, extension.id.as_deref()?)));
    let ids: HashMap<_, _> = both.collect();
    let identity = |extension: &'a Extension| match (&extension.id, &extension.number) {
        (Some(id), _) => Some(id.as_str()),
        (None, Some(number)) => Some(*ids.get(number.as_str()).unwrap_or(&number.as_str())),
        (None, None) => None,
    };
    distinct(live.filter_map(|call| call.extension.as_ref()).filter_map(identity))
}

fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> u64 {
    names.collect::<HashSet<_>>().len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(id: &str, session: &str, state: State, number: Option<&str>) -> Call {
        let result = if state == State::Live { CallResult::IN_PROGRESS } else { CallResult::UNKNOWN };
        Call {
            id: id.to_owned(),
            session: session.to_owned(),
            direction: Direction::Inbound,
            state,
            result,
            extension: Extension::new(Some(format!("6226442501{}", number.unwrap_or("6"))), number.map(str::to_owned)),
            start: "2026-11-24T10:00:00Z".parse().ok(),
            duration: None,
        }
    }

    fn series(snapshot: &Snapshot) -> Vec<(String, String, u64)> {
        let shown = |labels: &RecordLabels| labels.extension.clone().unwrap_or_default();
        let entries = snapshot.records.iter();
        entries.map(|(labels, count)| (labels.result.as_str().to_owned(), shown(labels), *count)).collect()
    }

    #[test]
    fn an_empty_list_is_zero_calls_and_no_series() {
        let snapshot = Snapshot::of(&[], ExtensionLabel::Number);
        assert!(snapshot.records.is_empty());
        let zeros = BTreeMap::from([(Direction::Inbound, 0), (Direction::Outbound, 0)]);
        assert_eq!(snapshot.in_progress, zeros);
        assert_eq!((snapshot.sessions_in_progress, snapshot.extensions_in_call), (0, 0));
        assert_eq!(snapshot.oldest_start, None);
    }

    #[test]
    fn two_records_of_one_session_are_one_call() {
        let calls = [call("a", "s-1", State::Live, Some("101")), call("b", "s-1", State::Live, Some("102"))];
        let snapshot = Snapshot::of(&calls, ExtensionLabel::Number);
        assert_eq!(snapshot.in_progress[&Direction::Inbound], 2);
        assert_eq!(snapshot.sessions_in_progress, 1);
        assert_eq!(snapshot.extensions_in_call, 2);
    }

    #[test]
    fn an_extension_is_one_whether_a_record_names_its_id_or_its_number_or_both() {
        let named = |id: &str, extension| Call { extension, ..call(id, id, State::Live, None) };
        let text = |text: &str| Some(text.to_owned());
        let calls = [
            named("a", Extension::new(text("5"), text("101"))),
            named("b", Extension::new(text("5"), None)),
            named("c", Extension::new(None, text("101"))),
            named("d", Extension::new(None, text("102"))),
            named("e", None),
        ];
        assert_eq!(Snapshot::of(&calls, ExtensionLabel::Number).extensions_in_call, 2);
    }

    #[test]
    fn ended_and_unknown_records_are_listed_but_not_live() {
        let calls = [call("a", "s-1", State::Ended, None), call("b", "s-2", State::Unknown, None)];
        let snapshot = Snapshot::of(&calls, ExtensionLabel::Number);
        assert_eq!(series(&snapshot), [("Unknown".to_owned(), "62264425016".to_owned(), 2)]);
        assert_eq!(snapshot.sessions_in_progress, 0);
        assert_eq!(snapshot.oldest_start, None);
    }

    #[test]
    fn without_the_label_the_counts_add_up() {
        let calls = [call("a", "s-1", State::Live, Some("101")), call("b", "s-2", State::Live, Some("102"))];
        let off = Snapshot::of(&calls, ExtensionLabel::Off);
        assert_eq!(series(&off), [("In Progress".to_owned(), String::new(), 2)]);
        let id = Snapshot::of(&calls, ExtensionLabel::Id);
        assert_eq!(series(&id).len(), 2);
        assert_eq!(series(&id)[0], ("In Progress".to_owned(), "6226442501101".to_owned(), 1));
        assert_eq!(off.extensions_in_call, 2, "the label does not change what is counted");
    }
}
