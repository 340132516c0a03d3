//! Which failures of the stream are logged as warnings.

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
    /// Logs a failure: the first one of its kind as a warning.
    pub(super) fn log(&mut self, account: &str, event: &str, error: &EventError) {
        let EventError {
            cause,
            message,
            code,
            request_id,
        } = error;
        if self.warned.contains(cause) || *cause == Cause::NoBudget {
            tracing::debug!(
                account,
                cause = cause.as_str(),
                error = message,
                code,
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
            hint = cause.hint(),
            error = message,
            "{event}"
        );
    }

    /// Logs that events are received, after a start or a warning.
    pub(super) fn log_connected(&mut self, account: &str) {
        if !std::mem::replace(&mut self.is_good_news, true) {
            tracing::info!(account, "receiving presence events");
        }
    }

    /// Forgets the failures: the next one is logged as a warning again.
    pub(super) fn forget(&mut self) {
        self.warned.clear();
    }
}
