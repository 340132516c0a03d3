//! Account states and the process as the text that Prometheus reads.
//!
//! The text of a state is rendered once for each format that is requested and shared by all scrapes, see
//! [`RenderedText`]; a scrape only adds what the clock and the configuration change. `account` has the families of an
//! account, `presence` those of its presence, `process` those of the exporter itself, and `text_format` writes them, in
//! text format 0.0.4 or OpenMetrics 1.0. Only [`ExporterInfo::collect`] reads anything from the system (`/proc`); all else
//! depends on the arguments.
//!
//! [`RenderedText`]: crate::account::state::RenderedText

mod account;
mod presence;
mod process;

use std::sync::Arc;

pub use process::{ExporterInfo, ProcessStats};

use crate::account::manager::AccountHandle;
use crate::account::metrics::AccountMetrics;
use crate::account::presence::Presence;
use crate::account::state::AccountState;
use crate::clock::Moment;
use crate::config::{Account, Metrics, Scrape};
use crate::text_format::FamilyTexts;
pub use crate::text_format::TextFormat;
pub(crate) use crate::text_format::{Exposition, Piece};

/// The input for the families of one account.
pub struct AccountView<'a> {
    /// The account's configuration.
    pub account: &'a Account,
    /// Its latest state.
    pub state: Arc<AccountState>,
    /// Its counters.
    pub counters: &'a AccountMetrics,
    /// The presence of its extensions, `None` if it is off.
    pub presence: Option<&'a Presence>,
}

impl<'a> AccountView<'a> {
    /// Creates a view of an account's latest state.
    #[must_use]
    pub fn new(handle: &'a AccountHandle) -> Self {
        Self {
            account: &handle.config,
            state: handle.collector.state(),
            counters: &handle.counters,
            presence: handle.presence.as_deref(),
        }
    }
}

/// Renders the exposition into one string.
pub fn render<'a>(
    accounts: impl IntoIterator<Item = AccountView<'a>>,
    exporter: Option<&ExporterInfo>,
    scrape: &Scrape,
    metrics: &Metrics,
    format: TextFormat,
    now: Moment,
) -> String {
    exposition(accounts, exporter, scrape, metrics, format, now).into_text()
}

/// Returns the exposition, of texts that all scrapes of a format share. `exporter` is `None` for scrapes of single
/// accounts.
pub(crate) fn exposition<'a>(
    accounts: impl IntoIterator<Item = AccountView<'a>>,
    exporter: Option<&ExporterInfo>,
    scrape: &Scrape,
    metrics: &Metrics,
    format: TextFormat,
    now: Moment,
) -> Exposition {
    let accounts: Vec<_> = accounts.into_iter().collect();
    let mut current = FamilyTexts::new(format);
    let mut parts = Vec::new();
    for view in &accounts {
        if let Some(snapshot) = view.state.fresh(now, scrape.max_age) {
            parts.push(account::snapshot_text(view, &snapshot.snapshot, format));
        }
        parts.push(account::account_text(view, metrics, format));
        account::add_current(&mut current, view, scrape, now);
        presence::add(&mut parts, &mut current, view, metrics, now);
    }
    if let Some(exporter) = exporter {
        process::add(&mut current, exporter);
    }
    parts.push(current.share());
    Exposition::new(format, parts)
}

#[cfg(test)]
mod tests;
