//! What is counted for one account as it happens, all of it there from the start with zero.
//!
//! Owns: the instruments: of requests ([`api`]) and of calls that began and ended ([`calls`]). They are handed in, never
//! global, and belong to their account: when it goes they go. **Where does a new metric go?** Here if it is counted as
//! it happens and must survive between scrapes; into `exposition` if it can be told from an observation at scrape time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus::proto::MetricFamily;

use crate::account::call_metrics::CallMetrics;
use crate::ringcentral::metrics::ApiMetrics;

/// The instruments of one account.
pub struct AccountMetrics {
    /// Counted by the transport.
    pub api: Arc<ApiMetrics>,
    /// Counted by the observer.
    pub calls: CallMetrics,
}

impl AccountMetrics {
    /// Instruments at zero; ended calls are counted by extension too if `by_extension`.
    ///
    /// # Errors
    /// When the account's name is no label value, which the configuration has ruled out.
    pub fn new(account: &str, by_extension: bool) -> prometheus::Result<Self> {
        Ok(Self {
            api: Arc::new(ApiMetrics::new(account)?),
            calls: CallMetrics::new(account, by_extension)?,
        })
    }

    /// Grows with whatever is counted: a text of them holds until then.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.api.revision.now() + self.calls.revision.now()
    }

    /// The families as they are now.
    #[must_use]
    pub fn collect(&self) -> Vec<MetricFamily> {
        let mut families = self.api.collect();
        families.extend(self.calls.collect());
        families
    }
}

/// Grows with whatever is counted, once it is.
#[derive(Debug, Default)]
pub struct Revision(AtomicU64);

impl Revision {
    pub fn now(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    pub fn grow(&self) {
        self.0.fetch_add(1, Ordering::Release);
    }
}
