//! Which notifications were received already. Pure.

use std::collections::hash_map::RandomState;
use std::collections::{HashSet, VecDeque};
use std::hash::BuildHasher;

/// The number of ids that are kept. A duplicate follows its original within seconds, and a busy account of 10,000
/// extensions has 85 events a second.
const CAPACITY: usize = 4096;

/// The ids that were received last, as keyed hashes of eight bytes.
#[derive(Debug, Default)]
pub struct RecentIds {
    hasher: RandomState,
    order: VecDeque<u64>,
    hashes: HashSet<u64>,
}

impl RecentIds {
    /// Records an id. Returns false if it is among those that were received last.
    pub fn insert(&mut self, id: &str) -> bool {
        let hash = self.hasher.hash_one(id);
        if !self.hashes.insert(hash) {
            return false;
        }
        self.order.push_back(hash);
        if self.order.len() > CAPACITY
            && let Some(oldest) = self.order.pop_front()
        {
            self.hashes.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_is_new_once_until_it_is_forgotten() {
        let mut ids = RecentIds::default();
        assert!(ids.insert("a"));
        assert!(!ids.insert("a"));
        for n in 0..CAPACITY {
            assert!(ids.insert(&n.to_string()));
        }
        assert!(ids.insert("a"));
        assert_eq!(ids.hashes.len(), CAPACITY);
    }
}
