//! Where an account stands with the API: a plain value.

use std::time::Duration;

use crate::clock::Moment;

/// A failure in words, free of secrets.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What was asked of the API.
    pub operation: &'static str,
    /// The word under which `docs/CHECK.md` has it.
    pub cause: &'static str,
    /// What that means.
    pub summary: &'static str,
    /// Whether it passes without anybody's doing.
    pub is_transient: bool,
    /// What happened.
    pub message: String,
    /// What a person should do.
    pub hint: &'static str,
    /// What the vendor's support asks for.
    pub request_id: Option<String>,
}

/// Where we stand with the API.
#[derive(Clone, Debug, Default)]
pub struct ApiStatus {
    /// The account's own id, once a reply has told it.
    pub account_id: Option<String>,
    /// What each usage group last said of its limit.
    pub rate_limits: Vec<ReportedLimit>,
    /// The least time between two fetches, as things stand.
    pub min_fetch_interval: Duration,
    /// For each operation the end of its last penalty or back-off, if there ever was one; may be past.
    pub blocked_until: Vec<(&'static str, Option<Moment>)>,
    /// When the present access token ends.
    pub token_expiry: Option<Moment>,
    /// The `exp` of the JWT that the last login used, seconds since 1970.
    pub jwt_expiry: Option<f64>,
    /// Another account that is logged in as the same user.
    pub same_user_account: Option<String>,
}

/// One usage group's announcement, as the last answer had it.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportedLimit {
    /// The group's name, in lower case.
    pub group: String,
    /// Requests in a window.
    pub limit: u32,
    /// Requests left, if it said so.
    pub remaining: Option<u32>,
    /// The window's length.
    pub window: Duration,
}
