//! A token bucket, without I/O.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::config::web::RateLimit;

/// A token bucket. Its level is stored as the time at which it is full, so that nothing has to be
/// refilled.
#[derive(Debug)]
pub(crate) struct TokenBucket {
    /// The parameters.
    pub(crate) limit: RateLimit,
    full_at: Mutex<Option<Instant>>,
}

impl TokenBucket {
    /// Creates a full bucket.
    pub(crate) fn new(limit: RateLimit) -> Self {
        Self {
            limit,
            full_at: Mutex::default(),
        }
    }

    /// Takes a token.
    ///
    /// # Errors
    /// Returns the time until the next token if there is none.
    pub(crate) fn try_acquire(&self, now: Instant) -> Result<(), Duration> {
        let mut last = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let full_at = last.unwrap_or(now).max(now) + self.limit.interval;
        let latest = now + self.limit.interval.saturating_mul(self.limit.burst);
        if full_at > latest {
            return Err(full_at - latest);
        }
        *last = Some(full_at);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Moment;

    const SECOND: Duration = Duration::from_secs(1);

    fn bucket(burst: u32) -> (TokenBucket, Instant) {
        let limit = RateLimit {
            interval: SECOND,
            burst,
        };
        (TokenBucket::new(limit), Moment::now().instant)
    }

    #[test]
    fn burst_is_followed_by_one_token_per_interval() {
        let (bucket, start) = bucket(3);
        for _ in 0..3 {
            assert_eq!(bucket.try_acquire(start), Ok(()));
        }
        assert_eq!(bucket.try_acquire(start), Err(SECOND));
        assert_eq!(bucket.try_acquire(start + SECOND / 2), Err(SECOND / 2));
        assert_eq!(bucket.try_acquire(start + SECOND), Ok(()));
        assert!(bucket.try_acquire(start + SECOND).is_err());
    }

    #[test]
    fn idle_bucket_holds_at_most_a_burst() {
        let (bucket, start) = bucket(2);
        let later = start + 1000 * SECOND;
        let results = [(); 3].map(|()| bucket.try_acquire(later));
        assert_eq!(results, [Ok(()), Ok(()), Err(SECOND)]);
    }

    #[test]
    fn rejected_request_takes_no_token() {
        let (bucket, start) = bucket(1);
        bucket.try_acquire(start).unwrap();
        for _ in 0..1000 {
            bucket.try_acquire(start).unwrap_err();
        }
        assert_eq!(bucket.try_acquire(start + SECOND), Ok(()));
    }
}
