//! The body of an error response, as far as it is safe to repeat.

use std::borrow::Cow;

use crate::ringcentral::wire::check_size;
use crate::ringcentral::wire::json::{JsonObject, JsonReader, JsonResult, read_document};
use crate::ringcentral::wire::lenient::{Field, ReadValue, json_object};

/// The permissions that may be taken from a message, whose other words may be personal data. Of several the first of
/// these counts: a user who lacks the calls of the company may have their own.
const KNOWN_PERMISSIONS: [&str; 13] = [
    "ReadCompanyCallLog",
    "FullCompanyCallLog",
    "ReadCallLog",
    "ReadAccounts",
    "ReadExtensions",
    "ReadPresence",
    "ReadPresenceStatus",
    "WebSocketSubscription",
    "WebSocketSubscriptions",
    "WebSocketsSubscription",
    "WebSocketsSubscriptions",
    "SubscriptionWebSocket",
    "ThirdPartyAppAccess",
];

/// Maximum number of codes that are kept. RingCentral sends one or two.
const MAX_CODES: usize = 16;

/// The codes and names of an error response, without free text.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ApiError {
    /// RingCentral's error codes, like `CMN-408`: those of the entries, then that of the body.
    pub codes: Vec<String>,
    /// OAuth's error code, like `invalid_client`.
    pub error: Option<String>,
    /// Name of the missing permission.
    pub permission: Option<String>,
    /// Name of the invalid parameter.
    pub parameter: Option<String>,
}

impl ApiError {
    fn add_code(&mut self, code: Option<String>) {
        if let Some(code) = code
            && self.codes.len() < MAX_CODES
        {
            self.codes.push(code);
        }
    }

    /// Returns whether a code says that the user lacks a permission, and not the app.
    pub(crate) fn has_user_code(&self) -> bool {
        let mut codes = self.codes.iter();
        codes.any(|code| matches!(code.as_str(), "CMN-402" | "CMN-408"))
    }

