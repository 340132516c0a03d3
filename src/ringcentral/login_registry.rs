//! Who is logged in as which user, over all accounts.
//!
//! Owns: finding two accounts of one user. RingCentral counts requests and sessions by user and app, so the two are
//! likely to stand in each other's way, and what they show adds up to twice the truth. A session that ends takes its
//! user with it. Refuses to know: what is done about it.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use reqwest::Url;

/// All users that are logged in.
#[derive(Debug, Default)]
pub struct LoginRegistry(Mutex<Vec<Weak<ActiveLogin>>>);

/// A user, for as long as somebody holds it.
#[derive(Debug, PartialEq, Eq)]
pub struct ActiveLogin {
    /// The account that is logged in as this user.
    pub account: String,
    /// Where.
    pub server: Url,
    /// The id of the user's extension.
    pub id: String,
}

impl LoginRegistry {
    /// Takes a user in.
    pub fn register(&self, user: ActiveLogin) -> Arc<ActiveLogin> {
        let user = Arc::new(user);
        let mut users = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        users.retain(|user| user.strong_count() > 0);
        users.push(Arc::downgrade(&user));
        user
    }

    /// Another account of the same user.
    #[must_use]
    pub fn other_account(&self, user: &ActiveLogin) -> Option<String> {
        let users = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |other: &Arc<ActiveLogin>| {
            other.account != user.account && (&other.server, &other.id) == (&user.server, &user.id)
        };
        users
            .iter()
            .filter_map(Weak::upgrade)
            .find(same)
            .map(|other| other.account.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(account: &str, id: &str) -> ActiveLogin {
        ActiveLogin {
            account: account.to_owned(),
            server: "https://one.test".parse().unwrap(),
            id: id.to_owned(),
        }
    }

    #[test]
    fn two_accounts_of_one_user_are_found_for_as_long_as_both_are_logged_in() {
        let users = LoginRegistry::default();
        let (a, b, c) = (
            users.register(user("a", "1")),
            users.register(user("b", "1")),
            users.register(user("c", "2")),
        );
        let namesakes = || [&a, &b, &c].map(|user| users.other_account(user));
        assert_eq!(
            namesakes(),
            [Some("b".to_owned()), Some("a".to_owned()), None]
        );
        drop(b);
        assert_eq!(users.other_account(&a), None);
    }

    #[test]
    fn an_account_that_logs_in_anew_and_a_user_of_another_server_are_nobodys_namesakes() {
        let users = LoginRegistry::default();
        let elsewhere = ActiveLogin {
            server: "https://two.test".parse().unwrap(),
            ..user("b", "1")
        };
        let (old, _new, _other) = (
            users.register(user("a", "1")),
            users.register(user("a", "1")),
            users.register(elsewhere),
        );
        assert_eq!(users.other_account(&old), None);
    }
}
