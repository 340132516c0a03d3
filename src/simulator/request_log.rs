//! The journal: the last 10,000 requests and the status of their responses, without secrets.

use std::collections::VecDeque;

use serde::Serialize;

const MAX_ENTRIES: usize = 10_000;

/// An operation of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Operation {
    Token,
    Revoke,
    ActiveCalls,
    Extensions,
    /// The presence list of the account.
    Presence,
    /// The token of an event connection.
    EventToken,
    /// The upgrade to a WebSocket.
    EventConnection,
    /// A request for a subscription over an event connection.
    Subscription,
    /// An open event connection; only for faults.
    EventStream,
    /// A notification over an event connection; only for faults.
    Notification,
}

impl Operation {
    /// Returns the name in the journal's JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Revoke => "revoke",
            Self::ActiveCalls => "active_calls",
            Self::Extensions => "extensions",
            Self::Presence => "presence",
            Self::EventToken => "event_token",
            Self::EventConnection => "event_connection",
            Self::Subscription => "subscription",
            Self::EventStream => "event_stream",
            Self::Notification => "notification",
        }
    }
}

/// One request and its response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JournalEntry {
    /// Number of the request, counted from 1 over all operations.
    pub sequence: u64,
    /// Unix milliseconds at which the request had been read.
    pub arrived_ms: i64,
    /// Unix milliseconds at which the response was ready; absent until then.
    pub answered_ms: Option<i64>,
    /// Operation of the path; absent for unknown paths.
    pub operation: Option<Operation>,
    /// Path and query, with secrets redacted.
    pub target: String,
    /// HTTP status; absent before the response and if the connection was closed instead.
    pub status: Option<u16>,
    /// Whether the request arrived during a penalty of its rate-limit group.
    pub in_penalty: bool,
    /// Number of records in the response.
    pub records: Option<usize>,
    /// Unix milliseconds of the instant whose list was returned.
    pub listed_at_ms: Option<i64>,
}

/// The latest requests, oldest first.
#[derive(Debug, Default)]
pub(super) struct RequestLog {
    entries: VecDeque<JournalEntry>,
    last_sequence: u64,
}

impl RequestLog {
    /// Appends a request without a response and returns its sequence.
    pub(super) fn insert(
        &mut self,
        arrived_ms: i64,
        operation: Option<Operation>,
        target: String,
    ) -> u64 {
        self.last_sequence += 1;
        self.entries.push_back(JournalEntry {
            sequence: self.last_sequence,
            arrived_ms,
            answered_ms: None,
            operation,
            target,
            status: None,
            in_penalty: false,
            records: None,
            listed_at_ms: None,
        });
        if self.entries.len() > MAX_ENTRIES {
            self.entries.pop_front();
        }
        self.last_sequence
    }

    /// Applies `change` to the entry of a request, unless it has been removed already.
    pub(super) fn update(&mut self, sequence: u64, change: impl FnOnce(&mut JournalEntry)) {
        let oldest = self.last_sequence + 1 - self.entries.len() as u64;
        let Some(position) = sequence.checked_sub(oldest) else {
            return;
        };
        if let Some(entry) = self.entries.get_mut(position as usize) {
            change(entry);
        }
    }

    /// Returns a copy of all entries.
    pub(super) fn entries(&self) -> Vec<JournalEntry> {
        self.entries.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn journal_is_bounded_and_updates_entries_by_sequence() {
        let mut journal = RequestLog::default();
        for at in 0..10_005 {
            journal.insert(at, Some(Operation::Token), "/".to_owned());
        }
        journal.update(3, |entry| entry.status = Some(200));
        journal.update(10_005, |entry| entry.status = Some(429));
        let entries = journal.entries();
        assert_eq!(entries.len(), MAX_ENTRIES);
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
