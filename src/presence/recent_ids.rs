//! Which notifications were received already. Pure.

use std::collections::hash_map::RandomState;
use std::collections::{HashSet, VecDeque};
use std::hash::BuildHasher;
use std::sync::LazyLock;

/// The number of ids that are kept. A duplicate follows its original within seconds, and a busy account of 10,000
/// extensions has 85 events a second.
const CAPACITY: usize = 4096;

/// The id of a notification, as a keyed hash, so that a notification takes the same memory however long its id is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventId(u64);

/// The ids that were received last.
#[derive(Debug, Default)]
pub struct RecentIds {
    order: VecDeque<EventId>,
    known: HashSet<EventId>,
}

// === impl EventId ===

impl EventId {
    /// Creates the id of a notification with this uuid.
    #[must_use]
    pub fn new(uuid: &str) -> Self {
        static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        Self(KEYS.hash_one(uuid))
    }
}

// === impl RecentIds ===

impl RecentIds {
    /// Records an id. Returns false if it is among those that were received last.
    pub fn insert(&mut self, id: EventId) -> bool {
        if !self.known.insert(id) {
            return false;
        }
        if self.order.len() == CAPACITY
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.order.push_back(id);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_is_new_once_until_it_is_forgotten() {
        let mut ids = RecentIds::default();
        assert!(ids.insert(EventId::new("a")));
        assert!(!ids.insert(EventId::new("a")));
        for n in 0..CAPACITY {
            assert!(ids.insert(EventId::new(&n.to_string())));
        }
        assert!(ids.insert(EventId::new("a")));
        assert_eq!(ids.known.len(), CAPACITY);
    }
}
