//! What the targets need of an exporter: an account and its exposition.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use ringcentral_exporter::account::metrics::Instruments;
use ringcentral_exporter::account::state::Observation;
use ringcentral_exporter::calls::ExtensionLabel;
use ringcentral_exporter::clock::Moment;
use ringcentral_exporter::config::{Account, Level, Metrics, Scrape};
use ringcentral_exporter::exposition::{AccountView, Kept, render};
use ringcentral_exporter::secret::SecretSource;
use secrecy::SecretString;

use crate::exposition::Exposition;

/// The defaults.
pub const SCRAPE: Scrape = Scrape {
    min_interval: Duration::ZERO,
    timeout_offset: Duration::from_millis(500),
    max_age: Duration::from_secs(120),
};

/// Few extensions, so that folding is met.
pub const METRICS: Metrics = Metrics {
    extension_label: ExtensionLabel::Number,
    extension_info: true,
    extension_calls: true,
    max_extensions: 5,
};

/// An account of this name, whose server nobody runs.
pub fn account(name: &str) -> Account {
    let secret = |text: &str| SecretSource::Value(SecretString::from(text));
    Account {
        name: name.to_owned(),
        server: "http://127.0.0.1:1".parse().expect("a URL"),
        client_id: name.to_owned(),
        client_secret: secret("sesame"),
        jwt: secret(name),
        account_id: "~".to_owned(),
        level: Level::Account,
        concurrent_calls_limit: None,
        ca: None,
    }
}

/// A moment that is the same in every run, as far as anything shows it.
pub fn noon() -> Moment {
    Moment {
        wall: Timestamp::UNIX_EPOCH + Duration::from_secs(1_795_521_600),
        ..Moment::now()
    }
}

/// The exposition of an account, as text.
pub fn exposed(
    observation: Observation,
    instruments: &Instruments,
    metrics: &Metrics,
    now: Moment,
) -> String {
    let account = account("fuzz");
    let view = AccountView {
        account: &account,
        observation: Arc::new(observation),
        instruments,
        kept: &Kept::default(),
    };
    render([view], None, &SCRAPE, metrics, now).expect("an exposition that can be encoded")
}

/// The same as read, since it must be readable.
#[track_caller]
pub fn readable(text: &str) -> Exposition {
    Exposition::read(text).unwrap_or_else(|why| panic!("{why}"))
}
