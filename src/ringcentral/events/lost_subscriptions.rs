//! The subscriptions that connections have left behind. They count against the user's limit until they are deleted.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The maximum number of subscriptions. With the own one they are as many as a connection may request concurrently.
const MAX_SUBSCRIPTIONS: usize = 9;

/// The ids of lost subscriptions, which the connections of a stream share.
#[derive(Clone, Default)]
pub(crate) struct LostSubscriptions(Arc<Mutex<VecDeque<String>>>);

impl LostSubscriptions {
    /// Adds subscriptions. Of too many the oldest are forgotten: they expire first.
    pub(super) fn add(&self, ids: Vec<String>) {
        let mut list = self.lock();
        list.extend(ids);
        let excess = list.len().saturating_sub(MAX_SUBSCRIPTIONS);
        list.drain(..excess);
    }

    /// Removes and returns all subscriptions.
    pub(super) fn take(&self) -> Vec<String> {
        self.lock().drain(..).collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newest_lost_subscriptions_are_kept() {
        let lost = LostSubscriptions::default();
        for number in 1..=12 {
            lost.add(vec![number.to_string()]);
        }
        let kept: Vec<String> = (4..=12).map(|number: u32| number.to_string()).collect();
        assert_eq!(lost.take(), kept);
        assert!(lost.take().is_empty());
    }
}
