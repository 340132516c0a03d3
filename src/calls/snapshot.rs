//! The counts of one active-calls list.
//!
//! A snapshot is built once per fetch and shared by all scrapes until the next fetch, so it contains nothing of an
//! earlier list.

use std::collections::BTreeMap;

use foldhash::{HashMap, HashMapExt, HashSet, HashSetExt};
use jiff::Timestamp;
use smol_str::SmolStr;

use crate::calls::labels::OTHER;
use crate::calls::session::count_live_sessions;
use crate::calls::{Call, CallResult, CallState, Direction, LabelLimiter};

/// The labels of a series of `ringcentral_active_calls`, besides the account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordLabels {
    /// Direction as listed.
    pub direction: Direction,
    /// Result in the documented spelling.
    pub result: CallResult,
    /// Extension, `None` if the label is off.
    pub extension: Option<SmolStr>,
}

/// The counts of one active-calls list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Listed records, live and ended; a series without records is absent.
    pub records: BTreeMap<RecordLabels, u64>,
    /// Live records by direction; `Inbound` and `Outbound` are always present.
    pub in_progress: BTreeMap<Direction, u64>,
    /// Distinct sessions with a live record, which is the number of calls.
    pub sessions_in_progress: u64,
    /// Distinct extensions with a live record.
    pub extensions_in_call: u64,
    /// Start of the longest-running live call.
    pub oldest_start: Option<Timestamp>,
    /// Records whose extension was folded into `other`.
    pub folded_extensions: u64,
    /// Records whose result was folded into `other`.
    pub folded_results: u64,
}

impl Snapshot {
    /// Counts the calls, whose ids are distinct.
    #[must_use]
    pub fn from_calls(calls: &[Call], labels: &mut LabelLimiter) -> Self {
        let mut snapshot = Self {
            in_progress: BTreeMap::from([(Direction::Inbound, 0), (Direction::Outbound, 0)]),
            ..Self::default()
        };
        // Sorted once at the end: finding each record's place in order would take longer.
        let mut records = HashMap::new();
        let mut extension_ids = HashSet::new();
        let mut extension_numbers = HashSet::new();
        for call in calls {
            *records.entry(snapshot.labels_of(call, labels)).or_default() += 1;
            if call.state != CallState::Live {
                continue;
            }
            *snapshot.in_progress.entry(call.direction).or_default() += 1;
            if let Some(extension) = &call.extension {
                match labels.id(extension) {
                    Some(id) => extension_ids.insert(id),
                    None => extension_numbers.insert(&extension.number),
                };
            }
            let starts = snapshot.oldest_start.into_iter().chain(call.start);
            snapshot.oldest_start = starts.min();
        }
        // An extension can have a record with only its number and one with both.
        for extension in calls.iter().flat_map(|call| &call.extension) {
            if extension_numbers.is_empty() {
                break;
            }
            if let Some(id) = &extension.id
                && extension_numbers.remove(&extension.number)
            {
                extension_ids.insert(id.clone());
            }
        }
        snapshot.records = records.into_iter().collect();
        snapshot.sessions_in_progress = count_live_sessions(calls);
        snapshot.extensions_in_call = (extension_ids.len() + extension_numbers.len()) as u64;
        snapshot
    }

    /// Returns the values of the label `extension`, possibly with repetitions.
    pub fn extensions(&self) -> impl Iterator<Item = &str> {
        self.records
            .keys()
            .filter_map(|labels| labels.extension.as_deref())
    }

    /// Returns the labels of a record, and counts it if one of them is folded.
    fn labels_of(&mut self, call: &Call, labels: &mut LabelLimiter) -> RecordLabels {
        let series = RecordLabels {
            direction: call.direction,
            result: labels.admit_result(&call.result),
            extension: labels.admit_extension(call.extension.as_ref()),
        };
        self.folded_results += u64::from(series.result != call.result);
        self.folded_extensions += u64::from(series.extension.as_deref() == Some(OTHER));
        series
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::{Extension, ExtensionLabel, SessionIds};

    fn snapshot(calls: &[Call], mode: ExtensionLabel) -> Snapshot {
        Snapshot::from_calls(calls, &mut LabelLimiter::new(mode, 100))
    }

    fn call(id: &str, session: &str, state: CallState, number: Option<&str>) -> Call {
        let result = if state == CallState::Live {
            CallResult::IN_PROGRESS
        } else {
            CallResult::UNKNOWN
        };
        Call {
            id: id.into(),
            session: SessionIds {
                telephony: Some(session.into()),
                session: None,
            },
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
    fn empty_list_has_zero_calls_and_no_series() {
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
    fn records_of_one_session_are_one_call() {
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
    fn records_that_share_either_session_id_are_one_call() {
        let live = |id: &str, telephony: Option<&str>, session: Option<&str>| Call {
            session: SessionIds {
                telephony: telephony.map(Into::into),
                session: session.map(Into::into),
            },
            ..call(id, "", CallState::Live, None)
        };
        let mut calls = vec![
            live("a", Some("s-1"), None),
            live("b", None, Some("1")),
            live("c", None, None),
            live("d", None, None),
            live("e", Some("1"), None),
        ];
        let sessions = |calls: &[Call]| snapshot(calls, ExtensionLabel::Off).sessions_in_progress;
        assert_eq!(sessions(&calls), 5, "nothing is shared");
        calls.push(Call {
            state: CallState::Ended,
            ..live("f", Some("s-1"), Some("1"))
        });
        assert_eq!(sessions(&calls), 4, "an ended record joins the first two");
        calls.reverse();
        assert_eq!(sessions(&calls), 4);
    }

    #[test]
    fn extension_is_counted_once_by_id_or_number() {
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
    fn result_named_other_by_ringcentral_is_not_folded() {
        let mut call = call("a", "s-1", CallState::Ended, None);
        call.result = CallResult::OTHER;
        let snapshot = snapshot(&[call], ExtensionLabel::Number);
        assert_eq!(snapshot.folded_results, 0);
    }

    #[test]
    fn ended_and_unknown_records_are_only_listed() {
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
    fn counts_are_summed_without_the_label() {
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
