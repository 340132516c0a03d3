//! Fuzz targets. Each takes any bytes and panics if a property of the exporter does not hold.
//!
//! `src/main.rs` runs one target under libFuzzer, `tests/replay.rs` all targets on the stored
//! inputs. The modules `json`, `exposition` and `oracle` share no code with the exporter, so that
//! they do not repeat its mistakes.

mod accounts;
mod anonymize;
mod api_error;
mod created_times;
pub mod exposition;
mod extensions;
mod fixtures;
mod gzip;
mod headers;
pub mod json;
mod oracle;
mod page;
mod request;
mod token;
mod web;

use ringcentral_exporter::ringcentral::wire::ParseError;

/// A check of one input, which panics if a property does not hold.
pub type Target = fn(&[u8]);

/// All targets by name. `corpus`, `dictionaries` and `regressions` use the same names.
pub const TARGETS: [(&str, Target); 9] = [
    ("accounts", accounts::check),
    ("api_error", api_error::check),
    ("extensions", extensions::check),
    ("gzip", gzip::check),
    ("headers", headers::check),
    ("page", page::check),
    ("request", request::check),
    ("token", token::check),
    ("web", web::check),
];

/// Returns the target of this name.
pub fn target(name: &str) -> Option<Target> {
    for (known, target) in TARGETS {
        if known == name {
            return Some(target);
        }
    }
    None
}

/// The maximum number of records of a list.
const MAX_LIST_RECORDS: usize = 100_000;
/// Follows the number of earlier records at the beginning of a page. JSON does not allow it there.
const EARLIER_SEPARATOR: u8 = 0x1f;

/// Splits a page from the number of records before it in the list; 0 if the input has none.
fn split_earlier_records(input: &[u8]) -> (usize, &[u8]) {
    let Some(at) = input.iter().position(|byte| *byte == EARLIER_SEPARATOR) else {
        return (0, input);
    };
    let number = str::from_utf8(&input[..at]).ok();
    match number.and_then(|number| number.parse::<u32>().ok()) {
        Some(number) => (number as usize, &input[at + 1..]),
        None => (0, input),
    }
}

/// Asserts that a text is one line without control characters.
#[track_caller]
fn assert_one_line(text: &str) {
    assert!(
        !text.is_empty() && !text.contains(char::is_control),
        "not one line: {text:?}"
    );
}

/// Asserts that an error is one of the known messages, and therefore repeats nothing of the body.
/// `other` are the messages of this parser without a position.
#[track_caller]
fn assert_known_error(error: &ParseError, subject: &str, other: &[&str]) {
    const SYNTAX: [&str; 7] = [
        "unexpected JSON structure",
        "invalid JSON",
        "truncated or empty",
        "a JSON array",
        "nested too deeply",
        "more than , records in a page",
        "more than , records in the list",
    ];
    let reason = error
        .0
        .strip_prefix(&format!("cannot parse {subject}: "))
        .unwrap_or_else(|| panic!("unknown subject: {error}"));
    let without_digits: String = reason.chars().filter(|c| !c.is_ascii_digit()).collect();
    let known = match without_digits.strip_suffix(" at line  column ") {
        Some(syntax) => SYNTAX.contains(&syntax),
        None => other.contains(&reason),
    };
    assert!(known, "unknown reason: {error}");
}
