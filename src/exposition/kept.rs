//! What was written of an account, kept until there is something new to write.
//!
//! Owns: when a text no longer holds: with the next snapshot, and with whatever is counted next. Nothing that depends on
//! the time is kept. So a second Prometheus, which shares the fetch of the first, shares most of its text too.

use std::sync::{Arc, Mutex, PoisonError};

use prometheus::Result;

use super::family::Families;
use crate::calls::Snapshot;
use crate::instruments::Instruments;

/// The texts of one account's latest snapshot, and of its instruments.
#[derive(Debug, Default)]
pub struct Kept {
    snapshot: Text<Arc<Snapshot>>,
    instruments: Text<u64>,
}

impl Kept {
    /// The families of a snapshot, which nothing changes.
    ///
    /// # Errors
    /// Those of `write`.
    pub fn of_snapshot(&self, snapshot: &Arc<Snapshot>, write: impl FnOnce(&mut Families)) -> Result<Arc<Families>> {
        self.snapshot.get(snapshot.clone(), Arc::ptr_eq, |families| {
            write(families);
            Ok(())
        })
    }

    /// The families of the account's instruments, always the same ones.
    ///
    /// # Errors
    /// When the encoder finds a family without a name or a metric.
    pub fn of_instruments(&self, instruments: &Instruments) -> Result<Arc<Families>> {
        // Read first: what is counted while the text is written makes it be written again.
        let revision = instruments.revision();
        self.instruments.get(revision, PartialEq::eq, |families| families.write(instruments.collect()))
    }
}

/// A text, and what it is of. The next is written in the same memory, which would fall to pieces otherwise.
#[derive(Debug)]
struct Text<Of>(Mutex<Option<(Of, Arc<Families>)>>);

impl<Of> Default for Text<Of> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<Of> Text<Of> {
    /// The text of this; written if the one that is kept is of another. One that fails is not kept.
    fn get(
        &self,
        of: Of,
        same: impl FnOnce(&Of, &Of) -> bool,
        write: impl FnOnce(&mut Families) -> Result<()>,
    ) -> Result<Arc<Families>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, families)) = kept.as_ref().filter(|(former, _)| same(former, &of)) {
            return Ok(families.clone());
        }
        let mut families = kept.take().map(|(_, families)| Families::anew(families)).unwrap_or_default();
        write(&mut families)?;
        let families = Arc::new(families);
        *kept = Some((of, families.clone()));
        Ok(families)
    }
}
