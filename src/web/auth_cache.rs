//! Cache of password checks, without I/O.
//!
//! No password is stored, only a keyed hash of user and password. The key is random and never
//! leaves the process. Each user has one valid entry, so that a flood of invalid passwords cannot
//! displace it.

use std::collections::{HashMap, VecDeque};

use ring::hmac::{self, HMAC_SHA256};
use ring::rand::SystemRandom;

/// Maximum number of invalid passwords in the cache; the newest are kept.
const MAX_FAILURES: usize = 256;

/// HMAC-SHA-256 of a user and a password.
pub(crate) type CacheKey = [u8; 32];

/// Cached results of password checks.
#[derive(Clone)]
pub(crate) struct AuthCache {
    hmac_key: hmac::Key,
    valid: HashMap<String, CacheKey>,
    invalid: VecDeque<CacheKey>,
}

impl AuthCache {
    /// Creates an empty cache with a random key.
    ///
    /// # Errors
    /// Returns an error if the system cannot generate random numbers.
    pub(crate) fn new() -> Result<Self, ring::error::Unspecified> {
        Ok(Self {
            hmac_key: hmac::Key::generate(HMAC_SHA256, &SystemRandom::new())?,
            valid: HashMap::new(),
            invalid: VecDeque::new(),
        })
    }

    /// Returns a copy with the valid entries of the users that `keep` accepts. Invalid entries are
    /// dropped, as they may be valid for another hash.
    pub(crate) fn retain_users(&self, keep: impl Fn(&str) -> bool) -> Self {
        let mut cache = self.clone();
        cache.valid.retain(|user, _| keep(user));
        cache.invalid.clear();
        cache
    }

    /// Returns the key of a user and a password. The separator is unambiguous, as user names
    /// contain no colon.
    pub(crate) fn key(&self, user: &str, password: &[u8]) -> CacheKey {
        let mut context = hmac::Context::with_key(&self.hmac_key);
        context.update(user.as_bytes());
        context.update(b":");
        context.update(password);
        let mut key = CacheKey::default();
        key.copy_from_slice(context.sign().as_ref());
        key
    }

    /// Returns whether the password of the key is valid, if it has been checked.
    pub(crate) fn get(&self, user: &str, key: &CacheKey) -> Option<bool> {
        if self.valid.get(user) == Some(key) {
            return Some(true);
        }
        self.invalid.contains(key).then_some(false)
    }

    /// Inserts the result of a check.
    pub(crate) fn insert(&mut self, user: &str, key: CacheKey, valid: bool) {
        if valid {
            self.valid.insert(user.to_owned(), key);
        } else if !self.invalid.contains(&key) {
            self.invalid.truncate(MAX_FAILURES - 1);
            self.invalid.push_front(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_passwords_never_displace_a_valid_one() {
        let mut cache = AuthCache::new().unwrap();
        let valid = cache.key("alice", b"sesame");
        cache.insert("alice", valid, true);
        for n in 0..10_000_u32 {
            let key = cache.key("alice", &n.to_le_bytes());
            cache.insert("alice", key, false);
        }
        assert_eq!(cache.get("alice", &valid), Some(true));
        assert_eq!((cache.valid.len(), cache.invalid.len()), (1, MAX_FAILURES));
        let last = cache.key("alice", &9_999_u32.to_le_bytes());
        assert_eq!(cache.get("alice", &last), Some(false));
    }

    #[test]
    fn entry_is_valid_only_for_its_user() {
        let mut cache = AuthCache::new().unwrap();
        let key = cache.key("alice", b"sesame");
        cache.insert("alice", key, true);
        let other = cache.key("bob", b"sesame");
        assert_eq!(cache.get("bob", &other), None);
    }

    #[test]
    fn each_cache_has_a_random_key() {
        let [one, other] = [(); 2].map(|()| AuthCache::new().unwrap().key("alice", b"sesame"));
        assert_ne!(one, other);
    }
}
