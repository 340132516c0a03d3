//! HTTP basic auth: credentials of a request and their verification.
//!
//! An unknown user costs a verification too, so that the response time does not reveal user names.
//! Checked passwords are cached, so that a scrape is answered while a flood of invalid passwords is
//! being verified.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use secrecy::{ExposeSecret, SecretSlice};
use tokio::sync::OwnedSemaphorePermit;

use crate::config::web::{BasicAuthUsers, PasswordHash};
use crate::dedicated_thread;
use crate::web::auth_cache::{AuthCache, CacheKey};
use crate::web::single_header;
use crate::web::verify_limiter::VerifyLimiter;

/// `Retry-After` when all password checks are busy; some finish within this time.
const OVERLOADED_RETRY_AFTER: Duration = Duration::from_secs(1);

/// Reason for which a request is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    /// `rate_limit` is exceeded until this time has passed.
    RateLimited(Duration),
    /// The credentials are missing or invalid.
    Unauthorized,
    /// Too many passwords are waiting for verification; retry after this time.
    Overloaded(Duration),
}

/// The users, and the cached results of their password checks.
pub(crate) struct BasicAuth {
    /// The users and their hashes.
    pub(crate) users: BasicAuthUsers,
    /// Verified in place of the hash of an unknown user, with the highest cost among the users.
    dummy_hash: PasswordHash,
    cache: Arc<Mutex<AuthCache>>,
    verify_limiter: Arc<VerifyLimiter>,
}

struct Credentials {
    user: String,
    password: SecretSlice<u8>,
}

impl BasicAuth {
    /// Creates basic auth for these users. Cached passwords of users whose hash is the same in
    /// `previous` stay valid, so that a reload during a flood does not lock them out.
    ///
    /// # Errors
    /// Returns an error if the system cannot generate random numbers.
    pub(crate) fn new(
        users: BasicAuthUsers,
        previous: Option<&Self>,
    ) -> Result<Self, ring::error::Unspecified> {
        let mut cache = AuthCache::new()?;
        let mut verify_limiter = Arc::default();
        if let Some(previous) = previous {
            cache = lock(&previous.cache).retain_users(|name| {
                let hash = users.get(name);
                hash.is_some() && hash == previous.users.get(name)
            });
            verify_limiter = previous.verify_limiter.clone();
        }
        let costs = users.values().map(|hash| hash.cost);
        let dummy_hash = PasswordHash::dummy(costs.max().unwrap_or(bcrypt::DEFAULT_COST));
        Ok(Self {
            users,
            dummy_hash,
            cache: Arc::new(Mutex::new(cache)),
            verify_limiter,
        })
    }

    /// Checks the credentials in the headers of a request from `client`.
    ///
    /// # Errors
    /// Returns an error if they are missing or invalid, or if too many passwords are pending.
    pub(crate) async fn authenticate(
        &self,
        headers: &HeaderMap,
        client: IpAddr,
    ) -> Result<(), Denied> {
        let Some(credentials) = credentials(headers) else {
            return Err(Denied::Unauthorized);
        };
        let password = credentials.password.expose_secret();
        let key = lock(&self.cache).key(&credentials.user, password);
        if let Some(valid) = lock(&self.cache).get(&credentials.user, &key) {
            return allowed(valid);
        }
        let Some(slot) = self.verify_limiter.reserve(client) else {
            return Err(Denied::Overloaded(OVERLOADED_RETRY_AFTER));
        };
        let Some(permit) = slot.acquire().await else {
            return Err(Denied::Overloaded(OVERLOADED_RETRY_AFTER));
        };
        // The same credentials may have been verified while this request was waiting.
        if let Some(valid) = lock(&self.cache).get(&credentials.user, &key) {
            return allowed(valid);
        }
        let verify = self.verify_task(credentials, key, permit);
        let thread = thread::Builder::new().name("bcrypt".to_owned());
        dedicated_thread::run(thread, verify)
            .await
            .unwrap_or_else(|error| {
                tracing::warn!(%error, "cannot start a thread to verify a password");
                Err(Denied::Overloaded(OVERLOADED_RETRY_AFTER))
            })
    }

    /// Returns the verification, to be run on a thread of its own, which holds the permit. Its
    /// result is cached even if the client disconnects.
    fn verify_task(
        &self,
        credentials: Credentials,
        key: CacheKey,
        permit: OwnedSemaphorePermit,
    ) -> impl FnOnce() -> Result<(), Denied> + Send + 'static {
        let user_hash = self.users.get(&credentials.user);
        let is_known = user_hash.is_some();
        let hash = user_hash.unwrap_or(&self.dummy_hash).clone();
        let cache = self.cache.clone();
        move || {
            let _permit = permit;
            let valid = hash.verify(credentials.password.expose_secret()) && is_known;
            lock(&cache).insert(&credentials.user, key, valid);
            allowed(valid)
        }
    }
}

fn allowed(valid: bool) -> Result<(), Denied> {
    if valid {
        Ok(())
    } else {
        Err(Denied::Unauthorized)
    }
}

fn lock(cache: &Mutex<AuthCache>) -> MutexGuard<'_, AuthCache> {
    cache.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Parses the credentials. Returns `None` if the header is missing, repeated or invalid.
