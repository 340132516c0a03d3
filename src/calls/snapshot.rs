//! A list of calls, counted.
//!
//! Owns: every number that is built from one list. A snapshot is made once for each fetch and shared by all scrapes
//! until the next, so nothing of an earlier list can linger in it. Refuses to know: when it was made, and how the
//! numbers are called.

use std::cell::LazyCell;
use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;
use smol_str::SmolStr;

use crate::calls::{Call, CallResult, CallState, Direction, Extension, LabelLimiter};

/// The label values of one series of `ringcentral_active_calls`, besides the account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordLabels {
    /// As listed.
    pub direction: Direction,
    /// As listed, in the documented spelling.
    pub result: CallResult,
    /// `None` when the label is off.
    pub extension: Option<SmolStr>,
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
    /// Records whose extension was folded into `other`.
    pub folded_extensions: u64,
    /// Records whose result was folded into `other`.
    pub folded_results: u64,
}

impl Snapshot {
    /// Counts the calls, which are distinct by id.
    #[must_use]
    pub fn from_calls(calls: &[Call], labels: &mut LabelLimiter) -> Self {
        let live = || calls.iter().filter(|call| call.state == CallState::Live);
        let mut snapshot = Self {
            in_progress: by_direction(live()),
            sessions_in_progress: count_distinct(live().map(|call| call.session.as_str())),
            extensions_in_call: extensions(calls, live(), labels),
            oldest_start: live().filter_map(|call| call.start).min(),
            ..Self::default()
        };
        for call in calls {
            snapshot.count_record(call, labels);
        }
        snapshot
    }

    /// The values of the label `extension` that it shows; one may come several times.
    pub fn extensions(&self) -> impl Iterator<Item = &str> {
        self.records
            .keys()
            .filter_map(|labels| labels.extension.as_deref())
    }

    fn count_record(&mut self, call: &Call, labels: &mut LabelLimiter) {
        let (result, result_folded) = labels.result(&call.result);
        let extension = labels.extension(call.extension.as_ref());
        let (extension, extension_folded) =
            extension.map_or((None, false), |(value, folded)| (Some(value), folded));
        self.folded_results += u64::from(result_folded);
        self.folded_extensions += u64::from(extension_folded);
        *self
            .records
            .entry(RecordLabels {
                direction: call.direction,
                result,
                extension,
            })
            .or_default() += 1;
    }
}

fn by_direction<'a>(live: impl Iterator<Item = &'a Call>) -> BTreeMap<Direction, u64> {
    let mut counts = BTreeMap::from([(Direction::Inbound, 0), (Direction::Outbound, 0)]);
    for call in live {
        *counts.entry(call.direction).or_default() += 1;
    }
    counts
}

/// Some records name an extension by its id, some by its number alone: those that do both tell who is the same, and so
/// does the directory.
fn extensions<'a>(
    calls: &'a [Call],
    live: impl Iterator<Item = &'a Call>,
    labels: &mut LabelLimiter,
) -> u64 {
    let named = || calls.iter().filter_map(|call| call.extension.as_ref());
    let both =
        |extension: &'a Extension| Some((extension.number.as_ref()?, extension.id.as_ref()?));
    // Nearly always each has an id, and nobody looks.
    let ids = LazyCell::new(|| named().filter_map(both).collect::<HashMap<_, _>>());
    let live = live.filter_map(|call| call.extension.as_ref());
    let identities = live.filter_map(|extension| {
        let identity = labels.identity(extension)?;
        Some(if extension.id.is_some() {
            identity
        } else {
            ids.get(&identity).map_or(identity, |id| (*id).clone())
        })
    });
    identities.collect::<HashSet<_>>().len() as u64
}

