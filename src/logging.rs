//! Logging to standard error: format and level.
//!
//! No log message contains a secret, a phone number, a name or the id of a call.

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, filter::LevelFilter, filter::Targets};

use crate::config::{Log, LogFormat};

/// Starts logging; a second call has no effect. Libraries log only from `warn` up, since some of
/// them print headers at `debug`.
pub fn init(log: Log) {
    let level = LevelFilter::from_level(log.level);
    let filter = Targets::new()
        .with_target(env!("CARGO_CRATE_NAME"), level)
        .with_default(level.min(LevelFilter::WARN));
    let layer = match log.format {
        LogFormat::Logfmt => logfmt(),
        LogFormat::Json => json(),
    };
    let _ = tracing_subscriber::registry()
        .with(layer.with_filter(filter))
        .try_init();
}

type BoxedLayer = Box<dyn Layer<tracing_subscriber::Registry> + Send + Sync>;

fn logfmt() -> BoxedLayer {
    let lines = tracing_logfmt::builder()
        .with_target(false)
        .with_span_name(false)
        .with_span_path(false);
    lines.layer().with_writer(std::io::stderr).boxed()
}

fn json() -> BoxedLayer {
    tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_target(false)
        .with_current_span(false)
        .with_span_list(false)
        .with_writer(std::io::stderr)
        .boxed()
}
