//! The limits of all users and apps that the accounts of this process log in as.
//!
//! RingCentral counts requests by user and app, however many JWTs they have, so accounts of one user share one
//! [`SharedUsage`]. The user of a JWT is known once a login has succeeded. Until then its usage is found under the
//! JWT; afterwards the registry remembers which user the JWT belongs to, with a state directory over a restart too.
//! All names are hashes, since an account's user, app and JWT are nothing that a file should show.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::clock::Moment;
use crate::ringcentral::rate_limit::saved::{SavedTimes, wall_ms};
use crate::ringcentral::rate_limit::shared::{SharedUsage, UsageFile};
use crate::secret::hash_parts;
use crate::state_directory::StateDirectory;

/// The limits of all users and apps, by the hash of a user or of a JWT whose user is not known yet.
#[derive(Debug)]
pub struct UsageRegistry {
    directory: Option<Arc<StateDirectory>>,
    /// The id of this process in the files of the state directory.
    process: u64,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    usages: HashMap<String, Arc<SharedUsage>>,
    logins: HashMap<String, SavedLogin>,
}

/// The app at a server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct App<'a> {
    pub(crate) server: &'a Url,
    pub(crate) client_id: &'a str,
}

/// What is remembered of the logins with one JWT.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub(crate) struct SavedLogin {
    /// The hash of the user, once a login has succeeded.
    pub(crate) user: Option<String>,
    /// The backoff after rejected logins, if there is one.
    pub(crate) backoff: Option<SavedBackoff>,
}

/// The backoff after rejected logins.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct SavedBackoff {
    /// The hash of everything that a person may have changed since: then the backoff does not apply.
    pub(crate) credentials: String,
    pub(crate) failures: u32,
    pub(crate) saved_at_ms: i64,
    pub(crate) until_ms: i64,
}

// === impl UsageRegistry ===

impl UsageRegistry {
    /// Creates an empty registry, which keeps its state in `directory` if there is one.
    #[must_use]
    pub fn new(directory: Option<Arc<StateDirectory>>) -> Self {
        Self {
            directory,
            process: fastrand::u64(..),
            known: Mutex::default(),
        }
    }

    /// Returns the usage that applies to a JWT, and whether its user is known.
    pub(crate) fn usage_of_jwt(&self, jwt: &JwtHash, now: Moment) -> (Arc<SharedUsage>, bool) {
        match self.login(jwt).user {
            Some(user) => (self.usage(&user, now), true),
            None => (self.usage(&jwt.0, now), false),
        }
    }

    /// Returns the usage of a user, after a login with this JWT has succeeded.
    pub(crate) fn usage_of_user(
        &self,
        app: App<'_>,
        jwt: &JwtHash,
        user_id: &str,
        now: Moment,
    ) -> Arc<SharedUsage> {
        let user = hash_parts(&["user", app.server.as_str(), app.client_id, user_id]);
        // Also if nothing has changed: a file that is not written for a day is deleted at a start.
        self.change_login(jwt, |login| login.user = Some(user.clone()));
        self.usage(&user, now)
    }

    /// Returns the backoff of logins with this JWT.
    pub(crate) fn backoff(
        &self,
        jwt: &JwtHash,
        credentials: &str,
        now: Moment,
    ) -> Option<(u32, Moment)> {
        let backoff = self.login(jwt).backoff?;
        if backoff.credentials != credentials {
            return None;
        }
        let until = SavedTimes::new(backoff.saved_at_ms, now).future(backoff.until_ms)?;
        Some((backoff.failures, until))
    }

    /// Remembers the backoff of logins with this JWT, or that there is none.
    pub(crate) fn set_backoff(&self, jwt: &JwtHash, backoff: Option<SavedBackoff>) {
        if self.login(jwt).backoff != backoff {
            self.change_login(jwt, |login| login.backoff = backoff);
        }
    }

    /// Returns the usage with this name. Those that no account uses any more, and that block nothing, are forgotten.
    pub fn usage(&self, name: &str, now: Moment) -> Arc<SharedUsage> {
        let mut known = self.lock();
        known
            .usages
            .retain(|_, usage| Arc::strong_count(usage) > 1 || !usage.is_unused(now));
        if let Some(usage) = known.usages.get(name) {
            return usage.clone();
        }
        let file = self.directory.clone().map(|directory| UsageFile {
            directory,
            name: format!("limits-{name}.json"),
        });
        let usage = Arc::new(SharedUsage::new(self.process, file, now));
        known.usages.insert(name.to_owned(), usage.clone());
        usage
    }

    fn login(&self, jwt: &JwtHash) -> SavedLogin {
        if let Some(login) = self.lock().logins.get(&jwt.0) {
            return login.clone();
        }
        let directory = self.directory.as_ref();
        let login = directory.and_then(|directory| directory.read(&login_file(jwt)));
        let login: SavedLogin = login.unwrap_or_default();
        self.lock().logins.insert(jwt.0.clone(), login.clone());
        login
    }