fn credentials(headers: &HeaderMap) -> Option<Credentials> {
    let (scheme, encoded) = single_header(headers, AUTHORIZATION)?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = SecretSlice::from(BASE64_STANDARD.decode(encoded.trim()).ok()?);
    let mut parts = decoded.expose_secret().splitn(2, |byte| *byte == b':');
    Some(Credentials {
        user: String::from_utf8(parts.next()?.to_vec()).ok()?,
        password: SecretSlice::from(parts.next()?.to_vec()),
    })
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;
    use crate::config::web::WebConfig;
    use crate::dedicated_thread::run_while_blocking_threads_hang;

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    /// Returns basic auth with one user, `alice` with the password `sesame`.
    fn basic_auth() -> BasicAuth {
        let hash = bcrypt::hash("sesame", 4).unwrap();
        let text = format!("basic_auth_users: {{alice: '{hash}'}}");
        let users = WebConfig::parse("web.yml".as_ref(), &text).unwrap().users;
        BasicAuth::new(users, None).unwrap()
    }

    fn headers(credentials: &[&str]) -> HeaderMap {
        let value = |credentials: &&str| {
            let value = format!("Basic {}", BASE64_STANDARD.encode(credentials));
            (AUTHORIZATION, HeaderValue::try_from(value).unwrap())
        };
        credentials.iter().map(value).collect()
    }

    #[tokio::test]
    async fn only_valid_credentials_are_allowed_cached_or_not() {
        let auth = basic_auth();
        for _ in 0..2 {
            assert_eq!(
                auth.authenticate(&headers(&["alice:sesame"]), CLIENT).await,
                Ok(())
            );
            for invalid in [
                "alice:sesam",
                "alice:",
                "alice",
                "bob:sesame",
                ":sesame",
                "",
                "alice:sesame:",
            ] {
                assert_eq!(
                    auth.authenticate(&headers(&[invalid]), CLIENT).await,
                    Err(Denied::Unauthorized),
                    "{invalid}"
                );
            }
        }
        assert_eq!(
            auth.authenticate(&HeaderMap::new(), CLIENT).await,
            Err(Denied::Unauthorized)
        );
        assert_eq!(
            auth.authenticate(&headers(&["alice:sesame", "alice:sesame"]), CLIENT)
                .await,
            Err(Denied::Unauthorized)
        );
    }

    #[test]
    fn scheme_is_case_insensitive_basic() {
        let user = |value: &'static str| {
            let headers = [(AUTHORIZATION, HeaderValue::from_static(value))]
                .into_iter()
                .collect();
            credentials(&headers).map(|credentials| credentials.user)
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
    async fn unchanged_users_stay_cached_after_reload() {
        let [alice, bob, new] =
            ["sesame", "open", "new"].map(|password| bcrypt::hash(password, 4).unwrap());
        let users = |bob: &str| {
            let text = format!("basic_auth_users: {{alice: '{alice}', bob: '{bob}'}}");
            WebConfig::parse("web.yml".as_ref(), &text).unwrap().users
        };
        let before = BasicAuth::new(users(&bob), None).unwrap();
        for valid in ["alice:sesame", "bob:open"] {
            assert_eq!(
                before.authenticate(&headers(&[valid]), CLIENT).await,
                Ok(())
            );
        }
        assert_eq!(
            before.authenticate(&headers(&["bob:new"]), CLIENT).await,
            Err(Denied::Unauthorized)
        );

        let after = BasicAuth::new(users(&new), Some(&before)).unwrap();
        let slots: Vec<_> = (0..5)
            .filter_map(|_| after.verify_limiter.reserve(CLIENT))
            .collect();
        assert_eq!(
            after
                .authenticate(&headers(&["alice:sesame"]), CLIENT)
                .await,
            Ok(())
        );
        assert_eq!(
            after.authenticate(&headers(&["bob:open"]), CLIENT).await,
            Err(Denied::Overloaded(OVERLOADED_RETRY_AFTER))
        );
        drop(slots);
        assert_eq!(
            after.authenticate(&headers(&["bob:open"]), CLIENT).await,
            Err(Denied::Unauthorized)
        );
        assert_eq!(
            after.authenticate(&headers(&["bob:new"]), CLIENT).await,
            Ok(())
        );
    }

    #[tokio::test]
    async fn full_limiter_rejects_only_uncached_credentials() {
        let auth = basic_auth();
        assert_eq!(
            auth.authenticate(&headers(&["alice:sesame"]), CLIENT).await,
            Ok(())
        );
        let _slots: Vec<_> = (0..5)
            .filter_map(|_| auth.verify_limiter.reserve(CLIENT))
            .collect();
        assert_eq!(
            auth.authenticate(&headers(&["alice:sesam"]), CLIENT).await,
            Err(Denied::Overloaded(OVERLOADED_RETRY_AFTER))
        );
        assert_eq!(
            auth.authenticate(&headers(&["alice:sesame"]), CLIENT).await,
            Ok(())
        );
    }

    #[test]
    fn password_is_verified_while_blocking_threads_hang() {
        let (auth, headers) = (basic_auth(), headers(&["alice:sesame"]));
        let verified = run_while_blocking_threads_hang(async {
            let verify = auth.authenticate(&headers, CLIENT);
            tokio::time::timeout(Duration::from_secs(60), verify).await
        });
        assert_eq!(verified, Ok(Ok(())));
    }

    #[test]
    fn dummy_hash_has_the_highest_cost() {
        let [low, high] = [4, 5].map(|cost| bcrypt::hash("sesame", cost).unwrap());
        let text = format!("basic_auth_users: {{alice: '{high}', bob: '{low}'}}");
        let users = WebConfig::parse("web.yml".as_ref(), &text).unwrap().users;
        let auth = BasicAuth::new(users, None).unwrap();
        assert_eq!(auth.dummy_hash.cost, 5);
    }
}
