//! The access token of one account: its lifetime, its renewal, and the backoff after rejected
//! logins.
//!
//! Pure: the time is an argument. The requests are in `login`.

use std::time::Duration;

use secrecy::SecretString;

use crate::clock::Moment;
use crate::config::Timeouts;
use crate::ringcentral::wire::TokenResponse;

/// How long before its expiry a token is renewed; at half of its lifetime if that is later.
const RENEWAL_MARGIN: Duration = Duration::from_secs(5 * 60);
/// The time between two attempts to renew a token.
const RENEWAL_RETRY_INTERVAL: Duration = Duration::from_secs(30);
/// The lifetime if the response has no `expires_in` or an impossible one: the shortest that RingCentral grants. A token
/// that expires earlier costs a 401 and one login.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(600);
/// The shortest lifetime that is used. With a shorter one, as 0, each fetch would need a login.
const MIN_LIFETIME: Duration = Duration::from_secs(2);
/// The longest lifetime that is used, more than RingCentral grants.
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// The access token, if there is one, and the backoff after rejected logins.
#[derive(Debug)]
pub struct TokenState {
    token: Option<Token>,
    login_backoff: Backoff,
    /// The end of the last backoff, which may be in the past.
    pub(crate) login_blocked_until: Option<Moment>,
}

/// An access token with its lifetime.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) secret: SecretString,
    /// The client secret of the login, which the revocation needs: its file may have changed.
    pub(crate) client_secret: SecretString,
    granted_at: Moment,
    lifetime: Duration,
    /// The age at which the token is renewed.
    renew_after: Duration,
    /// Whether RingCentral has accepted the token in a request.
    accepted: bool,
}

/// What the next request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenStatus {
    /// A token that needs no renewal yet.
    Valid,
    /// A token that is valid but should be renewed.
    RenewalDue,
    /// No token, or an expired one: a login is needed.
    Missing,
}

/// An exponential backoff: `min` after the first failure, doubled by each further one, at most
/// `max`.
#[derive(Debug)]
pub(crate) struct Backoff {
    min: Duration,
    max: Duration,
    failures: u32,
}

// === impl TokenState ===

impl TokenState {
    /// Creates a state without a token.
    #[must_use]
    pub fn new(timeouts: &Timeouts) -> Self {
        Self {
            token: None,
            login_backoff: Backoff::new(timeouts.login_backoff_min, timeouts.login_backoff_max),
            login_blocked_until: None,
        }
    }

    /// Returns what a request needs that is sent at `now`. After a suspend the token has expired as the wall clock says;
    /// a wall clock that was set forward costs one login.
    #[must_use]
    pub fn status(&self, now: Moment) -> TokenStatus {
        let Some(token) = &self.token else {
            return TokenStatus::Missing;
        };
        let age = now.saturating_duration_since(token.granted_at);
        if age >= token.lifetime {
            TokenStatus::Missing
        } else if age >= token.renew_after {
            TokenStatus::RenewalDue
        } else {
            TokenStatus::Valid
        }
    }

    /// Returns when the backoff allows the next login, `now` at the earliest.
    pub(crate) fn next_login_at(&self, now: Moment) -> Moment {
        now.max(self.login_blocked_until.unwrap_or(now))
    }

    /// Returns the token, even if it has expired.
    pub(crate) fn token(&self) -> Option<&SecretString> {
        Some(&self.token.as_ref()?.secret)
    }

    /// Returns when the token expires.
    #[must_use]
    pub fn expiry(&self) -> Option<Moment> {
        let token = self.token.as_ref()?;
        Some(token.granted_at.after(token.lifetime))
    }

    /// Replaces the token by that of a successful login.
    pub fn set_token(&mut self, response: TokenResponse, client_secret: SecretString, now: Moment) {
        let lifetime = match response.expires_in.map(Duration::from_secs) {
            Some(lifetime) if lifetime >= MIN_LIFETIME => lifetime.min(MAX_LIFETIME),
            _ => DEFAULT_LIFETIME,
        };
        self.token = Some(Token {
            secret: response.access_token,
            client_secret,
            granted_at: now,
            lifetime,
            renew_after: lifetime - RENEWAL_MARGIN.min(lifetime / 2),
            accepted: false,
        });
    }

