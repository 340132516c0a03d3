//! The access token: **pure**, with the clock as an argument.
//!
//! Owns: the one token, when it must be renewed, and how long we keep quiet after a refused login. Refuses to know:
//! how a login is made (`client` does that, and there is only one client, so only one login at a time).

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use crate::clock::Moment;
use crate::config::Patience;
use crate::ringcentral::wire::GrantedToken;

/// A token is renewed this long before it ends, or at half of a life that is shorter than twice that.
const RENEW_BEFORE: Duration = Duration::from_secs(5 * 60);
/// The time between two tries to renew.
const RENEW_AGAIN: Duration = Duration::from_secs(30);
/// The life of a token whose reply tells none: the shortest that the API grants.
const LIFE_UNSAID: Duration = Duration::from_secs(600);
/// Longer than the API ever grants: a reply that says more is not believed.
const LIFE_MOST: Duration = Duration::from_secs(24 * 60 * 60);

/// Token and back-off.
#[derive(Debug)]
pub struct Auth {
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
    ends_at: Moment,
    /// Whether the API has ever taken it.
    proven: bool,
}

/// What has to happen before the next request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The token serves.
    Nothing,
    /// The token serves still, but a new one should be had.
    Renewal,
    /// There is no token.
    Login,
}

impl Auth {
    /// No token yet.
    #[must_use]
    pub fn new(patience: &Patience) -> Self {
        Self {
            token: None,
            refusals: 0,
            refused_until: None,
            first: patience.refusal_first,
            most: patience.refusal_most,
        }
    }

    /// What is needed before a request that leaves now.
    #[must_use]
    pub fn need(&self, now: Moment) -> Need {
        match &self.token {
            Some(token) if token.ends_at.is_past(now) => Need::Login,
            Some(token) if token.renew_at.is_past(now) => Need::Renewal,
            Some(_) => Need::Nothing,
            None => Need::Login,
        }
    }

    /// When a login may be tried, as far as refusals go.
    #[must_use]
    pub fn login_at(&self, now: Moment) -> Moment {
        self.refused_until.map_or(now, |until| now.or_later(until))
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
        self.token.as_ref().map(|token| token.ends_at)
    }

    /// A login was granted.
    pub fn granted(&mut self, granted: GrantedToken, now: Moment) {
        let life = granted
            .expires_in
            .map_or(LIFE_UNSAID, Duration::from_secs)
            .min(LIFE_MOST);
        self.token = Some(Token {
            secret: granted.access_token,
            renew_at: now.after(life - RENEW_BEFORE.min(life / 2)),
            ends_at: now.after(life),
            proven: false,
        });
    }

    /// The API took the token. The first time after a login this says that credentials and permissions are right;
    /// later it says nothing of them, and a renewal that is being refused goes on backing off.
    pub fn proved(&mut self) {
        if let Some(token) = self.token.as_mut().filter(|token| !token.proven) {
            token.proven = true;
            self.refusals = 0;
        }
    }

    /// Whether the API has ever taken the token.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        self.token.as_ref().is_some_and(|token| token.proven)
    }

    /// The API rejected the token, and it is gone. Rejected fresh from its login, it counts as a refused login.
    pub fn rejected(&mut self, now: Moment) {
        if !self.is_proven() {
            self.refused(now);
        }
        self.token = None;
    }

    /// A login, or what it permits, was refused.
    pub fn refused(&mut self, now: Moment) {
        let wait = self
            .first
            .saturating_mul(1 << self.refusals.min(16))
            .min(self.most);
        self.refusals += 1;
        self.refused_until = Some(now.after(wait));
    }

    /// A renewal failed: the present token serves on, and the next try waits, since a login that hangs costs time.
    pub fn not_renewed(&mut self, now: Moment) {
        if let Some(token) = &mut self.token {
            token.renew_at = now.after(RENEW_AGAIN);
        }
    }

    /// Hands the token out for the last time.
    pub fn take(&mut self) -> Option<SecretString> {
        self.token.take().map(|token| token.secret)
    }
}

