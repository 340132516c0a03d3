//! Limit of concurrent and pending password verifications.
//!
//! Verification is slow on purpose. Beyond the limits a request is rejected immediately, and one
//! client leaves room for others.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Maximum number of threads that verify passwords.
const MAX_CONCURRENT: usize = 2;
/// Maximum number of requests that wait for a verification, the running ones included.
const MAX_PENDING: usize = 10;
/// Maximum number of these requests from one client network.
const MAX_PENDING_PER_CLIENT: usize = 5;

/// Limits password verifications. It is shared by all configurations, also across reloads.
#[derive(Debug)]
pub(crate) struct VerifyLimiter {
    permits: Arc<Semaphore>,
    reserved: Mutex<HashMap<IpAddr, usize>>,
}

/// A reservation for one verification, released on drop.
#[derive(Debug)]
pub(crate) struct VerifySlot {
    limiter: Arc<VerifyLimiter>,
    client: IpAddr,
}

impl Default for VerifyLimiter {
    fn default() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(MAX_CONCURRENT)),
            reserved: Mutex::default(),
        }
    }
}

impl VerifyLimiter {
    /// Reserves a verification for the client. Returns `None` if too many are pending.
    pub(crate) fn reserve(self: &Arc<Self>, client: IpAddr) -> Option<VerifySlot> {
        let client = client_network(client);
        let mut reserved = self.lock();
        let total: usize = reserved.values().sum();
        let of_client = reserved.get(&client).copied().unwrap_or(0);
        if total >= MAX_PENDING || of_client >= MAX_PENDING_PER_CLIENT {
            return None;
        }
        reserved.insert(client, of_client + 1);
        Some(VerifySlot {
            limiter: self.clone(),
            client,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.reserved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl VerifySlot {
    /// Waits for a thread. The permit must be held by the thread itself, as a verification
    /// continues when its client disconnects.
    pub(crate) async fn acquire(&self) -> Option<OwnedSemaphorePermit> {
        self.limiter.permits.clone().acquire_owned().await.ok()
    }
}

impl Drop for VerifySlot {
    fn drop(&mut self) {
        let mut reserved = self.limiter.lock();
        if let Some(count) = reserved.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                reserved.remove(&self.client);
            }
        }
    }
}

/// Returns the part of an address that its owner cannot choose: an IPv4 address, or the first 64
/// bits of an IPv6 one.
fn client_network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_client_reserves_at_most_half() {
        let limiter = Arc::new(VerifyLimiter::default());
        let slots: Vec<_> = (0..100)
            .filter_map(|_| limiter.reserve(address("192.0.2.1")))
            .collect();
        assert_eq!(slots.len(), MAX_PENDING_PER_CLIENT);
        assert!(
            limiter.reserve(address("::ffff:192.0.2.1")).is_none(),
            "the same address, mapped to IPv6"
        );
        assert!(limiter.reserve(address("192.0.2.2")).is_some());
    }

    #[test]
    fn dropped_slots_are_released() {
        let limiter = Arc::new(VerifyLimiter::default());
        let slots: Vec<_> = (0..100)
            .filter_map(|n| limiter.reserve(address(&format!("192.0.2.{n}"))))
            .collect();
        assert_eq!(slots.len(), MAX_PENDING);
        drop(slots);
        assert!(limiter.lock().is_empty());
    }

    #[tokio::test]
    async fn new_client_waits_for_five_of_a_flood_at_most() {
        let limiter = Arc::new(VerifyLimiter::default());
        let verified = Arc::new(AtomicUsize::new(0));
        for _ in 0..100 {
            let (limiter, verified) = (limiter.clone(), verified.clone());
            tokio::spawn(async move {
                loop {
                    if let Some(slot) = limiter.reserve(address("192.0.2.1")) {
                        let _permit = slot.acquire().await;
                        tokio::task::yield_now().await;
                        verified.fetch_add(1, Ordering::Relaxed);
                    }
                    tokio::task::yield_now().await;
                }
            });
        }
        while verified.load(Ordering::Relaxed) < 20 {
            tokio::task::yield_now().await;
        }
        let new = limiter.reserve(address("192.0.2.2")).unwrap();
        let before = verified.load(Ordering::Relaxed);
        let _permit = new.acquire().await.unwrap();
        let waited_for = verified.load(Ordering::Relaxed) - before;
        assert!(waited_for <= MAX_PENDING_PER_CLIENT, "{waited_for}");
    }

    #[test]
    fn ipv6_network_is_one_client() {
        let limiter = Arc::new(VerifyLimiter::default());
        let slots: Vec<_> = (0..100)
            .filter_map(|n| limiter.reserve(address(&format!("2001:db8::{n}"))))
            .collect();
        assert_eq!(slots.len(), MAX_PENDING_PER_CLIENT);
        assert!(limiter.reserve(address("2001:db8:0:1::1")).is_some());
    }

    #[tokio::test]
    async fn third_verification_waits_for_a_thread() {
        let limiter = Arc::new(VerifyLimiter::default());
        let slots: Vec<_> = (0..3)
            .filter_map(|_| limiter.reserve(address("192.0.2.1")))
            .collect();
        let first = slots[0].acquire().await.unwrap();
        let _second = slots[1].acquire().await.unwrap();
        let third = tokio::spawn(async move { slots[2].acquire().await.is_some() });
        tokio::task::yield_now().await;
        assert!(!third.is_finished());
        drop(first);
        assert!(third.await.unwrap());
    }
}