    /// Records that RingCentral accepted the token in a request. The first time after a login
    /// proves that credentials and permissions are right and resets the backoff. Later it proves
    /// nothing about them, so the backoff of a rejected renewal continues.
    pub(crate) fn mark_accepted(&mut self) {
        if let Some(token) = &mut self.token
            && !token.accepted
        {
            token.accepted = true;
            self.login_backoff.reset();
        }
    }

    /// Returns whether RingCentral has accepted the present token in a request.
    pub(crate) fn was_accepted(&self) -> bool {
        self.token.as_ref().is_some_and(|token| token.accepted)
    }

    /// Removes a token that RingCentral rejected. If it was never accepted, this counts as a
    /// rejected login.
    pub(crate) fn on_token_rejected(&mut self, now: Moment) {
        if !self.was_accepted() {
            self.on_login_rejected(now);
        }
        self.token = None;
    }

    /// Blocks logins for a backoff, after RingCentral rejected a login or a permission that depends
    /// on it.
    pub(crate) fn on_login_rejected(&mut self, now: Moment) {
        let delay = self.login_backoff.record_failure();
        self.login_blocked_until = Some(now.after(delay));
    }

    /// Returns the number of failures of the present backoff and the end of its last wait.
    pub(crate) fn backoff(&self) -> Option<(u32, Moment)> {
        match self.login_backoff.failures {
            0 => None,
            failures => Some((failures, self.login_blocked_until?)),
        }
    }

    /// Continues a backoff that began before a restart or with another client.
    pub(crate) fn resume_backoff(&mut self, failures: u32, until: Moment) {
        self.login_backoff.failures = failures;
        self.login_blocked_until = Some(until);
    }

    /// Postpones the renewal after a failure and keeps the token: a login that times out delays
    /// other requests.
    pub fn on_renewal_failed(&mut self, now: Moment) {
        if let Some(token) = &mut self.token {
            let age = now.saturating_duration_since(token.granted_at);
            token.renew_after = age + RENEWAL_RETRY_INTERVAL;
        }
    }

    /// Removes the token and returns it.
    pub(crate) fn take_token(&mut self) -> Option<Token> {
        self.token.take()
    }
}

// === impl Backoff ===

impl Backoff {
    pub(crate) fn new(min: Duration, max: Duration) -> Self {
        Self {
            min,
            max,
            failures: 0,
        }
    }

    /// Records a failure and returns how long to wait before the next attempt.
    pub(crate) fn record_failure(&mut self) -> Duration {
        let delay = self.min.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        delay.min(self.max)
    }

    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new_state() -> (TokenState, Moment) {
        (TokenState::new(&Timeouts::default()), Moment::now())
    }

    fn set_token(state: &mut TokenState, expires_in: Option<u64>, now: Moment) {
        let response = TokenResponse {
            access_token: SecretString::from("T"),
            expires_in,
            user: None,
        };
        state.set_token(response, SecretString::from("S"), now);
    }

    fn status_after(state: &TokenState, start: Moment, seconds: u64) -> TokenStatus {
        state.status(start.after(Duration::from_secs(seconds)))
    }

    fn login_delay(state: &TokenState, now: Moment) -> Duration {
        state.next_login_at(now).saturating_duration_since(now)
    }

    #[test]
    fn token_is_renewed_before_expiry() {
        let (mut state, start) = new_state();
        assert_eq!(state.status(start), TokenStatus::Missing);
        set_token(&mut state, Some(3600), start);
        assert_eq!(status_after(&state, start, 3299), TokenStatus::Valid);
        assert_eq!(status_after(&state, start, 3300), TokenStatus::RenewalDue);
        assert_eq!(status_after(&state, start, 3600), TokenStatus::Missing);
    }

    #[test]
    fn failed_renewal_is_retried_until_expiry() {
        let (mut state, start) = new_state();
        set_token(&mut state, Some(3600), start);
        state.on_renewal_failed(start.after(Duration::from_secs(3300)));
        assert_eq!(status_after(&state, start, 3329), TokenStatus::Valid);
        assert_eq!(status_after(&state, start, 3330), TokenStatus::RenewalDue);
        state.on_renewal_failed(start.after(Duration::from_secs(3590)));
        assert_eq!(status_after(&state, start, 3600), TokenStatus::Missing);
    }

