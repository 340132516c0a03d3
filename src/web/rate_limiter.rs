//! A token bucket: **pure**.
//!
//! Owns: how many requests are let through. It is kept as one moment, that at which the bucket is full again, so
//! nothing has to be refilled.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::web::RateLimit;

/// A bucket that begins full.
#[derive(Debug)]
pub struct TokenBucket {
    limit: RateLimit,
    full_at: Option<Instant>,
}

impl TokenBucket {
    /// A full bucket.
    #[must_use]
    pub fn new(limit: RateLimit) -> Self {
        Self {
            limit,
            full_at: None,
        }
    }

    /// What it was made for.
    #[must_use]
    pub fn limit(&self) -> RateLimit {
        self.limit
    }

    /// Takes a token.
    ///
    /// # Errors
    /// When there is none: how long until there is one.
    pub fn try_acquire(&mut self, now: Instant) -> Result<(), Duration> {
        let full_again = self.full_at.map_or(now, |at| at.max(now)) + self.limit.interval;
        let most = now + self.limit.interval.saturating_mul(self.limit.burst);
        if full_again > most {
            return Err(full_again - most);
        }
        self.full_at = Some(full_again);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Moment;

    const SECOND: Duration = Duration::from_secs(1);

    fn bucket(burst: u32) -> (TokenBucket, Instant) {
        (
            TokenBucket::new(RateLimit {
                interval: SECOND,
                burst,
            }),
            Moment::now().instant,
        )
    }

    #[test]
    fn a_burst_is_let_through_and_then_one_each_interval() {
        let (mut bucket, start) = bucket(3);
        for _ in 0..3 {
            assert_eq!(bucket.try_acquire(start), Ok(()));
        }
        assert_eq!(bucket.try_acquire(start), Err(SECOND));
        assert_eq!(bucket.try_acquire(start + SECOND / 2), Err(SECOND / 2));
        assert_eq!(bucket.try_acquire(start + SECOND), Ok(()));
        assert!(bucket.try_acquire(start + SECOND).is_err());
    }

    #[test]
    fn a_long_silence_saves_up_no_more_than_a_burst() {
        let (mut bucket, start) = bucket(2);
        let later = start + 1000 * SECOND;
        assert_eq!(
            [
                bucket.try_acquire(later),
                bucket.try_acquire(later),
                bucket.try_acquire(later)
            ],
            [Ok(()), Ok(()), Err(SECOND)]
        );
    }

    #[test]
    fn those_that_are_refused_cost_nothing() {
        let (mut bucket, start) = bucket(1);
        bucket.try_acquire(start).unwrap();
        for _ in 0..1000 {
            bucket.try_acquire(start).unwrap_err();
        }
        assert_eq!(bucket.try_acquire(start + SECOND), Ok(()));
    }
}
