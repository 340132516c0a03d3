//! Which failures of the stream are logged as warnings.

use std::time::Duration;

use crate::ringcentral::Cause;
use crate::ringcentral::events::EventError;

/// What was logged.
#[derive(Default)]
pub(super) struct FailureLog {
    /// The failures that were logged as warnings since a connection was stable.
    warned: Vec<Cause>,
    /// Whether the last message at level info or above says that events are received.
    is_good_news: bool,
}

impl FailureLog {
    /// Logs a failure: the first one of its kind as a warning. `wait` is the time until the next attempt.
    pub(super) fn log(&mut self, account: &str, event: &str, error: &EventError, wait: Duration) {
        let EventError {
            cause,
            message,
            code,
            request_id,
            gateway,
        } = error;
        if self.warned.contains(cause) || *cause == Cause::NoBudget {
            tracing::debug!(
                account,
                cause = cause.as_str(),
                error = message,
                code,
                gateway,
                "{event}"
            );
            return;
        }
        self.warned.push(*cause);
        self.is_good_news = false;
        tracing::warn!(
            account,
            cause = cause.as_str(),
            code,
            request_id,
            gateway,
            retry_in_seconds = wait.as_secs(),
            hint = error.hint(),
            error = message,
            "{event}"
        );
    }

    /// Logs once that the rate limit does not allow a connection yet. Nothing has failed.
    pub(super) fn log_waiting(&mut self, account: &str, error: &EventError) {
        if self.warned.contains(&error.cause) {
            return;
        }
        self.warned.push(error.cause);
        self.is_good_news = false;
        tracing::info!(
            account,
            cause = error.cause.as_str(),
            hint = error.hint(),
            error = error.message,
            "event connection waiting for the rate limit"
        );
    }

    /// Logs that events are received, after a start or a warning.
    pub(super) fn log_connected(&mut self, account: &str, gateway: &str) {
        if !std::mem::replace(&mut self.is_good_news, true) {
            tracing::info!(account, gateway, "receiving presence events");
        }
    }

    /// Forgets the failures: the next one is logged as a warning again.
    pub(super) fn forget(&mut self) {
        self.warned.clear();
    }
}
