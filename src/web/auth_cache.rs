//! What is known of passwords that were checked: **pure**.
//!
//! Owns: that no password is kept. What is kept is a tag, which is worth nothing without a key that was drawn at random
//! and never leaves the process. Right passwords are kept by user, one each, so that no flood of wrong ones can push
//! them out; of the wrong ones the last 256.

use std::collections::{HashMap, VecDeque};

use ring::hmac::{self, HMAC_SHA256};
use ring::rand::SystemRandom;

const MAX_FAILURES: usize = 256;

/// The tag of a user and a password.
pub type CacheKey = [u8; 32];

/// Verdicts on the passwords of one set of users.
pub struct AuthCache {
    key: hmac::Key,
    right: HashMap<String, CacheKey>,
    wrong: VecDeque<CacheKey>,
}

impl AuthCache {
    /// None yet, with a key of their own.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn new() -> Result<Self, ring::error::Unspecified> {
        let key = hmac::Key::generate(HMAC_SHA256, &SystemRandom::new())?;
        Ok(Self {
            key,
            right: HashMap::new(),
            wrong: VecDeque::new(),
        })
    }

    /// The right ones of some users. A wrong password may be right by now.
    #[must_use]
    pub fn kept(&self, keep: impl Fn(&str) -> bool) -> Self {
        let right = self
            .right
            .iter()
            .filter(|(user, _)| keep(user))
            .map(|(user, tag)| (user.clone(), *tag))
            .collect();
        Self {
            key: self.key.clone(),
            right,
            wrong: VecDeque::new(),
        }
    }

    /// A name has no colon, so that no other pair has this tag.
    #[must_use]
    pub fn tag(&self, user: &str, password: &[u8]) -> CacheKey {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(user.as_bytes());
        context.update(b":");
        context.update(password);
        let mut tag = CacheKey::default();
        tag.iter_mut()
            .zip(context.sign().as_ref())
            .for_each(|(byte, signed)| *byte = *signed);
        tag
    }

    /// A number from 0 that is always the same for a name, and that nobody outside can foretell.
    #[must_use]
    pub fn lot(&self, name: &str, below: usize) -> usize {
        let number = self
            .tag(name, b"")
            .iter()
            .take(7)
            .fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        usize::try_from(number)
            .unwrap_or_default()
            .checked_rem(below)
            .unwrap_or_default()
    }

    /// The verdict, if it is known.
    #[must_use]
    pub fn get(&self, user: &str, tag: &CacheKey) -> Option<bool> {
        if self.right.get(user) == Some(tag) {
            Some(true)
        } else {
            self.wrong.contains(tag).then_some(false)
        }
    }

    /// Keeps a verdict.
    pub fn insert(&mut self, user: &str, tag: CacheKey, right: bool) {
        if right {
            self.right.insert(user.to_owned(), tag);
        } else if !self.wrong.contains(&tag) {
            self.wrong.truncate(MAX_FAILURES - 1);
            self.wrong.push_front(tag);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_wrong_passwords_pushes_out_no_right_one_and_takes_bounded_memory() {
        let mut verdicts = AuthCache::new().unwrap();
        let right = verdicts.tag("alice", b"sesame");
        verdicts.insert("alice", right, true);
        for n in 0..10_000_u32 {
            let tag = verdicts.tag("alice", &n.to_le_bytes());
            verdicts.insert("alice", tag, false);
        }
        assert_eq!(verdicts.get("alice", &right), Some(true));
        assert_eq!(
            (verdicts.right.len(), verdicts.wrong.len()),
            (1, MAX_FAILURES)
        );
        let last = verdicts.tag("alice", &9_999_u32.to_le_bytes());
        assert_eq!(verdicts.get("alice", &last), Some(false));
    }

    #[test]
    fn a_verdict_is_that_of_its_user_alone() {
        let mut verdicts = AuthCache::new().unwrap();
        let tag = verdicts.tag("alice", b"sesame");
        verdicts.insert("alice", tag, true);
        assert_eq!(verdicts.get("bob", &verdicts.tag("bob", b"sesame")), None);
        assert_ne!(
            tag,
            AuthCache::new().unwrap().tag("alice", b"sesame"),
            "each has a key of its own"
        );
    }

    #[test]
    fn lots_are_spread_and_stay() {
        let verdicts = AuthCache::new().unwrap();
        let lots: Vec<_> = (0..100).map(|n| verdicts.lot(&n.to_string(), 2)).collect();
        assert!(lots.contains(&0) && lots.contains(&1));
        assert_eq!(verdicts.lot("7", 2), lots[7]);
        assert_eq!(verdicts.lot("x", 0), 0);
    }
}
