//! The users that the accounts of this process are logged in as, to find two accounts of one user.
//!
//! RingCentral counts requests and logins per user and app, so two such accounts use up each
//! other's limit, and their calls are counted twice.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use reqwest::Url;

/// All active logins of this process.
#[derive(Debug, Default)]
pub struct LoginRegistry(Mutex<Vec<Weak<ActiveLogin>>>);

/// A login, registered until its last `Arc` is dropped.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ActiveLogin {
    /// The name of the account.
    pub account: String,
    /// The server's base URL.
    pub server: Url,
    /// The user's extension id.
    pub user_id: String,
}

impl LoginRegistry {
    /// Registers a login until the returned `Arc` is dropped.
    pub(crate) fn register(&self, login: ActiveLogin) -> Arc<ActiveLogin> {
        let login = Arc::new(login);
        let mut logins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        logins.retain(|login| login.strong_count() > 0);
        logins.push(Arc::downgrade(&login));
        login
    }

    /// Returns the name of another account that is logged in as the same user.
    pub(crate) fn other_account(&self, login: &ActiveLogin) -> Option<String> {
        let logins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for other in logins.iter().filter_map(Weak::upgrade) {
            if other.account != login.account
                && other.server == login.server
                && other.user_id == login.user_id
            {
                return Some(other.account.clone());
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(account: &str, user_id: &str) -> ActiveLogin {
        ActiveLogin {
            account: account.to_owned(),
            server: "https://one.test".parse().unwrap(),
            user_id: user_id.to_owned(),
        }
    }

    #[test]
    fn same_user_is_found_while_both_are_logged_in() {
        let registry = LoginRegistry::default();
        let a = registry.register(login("a", "1"));
        let b = registry.register(login("b", "1"));
        let c = registry.register(login("c", "2"));
        let others = [&a, &b, &c].map(|login| registry.other_account(login));
        assert_eq!(others, [Some("b".to_owned()), Some("a".to_owned()), None]);
        drop(b);
        assert_eq!(registry.other_account(&a), None);
    }

    #[test]
    fn relogin_or_other_server_is_not_the_same_user() {
        let registry = LoginRegistry::default();
        let elsewhere = ActiveLogin {
            server: "https://two.test".parse().unwrap(),
            ..login("b", "1")
        };
        let first = registry.register(login("a", "1"));
        let _second = registry.register(login("a", "1"));
        let _elsewhere = registry.register(elsewhere);
        assert_eq!(registry.other_account(&first), None);
    }
}
