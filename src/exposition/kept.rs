//! What was written of an account, kept until there is something new to write.
//!
//! Owns: when a text no longer holds: with the next snapshot, and with whatever is counted next. Nothing that depends on
//! the time is kept. So a second Prometheus, which shares the fetch of the first, shares most of its text too.

use std::sync::{Arc, Mutex, PoisonError};

use super::family::Families;
use crate::calls::Snapshot;
use crate::instruments::Instruments;

/// The texts of one account's latest snapshot, and of its instruments.
#[derive(Debug, Default)]
pub struct Kept {
    snapshot: Mutex<Option<(Arc<Snapshot>, Arc<Families>)>>,
    instruments: Mutex<Option<(u64, Arc<Families>)>>,
}

impl Kept {
    /// The families of a snapshot, which nothing changes.
    pub fn of_snapshot(&self, snapshot: &Arc<Snapshot>, write: impl FnOnce() -> Families) -> Arc<Families> {
        let mut kept = self.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, families)) = kept.as_ref().filter(|(of, _)| Arc::ptr_eq(of, snapshot)) {
            return families.clone();
        }
        let families = write().shrunk();
        *kept = Some((snapshot.clone(), families.clone()));
        families
    }

    /// The families of the account's instruments, always the same ones.
    ///
    /// # Errors
    /// When the encoder finds a family without a name or a metric.
    pub fn of_instruments(&self, instruments: &Instruments) -> prometheus::Result<Arc<Families>> {
        // Read first: what is counted while the text is written makes it be written again.
        let revision = instruments.revision();
        let mut kept = self.instruments.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, families)) = kept.as_ref().filter(|(of, _)| *of == revision) {
            return Ok(families.clone());
        }
        let families = Families::of(instruments.collect())?.shrunk();
        *kept = Some((revision, families.clone()));
        Ok(families)
    }
}