/// Whether a text has the form of a JWT: three parts of base64url, joined by dots.
#[must_use]
pub fn looks_like_a_jwt(jwt: &SecretString) -> bool {
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

    fn auth() -> (Auth, Moment) {
        (Auth::new(&Patience::default()), Moment::now())
    }

    fn grant(auth: &mut Auth, expires_in: Option<u64>, now: Moment) {
        let access_token = SecretString::from("T");
        auth.granted(
            GrantedToken {
                access_token,
                expires_in,
                user: None,
            },
            now,
        );
    }

    fn need_after(auth: &Auth, start: Moment, seconds: u64) -> Need {
        auth.need(start.after(Duration::from_secs(seconds)))
    }

    #[test]
    fn a_token_is_kept_then_renewed_before_it_ends() {
        let (mut auth, start) = auth();
        assert_eq!(auth.need(start), Need::Login);
        grant(&mut auth, Some(3600), start);
        assert_eq!(need_after(&auth, start, 3299), Need::Nothing);
        assert_eq!(need_after(&auth, start, 3300), Need::Renewal);
        assert_eq!(need_after(&auth, start, 3600), Need::Login);
    }

    #[test]
    fn a_renewal_that_failed_is_tried_again_later_and_a_login_at_the_end() {
        let (mut auth, start) = auth();
        grant(&mut auth, Some(3600), start);
        auth.not_renewed(start.after(Duration::from_secs(3300)));
        assert_eq!(need_after(&auth, start, 3329), Need::Nothing);
        assert_eq!(need_after(&auth, start, 3330), Need::Renewal);
        auth.not_renewed(start.after(Duration::from_secs(3590)));
        assert_eq!(need_after(&auth, start, 3600), Need::Login);
    }

    #[test]
    fn a_short_life_is_renewed_at_half_and_an_unsaid_one_is_short() {
        let (mut auth, start) = auth();
        grant(&mut auth, Some(60), start);
        assert_eq!(need_after(&auth, start, 30), Need::Renewal);
        grant(&mut auth, None, start);
        assert_eq!(need_after(&auth, start, 600), Need::Login);
        grant(&mut auth, Some(u64::MAX), start);
        assert_eq!(need_after(&auth, start, 86_400), Need::Login);
    }

    #[test]
    fn refusals_back_off_from_one_minute_to_fifteen() {
        let (mut auth, start) = auth();
        let mut waits = Vec::new();
        for _ in 0..7 {
            auth.refused(start);
            waits.push(auth.login_at(start).since(start).as_secs() / 60);
        }
        assert_eq!(waits, [1, 2, 4, 8, 15, 15, 15]);
        grant(&mut auth, None, start);
        auth.proved();
        auth.refused(start);
        assert_eq!(auth.login_at(start).since(start).as_secs(), 60);
    }

    #[test]
    fn a_renewal_that_is_refused_backs_off_while_the_old_token_serves() {
        let (mut auth, start) = auth();
        grant(&mut auth, Some(3600), start);
        auth.proved();
        auth.refused(start);
        auth.proved();
        auth.refused(start);
        assert_eq!(auth.login_at(start).since(start).as_secs(), 120);
        assert!(auth.token().is_some());
    }

    #[test]
    fn a_token_rejected_fresh_from_its_login_is_a_refused_login() {
        let (mut auth, start) = auth();
        grant(&mut auth, None, start);
        auth.rejected(start);
        assert!(!auth.login_at(start).is_past(start));
    }

    #[test]
    fn a_token_rejected_after_it_served_is_worth_a_new_login() {
        let (mut auth, start) = auth();
        grant(&mut auth, None, start);
        auth.proved();
        auth.rejected(start);
        assert_eq!(
            (auth.need(start), auth.login_at(start)),
            (Need::Login, start)
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
            assert_eq!(looks_like_a_jwt(&SecretString::from(text)), looks, "{text}");
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
