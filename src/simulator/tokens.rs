//! The sessions of the account's user: which access tokens are good, and why others are not.
//!
//! Pure: the clock is an argument. Knows no passwords and no grants.

use std::collections::VecDeque;

use crate::simulator::random::hash_seed;

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenError {
    /// Never issued, revoked, or evicted by a newer session.
    Unknown,
    /// Its time is over.
    Expired,
}

struct Session {
    token: String,
    expires_ms: i64,
}

/// All sessions, oldest first.
pub(super) struct Tokens {
    sessions: VecDeque<Session>,
    most: usize,
    issued: u64,
    seed: u64,
}

impl Tokens {
    pub(super) fn new(most: usize, seed: u64) -> Tokens {
        Tokens {
            sessions: VecDeque::new(),
            most,
            issued: 0,
            seed,
        }
    }

    /// Opens a session; one too many puts the oldest to death.
    pub(super) fn issue(&mut self, expires_ms: i64) -> String {
        self.issued += 1;
        let secret = hash_seed(hash_seed(self.seed, 0x70CE), self.issued);
        let token = format!("U0pDMTFQMDFQQVMwMHx{secret:016x}{:04}", self.issued);
        self.sessions.push_back(Session {
            token: token.clone(),
            expires_ms,
        });
        while self.sessions.len() > self.most {
            self.sessions.pop_front();
        }
        token
    }

    pub(super) fn check(&self, token: &str, now: i64) -> Result<(), TokenError> {
        let session = self.sessions.iter().find(|session| session.token == token);
        match session {
            None => Err(TokenError::Unknown),
            Some(session) if session.expires_ms <= now => Err(TokenError::Expired),
            Some(_) => Ok(()),
        }
    }

    pub(super) fn revoke(&mut self, token: &str) {
        self.sessions.retain(|session| session.token != token);
    }

    pub(super) fn evict_all(&mut self) {
        self.sessions.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_until_its_time_is_over() {
        let mut tokens = Tokens::new(5, 1);
        let token = tokens.issue(1_000);
        assert_eq!(tokens.check(&token, 999), Ok(()));
        assert_eq!(tokens.check(&token, 1_000), Err(TokenError::Expired));
        assert_eq!(tokens.check("another", 0), Err(TokenError::Unknown));
    }

    #[test]
    fn one_session_too_many_puts_the_oldest_to_death() {
        let mut tokens = Tokens::new(2, 1);
        let issued: Vec<String> = (0..3).map(|_| tokens.issue(1_000)).collect();
        let states: Vec<_> = issued.iter().map(|token| tokens.check(token, 0)).collect();
        assert_eq!(states, [Err(TokenError::Unknown), Ok(()), Ok(())]);
    }

    #[test]
    fn a_revoked_token_is_unknown_and_the_others_live_on() {
        let mut tokens = Tokens::new(5, 1);
        let (one, other) = (tokens.issue(1_000), tokens.issue(1_000));
        tokens.revoke(&one);
        assert_eq!(tokens.check(&one, 0), Err(TokenError::Unknown));
        assert_eq!(tokens.check(&other, 0), Ok(()));
        tokens.evict_all();
        assert_eq!(tokens.check(&other, 0), Err(TokenError::Unknown));
    }
}
