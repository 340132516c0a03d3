//! What must have no influence: the same lists with everything else in place of what is private.
//!
//! Owns: which fields may show in an exposition, as the contract has it. Ids of calls and sessions may tell records
//! apart and must not show, so they get other names.

use serde_json::{Map, Value, json};

/// Fields of a record that may be read as they are.
const READ: [&str; 9] = [
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
const IDS: [&str; 3] = ["id", "sessionId", "telephonySessionId"];

/// The page with other names, numbers and ids; none if it cannot be told.
pub fn renamed(mut page: Value) -> Option<Value> {
    for (key, value) in page.as_object_mut()?.iter_mut() {
        match key.as_str() {
            "records" => value.as_array_mut()?.iter_mut().for_each(rename_record),
            "uri" | "navigation" => {}
            _ => *value = stranger(),
        }
    }
    Some(page)
}

fn rename_record(record: &mut Value) {
    let Some(fields) = record.as_object_mut() else {
        return;
    };
    for (key, value) in fields {
        match key.as_str() {
            "from" | "to" => keep(value, &["extensionId", "extensionNumber"]),
            "extension" => keep(value, &["id"]),
            key if IDS.contains(&key) => rename_id(value),
            key if READ.contains(&key) => {}
            _ => *value = stranger(),
        }
    }
}

fn keep(value: &mut Value, kept: &[&str]) {
    let fields = value.as_object_mut().into_iter().flat_map(Map::iter_mut);
    fields
        .filter(|(key, _)| !kept.contains(&key.as_str()))
        .for_each(|(_, value)| *value = stranger());
}

/// Distinct ones stay distinct. Those that look like the place of a record, which stands in for its id, stay as they
/// are, and so does what is no id.
fn rename_id(id: &mut Value) {
    let text = id
        .as_str()
        .map(|text| text.trim().to_owned())
        .or_else(|| id.as_u64().map(|id| id.to_string()));
    if let Some(text) = text.filter(|text| !text.is_empty() && !text.starts_with('#')) {
        *id = format!("other-{text}").into();
    }
}

fn stranger() -> Value {
    json!({ "name": "Robin Stranger", "phoneNumber": "+16505559999" })
}
