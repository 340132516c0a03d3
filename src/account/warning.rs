//! Conditions that do not stop an account from working now but should be fixed.
//!
//! `docs/CHECK.md` explains each of them, as it does each [`Cause`](crate::ringcentral::Cause).

use std::time::Duration;

use crate::account::state::AccountState;
use crate::clock::{Moment, unix_seconds};
use crate::config::{Account, is_loopback};
use crate::ringcentral::cause::described_enum;
use crate::ringcentral::status::ApiStatus;

/// How long before its expiry a JWT causes a warning. The shipped alert has the same threshold.
const EXPIRY_WARNING: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// The interval between fetches from which calls go unseen: a call stays listed about two minutes after it ended, and
/// the call tracker counts more than 100 s between two lists as a gap.
const UNSEEN_CALLS_INTERVAL: Duration = Duration::from_secs(100);

described_enum! {
    /// A condition to fix before it becomes a failure.
    Warning {
        PlainHttp = "plain_http",
            summary: "the server URL is plain HTTP: anyone on the network path can read secrets and calls",
            hint: "set --ringcentral.server-url to https://...";
        MalformedJwt = "odd_jwt",
            summary: "the JWT is malformed: expected three parts joined by dots, without quotes",
            hint: "copy the whole JWT, without quotes and line breaks";
        JwtExpiresSoon = "jwt_ends_soon",
            summary: "the JWT expires within 14 days; after that no login is possible",
            hint: "sign in to the developer console as the JWT's user, create a new JWT (your name, Credentials, Create JWT) and replace the old one; its file is read again at the next login";
        ExtensionsNotRead = "extensions_unread",
            summary: "the list of extensions could not be read: an extension without a number in its records is shown by its id",
            hint: "see the fix for the cause that is shown with this warning";
        PresenceNotRead = "presence_unread",
            summary: "the presence list could not be read, so the metrics of presence are missing or old",
            hint: "see the fix for the cause that is shown with this warning";
        EventsNotReceived = "no_events",
            summary: "no presence events are received, so the metrics of presence are missing or old",
            hint: "see the fix for the cause that is shown with this warning";
        PresenceStarved = "presence_starved",
            summary: "the rate limit leaves too few requests for the presence list, since calls come first: the metrics of presence are missing or old",
            hint: "give the exporter an app of its own, ask RingCentral for a higher Heavy limit, set --ringcentral.presence=events if the list is long, or set it to off";
        PresenceUntested = "presence_untested",
            summary: "presence was not tested completely: after the requests of the last minute the rate limit leaves none for it",
            hint: "wait a minute and check again; if this repeats, give the exporter an app of its own or ask RingCentral for higher limits";
        SameUser = "same_user",
            summary: "another account is logged in as the same user: both share its sessions and, with the same app, its rate limit, and their calls are counted twice",
            hint: "remove one of the two accounts, or give each the JWT of its own company";
        RareFetches = "rare_fetches",
            summary: "fetches are 100 s or more apart: calls that start and end between two fetches go uncounted",
            hint: "set --scrape.min-interval to auto or below 100s; if the rate limit is the reason, use an app that no other tool uses, or ask RingCentral for a higher limit";
        FewRequestsLeft = "few_requests_left",
            summary: "fewer than two requests of a rate limit group are left: another check, or a start of the exporter, can exceed the limit and block both",
            hint: "wait at least a minute before the next check or restart; give other programs an app of their own";
    }
}

impl Warning {
    /// Returns the warnings that apply to an account at `now`.
    #[must_use]
    pub(crate) fn active(account: &Account, state: &AccountState, now: Moment) -> Vec<Self> {
        let mut active = Vec::new();
        if account.server.scheme() == "http" && !is_loopback(&account.server) {
            active.push(Self::PlainHttp);
        }
        if state.api.jwt_malformed {
            active.push(Self::MalformedJwt);
        }
        if let Some(expiry) = state.api.jwt_expiry
            && unix_seconds(now.wall) < expiry
            && expiry < unix_seconds(now.after(EXPIRY_WARNING).wall)
        {
            active.push(Self::JwtExpiresSoon);
        }
        if state.directory_failure.is_some() {
            active.push(Self::ExtensionsNotRead);
        }
        if state.api.same_user_account.is_some() {
            active.push(Self::SameUser);
        }
        if has_rare_fetches(&state.api) {
            active.push(Self::RareFetches);
        }
        active
    }
}

/// Returns whether fetches are so rare, by the configuration or by the rate limit, that calls go uncounted.
pub(crate) fn has_rare_fetches(api: &ApiStatus) -> bool {
    api.min_fetch_interval >= UNSEEN_CALLS_INTERVAL
}
