//! The state of an account's API access, as plain values for display and metrics.

use std::time::Duration;

use crate::clock::Moment;
use crate::ringcentral::Operation;
use crate::ringcentral::operation::UsageGroup;

/// The state of an account's API access.
#[derive(Clone, Debug, Default)]
pub struct ApiStatus {
    /// The id of the RingCentral account, once a response has had it.
    pub account_id: Option<String>,
    /// The rate limits that the usage groups last reported.
    pub rate_limits: Vec<ReportedLimit>,
    /// The minimum time between two fetches under the present rate limit.
    pub min_fetch_interval: Duration,
    /// The time from one complete read of the presence list to the next, at least, by the requests that calls leave.
    /// `Duration::MAX` if they leave none.
    pub presence_read_interval: Duration,
    /// When the next fetch may start, as far as was known at the time of this status.
    pub next_fetch_at: Option<Moment>,
    /// When a token for an event connection may be requested, as far as was known at the time of this status.
    pub next_event_token_at: Option<Moment>,
    /// For each operation the end of its last penalty or backoff, which may be in the past. Without a
    /// token, those of the login count as well.
    pub blocked_until: Vec<(Operation, Option<Moment>)>,
    /// The requests that are left in each group, by the exporter's own count and by RingCentral's report,
    /// once the token is revoked.
    pub requests_left: Vec<(UsageGroup, u32)>,
    /// Whether the token is not revoked at the end, because that would use the last request of its group.
    pub keeps_token: bool,
    /// The end of the last penalty that holds a fetch, which may be in the past. A penalty is set by
    /// RingCentral and holds other programs of the same user and app, too; a backoff is the exporter's.
    pub penalty_until: Option<Moment>,
    /// When the access token expires.
    pub token_expiry: Option<Moment>,
    /// The `exp` claim of the JWT that the last login used, in seconds since 1970.
    pub jwt_expiry: Option<f64>,
    /// Whether that JWT does not have the form of a JWT.
    pub jwt_malformed: bool,
    /// The name of another account that is logged in as the same user.
    pub same_user_account: Option<String>,
}

/// The rate limit of one usage group, from the headers of its last response.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportedLimit {
    /// The group's name, in lower case.
    pub group: String,
    /// The number of requests per window.
    pub limit: u32,
    /// The number of requests left in the window, if reported.
    pub remaining: Option<u32>,
    /// The length of the window.
    pub window: Duration,
    /// The end of the group's last penalty, which may be in the past.
    pub blocked_until: Option<Moment>,
}

impl ApiStatus {
    /// Returns how long a penalty or backoff still blocks the operation, or `None` if it is not
    /// blocked.
    pub(crate) fn blocked_for(&self, operation: Operation, now: Moment) -> Option<Duration> {
        let mut entries = self.blocked_until.iter();
        let (_, until) = entries.find(|(blocked, _)| *blocked == operation)?;
        time_until(*until, now)
    }

    /// Returns how long a penalty still holds a fetch, or `None` if there is none.
    pub(crate) fn penalty(&self, now: Moment) -> Option<Duration> {
        time_until(self.penalty_until, now)
    }
}

/// Returns the time until `end`, or `None` if it has passed.
pub(crate) fn time_until(end: Option<Moment>, now: Moment) -> Option<Duration> {
    let wait = end?.monotonic_duration_since(now);
    (!wait.is_zero()).then_some(wait)
}
