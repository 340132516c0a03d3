//! The body of an error response, as far as it is safe to repeat.

use std::borrow::Cow;

use crate::ringcentral::wire::check_size;
use crate::ringcentral::wire::json::{JsonObject, JsonReader, JsonResult, read_document};
use crate::ringcentral::wire::lenient::{Field, ReadValue, json_object};

/// The permissions that may be taken from the middle of a message. Other words in brackets may be personal data.
const KNOWN_PERMISSIONS: [&str; 6] = [
    "ReadCallLog",
    "ReadCompanyCallLog",
    "ReadAccounts",
    "ReadExtensions",
    "ReadPresence",
    "ThirdPartyAppAccess",
];

/// The codes and names of an error response, without free text.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ApiError {
    /// RingCentral's error code, like `CMN-408`.
    pub code: Option<String>,
    /// OAuth's error code, like `invalid_client`.
    pub error: Option<String>,
    /// Name of the missing permission.
    pub permission: Option<String>,
    /// Name of the invalid parameter.
    pub parameter: Option<String>,
}

impl ApiError {
    /// Returns whether there is a code, which other servers do not send.
    #[must_use]
    pub fn has_code(&self) -> bool {
        self.code.is_some() || self.error.is_some()
    }
}

json_object! {
    struct ErrorBody<'a> {
        errors: Entries = "errors",
        parameters: Entries = "parameters",
        error: Cow<'a, str> = "error",
        error_code: Cow<'a, str> = "errorCode",
        permission_name: Cow<'a, str> = "permissionName",
        message: Cow<'a, str> = "message",
        description: Cow<'a, str> = "error_description",
    }
}

json_object! {
    struct ErrorEntry<'a> {
        error_code: Cow<'a, str> = "errorCode",
        permission_name: Cow<'a, str> = "permissionName",
        parameter_name: Cow<'a, str> = "parameterName",
        parameter_value: Cow<'a, str> = "parameterValue",
        message: Cow<'a, str> = "message",
    }
}

/// What the entries of an array have, of each name the first.
#[derive(Default)]
struct Entries(ApiError);

impl<'a> ReadValue<'a> for Entries {
    fn read_value(json: &mut JsonReader<'a>) -> JsonResult<Option<Self>> {
        let mut entries = Self::default();
        match json.peek() {
            Some(b'[') => json.read_array(|json| entries.read(json))?,
            // A single entry without its array.
            Some(b'{') => entries.read(json)?,
            _ => {
                json.skip_value()?;
                return Ok(None);
            }
        }
        Ok(Some(entries))
    }
}

impl Entries {
    fn read(&mut self, json: &mut JsonReader<'_>) -> JsonResult<()> {
        // A malformed field of the entry does not make the whole error malformed.
        let is_body_malformed = json.is_malformed;
        let mut entry = Field::<ErrorEntry<'_>>::default();
        entry.read(json)?;
        json.is_malformed = is_body_malformed;
        self.add(&entry.value.unwrap_or_default());
        Ok(())
    }

    fn add(&mut self, entry: &ErrorEntry<'_>) {
        let mut permission = identifier(&entry.permission_name);
        let mut parameter = identifier(&entry.parameter_name);
        // No other value of a parameter is kept: it may be personal data.
        if parameter.as_deref() == Some("permissionName") {
            permission = permission.or_else(|| identifier(&entry.parameter_value));
            parameter = None;
        }
        permission = permission.or_else(|| permission_in_message(&entry.message));
        let ApiError {
            code: first_code,
            permission: first_permission,
            parameter: first_parameter,
            ..
        } = &mut self.0;
        *first_code = specific_code(first_code.take(), identifier(&entry.error_code));
        *first_permission = first_permission.take().or(permission);
        *first_parameter = first_parameter.take().or(parameter);
    }
}

/// Parses the body of an error response. A body that is empty or not RingCentral's gives an empty `ApiError`.
#[must_use]
pub fn parse_api_error(body: &[u8]) -> ApiError {
    let text = body;
    let mut body = ErrorBody::default();
    let is_readable =
        check_size("error", text).is_ok() && read_document("error", text, &mut body).is_ok();
    if !is_readable {
        return ApiError::default();
    }
    let Entries(errors) = body.errors.value.unwrap_or_default();
    let Entries(parameters) = body.parameters.value.unwrap_or_default();
    ApiError {
        code: specific_code(errors.code, identifier(&body.error_code)),
        error: identifier(&body.error),
        permission: errors
            .permission
            .or_else(|| identifier(&body.permission_name))
            .or(parameters.permission)
            .or_else(|| permission_in_message(&body.message))
            .or_else(|| permission_in_message(&body.description)),
        parameter: errors.parameter.or(parameters.parameter),
    }
}

