//! What was written of an account, kept until there is something new to write.
//!
//! Owns: when a text no longer holds: with the next snapshot, and with whatever is counted next. Nothing that depends on
//! the time is kept. So a second Prometheus, which shares the fetch of the first, shares most of its text too.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::account::metrics::AccountMetrics;
use crate::calls::Snapshot;
use crate::exposition::text::FamilyTexts;

/// The texts of one account's latest snapshot, and of its instruments.
#[derive(Debug, Default)]
pub struct Kept {
    snapshot: Text<Arc<Snapshot>>,
    instruments: Text<u64>,
}

impl Kept {
    /// The families of a snapshot, which nothing changes.
    pub fn of_snapshot(
        &self,
        snapshot: &Arc<Snapshot>,
        write: impl FnOnce(&mut FamilyTexts),
    ) -> Arc<FamilyTexts> {
        self.snapshot
            .get(|of| Arc::ptr_eq(of, snapshot))
            .unwrap_or_else(|| {
                let mut families = self.snapshot.spare();
                write(&mut families);
                self.snapshot.keep(snapshot.clone(), families)
            })
    }

    /// The families of the account's instruments, always the same ones.
    ///
    /// # Errors
    /// When the encoder finds a family without a name or a metric.
    pub fn of_instruments(
        &self,
        instruments: &AccountMetrics,
    ) -> prometheus::Result<Arc<FamilyTexts>> {
        // Read first: what is counted while the text is written makes it be written again.
        let revision = instruments.revision();
        if let Some(families) = self.instruments.get(|of| *of == revision) {
            return Ok(families);
        }
        let mut families = self.instruments.spare();
        families.write(instruments.collect())?;
        Ok(self.instruments.keep(revision, families))
    }
}

/// A text, and what it is of. The next is written in the same memory, which would fall to pieces otherwise.
#[derive(Debug)]
struct Text<Of>(Mutex<Option<(Of, Arc<FamilyTexts>)>>);

impl<Of> Default for Text<Of> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<Of> Text<Of> {
    /// The text, if it is of this.
    fn get(&self, is_it: impl FnOnce(&Of) -> bool) -> Option<Arc<FamilyTexts>> {
        self.lock()
            .as_ref()
            .filter(|(of, _)| is_it(of))
            .map(|(_, families)| families.clone())
    }

    /// Empty families, in the memory of the text.
    fn spare(&self) -> FamilyTexts {
        self.lock()
            .take()
            .map(|(_, families)| FamilyTexts::anew(families))
            .unwrap_or_default()
    }

    fn keep(&self, of: Of, families: FamilyTexts) -> Arc<FamilyTexts> {
        let families = Arc::new(families);
        *self.lock() = Some((of, families.clone()));
        families
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Of, Arc<FamilyTexts>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
