//! Login by name and password.
//!
//! Owns: HTTP's Basic scheme, and that a guess tells nothing: an unknown name costs what a known one does. A password
//! whose verdict is known costs next to nothing, so an honest scrape is answered whatever else goes on. Refuses to
//! know: which paths need a login.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use secrecy::{ExposeSecret, SecretSlice};

use crate::config::web::{BasicAuthUsers, PasswordHash};
use crate::web::auth_cache::{AuthCache, CacheKey};
use crate::web::verify_limiter::VerifyLimiter;

/// Whether somebody may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthResult {
    /// Name and password are right.
    Allowed,
    /// They are wrong, or there are none.
    Denied,
    /// Too many passwords wait to be checked.
    Overloaded,
}

/// The users, and what is known of their passwords.
pub struct BasicAuth {
    users: BasicAuthUsers,
    verdicts: Arc<Mutex<AuthCache>>,
    queue: Arc<VerifyLimiter>,
}

/// What a client said.
struct Credentials {
    user: String,
    password: SecretSlice<u8>,
}

impl BasicAuth {
    /// For these users. Nothing is known yet of anybody's password.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn new(
        users: BasicAuthUsers,
        queue: Arc<VerifyLimiter>,
    ) -> Result<Self, ring::error::Unspecified> {
        Ok(Self {
            users,
            verdicts: Arc::new(Mutex::new(AuthCache::new()?)),
            queue,
        })
    }

    /// For other users. Whose hash has stayed is known still, so that a flood after a change keeps no scrape out.
    #[must_use]
    pub fn with_users(&self, users: BasicAuthUsers) -> Self {
        let same = |name: &str| {
            users
                .get(name)
                .is_some_and(|hash| self.users.get(name) == Some(hash))
        };
        let verdicts = self.verdicts().kept(same);
        Self {
            users,
            verdicts: Arc::new(Mutex::new(verdicts)),
            queue: self.queue.clone(),
        }
    }

    /// Whom it lets in.
    #[must_use]
    pub fn users(&self) -> &BasicAuthUsers {
        &self.users
    }

    /// Whether a request with these headers from this address may come in.
    pub async fn authenticate(&self, headers: &HeaderMap, from: IpAddr) -> AuthResult {
        let Some(said) = credentials(headers) else {
            return AuthResult::Denied;
        };
        let tag = self
            .verdicts()
            .tag(&said.user, said.password.expose_secret());
        if let Some(known) = self.known(&said.user, &tag) {
            return known;
        }
        let Some(place) = self.queue.reserve(from) else {
            return AuthResult::Overloaded;
        };
        let Some(turn) = place.acquire().await else {
            return AuthResult::Overloaded;
        };
        // While it waited, another request may have had the same answered.
        if let Some(known) = self.known(&said.user, &tag) {
            return known;
        }
        let check = self.work(said, tag);
        let checked = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            check()
        });
        if checked.await.unwrap_or(false) {
            AuthResult::Allowed
        } else {
            AuthResult::Denied
        }
    }

    /// The check itself. It keeps its verdict even if nobody waits for it any more.
    fn work(&self, said: Credentials, tag: CacheKey) -> impl FnOnce() -> bool + Send + 'static {
        let known = self.users.get(&said.user).cloned();
        let is_known = known.is_some();
        let hash = known.unwrap_or_else(|| self.hash_of_nobody(&said.user));
        let verdicts = self.verdicts.clone();
        move || {
            let right = hash.verify(said.password.expose_secret()) && is_known;
            verdicts
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(&said.user, tag, right);
            right
        }
    }

    /// For an unknown name, a hash as costly as that of one of the users: always of the same one, and nobody outside
    /// knows which. Where all costs are alike, as they should be, all names are.
    fn hash_of_nobody(&self, name: &str) -> PasswordHash {
        let mut costs = self.users.costs();
        let lot = self.verdicts().lot(name, costs.len());
        PasswordHash::dummy(costs.nth(lot).unwrap_or(bcrypt::DEFAULT_COST))
    }

    fn known(&self, user: &str, tag: &CacheKey) -> Option<AuthResult> {
        let right = self.verdicts().get(user, tag)?;
        Some(if right {
            AuthResult::Allowed
        } else {
            AuthResult::Denied
        })
    }

    fn verdicts(&self) -> MutexGuard<'_, AuthCache> {
        self.verdicts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Name and password of the header, which has to stand there once.
