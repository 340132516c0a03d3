//! Logging to standard error: format and level.
//!
//! A line has the keys `ts`, `level` and `msg`, then the fields of the event. No log message
//! contains a secret, a phone number, a name or the id of a call.

use std::fmt;

use serde_json::Value;
use tracing::Event;
use tracing::field::{Field, Visit};
use tracing::subscriber::Subscriber;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, filter::LevelFilter, filter::Targets};

use crate::clock::Moment;
use crate::config::{Log, LogFormat};

/// Starts logging; a second call has no effect. Libraries log only from `warn` up, since some of
/// them print headers at `debug`.
pub fn init(log: Log) {
    let level = LevelFilter::from_level(log.level);
    let filter = Targets::new()
        .with_target(env!("CARGO_CRATE_NAME"), level)
        .with_default(level.min(LevelFilter::WARN));
    let layer = tracing_subscriber::fmt::layer()
        .event_format(log.format)
        .with_writer(std::io::stderr);
    let _ = tracing_subscriber::registry()
        .with(layer.with_filter(filter))
        .try_init();
}

impl<S, N> FormatEvent<S, N> for LogFormat
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let time = Moment::now().wall;
        let level = event.metadata().level().as_str().to_ascii_lowercase();
        let mut line = Line(vec![
            ("ts", Value::String(format!("{time:.3}"))),
            ("level", Value::String(level)),
            ("msg", Value::Null),
        ]);
        event.record(&mut line);
        match self {
            LogFormat::Logfmt => line.write_logfmt(&mut writer),
            LogFormat::Json => line.write_json(&mut writer),
        }
    }
}

/// The keys and values of a line, in the order in which they are written.
struct Line(Vec<(&'static str, Value)>);

impl Line {
    fn write_logfmt(&self, writer: &mut impl fmt::Write) -> fmt::Result {
        for (index, (key, value)) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { " " };
            match value {
                Value::String(text) if !needs_quotes(text) => {
                    write!(writer, "{separator}{key}={text}")?;
                }
                // The escapes of JSON are those that readers of logfmt understand.
                value => write!(writer, "{separator}{key}={}", encode_json(value))?,
            }
        }
        writeln!(writer)
    }

    fn write_json(&self, writer: &mut impl fmt::Write) -> fmt::Result {
        for (index, (key, value)) in self.0.iter().enumerate() {
            let separator = if index == 0 { '{' } else { ',' };
            write!(writer, "{separator}\"{key}\":{}", encode_json(value))?;
        }
        writeln!(writer, "}}")
    }

    fn insert(&mut self, field: &Field, value: Value) {
        if field.name() != "message" {
            self.0.push((field.name(), value));
        } else if let Some(message) = self.0.get_mut(2) {
            message.1 = value;
        }
    }
}

impl Visit for Line {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.insert(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.insert(field, format!("{value:?}").into());
    }
}

/// Encodes a value as JSON in printable characters.
fn encode_json(value: &Value) -> String {
    let mut encoded = String::new();
    for char in value.to_string().chars() {
        if is_unprintable(char) {
            encoded += &format!("\\u{:04x}", u32::from(char));
        } else {
            encoded.push(char);
        }
    }
    encoded
}

/// Returns whether a logfmt value must be quoted.
fn needs_quotes(text: &str) -> bool {
    let is_special =
        |char: char| char.is_whitespace() || is_unprintable(char) || "\"=".contains(char);
    text.is_empty() || text.contains(is_special)
}

/// Returns whether a terminal may act on a character: controls, line separators, changes of the text direction.
fn is_unprintable(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(values: &[(&'static str, Value)]) -> Line {
        Line(values.to_vec())
    }

    #[test]
    fn logfmt_value_is_quoted_where_necessary() {
        let values = [
            ("plain", "a-b/c:1".into()),
            ("blank", "two words".into()),
            ("quote", "say \"no\"".into()),
            ("equals", "a=b".into()),
            ("lines", "a\nb\u{1b}".into()),
            ("terminal", "\u{9b}31m\u{202e}".into()),
            ("empty", "".into()),
            ("count", 3.into()),
            ("ok", true.into()),
        ];
        let mut text = String::new();
        line(&values).write_logfmt(&mut text).unwrap();
        assert_eq!(
            text,
            "plain=a-b/c:1 blank=\"two words\" quote=\"say \\\"no\\\"\" equals=\"a=b\" \
             lines=\"a\\nb\\u001b\" terminal=\"\\u009b31m\\u202e\" empty=\"\" count=3 ok=true\n"
        );
    }

    #[test]
    fn json_line_keeps_order_and_types() {
        let values = [
            ("ts", "x\u{9b}".into()),
            ("count", 3.into()),
            ("ok", true.into()),
        ];
        let mut text = String::new();
        line(&values).write_json(&mut text).unwrap();
        assert_eq!(text, "{\"ts\":\"x\\u009b\",\"count\":3,\"ok\":true}\n");
    }
}
