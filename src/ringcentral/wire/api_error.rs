//! The body of an error response, as far as it is safe to repeat.

use std::borrow::Cow;

use crate::ringcentral::wire::check_size;
use crate::ringcentral::wire::json::{JsonObject, JsonReader, JsonResult, read_document};
use crate::ringcentral::wire::lenient::{Field, ReadValue, json_object};

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

json_object! {
    struct ErrorBody<'a> {
        errors: Entries = "errors",
        parameters: Entries = "parameters",
        error: Cow<'a, str> = "error",
        error_code: Cow<'a, str> = "errorCode",
        permission_name: Cow<'a, str> = "permissionName",
    }
}

json_object! {
    struct ErrorEntry<'a> {
        error_code: Cow<'a, str> = "errorCode",
        permission_name: Cow<'a, str> = "permissionName",
        parameter_name: Cow<'a, str> = "parameterName",
        parameter_value: Cow<'a, str> = "parameterValue",
    }
}

/// What the entries of an array have, of each name the first.
#[derive(Default)]
struct Entries(ApiError);

impl<'a> ReadValue<'a> for Entries {
    fn read_value(json: &mut JsonReader<'a>) -> JsonResult<Option<Self>> {
        if json.peek() != Some(b'[') {
            json.skip_value()?;
            return Ok(None);
        }
        let mut entries = Self::default();
        json.read_array(|json| {
            // A malformed field of the entry does not make the whole error malformed.
            let is_body_malformed = json.is_malformed;
            let mut entry = Field::<ErrorEntry<'a>>::default();
            entry.read(json)?;
            json.is_malformed = is_body_malformed;
            entries.add(&entry.value.unwrap_or_default());
            Ok(())
        })?;
        Ok(Some(entries))
    }
}

impl Entries {
    fn add(&mut self, entry: &ErrorEntry<'_>) {
        let mut permission = identifier(&entry.permission_name);
        let mut parameter = identifier(&entry.parameter_name);
        // No other value of a parameter is kept: it may be personal data.
        if parameter.as_deref() == Some("permissionName") {
            permission = permission.or_else(|| identifier(&entry.parameter_value));
            parameter = None;
        }
        let ApiError {
            code: first_code,
            permission: first_permission,
            parameter: first_parameter,
            ..
        } = &mut self.0;
        *first_code = first_code.take().or_else(|| identifier(&entry.error_code));
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
        code: errors.code.or_else(|| identifier(&body.error_code)),
        error: identifier(&body.error),
        permission: errors
            .permission
            .or_else(|| identifier(&body.permission_name))
            .or(parameters.permission),
        parameter: errors.parameter.or(parameters.parameter),
    }
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
