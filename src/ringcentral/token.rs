//! The access token: **pure**, with the clock as an argument.
//!
//! Owns: the one token, when it must be renewed, and how long we keep quiet after a refused login. Refuses to know:
//! how a login is made (`client` does that, and there is only one client, so only one login at a time).

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use crate::clock::Moment;
use crate::config::Timeouts;
use crate::ringcentral::wire::TokenResponse;

/// A token is renewed this long before it ends, or at half of a life that is shorter than twice that.
const RENEWAL_MARGIN: Duration = Duration::from_secs(5 * 60);
/// The time between two tries to renew.
const RENEWAL_RETRY_INTERVAL: Duration = Duration::from_secs(30);
/// The life of a token whose reply tells none: the shortest that the API grants.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(600);
/// Longer than the API ever grants: a reply that says more is not believed.
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Token and back-off.
#[derive(Debug)]
pub struct TokenState {
    token: Option<Token>,
    refusals: u32,
    refused_until: Option<Moment>,
    first: Duration,
    most: Duration,
}

#[derive(Debug)]
struct Token {
    secret: SecretString,
    renew_at: Moment,
    expires_at: Moment,
    /// Whether the API has ever taken it.
    accepted: bool,
}

/// What has to happen before the next request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenStatus {
    /// The token serves.
    Valid,
    /// The token serves still, but a new one should be had.
    RenewalDue,
    /// There is no token.
    Missing,
}

impl TokenState {
    /// No token yet.
    #[must_use]
    pub fn new(patience: &Timeouts) -> Self {
        Self {
            token: None,
            refusals: 0,
            refused_until: None,
            first: patience.login_backoff_min,
            most: patience.login_backoff_max,
        }
    }

    /// What is needed before a request that leaves now.
    #[must_use]
    pub fn status(&self, now: Moment) -> TokenStatus {
        match &self.token {
            Some(token) if token.expires_at.is_past(now) => TokenStatus::Missing,
            Some(token) if token.renew_at.is_past(now) => TokenStatus::RenewalDue,
            Some(_) => TokenStatus::Valid,
            None => TokenStatus::Missing,
        }
    }

    /// When a login may be tried, as far as refusals go.
    #[must_use]
    pub fn next_login_at(&self, now: Moment) -> Moment {
        self.refused_until.map_or(now, |until| now.max(until))
    }

    /// The end of the back-off after refused logins, present or past.
    #[must_use]
    pub fn refused_until(&self) -> Option<Moment> {
        self.refused_until
    }

    /// The token that serves now.
    #[must_use]
    pub fn token(&self) -> Option<&SecretString> {
        self.token.as_ref().map(|token| &token.secret)
    }

    /// When the token ends.
    #[must_use]
    pub fn expiry(&self) -> Option<Moment> {
        self.token.as_ref().map(|token| token.expires_at)
    }

    /// A login was granted.
    pub fn set_token(&mut self, granted: TokenResponse, now: Moment) {
        let life = granted
            .expires_in
            .map_or(DEFAULT_LIFETIME, Duration::from_secs)
            .min(MAX_LIFETIME);
        self.token = Some(Token {
            secret: granted.access_token,
            renew_at: now.after(life - RENEWAL_MARGIN.min(life / 2)),
            expires_at: now.after(life),
            accepted: false,
        });
    }

    /// The API took the token. The first time after a login this says that credentials and permissions are right;
    /// later it says nothing of them, and a renewal that is being refused goes on backing off.
    pub fn mark_accepted(&mut self) {
        if let Some(token) = self.token.as_mut().filter(|token| !token.accepted) {
            token.accepted = true;
            self.refusals = 0;
        }
    }

    /// Whether the API has ever taken the token.
    #[must_use]
    pub fn was_accepted(&self) -> bool {
        self.token.as_ref().is_some_and(|token| token.accepted)
    }

    /// The API rejected the token, and it is gone. Rejected fresh from its login, it counts as a refused login.
    pub fn on_token_rejected(&mut self, now: Moment) {
        if !self.was_accepted() {
            self.on_login_rejected(now);
        }
        self.token = None;
    }

    /// A login, or what it permits, was refused.
    pub fn on_login_rejected(&mut self, now: Moment) {
        let wait = self
            .first
            .saturating_mul(1 << self.refusals.min(16))
            .min(self.most);
        self.refusals += 1;
        self.refused_until = Some(now.after(wait));
    }

    /// A renewal failed: the present token serves on, and the next try waits, since a login that hangs costs time.
    pub fn on_renewal_failed(&mut self, now: Moment) {
        if let Some(token) = &mut self.token {
            token.renew_at = now.after(RENEWAL_RETRY_INTERVAL);
        }
    }

    /// Hands the token out for the last time.
    pub fn take_token(&mut self) -> Option<SecretString> {
        self.token.take().map(|token| token.secret)
    }
}

/// Whether a text has the form of a JWT: three parts of base64url, joined by dots.
#[must_use]
pub fn is_well_formed_jwt(jwt: &SecretString) -> bool {
    let plain = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_=".contains(&b))
    };
    let parts: Vec<_> = jwt.expose_secret().split('.').collect();
    parts.len() == 3 && parts.into_iter().all(plain)
}

