//! What was asked of the API and what it answered: the evidence for tests and the curious.
//!
//! Pure. Holds the last ten thousand requests and no secret of any of them.

use std::collections::VecDeque;

use serde::Serialize;

const KEPT: usize = 10_000;

/// What a request wants of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Operation {
    Token,
    Revoke,
    ActiveCalls,
    Extensions,
}

impl Operation {
    /// The same as in the journal's JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Revoke => "revoke",
            Self::ActiveCalls => "active_calls",
            Self::Extensions => "extensions",
        }
    }
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JournalEntry {
    /// Counts up from 1, over all requests.
    pub sequence: u64,
    /// Unix milliseconds at which the request had come.
    pub arrived_ms: i64,
    /// Unix milliseconds at which it was answered; absent while it is not.
    pub answered_ms: Option<i64>,
    /// Absent for paths that the API does not have.
    pub operation: Option<Operation>,
    /// Path and query, with secrets blackened.
    pub target: String,
    /// Absent while unanswered, and when the connection was closed instead.
    pub status: Option<u16>,
    /// Whether it came inside a penalty of its group: what a good client never does.
    pub in_penalty: bool,
    /// How many records the answer had.
    pub records: Option<usize>,
    /// The instant whose list was answered.
    pub listed_at_ms: Option<i64>,
}

/// The last requests, oldest first.
#[derive(Debug, Default)]
pub(super) struct RequestLog {
    entries: VecDeque<JournalEntry>,
    last: u64,
}

impl RequestLog {
    /// Notes a request that has come; gives its sequence.
    pub(super) fn open(
        &mut self,
        arrived_ms: i64,
        operation: Option<Operation>,
        target: String,
    ) -> u64 {
        self.last += 1;
        self.entries.push_back(JournalEntry {
            sequence: self.last,
            arrived_ms,
            answered_ms: None,
            operation,
            target,
            status: None,
            in_penalty: false,
            records: None,
            listed_at_ms: None,
        });
        if self.entries.len() > KEPT {
            self.entries.pop_front();
        }
        self.last
    }

    /// Lets `note` complete what is known of a request, if it is still held.
    pub(super) fn complete(&mut self, sequence: u64, note: impl FnOnce(&mut JournalEntry)) {
        let first = self.entries.front().map_or(0, |entry| entry.sequence);
        let position = sequence
            .checked_sub(first)
            .map(|position| position as usize);
        if let Some(entry) = position.and_then(|position| self.entries.get_mut(position)) {
            note(entry);
        }
    }

    pub(super) fn entries(&self) -> Vec<JournalEntry> {
        self.entries.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_keeps_the_last_ten_thousand_and_completes_by_sequence() {
        let mut journal = RequestLog::default();
        for at in 0..10_005 {
            journal.open(at, Some(Operation::Token), "/".to_owned());
        }
        journal.complete(3, |entry| entry.status = Some(200));
        journal.complete(10_005, |entry| entry.status = Some(429));
        let entries = journal.entries();
        assert_eq!(entries.len(), KEPT);
        assert_eq!(entries.first().unwrap().sequence, 6);
        assert_eq!(entries.last().unwrap().status, Some(429));
        assert_eq!(
            entries
                .iter()
                .filter(|entry| entry.status.is_some())
                .count(),
            1
        );
    }
}