    #[test]
    fn short_lifetime_is_renewed_at_half() {
        let (mut state, start) = new_state();
        set_token(&mut state, Some(60), start);
        assert_eq!(status_after(&state, start, 29), TokenStatus::Valid);
        assert_eq!(status_after(&state, start, 30), TokenStatus::RenewalDue);
    }

    #[test]
    fn missing_or_huge_lifetime_is_limited() {
        let (mut state, start) = new_state();
        set_token(&mut state, None, start);
        assert_eq!(status_after(&state, start, 600), TokenStatus::Missing);
        set_token(&mut state, Some(u64::MAX), start);
        assert_eq!(status_after(&state, start, 86_400), TokenStatus::Missing);
    }

    #[test]
    fn impossible_lifetime_needs_no_login_per_fetch() {
        for seconds in [0, 1] {
            let (mut state, start) = new_state();
            set_token(&mut state, Some(seconds), start);
            assert_eq!(status_after(&state, start, 299), TokenStatus::Valid);
            assert_eq!(status_after(&state, start, 600), TokenStatus::Missing);
            let expiry = state.expiry().unwrap();
            assert_eq!(expiry, start.after(DEFAULT_LIFETIME));
        }
    }

    #[test]
    fn token_expires_during_a_suspend() {
        let (mut state, start) = new_state();
        set_token(&mut state, Some(3600), start);
        let wall = |seconds| Moment {
            wall: start.after(Duration::from_secs(seconds)).wall,
            ..start
        };
        assert_eq!(state.status(wall(3299)), TokenStatus::Valid);
        assert_eq!(state.status(wall(3300)), TokenStatus::RenewalDue);
        assert_eq!(state.status(wall(3600)), TokenStatus::Missing);
    }

    #[test]
    fn login_backoff_does_not_end_during_a_suspend() {
        let (mut state, start) = new_state();
        state.on_login_rejected(start);
        let resumed = Moment {
            wall: start.after(Duration::from_secs(3600)).wall,
            ..start
        };
        assert!(!state.next_login_at(resumed).is_past(resumed));
    }

    #[test]
    fn backoff_doubles_to_max_until_reset() {
        let mut backoff = Backoff::new(Duration::from_secs(60), Duration::from_secs(900));
        let mut minutes = Vec::new();
        for _ in 0..7 {
            minutes.push(backoff.record_failure().as_secs() / 60);
        }
        assert_eq!(minutes, [1, 2, 4, 8, 15, 15, 15]);
        backoff.reset();
        assert_eq!(backoff.record_failure(), Duration::from_secs(60));
    }

    #[test]
    fn backoff_of_many_failures_does_not_overflow() {
        let mut backoff = Backoff::new(Duration::MAX, Duration::from_secs(900));
        for _ in 0..100 {
            assert_eq!(backoff.record_failure(), Duration::from_secs(900));
        }
    }

    #[test]
    fn rejected_logins_back_off_from_1_to_15_minutes() {
        let (mut state, start) = new_state();
        let mut minutes = Vec::new();
        for _ in 0..7 {
            state.on_login_rejected(start);
            minutes.push(login_delay(&state, start).as_secs() / 60);
        }
        assert_eq!(minutes, [1, 2, 4, 8, 15, 15, 15]);
        set_token(&mut state, None, start);
        state.mark_accepted();
        state.on_login_rejected(start);
        assert_eq!(login_delay(&state, start), Duration::from_secs(60));
    }

    #[test]
    fn rejected_renewal_backs_off_and_keeps_token() {
        let (mut state, start) = new_state();
        set_token(&mut state, Some(3600), start);
        state.mark_accepted();
        state.on_login_rejected(start);
        state.mark_accepted();
        state.on_login_rejected(start);
        assert_eq!(login_delay(&state, start), Duration::from_secs(120));
        assert!(state.token().is_some());
    }

    #[test]
    fn rejection_of_new_token_blocks_logins() {
        let (mut state, start) = new_state();
        set_token(&mut state, None, start);
        state.on_token_rejected(start);
        assert!(!state.next_login_at(start).is_past(start));
    }

    #[test]
    fn rejection_of_accepted_token_allows_login() {
        let (mut state, start) = new_state();
        set_token(&mut state, None, start);
        state.mark_accepted();
        state.on_token_rejected(start);
        assert_eq!(
            (state.status(start), state.next_login_at(start)),
            (TokenStatus::Missing, start)
        );
    }
}
