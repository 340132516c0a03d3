//! The numbers that all exporters show, from an exposition or from the expected list.
//!
//! Without extensions: this exporter takes their numbers from the account's list of extensions, the others from the records.

use std::collections::{BTreeMap, BTreeSet};

use ringcentral_exporter::simulator::Record;

#[derive(Debug, Default, PartialEq)]
pub struct Shown {
    active: BTreeMap<(String, String), f64>,
    in_progress: BTreeMap<String, f64>,
    sessions: f64,
}

impl Shown {
    pub fn of_list(records: &[Record]) -> Shown {
        let mut shown = Shown::default();
        for direction in ["Inbound", "Outbound"] {
            shown.in_progress.insert(direction.to_owned(), 0.0);
        }
        let mut sessions = BTreeSet::new();
        for record in records.iter().filter(|record| record.kind != "Fax") {
            shown.add(record.direction.name(), record.result, 1.0);
            if record.is_live() {
                *shown
                    .in_progress
                    .entry(record.direction.name().to_owned())
                    .or_default() += 1.0;
                sessions.insert(
                    record
                        .telephony_session_id
                        .as_ref()
                        .unwrap_or(&record.session_id),
                );
            }
        }
        shown.sessions = sessions.len() as f64;
        shown
    }

    /// Parses an exposition; `None` if it has no families about calls.
    pub fn of_text(text: &str) -> Option<Shown> {
        let mut shown = Shown::default();
        let mut has_sessions = false;
        for (series, value) in text.lines().filter_map(sample) {
            match series.split('{').next()? {
                "ringcentral_active_calls" => {
                    shown.add(label(series, "direction")?, label(series, "result")?, value)
                }
                "ringcentral_calls_in_progress" => {
                    shown
                        .in_progress
                        .insert(label(series, "direction")?.to_owned(), value);
                }
                "ringcentral_call_sessions_in_progress" => {
                    (shown.sessions, has_sessions) = (value, true)
                }
                _ => {}
            }
        }
        has_sessions.then_some(shown)
    }

    /// Returns the numbers of an empty list.
    pub fn is_zero(&self) -> bool {
        self.sessions == 0.0 && self.active.values().all(|count| *count == 0.0)
    }

    /// Normalises the result, since the list has `Hang up` and `Hang Up`.
    fn add(&mut self, direction: &str, result: &str, count: f64) {
        *self
            .active
            .entry((direction.to_owned(), result.to_lowercase()))
            .or_default() += count;
    }
}

fn sample(line: &str) -> Option<(&str, f64)> {
    let (series, value) = line.rsplit_once(' ')?;
    (!line.starts_with('#')).then_some((series, value.parse().ok()?))
}

fn label<'a>(series: &'a str, name: &str) -> Option<&'a str> {
    series
        .split_once(&format!("{name}=\""))?
        .1
        .split('"')
        .next()
}
