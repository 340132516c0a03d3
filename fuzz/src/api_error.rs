//! Error bodies: the codes and names that the exporter repeats from them.

use ringcentral_exporter::ringcentral::wire::{ApiError, parse_api_error};
use ringcentral_exporter::ringcentral::{Error, Operation};
use serde_json::Value;

/// Keys whose values may be repeated, or that contain such keys.
const REPEATED: [&str; 7] = [
    "errorCode",
    "permissionName",
    "parameterName",
    "parameterValue",
    "parameters",
    "error",
    "errors",
];

/// The permissions that may come from a message.
const KNOWN_PERMISSIONS: [&str; 7] = [
    "ReadCompanyCallLog",
    "FullCompanyCallLog",
    "ReadCallLog",
    "ReadAccounts",
    "ReadExtensions",
    "ReadPresence",
    "ThirdPartyAppAccess",
];

/// Checks that only short codes and names are read, and that no other text changes the result.
pub fn check(data: &[u8]) {
    let error = parse_api_error(data);
    let names = [&error.error, &error.permission, &error.parameter];
    for word in names.into_iter().flatten().chain(&error.codes) {
        assert_word(word);
    }
    if !crate::json::is_object(data) {
        assert_eq!(error, ApiError::default(), "a body that is not an object");
    }
    assert_free_text_ignored(data);
    for status in [400, 401, 403, 404, 429, 503] {
        let body = parse_api_error(data);
        let error = Error::from_response(Operation::ActiveCalls, status, body, None);
        crate::assert_one_line(&error.to_string());
    }
}

fn assert_word(word: &str) {
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    assert!(
        (1..=40).contains(&word.len()) && word.bytes().all(is_valid),
        "{word:?}"
    );
}

/// Asserts that the result is the same after all free text has been replaced, except for a known permission.
fn assert_free_text_ignored(data: &[u8]) {
    let Ok(mut body) = serde_json::from_slice::<Value>(data) else {
        return;
    };
    let mut original = parse_api_error(body.to_string().as_bytes());
    for list in ["errors", "parameters"] {
        if let Some(entries) = body.get_mut(list).and_then(Value::as_array_mut) {
            entries.iter_mut().for_each(replace_free_text);
        }
    }
    replace_free_text(&mut body);
    let replaced = parse_api_error(body.to_string().as_bytes());
    let permission = original.permission.as_deref().unwrap_or_default();
    if KNOWN_PERMISSIONS.contains(&permission) {
        original.permission = replaced.permission.clone();
    }
    assert_eq!(original, replaced, "free text changes the result");
}

fn replace_free_text(object: &mut Value) {
    let Some(fields) = object.as_object_mut() else {
        return;
    };
    for (key, value) in fields {
        if !REPEATED.contains(&key.as_str()) {
            *value = "sesame".into();
        }
    }
}
