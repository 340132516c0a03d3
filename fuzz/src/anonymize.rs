//! Replaces what an exposition must not show: names, phone numbers, ids of calls and sessions, and
//! all fields that are not read.

use serde_json::{Value, json};

/// Fields of a record that stay as they are, because their values may be shown.
const KEPT: [&str; 8] = [
    "startTime",
    "type",
    "direction",
    "result",
    "duration",
    "durationMs",
    "finished",
    "extension",
];
/// Fields that identify sessions. They are replaced by other distinct values.
const SESSION_IDS: [&str; 2] = ["sessionId", "telephonySessionId"];

/// Replaces the private values of a page. Returns `None` if it is not an object with a list of
/// records.
pub fn anonymize(mut page: Value) -> Option<Value> {
    for (key, value) in page.as_object_mut()? {
        match key.as_str() {
            "records" => value.as_array_mut()?.iter_mut().for_each(anonymize_record),
            "uri" | "navigation" => {}
            _ => *value = placeholder(),
        }
    }
    Some(page)
}

fn anonymize_record(record: &mut Value) {
    let Some(fields) = record.as_object_mut() else {
        return;
    };
    for (key, value) in fields {
        match key.as_str() {
            "from" | "to" => replace_except(value, &["extensionId", "extensionNumber"]),
            "extension" => replace_except(value, &["id", "uri"]),
            "id" => replace_record_id(value),
            "uri" => replace_last_part(value),
            key if SESSION_IDS.contains(&key) => replace_session_id(value),
            key if KEPT.contains(&key) => {}
            _ => *value = placeholder(),
        }
    }
}

fn replace_except(value: &mut Value, kept: &[&str]) {
    let Some(fields) = value.as_object_mut() else {
        return;
    };
    for (key, value) in fields {
        if !kept.contains(&key.as_str()) {
            *value = placeholder();
        }
    }
}

/// Replaces the id of a record so that distinct ids stay distinct. An invalid id stays as it is, and
/// so does one that begins with `#`, because the exporter gives such ids to records without one.
/// Digits stay, because they may be an extension id in the address of another record.
fn replace_record_id(id: &mut Value) {
    let Some(text) = id_text(id) else {
        return;
    };
    if !text.starts_with('#') && !is_digits(&text) {
        *id = format!("other-{text}").into();
    }
}

/// Replaces the last part of a record's address like its id, for which it may stand.
fn replace_last_part(uri: &mut Value) {
    let Some(text) = uri.as_str().map(str::trim) else {
        return;
    };
    let path = text.split(['?', '#']).next().unwrap_or_default();
    let Some((before, last)) = path.rsplit_once('/') else {
        return;
    };
    if !last.is_empty() && !is_digits(last) {
        *uri = format!("{before}/other-{last}{}", &text[path.len()..]).into();
    }
}

/// Replaces the id of a session. `0` stays, because it stands for none.
fn replace_session_id(id: &mut Value) {
    if let Some(text) = id_text(id)
        && text != "0"
    {
        *id = format!("other-{text}").into();
    }
}

/// Returns the text of a valid id.
fn id_text(id: &Value) -> Option<String> {
    let text = match id {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => digits(&number.to_string())?,
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

/// Returns the digits of a whole number.
fn digits(number: &str) -> Option<String> {
    let whole = number.strip_suffix(".0").unwrap_or(number);
    if whole.parse::<u64>().is_ok() {
        return Some(whole.to_owned());
    }
    let float: f64 = number.parse().ok()?;
    let is_exact = float.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(&float);
    is_exact.then(|| (float as u64).to_string())
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn placeholder() -> Value {
    json!({ "name": "Robin Example", "phoneNumber": "+16505559999" })
}
