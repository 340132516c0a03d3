//! The counters of one account. They start at zero and disappear with the account.

use std::sync::Arc;

use prometheus::proto::MetricFamily;

use crate::account::call_metrics::CallMetrics;
use crate::ringcentral::metrics::ApiMetrics;

/// The counters of one account.
pub struct AccountMetrics {
    /// API requests, counted by the client.
    pub api: Arc<ApiMetrics>,
    /// Started and ended calls, counted by the collector.
    pub calls: CallMetrics,
}

impl AccountMetrics {
    /// Creates all counters with the value zero. `by_extension` adds ended calls by extension.
    ///
    /// # Errors
    /// Returns an error if `account` is not a valid label value, which the configuration rules out.
    pub fn new(account: &str, by_extension: bool) -> prometheus::Result<Self> {
        Ok(Self {
            api: Arc::new(ApiMetrics::new(account)?),
            calls: CallMetrics::new(account, by_extension)?,
        })
    }

    /// Returns the families with their current values.
    #[must_use]
    pub fn collect(&self) -> Vec<MetricFamily> {
        let mut families = self.api.collect();
        families.extend(self.calls.collect());
        families
    }
}
