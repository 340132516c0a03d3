//! Logging to standard error: format and level.
//!
//! A line has the keys `ts`, `level` and `msg`, then the fields of the event. No log message
//! contains a secret, a phone number, a name or the id of a call.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt::{self, Write};
use std::panic::PanicHookInfo;

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
use crate::log_writer::{self, LogWriter};

/// Starts logging, also of panics; a second call has no effect. Libraries log only from `warn` up, since some of
/// them print headers at `debug`. Lines are written by a thread of their own, so no call waits for a pipe that is not
/// read; [`flush`] waits for them at the end of the program.
pub fn init(log: Log) {
    let level = LevelFilter::from_level(log.level);
    let filter = Targets::new()
        .with_target(env!("CARGO_CRATE_NAME"), level)
        .with_default(level.min(LevelFilter::WARN));
    let layer = tracing_subscriber::fmt::layer()
        .event_format(log.format)
        .with_writer(|| LogWriter);
    let subscriber = tracing_subscriber::registry().with(layer.with_filter(filter));
    if subscriber.try_init().is_ok() {
        log_writer::set_format(match log.format {
            LogFormat::Logfmt => |dropped| format_dropped(LogFormat::Logfmt, dropped),
            LogFormat::Json => |dropped| format_dropped(LogFormat::Json, dropped),
        });
        std::panic::set_hook(Box::new(move |panic| log_panic(log.format, panic)));
    }
}

/// Writes a line to standard error like a log line, but not in the format of the log.
pub fn print_line(text: &str) {
    log_writer::write_line(format!("{}\n", escape_unprintable(text)).as_bytes());
}

/// Waits until all lines are written, at most a second.
pub fn flush() {
    log_writer::flush();
}

/// Formats the line about lines that were dropped because standard error was not read.
fn format_dropped(format: LogFormat, dropped: u64) -> String {
    let mut line = Line::new("warn");
    line.set_message(
        "log lines were dropped, since standard error was not read or not writable".into(),
    );
    line.0.push(("dropped", dropped.into()));
    line.format(format)
}

/// Logs a panic and waits until it is written, since the program may abort next. The event goes to the writer directly:
/// the panic may have happened within a log event.
fn log_panic(format: LogFormat, panic: &PanicHookInfo<'_>) {
    let mut line = Line::new("error");
    line.set_message("panicked, which is a bug in the exporter".into());
    if let Some(location) = panic.location() {
        line.0.push(("location", location.to_string().into()));
    }
    line.0
        .push(("error", panic.payload_as_str().unwrap_or_default().into()));
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        line.0.push(("backtrace", backtrace.to_string().into()));
    }
    log_writer::write_line(line.format(format).as_bytes());
    flush();
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
        let mut line = Line::new(&event.metadata().level().as_str().to_ascii_lowercase());
        event.record(&mut line);
        line.write(*self, &mut writer)
    }
}

/// The keys and values of a line, in the order in which they are written.
struct Line(Vec<(&'static str, Value)>);

impl Line {
    fn new(level: &str) -> Self {
        let time = Moment::now().wall;
        Self(vec![
            ("ts", Value::String(format!("{time:.3}"))),
            ("level", level.into()),
            ("msg", Value::Null),
        ])
    }

    fn format(&self, format: LogFormat) -> String {
        let mut text = String::new();
        // Writing to a `String` cannot fail.
        let _ = self.write(format, &mut text);
        text
    }

    fn write(&self, format: LogFormat, writer: &mut impl Write) -> fmt::Result {
        match format {
            LogFormat::Logfmt => self.write_logfmt(writer),
            LogFormat::Json => self.write_json(writer),
        }
    }

    fn write_logfmt(&self, writer: &mut impl Write) -> fmt::Result {
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

    fn write_json(&self, writer: &mut impl Write) -> fmt::Result {
        for (index, (key, value)) in self.0.iter().enumerate() {
            let separator = if index == 0 { '{' } else { ',' };
            write!(writer, "{separator}\"{key}\":{}", encode_json(value))?;
        }
        writeln!(writer, "}}")
    }

    fn insert(&mut self, field: &Field, value: Value) {
        if field.name() == "message" {
            self.set_message(value);
        } else {
            self.0.push((field.name(), value));
        }
    }

    fn set_message(&mut self, message: Value) {
        if let Some(field) = self.0.get_mut(2) {
            field.1 = message;
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
    escape_unprintable(&value.to_string())
}

/// Replaces the characters that a terminal may act on by escapes as in JSON.
fn escape_unprintable(text: &str) -> String {
    let mut escaped = String::new();
    for char in text.chars() {
        if is_unprintable(char) {
            escaped += &format!("\\u{:04x}", u32::from(char));
        } else {
            escaped.push(char);
        }
    }
    escaped
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
    fn line_about_dropped_lines_has_the_format_of_the_log() {
        let json = format_dropped(LogFormat::Json, 7);
        let json: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(
            (&json["level"], &json["dropped"]),
            (&"warn".into(), &7.into())
        );
        assert!(
            json["msg"]
                .as_str()
                .unwrap()
                .starts_with("log lines were dropped")
        );
        let logfmt = format_dropped(LogFormat::Logfmt, 7);
        assert!(
            logfmt.starts_with("ts=") && logfmt.ends_with(" dropped=7\n"),
            "{logfmt}"
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