fn credentials(headers: &HeaderMap) -> Option<Credentials> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    let (scheme, encoded) = value.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let said = SecretSlice::from(BASE64_STANDARD.decode(encoded.trim()).ok()?);
    let colon = said.expose_secret().iter().position(|byte| *byte == b':')?;
    let (user, password) = said.expose_secret().split_at_checked(colon)?;
    let user = String::from_utf8(user.to_vec()).ok()?;
    Some(Credentials {
        user,
        password: SecretSlice::from(password.get(1..)?.to_vec()),
    })
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;
    use crate::config::web::WebConfig;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn login() -> BasicAuth {
        let hash = bcrypt::hash("sesame", 4).unwrap();
        let text = format!("basic_auth_users: {{alice: '{hash}'}}");
        let users = WebConfig::parse("web.yml".as_ref(), &text).unwrap().users;
        BasicAuth::new(users, Arc::default()).unwrap()
    }

    fn headers(said: &[&str]) -> HeaderMap {
        let value = |said: &&str| {
            let value = format!("Basic {}", BASE64_STANDARD.encode(said));
            (AUTHORIZATION, HeaderValue::try_from(value).unwrap())
        };
        said.iter().map(value).collect()
    }

    #[tokio::test]
    async fn right_is_right_and_all_else_wrong_at_first_and_when_it_is_known() {
        let login = login();
        for _ in 0..2 {
            assert_eq!(
                login.authenticate(&headers(&["alice:sesame"]), HERE).await,
                AuthResult::Allowed
            );
            for wrong in [
                "alice:sesam",
                "alice:",
                "alice",
                "bob:sesame",
                ":sesame",
                "",
                "alice:sesame:",
            ] {
                assert_eq!(
                    login.authenticate(&headers(&[wrong]), HERE).await,
                    AuthResult::Denied,
                    "{wrong}"
                );
            }
        }
        assert_eq!(
            login.authenticate(&HeaderMap::new(), HERE).await,
            AuthResult::Denied
        );
        assert_eq!(
            login
                .authenticate(&headers(&["alice:sesame", "alice:sesame"]), HERE)
                .await,
            AuthResult::Denied
        );
    }

    #[test]
    fn the_scheme_is_read_in_any_case_and_others_are_none() {
        let user = |value: &'static str| {
            let headers = [(AUTHORIZATION, HeaderValue::from_static(value))]
                .into_iter()
                .collect();
            credentials(&headers).map(|said| said.user)
        };
        assert_eq!(user("bAsIc YWxpY2U6c2VzYW1l").as_deref(), Some("alice"));
        for value in [
            "Bearer YWxpY2U6c2VzYW1l",
            "Basic",
            "Basic !",
            "Basic YWxpY2U6c2VzYW1",
            "",
        ] {
            assert_eq!(user(value), None, "{value}");
        }
    }

    #[tokio::test]
    async fn after_a_change_of_users_those_whose_hash_has_stayed_are_known() {
        let [alice, bob, new] =
            ["sesame", "open", "now right"].map(|password| bcrypt::hash(password, 4).unwrap());
        let users = |bob: &str| {
            let text = format!("basic_auth_users: {{alice: '{alice}', bob: '{bob}'}}");
            WebConfig::parse("web.yml".as_ref(), &text).unwrap().users
        };
        let before = BasicAuth::new(users(&bob), Arc::default()).unwrap();
        for right in ["alice:sesame", "bob:open"] {
            assert_eq!(
                before.authenticate(&headers(&[right]), HERE).await,
                AuthResult::Allowed
            );
        }
        assert_eq!(
            before
                .authenticate(&headers(&["bob:now right"]), HERE)
                .await,
            AuthResult::Denied
        );

        let after = before.with_users(users(&new));
        let places: Vec<_> = (0..5).filter_map(|_| after.queue.reserve(HERE)).collect();
        assert_eq!(
            after.authenticate(&headers(&["alice:sesame"]), HERE).await,
            AuthResult::Allowed
        );
        assert_eq!(
            after.authenticate(&headers(&["bob:open"]), HERE).await,
            AuthResult::Overloaded
        );
        drop(places);
        assert_eq!(
            after.authenticate(&headers(&["bob:open"]), HERE).await,
            AuthResult::Denied
        );
        assert_eq!(
            after.authenticate(&headers(&["bob:now right"]), HERE).await,
            AuthResult::Allowed
        );
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once_whom_it_does_not_know() {
        let login = login();
        assert_eq!(
            login.authenticate(&headers(&["alice:sesame"]), HERE).await,
            AuthResult::Allowed
        );
        let _places: Vec<_> = (0..5).filter_map(|_| login.queue.reserve(HERE)).collect();
        assert_eq!(
            login.authenticate(&headers(&["alice:sesam"]), HERE).await,
            AuthResult::Overloaded
        );
        assert_eq!(
            login.authenticate(&headers(&["alice:sesame"]), HERE).await,
            AuthResult::Allowed
        );
    }
}
