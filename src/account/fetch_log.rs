//! The log lines about fetches: one for each failure, one for each recovery, one for the first skipped record.

use crate::account::warning::{Warning, has_rare_fetches};
use crate::clock::Moment;
use crate::ringcentral::status::ApiStatus;
use crate::ringcentral::{Error, FetchResult, Operation};

/// What was logged before, so that a recovery is logged once and skipped records are logged once until there are none.
#[derive(Default)]
pub(crate) struct FetchLog {
    has_waited: bool,
    has_succeeded: bool,
    failures: u32,
    had_skipped_records: bool,
    had_rare_fetches: bool,
}

impl FetchLog {
    /// Logs a finished fetch.
    pub(crate) fn log(&mut self, account: &str, fetch: &FetchResult, api: &ApiStatus) {
        self.log_rare_fetches(account, api);
        match &fetch.calls {
            Err(error) => self.log_failure(account, error, api),
            Ok(calls) => self.log_success(account, fetch, calls.len(), api),
        }
    }

    /// Logs once that fetches are so rare that calls go uncounted.
    pub(crate) fn log_rare_fetches(&mut self, account: &str, api: &ApiStatus) {
        let has_rare_fetches = has_rare_fetches(api);
        if has_rare_fetches && !self.had_rare_fetches {
            tracing::warn!(
                account,
                min_fetch_interval_seconds = api.min_fetch_interval.as_secs_f64(),
                hint = Warning::RareFetches.hint(),
                "calls between two fetches go uncounted"
            );
        }
        self.had_rare_fetches = has_rare_fetches;
    }

    /// Logs once that the first fetch has to wait, for example for requests of the process before.
    pub(crate) fn log_first_wait(&mut self, account: &str, fetch_at: Moment, now: Moment) {
        if self.has_waited || self.has_succeeded || self.failures > 0 {
            return;
        }
        self.has_waited = true;
        let wait = fetch_at.monotonic_duration_since(now);
        tracing::info!(
            account,
            retry_in_seconds = wait.as_secs_f64().ceil() as u64,
            "the rate limit delays the first fetch"
        );
    }

    fn log_failure(&mut self, account: &str, error: &Error, api: &ApiStatus) {
        self.failures += 1;
        tracing::warn!(
            account,
            operation = error.operation.as_str(),
            reason = error.reason.as_str(),
            cause = error.cause.as_str(),
            request_id = error.request_id.as_deref(),
            retry_in_seconds = retry_in_seconds(api),
            hint = error.hint(),
            %error,
            "fetch failed"
        );
    }

    fn log_success(&mut self, account: &str, fetch: &FetchResult, records: usize, api: &ApiStatus) {
        let pages = fetch.pages;
        if !self.has_succeeded {
            let account_id = api.account_id.as_deref();
            tracing::info!(account, account_id, records, pages, "first fetch succeeded");
        } else if self.failures > 0 {
            tracing::info!(account, failures = self.failures, "fetch succeeded again");
        }
        let skipped_records = fetch.skipped_records;
        if skipped_records > 0 && !self.had_skipped_records {
            tracing::warn!(
                account,
                skipped_records,
                "skipped records that are not JSON objects"
            );
        }
        self.has_succeeded = true;
        self.failures = 0;
        self.had_skipped_records = skipped_records > 0;
        let seconds = fetch.duration.as_secs_f64();
        tracing::debug!(account, records, pages, seconds, "fetch succeeded");
    }
}

/// Returns how long a penalty or back-off still holds the next fetch, rounded up.
fn retry_in_seconds(api: &ApiStatus) -> Option<u64> {
    let wait = api.blocked_for(Operation::ActiveCalls, Moment::now())?;
    Some(wait.as_secs_f64().ceil() as u64)
}
