//! The sessions of the simulated user: which access tokens are valid, and why others are not.

use std::collections::VecDeque;

use crate::simulator::random::hash_seed;

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenError {
    /// Never issued, revoked, or evicted by a newer session.
    Unknown,
    /// Past its expiry.
    Expired,
}

struct Session {
    id: u64,
    token: String,
    expires_ms: i64,
}

/// All sessions, oldest first.
pub(super) struct Tokens {
    sessions: VecDeque<Session>,
    max: usize,
    issued: u64,
    seed: u64,
}

impl Tokens {
    /// Creates a store of up to `max` sessions.
    pub(super) fn new(max: usize, seed: u64) -> Tokens {
        Tokens {
            sessions: VecDeque::new(),
            max,
            issued: 0,
            seed,
        }
    }

    /// Opens a session and returns its token; evicts the oldest session if there are too many.
    pub(super) fn issue(&mut self, expires_ms: i64) -> String {
        self.issued += 1;
        let secret = hash_seed(hash_seed(self.seed, 0x70CE), self.issued);
        let token = format!("U0pDMTFQMDFQQVMwMHx{secret:016x}{:04}", self.issued);
        self.sessions.push_back(Session {
            id: self.issued,
            token: token.clone(),
            expires_ms,
        });
        while self.sessions.len() > self.max {
            self.sessions.pop_front();
        }
        token
    }

    /// Checks that `token` is valid at `now`.
    pub(super) fn check(&self, token: &str, now: i64) -> Result<(), TokenError> {
        let session = self.sessions.iter().find(|session| session.token == token);
        match session {
            None => Err(TokenError::Unknown),
            Some(session) if session.expires_ms <= now => Err(TokenError::Expired),
            Some(_) => Ok(()),
        }
    }

    /// Returns the session of `token`.
    pub(super) fn session(&self, token: &str) -> Option<u64> {
        let session = self
            .sessions
            .iter()
            .find(|session| session.token == token)?;
        Some(session.id)
    }

    /// Returns whether the session was neither revoked nor evicted. Its token may have expired.
    pub(super) fn is_open(&self, session: u64) -> bool {
        self.sessions.iter().any(|open| open.id == session)
    }

    /// Ends the session of `token`, if there is one.
    pub(super) fn revoke(&mut self, token: &str) {
        self.sessions.retain(|session| session.token != token);
    }

    /// Ends all sessions.
    pub(super) fn evict_all(&mut self) {
        self.sessions.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_is_valid_until_its_expiry() {
        let mut tokens = Tokens::new(5, 1);
        let token = tokens.issue(1_000);
        assert_eq!(tokens.check(&token, 999), Ok(()));
        assert_eq!(tokens.check(&token, 1_000), Err(TokenError::Expired));
        assert_eq!(tokens.check("another", 0), Err(TokenError::Unknown));
    }

    #[test]
    fn session_over_the_maximum_evicts_the_oldest() {
        let mut tokens = Tokens::new(2, 1);
        let issued: Vec<String> = (0..3).map(|_| tokens.issue(1_000)).collect();
        let states: Vec<_> = issued.iter().map(|token| tokens.check(token, 0)).collect();
        assert_eq!(states, [Err(TokenError::Unknown), Ok(()), Ok(())]);
    }

    #[test]
    fn revoked_token_is_unknown_and_others_stay_valid() {
        let mut tokens = Tokens::new(5, 1);
        let (first, second) = (tokens.issue(1_000), tokens.issue(1_000));
        tokens.revoke(&first);
        assert_eq!(tokens.check(&first, 0), Err(TokenError::Unknown));
        assert_eq!(tokens.check(&second, 0), Ok(()));
        tokens.evict_all();
        assert_eq!(tokens.check(&second, 0), Err(TokenError::Unknown));
    }
}
