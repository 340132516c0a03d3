//! Replaces what an exposition must not show: names, phone numbers, ids of calls and sessions, and
//! all fields that are not read.

use serde_json::{Value, json};

/// Fields of a record that stay as they are, because their values may be shown.
const KEPT: [&str; 9] = [
    "uri",
    "startTime",
    "type",
    "direction",
    "result",
    "duration",
    "durationMs",
    "finished",
    "extension",
];
/// Fields that identify records and sessions. They are replaced by other distinct values.
const IDS: [&str; 3] = ["id", "sessionId", "telephonySessionId"];

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
            "extension" => replace_except(value, &["id"]),
            key if IDS.contains(&key) => replace_id(value),
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

/// Replaces an id so that distinct ids stay distinct. An invalid id stays as it is, and so does one
/// that begins with `#`, because the exporter gives such ids to records without one.
fn replace_id(id: &mut Value) {
    let text = match id {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) if number.is_u64() => number.to_string(),
        _ => return,
    };
    if !text.is_empty() && !text.starts_with('#') {
        *id = format!("other-{text}").into();
    }
}

fn placeholder() -> Value {
    json!({ "name": "Robin Example", "phoneNumber": "+16505559999" })
}