    /// Returns whether anything in the body shows that RingCentral sent it.
    pub(crate) fn is_ringcentral(&self) -> bool {
        !self.codes.is_empty() || self.error.is_some() || self.permission.is_some()
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

/// What the entries of an array have: all codes, and of each name the first.
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
        let entry = ErrorEntry::read_value(json)?;
        self.add(&entry.unwrap_or_default());
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
        let first = &mut self.0;
        first.add_code(identifier(&entry.error_code));
        first.permission = first.permission.take().or(permission);
        first.parameter = first.parameter.take().or(parameter);
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
    let Entries(mut errors) = body.errors.value.unwrap_or_default();
    errors.add_code(identifier(&body.error_code));
    let Entries(parameters) = body.parameters.value.unwrap_or_default();
    ApiError {
        codes: errors.codes,
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

/// Returns the known permission that is a word of a message such as `[ReadCallLog] permission required`.
fn permission_in_message(message: &Field<Cow<'_, str>>) -> Option<String> {
    let message = message.text()?;
    let is_separator = |c: char| !c.is_alphanumeric() && c != '_';
    for known in KNOWN_PERMISSIONS {
        if message.split(is_separator).any(|word| word == known) {
            return Some(known.to_owned());
        }
    }
    // Without brackets it is an ordinary word.
    message
        .contains("[WebSocket]")
        .then(|| "WebSocket".to_owned())
}

/// Returns a code or a name: short, and without the characters of which sentences and most secrets have some.
pub(super) fn identifier(field: &Field<Cow<'_, str>>) -> Option<String> {
    long_identifier(field).filter(|text| text.len() <= 40)
}

/// Returns an id of up to 200 characters, without those that have a meaning in a path.
pub(super) fn long_identifier(field: &Field<Cow<'_, str>>) -> Option<String> {
    let text = field.text()?;
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    (text.len() <= 200 && text.bytes().all(is_allowed)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn api_error_has_codes_and_names_only() {
        let old = br#"{"errorCode":"InsufficientPermissions","message":"m","permissionName":"ReadCallLog"}"#;
        let error = parse_api_error(old);
        assert_eq!(error.codes, ["InsufficientPermissions"]);
        assert_eq!(error.permission.as_deref(), Some("ReadCallLog"));
        let null = parse_api_error(br#"{"errorCode":"CMN-408","errors":null}"#);
        assert_eq!(null.codes, ["CMN-408"]);
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
            "ReadCallLogs",
            "MyReadCallLog",
            "Read_ReadCallLog",
            "éReadCallLog",
            "ReadCallLog2 [ReadCallLog3]",
            "WebSocket connection idle timeout",
            "readcalllog",
            "[",
        ] {
            let body = format!(r#"{{"errorCode":"X","message":"{message}"}}"#);
            assert_eq!(parse_api_error(body.as_bytes()).permission, None, "{body}");
        }
    }

    #[test]
    fn permission_may_be_any_word_of_a_message() {
        for (message, permission) in [
            (
                "User [101] needs [ReadCompanyCallLog] permission",
                "ReadCompanyCallLog",
            ),
            (
                "[ReadCompanyCallLog, ReadCallLog] permissions required",
                "ReadCompanyCallLog",
            ),
            (
                "[ReadCallLog,ReadCompanyCallLog] permissions required",
                "ReadCompanyCallLog",
            ),
            (
                "ReadCompanyCallLog permission required",
                "ReadCompanyCallLog",
            ),
            ("Sesame lacks 'ReadAccounts'.", "ReadAccounts"),
            ("]ReadCallLog[", "ReadCallLog"),
            ("ReadCallLogs or ReadCallLog", "ReadCallLog"),
            ("application needs [ReadPresence]", "ReadPresence"),
            ("[ReadPresenceStatus] required", "ReadPresenceStatus"),
            ("needs to have [WebSocket] permission", "WebSocket"),
            ("[SubscriptionWebSocket] needed", "SubscriptionWebSocket"),
            ("WebSocketsSubscription", "WebSocketsSubscription"),
        ] {
            let body = format!(r#"{{"errorCode":"X","message":"{message}"}}"#);
            let error = parse_api_error(body.as_bytes());
            assert_eq!(error.permission.as_deref(), Some(permission), "{message}");
        }
    }

    #[test]
    fn malformed_field_does_not_hide_the_code() {
        for malformed in [
            r#""message":"a","message":"b""#,
            r#""errors":5,"errors":[]"#,
            r#""parameters":[{"parameterName":"a","parameterName":"b"}]"#,
            r#""permissionName":"a","permissionName":"b""#,
            r#""errors":[{"errorCode":"CMN-1","errorCode":"CMN-2"}]"#,
            r#""error":"x","error":"y","error":"z""#,
            r#""\ud800":{"a":1},"\ud800":[]"#,
        ] {
            for body in [
                format!(r#"{{"errorCode":"CMN-408",{malformed}}}"#),
                format!(r#"{{{malformed},"errorCode":"CMN-408"}}"#),
            ] {
                let codes = parse_api_error(body.as_bytes()).codes;
                assert_eq!(codes, ["CMN-408"], "{body}");
            }
        }
        let repeated = br#"{"errorCode":"A","errorCode":"B","errors":[{"errorCode":"CMN-408"}]}"#;
        assert_eq!(parse_api_error(repeated).codes, ["CMN-408"]);
    }

    #[test]
    fn api_error_code_survives_invalid_utf8_in_the_message() {
        let error = parse_api_error(b"{\"errorCode\":\"OAU-140\",\"message\":\"Donn\xe9es\"}");
        assert_eq!(error.codes, ["OAU-140"]);
    }

    #[test]
    fn all_codes_are_kept_up_to_a_limit() {
        let entry = r#"{"errorCode":"OAU-250"},"#;
        let body = |entries: usize| {
            let entries = entry.repeat(entries) + r#"{"errorCode":"OAU-140"}"#;
            format!(r#"{{"errorCode":"CMN-1","errors":[{entries}]}}"#)
        };
        let codes = parse_api_error(body(1).as_bytes()).codes;
        assert_eq!(codes, ["OAU-250", "OAU-140", "CMN-1"]);
        let codes = parse_api_error(body(1000).as_bytes()).codes;
        assert_eq!(codes, ["OAU-250"; MAX_CODES]);
    }
}