/// The `exp` of a JWT, in seconds since 1970; none if it has none or is of no such form.
#[must_use]
pub fn jwt_expiry(jwt: &SecretString) -> Option<f64> {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    #[derive(serde::Deserialize)]
    struct Claims {
        exp: Option<f64>,
    }
    let payload = jwt.expose_secret().split('.').nth(1)?;
    let claims = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    serde_json::from_slice::<Claims>(&claims)
        .ok()?
        .exp
        .filter(|exp| exp.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auth() -> (TokenState, Moment) {
        (TokenState::new(&Timeouts::default()), Moment::now())
    }

    fn grant(auth: &mut TokenState, expires_in: Option<u64>, now: Moment) {
        let access_token = SecretString::from("T");
        auth.set_token(
            TokenResponse {
                access_token,
                expires_in,
                user: None,
            },
            now,
        );
    }

    fn need_after(auth: &TokenState, start: Moment, seconds: u64) -> TokenStatus {
        auth.status(start.after(Duration::from_secs(seconds)))
    }

    #[test]
    fn a_token_is_kept_then_renewed_before_it_ends() {
        let (mut auth, start) = auth();
        assert_eq!(auth.status(start), TokenStatus::Missing);
        grant(&mut auth, Some(3600), start);
        assert_eq!(need_after(&auth, start, 3299), TokenStatus::Valid);
        assert_eq!(need_after(&auth, start, 3300), TokenStatus::RenewalDue);
        assert_eq!(need_after(&auth, start, 3600), TokenStatus::Missing);
    }

    #[test]
    fn a_renewal_that_failed_is_tried_again_later_and_a_login_at_the_end() {
        let (mut auth, start) = auth();
        grant(&mut auth, Some(3600), start);
        auth.on_renewal_failed(start.after(Duration::from_secs(3300)));
        assert_eq!(need_after(&auth, start, 3329), TokenStatus::Valid);
        assert_eq!(need_after(&auth, start, 3330), TokenStatus::RenewalDue);
        auth.on_renewal_failed(start.after(Duration::from_secs(3590)));
        assert_eq!(need_after(&auth, start, 3600), TokenStatus::Missing);
    }

    #[test]
    fn a_short_life_is_renewed_at_half_and_an_unsaid_one_is_short() {
        let (mut auth, start) = auth();
        grant(&mut auth, Some(60), start);
        assert_eq!(need_after(&auth, start, 30), TokenStatus::RenewalDue);
        grant(&mut auth, None, start);
        assert_eq!(need_after(&auth, start, 600), TokenStatus::Missing);
        grant(&mut auth, Some(u64::MAX), start);
        assert_eq!(need_after(&auth, start, 86_400), TokenStatus::Missing);
    }

    #[test]
    fn refusals_back_off_from_one_minute_to_fifteen() {
        let (mut auth, start) = auth();
        let mut waits = Vec::new();
        for _ in 0..7 {
            auth.on_login_rejected(start);
            waits.push(
                auth.next_login_at(start)
                    .saturating_duration_since(start)
                    .as_secs()
                    / 60,
            );
        }
        assert_eq!(waits, [1, 2, 4, 8, 15, 15, 15]);
        grant(&mut auth, None, start);
        auth.mark_accepted();
        auth.on_login_rejected(start);
        assert_eq!(
            auth.next_login_at(start)
                .saturating_duration_since(start)
                .as_secs(),
            60
        );
    }

    #[test]
    fn a_renewal_that_is_refused_backs_off_while_the_old_token_serves() {
        let (mut auth, start) = auth();
        grant(&mut auth, Some(3600), start);
        auth.mark_accepted();
        auth.on_login_rejected(start);
        auth.mark_accepted();
        auth.on_login_rejected(start);
        assert_eq!(
            auth.next_login_at(start)
                .saturating_duration_since(start)
                .as_secs(),
            120
        );
        assert!(auth.token().is_some());
    }

    #[test]
    fn a_token_rejected_fresh_from_its_login_is_a_refused_login() {
        let (mut auth, start) = auth();
        grant(&mut auth, None, start);
        auth.on_token_rejected(start);
        assert!(!auth.next_login_at(start).is_past(start));
    }

    #[test]
    fn a_token_rejected_after_it_served_is_worth_a_new_login() {
        let (mut auth, start) = auth();
        grant(&mut auth, None, start);
        auth.mark_accepted();
        auth.on_token_rejected(start);
        assert_eq!(
            (auth.status(start), auth.next_login_at(start)),
            (TokenStatus::Missing, start)
        );
    }

    #[test]
    fn a_quoted_or_partial_jwt_does_not_look_like_one() {
        for (text, looks) in [
            ("e30.e30.c2ln", true),
            ("\"e30.e30.c2ln\"", false),
            ("e30.e30", false),
            ("hello", false),
        ] {
            assert_eq!(
                is_well_formed_jwt(&SecretString::from(text)),
                looks,
                "{text}"
            );
        }
    }

    #[test]
    fn the_expiry_of_a_jwt_is_read_where_there_is_one() {
        let jwt = |payload: &str| {
            use base64::Engine;
            let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(payload);
            SecretString::from(format!("e30.{payload}.sig"))
        };
        assert_eq!(
            jwt_expiry(&jwt(r#"{"exp":1795514400,"sub":"1"}"#)),
            Some(1_795_514_400.0)
        );
        assert_eq!(jwt_expiry(&jwt(r#"{"sub":"1"}"#)), None);
        assert_eq!(jwt_expiry(&SecretString::from("no jwt at all")), None);
    }
}
