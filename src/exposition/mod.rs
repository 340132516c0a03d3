//! Observations, to the text that Prometheus reads: **pure**.
//!
//! Owns: every metric's name and help text but those of the instruments, and what is shown when. All is put together
//! anew for each scrape from what is known at that moment, so nothing stale can linger. Refuses to know: where
//! observations come from, and HTTP. `family` builds families, `account` fills those of an account, `exporter` those
//! of the process, and `kept` has the texts that still hold.

mod account;
mod kept;
mod process;
mod text;

use std::sync::Arc;

pub use kept::Kept;
pub use process::{ExporterInfo, ProcessStats};
use text::Exposition;

use crate::account::metrics::AccountMetrics;
use crate::account::state::AccountState;
use crate::clock::Moment;
use crate::config::{Account, Metrics, Scrape};

/// What an account's series are made of.
pub struct AccountView<'a> {
    /// Its configuration.
    pub account: &'a Account,
    /// What is known of it.
    pub state: Arc<AccountState>,
    /// What was counted for it.
    pub counters: &'a AccountMetrics,
    /// What was written of it before.
    pub kept: &'a Kept,
}

/// The exposition in text format 0.0.4. Families of all accounts are merged by name, since none may appear twice.
/// `exporter` is left out where a scrape asks for single accounts.
///
/// # Errors
/// When the encoder finds a family without a name or a metric, which would be a mistake of ours.
pub fn render<'a>(
    accounts: impl IntoIterator<Item = AccountView<'a>>,
    exporter: Option<&ExporterInfo>,
    scrape: &Scrape,
    metrics: &Metrics,
    now: Moment,
) -> prometheus::Result<String> {
    let mut whole = Exposition::default();
    for view in accounts {
        account::add(&mut whole, &view, scrape, metrics, now);
        whole.append(view.kept.of_instruments(view.counters)?);
    }
    if let Some(exporter) = exporter {
        process::add(&mut whole.own, exporter);
    }
    Ok(whole.text())
}

#[cfg(test)]
mod tests;
