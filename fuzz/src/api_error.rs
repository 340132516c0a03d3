//! Error bodies: what is safe to repeat of them.

use ringcentral_exporter::ringcentral::wire::{ApiError, parse_api_error};
use ringcentral_exporter::ringcentral::{Error, Operation};
use serde_json::Value;

const REPEATED: [&str; 5] = [
    "errorCode",
    "permissionName",
    "parameterName",
    "error",
    "errors",
];

/// Codes and names come out, each one short word; all else has no influence.
pub fn check(data: &[u8]) {
    let error = parse_api_error(data);
    [
        &error.code,
        &error.error,
        &error.permission,
        &error.parameter,
    ]
    .into_iter()
    .flatten()
    .for_each(assert_word);
    if !crate::json::is_object(data) {
        assert_eq!(error, ApiError::default(), "a foreign body gives nothing");
    }
    assert_silent(data);
    for status in [400, 401, 403, 404, 429, 503] {
        let error = Error::of_answer(Operation::ActiveCalls, status, parse_api_error(data), None);
        crate::assert_one_line(&error.to_string());
    }
}

fn assert_word(word: &String) {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    assert!(
        (1..=40).contains(&word.len()) && word.bytes().all(fits),
        "{word:?}"
    );
}

/// With another text in place of every one that is free.
fn assert_silent(data: &[u8]) {
    let Ok(body) = serde_json::from_slice::<Value>(data) else {
        return;
    };
    let read = |body: &Value| parse_api_error(body.to_string().as_bytes());
    assert_eq!(
        read(&body),
        read(&silenced(body.clone())),
        "free text comes out"
    );
}

fn silenced(mut body: Value) -> Value {
    let entries = body
        .get_mut("errors")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten();
    entries.for_each(silence);
    silence(&mut body);
    body
}

fn silence(object: &mut Value) {
    for (key, value) in object.as_object_mut().into_iter().flatten() {
        if !REPEATED.contains(&key.as_str()) {
            *value = "sesame".into();
        }
    }
}