/// Returns the first code, or the second if only that has a number: `CMN-408` says more than `InsufficientPermissions`.
fn specific_code(first: Option<String>, second: Option<String>) -> Option<String> {
    let is_specific = |code: &Option<String>| code.as_ref().is_some_and(|code| code.contains('-'));
    if first.is_none() || (is_specific(&second) && !is_specific(&first)) {
        second
    } else {
        first
    }
}

/// Returns the known permission in a message such as `[ReadCallLog] permission required`.
fn permission_in_message(message: &Field<Cow<'_, str>>) -> Option<String> {
    let (_, rest) = message.text()?.split_once('[')?;
    let (name, _) = rest.split_once(']')?;
    KNOWN_PERMISSIONS.contains(&name).then(|| name.to_owned())
}

/// Returns a code or a name: short, and without the characters of which sentences and most secrets have some.
fn identifier(field: &Field<Cow<'_, str>>) -> Option<String> {
    let text = field.text()?;
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    (text.len() <= 40 && text.bytes().all(is_allowed)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn api_error_has_codes_and_names_only() {
        let old = br#"{"errorCode":"InsufficientPermissions","message":"m","permissionName":"ReadCallLog"}"#;
        let error = parse_api_error(old);
        assert_eq!(error.code.as_deref(), Some("InsufficientPermissions"));
        assert_eq!(error.permission.as_deref(), Some("ReadCallLog"));
        let null = parse_api_error(br#"{"errorCode":"CMN-408","errors":null}"#);
        assert_eq!(null.code.as_deref(), Some("CMN-408"));
        assert_eq!(
            parse_api_error(b"<html>Bad Gateway</html>"),
            ApiError::default()
        );
        assert_eq!(
            parse_api_error(br#" [null, "a-word", "another"]"#),
            ApiError::default()
        );
        assert_eq!(
            parse_api_error(br#"{"error":"a sentence with Bearer x"}"#),
            ApiError::default()
        );
    }

    #[test]
    fn permission_is_found_wherever_it_is() {
        for body in [
            r#"{"permissionName":"ReadCallLog"}"#,
            r#"{"errors":[{"errorCode":"CMN-1"},{"permissionName":"ReadCallLog"}]}"#,
            r#"{"parameters":[{"permissionName":"ReadCallLog"}]}"#,
            r#"{"parameters":[null,{"parameterName":"permissionName","parameterValue":"ReadCallLog"}]}"#,
            r#"{"errors":[{"parameterName":"permissionName","parameterValue":"ReadCallLog"}]}"#,
        ] {
            let error = parse_api_error(body.as_bytes());
            assert_eq!(error.permission.as_deref(), Some("ReadCallLog"), "{body}");
            assert_eq!(error.parameter, None, "{body}");
        }
        let body = br#"{"parameters":[{"parameterName":"accountId","parameterValue":"Sesame"}]}"#;
        let error = parse_api_error(body);
        assert_eq!(error.parameter.as_deref(), Some("accountId"));
        assert_eq!(error.permission, None);
    }

    #[test]
    fn message_gives_known_permissions_only() {
        for body in [
            r#"{"errorCode":"X","message":"[ReadCallLog] permission required"}"#,
            r#"{"errors":[{"message":"application needs to have [ReadCallLog] permission"}]}"#,
            r#"{"error":"x","error_description":"[ReadCallLog] permission required"}"#,
        ] {
            let error = parse_api_error(body.as_bytes());
            assert_eq!(error.permission.as_deref(), Some("ReadCallLog"), "{body}");
        }
        for message in [
            "[Sesame] permission required",
            "ReadCallLog",
            "]ReadCallLog[",
            "[",
        ] {
            let body = format!(r#"{{"errorCode":"X","message":"{message}"}}"#);
            assert_eq!(parse_api_error(body.as_bytes()).permission, None, "{body}");
        }
    }

    #[test]
    fn malformed_entry_does_not_hide_the_top_level_code() {
        let entry = r#"{"errorCode":"CMN-1","errorCode":"CMN-2"}"#;
        let body = format!(r#"{{"errorCode":"CMN-408","errors":[{entry}]}}"#);
        assert!(parse_api_error(body.as_bytes()).code.is_some());
    }

    #[test]
    fn api_error_code_survives_invalid_utf8_in_the_message() {
        let error = parse_api_error(b"{\"errorCode\":\"OAU-140\",\"message\":\"Donn\xe9es\"}");
        assert_eq!(error.code.as_deref(), Some("OAU-140"));
    }
}