    /// Changes what is remembered of a JWT, and nothing else that another process has written.
    fn change_login(&self, jwt: &JwtHash, change: impl FnOnce(&mut SavedLogin)) {
        let mut login = self.login(jwt);
        match &self.directory {
            None => change(&mut login),
            Some(directory) => {
                let known = login;
                login = directory.update(&login_file(jwt), |saved: Option<SavedLogin>| {
                    let mut login = saved.unwrap_or(known);
                    change(&mut login);
                    (login.clone(), login)
                });
            }
        }
        self.lock().logins.insert(jwt.0.clone(), login);
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn login_file(jwt: &JwtHash) -> String {
    format!("login-{}.json", jwt.0)
}

// === impl JwtHash ===

/// The name of a JWT of an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JwtHash(String);

impl JwtHash {
    /// Hashes a JWT.
    pub(crate) fn new(app: App<'_>, jwt: &SecretString) -> Self {
        let parts = [
            "jwt",
            app.server.as_str(),
            app.client_id,
            jwt.expose_secret(),
        ];
        Self(hash_parts(&parts))
    }
}

// === impl SavedBackoff ===

impl SavedBackoff {
    /// Creates the saved form of a backoff that ends at `until`.
    pub(crate) fn new(credentials: String, failures: u32, until: Moment, now: Moment) -> Self {
        Self {
            credentials,
            failures,
            saved_at_ms: wall_ms(now),
            until_ms: wall_ms(until),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ringcentral::Operation;
    use crate::ringcentral::rate_limit::budget::Budget;
    use crate::ringcentral::rate_limit::headers::RateLimitHeaders;

    const CALLS: Operation = Operation::ActiveCalls;

    fn jwt(client_id: &str, jwt: &str) -> (Url, JwtHash) {
        let server: Url = "https://one.test".parse().unwrap();
        let app = App {
            server: &server,
            client_id,
        };
        let hash = JwtHash::new(app, &SecretString::from(jwt));
        (server, hash)
    }

    /// Returns the usage after a login with a JWT.
    fn log_in(
        registry: &UsageRegistry,
        client_id: &str,
        text: &str,
        user: &str,
    ) -> Arc<SharedUsage> {
        let (server, hash) = jwt(client_id, text);
        let app = App {
            server: &server,
            client_id,
        };
        registry.usage_of_user(app, &hash, user, Moment::now())
    }

    /// Records a penalty of 600 s.
    fn refuse(usage: Arc<SharedUsage>, now: Moment) {
        let mut budget = Budget::new(Duration::ZERO);
        budget.join(usage, now);
        assert!(budget.try_request(CALLS, now));
        let headers = RateLimitHeaders {
            status: 429,
            retry_after: Some(Duration::from_secs(600)),
            ..RateLimitHeaders::default()
        };
        budget.record_response(CALLS, Some(&headers), now);
    }

    /// Returns the seconds for which a JWT is blocked before a login.
    fn blocked_for(registry: &UsageRegistry, text: &str, now: Moment) -> u64 {
        let (usage, _) = registry.usage_of_jwt(&jwt("app", text).1, now);
        let until = usage.read(|usage| usage.blocked_until(CALLS));
        until.map_or(0, |until| until.monotonic_duration_since(now).as_secs())
    }

    #[test]
    fn users_and_apps_have_usages_of_their_own() {
        let registry = UsageRegistry::new(None);
        let anna = log_in(&registry, "app", "jwt-1", "anna");
        for (client_id, text, user, shares) in [
            ("app", "jwt-2", "anna", true),
            ("app", "jwt-3", "ben", false),
            ("other app", "jwt-1", "anna", false),
        ] {
            let other = log_in(&registry, client_id, text, user);
            assert_eq!(
                Arc::ptr_eq(&anna, &other),
                shares,
                "{client_id} {text} {user}"
            );
        }
    }

    #[test]
    fn penalty_is_known_for_all_jwts_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let now = Moment::now();
        let open = || {
            let directory = StateDirectory::open(folder.path()).unwrap();
            UsageRegistry::new(Some(Arc::new(directory)))
        };
        let first = open();
        log_in(&first, "app", "jwt-1", "anna");
        log_in(&first, "app", "jwt-3", "ben");
        refuse(log_in(&first, "app", "jwt-2", "anna"), now);
        for registry in [first, open()] {
            for text in ["jwt-1", "jwt-2"] {
                assert!(
                    (598..=600).contains(&blocked_for(&registry, text, now)),
                    "{text}"
                );
            }
            assert_eq!(blocked_for(&registry, "jwt-3", now), 0);
        }
    }

    #[test]
    fn backoff_outlives_a_restart_unless_credentials_change() {
        let folder = tempfile::tempdir().unwrap();
        let now = Moment::now();
        let (_, hash) = jwt("app", "jwt-1");
        for _ in 0..2 {
            let directory = StateDirectory::open(folder.path()).unwrap();
            let registry = UsageRegistry::new(Some(Arc::new(directory)));
            let until = now.after(Duration::from_secs(120));
            if registry.backoff(&hash, "secret", now).is_none() {
                let backoff = SavedBackoff::new("secret".to_owned(), 2, until, now);
                registry.set_backoff(&hash, Some(backoff));
                continue;
            }
            let (failures, known) = registry.backoff(&hash, "secret", now).unwrap();
            assert_eq!((failures, known), (2, until));
            assert_eq!(registry.backoff(&hash, "other secret", now), None);
            registry.set_backoff(&hash, None);
            assert_eq!(registry.backoff(&hash, "secret", now), None);
        }
    }
}
