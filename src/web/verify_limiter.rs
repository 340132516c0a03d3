//! The queue of passwords that wait to be checked.
//!
//! Owns: that checks, slow on purpose, never take more than two threads, that no more than eight wait, and that one
//! neighbour leaves room for others. A flood is refused at the door of the queue, at once and at the cost of a look at
//! a map. Refuses to know: what is checked.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::web::client_network::client_network;

const MAX_CONCURRENT: usize = 2;
const MAX_PENDING: usize = 10;
/// A neighbour may have so many of all places.
const MAX_PENDING_PER_CLIENT: usize = 5;

/// The queue; it outlives a change of users.
#[derive(Debug)]
pub struct VerifyLimiter {
    checks: Arc<Semaphore>,
    taken: Mutex<HashMap<IpAddr, usize>>,
}

/// A place in the queue, given back when this is dropped.
#[derive(Debug)]
pub struct VerifySlot {
    queue: Arc<VerifyLimiter>,
    neighbour: IpAddr,
}

impl Default for VerifyLimiter {
    fn default() -> Self {
        Self {
            checks: Arc::new(Semaphore::new(MAX_CONCURRENT)),
            taken: Mutex::default(),
        }
    }
}

impl VerifyLimiter {
    /// A place for who comes from this address; none if too many wait.
    #[must_use]
    pub fn reserve(self: &Arc<Self>, from: IpAddr) -> Option<VerifySlot> {
        let neighbour = client_network(from);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let of_neighbour = taken.get(&neighbour).copied().unwrap_or(0);
        if of_neighbour >= MAX_PENDING_PER_CLIENT || taken.values().sum::<usize>() >= MAX_PENDING {
            return None;
        }
        taken.insert(neighbour, of_neighbour + 1);
        Some(VerifySlot {
            queue: self.clone(),
            neighbour,
        })
    }
}

impl VerifySlot {
    /// Waits for its turn. It lasts until the permit is dropped, which has to be where the work is done: a client that
    /// leaves does not end a check that runs.
    pub async fn acquire(&self) -> Option<OwnedSemaphorePermit> {
        self.queue.checks.clone().acquire_owned().await.ok()
    }
}

impl Drop for VerifySlot {
    fn drop(&mut self) {
        let mut taken = self
            .queue
            .taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let left = taken
            .get(&self.neighbour)
            .map_or(0, |count| count.saturating_sub(1));
        if left == 0 {
            taken.remove(&self.neighbour);
        } else {
            taken.insert(self.neighbour, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_neighbour_leaves_half_of_the_places_to_others() {
        let queue = Arc::new(VerifyLimiter::default());
        let flood: Vec<_> = (0..100)
            .filter_map(|_| queue.reserve(address("192.0.2.1")))
            .collect();
        assert_eq!(flood.len(), MAX_PENDING_PER_CLIENT);
        assert!(
            queue.reserve(address("::ffff:192.0.2.1")).is_none(),
            "it is the same"
        );
        assert!(queue.reserve(address("192.0.2.2")).is_some());
    }

    #[test]
    fn all_places_are_few() {
        let queue = Arc::new(VerifyLimiter::default());
        let many: Vec<_> = (0..100)
            .filter_map(|n| queue.reserve(address(&format!("192.0.2.{n}"))))
            .collect();
        assert_eq!(many.len(), MAX_PENDING);
        drop(many);
        assert!(
            queue.taken.lock().unwrap().is_empty(),
            "nothing is left of them"
        );
    }

    #[test]
    fn a_network_of_ipv6_is_one_neighbour() {
        let queue = Arc::new(VerifyLimiter::default());
        let many: Vec<_> = (0..100)
            .filter_map(|n| queue.reserve(address(&format!("2001:db8::{n}"))))
            .collect();
        assert_eq!(many.len(), MAX_PENDING_PER_CLIENT);
        assert!(queue.reserve(address("2001:db8:0:1::1")).is_some());
    }

    #[tokio::test]
    async fn two_checks_run_and_the_third_waits() {
        let queue = Arc::new(VerifyLimiter::default());
        let places: Vec<_> = (0..3)
            .filter_map(|_| queue.reserve(address("192.0.2.1")))
            .collect();
        let first = places[0].acquire().await.unwrap();
        let _second = places[1].acquire().await.unwrap();
        let third = tokio::spawn(async move { places[2].acquire().await.is_some() });
        tokio::task::yield_now().await;
        assert!(!third.is_finished());
        drop(first);
        assert!(third.await.unwrap());
    }
}