fn count_distinct<'a>(names: impl Iterator<Item = &'a str>) -> u64 {
    names.collect::<HashSet<_>>().len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::{Extension, ExtensionLabel};

    fn snapshot(calls: &[Call], shown: ExtensionLabel) -> Snapshot {
        Snapshot::from_calls(calls, &mut LabelLimiter::new(shown, 100))
    }

    fn call(id: &str, session: &str, state: CallState, number: Option<&str>) -> Call {
        let result = if state == CallState::Live {
            CallResult::IN_PROGRESS
        } else {
            CallResult::UNKNOWN
        };
        Call {
            id: id.into(),
            session: session.into(),
            direction: Direction::Inbound,
            state,
            result,
            extension: Extension::new(
                Some(format!("6226442501{}", number.unwrap_or("6")).into()),
                number.map(Into::into),
            ),
            start: "2026-11-24T10:00:00Z".parse().ok(),
            duration: None,
        }
    }

    fn series(snapshot: &Snapshot) -> Vec<(String, String, u64)> {
        let shown = |labels: &RecordLabels| labels.extension.clone().unwrap_or_default().into();
        let entries = snapshot.records.iter();
        entries
            .map(|(labels, count)| (labels.result.as_str().to_owned(), shown(labels), *count))
            .collect()
    }

    #[test]
    fn an_empty_list_is_zero_calls_and_no_series() {
        let snapshot = snapshot(&[], ExtensionLabel::Number);
        assert!(snapshot.records.is_empty());
        let zeros = BTreeMap::from([(Direction::Inbound, 0), (Direction::Outbound, 0)]);
        assert_eq!(snapshot.in_progress, zeros);
        assert_eq!(
            (snapshot.sessions_in_progress, snapshot.extensions_in_call),
            (0, 0)
        );
        assert_eq!(snapshot.oldest_start, None);
    }

    #[test]
    fn two_records_of_one_session_are_one_call() {
        let calls = [
            call("a", "s-1", CallState::Live, Some("101")),
            call("b", "s-1", CallState::Live, Some("102")),
        ];
        let snapshot = snapshot(&calls, ExtensionLabel::Number);
        assert_eq!(snapshot.in_progress[&Direction::Inbound], 2);
        assert_eq!(snapshot.sessions_in_progress, 1);
        assert_eq!(snapshot.extensions_in_call, 2);
    }

    #[test]
    fn an_extension_is_one_whether_a_record_names_its_id_or_its_number_or_both() {
        let named = |id: &str, extension| Call {
            extension,
            ..call(id, id, CallState::Live, None)
        };
        let text = |text: &str| Some(text.into());
        let calls = [
            named("a", Extension::new(text("5"), text("101"))),
            named("b", Extension::new(text("5"), None)),
            named("c", Extension::new(None, text("101"))),
            named("d", Extension::new(None, text("102"))),
            named("e", None),
        ];
        assert_eq!(
            snapshot(&calls, ExtensionLabel::Number).extensions_in_call,
            2
        );
    }

    #[test]
    fn ended_and_unknown_records_are_listed_but_not_live() {
        let calls = [
            call("a", "s-1", CallState::Ended, None),
            call("b", "s-2", CallState::Unknown, None),
        ];
        let snapshot = snapshot(&calls, ExtensionLabel::Number);
        assert_eq!(
            series(&snapshot),
            [("Unknown".to_owned(), "62264425016".to_owned(), 2)]
        );
        assert_eq!(snapshot.sessions_in_progress, 0);
        assert_eq!(snapshot.oldest_start, None);
    }

    #[test]
    fn without_the_label_the_counts_add_up() {
        let calls = [
            call("a", "s-1", CallState::Live, Some("101")),
            call("b", "s-2", CallState::Live, Some("102")),
        ];
        let off = snapshot(&calls, ExtensionLabel::Off);
        assert_eq!(series(&off), [("In Progress".to_owned(), String::new(), 2)]);
        let id = snapshot(&calls, ExtensionLabel::Id);
        assert_eq!(series(&id).len(), 2);
        assert_eq!(
            series(&id)[0],
            ("In Progress".to_owned(), "6226442501101".to_owned(), 1)
        );
        assert_eq!(
            off.extensions_in_call, 2,
            "the label does not change what is counted"
        );
    }
}
