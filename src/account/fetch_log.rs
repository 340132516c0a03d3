//! What the log is told of fetches.
//!
//! Owns: that each failure is a line, and each recovery; and that a lasting oddity is told once.

use crate::calls::Call;
use crate::clock::Moment;
use crate::ringcentral::status::ApiStatus;
use crate::ringcentral::{Error, FetchResult};

/// What the log has been told, so that it is told once.
#[derive(Default)]
pub struct FetchLog {
    has_succeeded: bool,
    failures: u32,
    had_skipped_records: bool,
}

impl FetchLog {
    /// A fetch has finished.
    pub fn log(&mut self, account: &str, fetch: &FetchResult, api: &ApiStatus) {
        match &fetch.outcome {
            Err(error) => self.failed(account, error, api),
            Ok(calls) => self.succeeded(account, fetch, calls, api),
        }
    }

    /// Each failure is a line, with all that a person needs who sees this line alone.
    fn failed(&mut self, account: &str, error: &Error, api: &ApiStatus) {
        self.failures += 1;
        let now = Moment::now();
        let blocked = api
            .blocked_until
            .iter()
            .filter_map(|(_, until)| until.filter(|until| !until.is_past(now)));
        let silent = blocked
            .map(|until| until.saturating_duration_since(now).as_secs_f64().ceil() as u64)
            .max();
        tracing::warn!(
            account,
            operation = error.operation.as_str(),
            reason = error.reason.as_str(),
            cause = error.cause.as_str(),
            request_id = error.request_id.as_deref(),
            next_try_in_seconds = silent,
            advice = error.hint(),
            "fetch failed: {error}"
        );
    }

    fn succeeded(&mut self, account: &str, fetch: &FetchResult, calls: &[Call], api: &ApiStatus) {
        let (records, pages) = (calls.len(), fetch.pages);
        if !self.has_succeeded {
            tracing::info!(
                account,
                account_id = api.account_id.as_deref(),
                records,
                pages,
                "first fetch succeeded"
            );
        } else if self.failures > 0 {
            tracing::info!(account, failures = self.failures, "fetch succeeded again");
        }
        if fetch.skipped_records > 0 && !self.had_skipped_records {
            let records = fetch.skipped_records;
            tracing::warn!(
                account,
                records,
                "records that are no JSON objects were left out; said once until none is"
            );
        }
        *self = Self {
            has_succeeded: true,
            failures: 0,
            had_skipped_records: fetch.skipped_records > 0,
        };
        tracing::debug!(
            account,
            records,
            pages,
            seconds = fetch.duration.as_secs_f64(),
            "fetched"
        );
    }
}
