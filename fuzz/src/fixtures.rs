//! Accounts, settings and expositions for the targets.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use ringcentral_exporter::account::metrics::AccountMetrics;
use ringcentral_exporter::account::state::AccountState;
use ringcentral_exporter::calls::ExtensionLabel;
use ringcentral_exporter::clock::Moment;
use ringcentral_exporter::config::{Account, Level, Metrics, PresenceMode, Scrape};
use ringcentral_exporter::exposition::{AccountView, TextFormat, render};
use ringcentral_exporter::secret::SecretSource;
use secrecy::SecretString;

use crate::exposition::Exposition;

/// The default scrape settings.
pub const SCRAPE: Scrape = Scrape {
    min_interval: Duration::ZERO,
    timeout_offset: Duration::from_millis(500),
    max_age: Duration::from_secs(120),
};

/// Metrics settings with a limit that is low enough for small inputs to exceed it.
pub const METRICS: Metrics = Metrics {
    extension_label: ExtensionLabel::Number,
    extension_info: true,
    extension_calls: true,
    extension_presence: false,
    max_extensions: 5,
};

/// Returns an account whose server refuses connections.
pub fn account(name: &str) -> Account {
    let secret = |text: &str| SecretSource::Value(SecretString::from(text));
    Account {
        name: name.to_owned(),
        server: "http://127.0.0.1:1".parse().expect("valid URL"),
        client_id: name.to_owned(),
        client_secret: secret("sesame"),
        jwt: secret(name),
        account_id: "~".to_owned(),
        level: Level::Account,
        presence: PresenceMode::Off,
        concurrent_calls_limit: None,
        ca: None,
    }
}

/// Returns counters for [`render_account`].
pub fn counters() -> AccountMetrics {
    AccountMetrics::new("fuzz", true, fixed_moment()).expect("valid label value")
}

/// Returns a moment with the same wall time in each run.
pub fn fixed_moment() -> Moment {
    Moment {
        wall: Timestamp::UNIX_EPOCH + Duration::from_secs(1_795_521_600),
        ..Moment::now()
    }
}

/// Renders the exposition of one account in text format 0.0.4. OpenMetrics must have the same samples in the same order.
pub fn render_account(
    state: AccountState,
    counters: &AccountMetrics,
    metrics: &Metrics,
    now: Moment,
) -> String {
    let state = Arc::new(state);
    let text = render_format(TextFormat::Prometheus, &state, counters, metrics, now);
    let open_metrics = render_format(TextFormat::OpenMetrics, &state, counters, metrics, now);
    assert!(open_metrics.ends_with("\n# EOF\n"));
    assert_eq!(sample_lines(&open_metrics), sample_lines(&text));
    text
}

/// Renders the exposition of one account in this format.
pub fn render_format(
    format: TextFormat,
    state: &Arc<AccountState>,
    counters: &AccountMetrics,
    metrics: &Metrics,
    now: Moment,
) -> String {
    let view = AccountView {
        account: &account("fuzz"),
        state: state.clone(),
        counters,
        presence: None,
    };
    render([view], None, &SCRAPE, metrics, format, now)
}

/// Returns the samples without created times, and with bounds of buckets as in the text format.
fn sample_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for line in text.lines() {
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        if !line.starts_with('#') && !name.ends_with("_created") {
            lines.push(line.replace(".0\"}", "\"}"));
        }
    }
    lines
}

/// Parses an exposition, which must be valid.
#[track_caller]
pub fn parse_exposition(text: &str) -> Exposition {
    Exposition::parse(text).unwrap_or_else(|error| panic!("{error}"))
}
