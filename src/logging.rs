//! The log: its format and level.
//!
//! Owns: where log lines go, which is standard error. Refuses to know: what is logged. No line ever holds a secret,
//! a phone number, a name or a call's id.

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, filter::LevelFilter, filter::Targets};

use crate::config::{Log, LogFormat};

/// Starts logging; a second call changes nothing. Libraries are heard from `warn` up alone, since on `debug` some of
/// them print headers.
pub fn init(log: Log) {
    let ours = LevelFilter::from_level(log.level);
    let filter = Targets::new()
        .with_target(env!("CARGO_CRATE_NAME"), ours)
        .with_default(ours.min(LevelFilter::WARN));
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
