//! The body of an error response, as far as it is safe to repeat.

use crate::ringcentral::wire::json::{JsonError, JsonObject, JsonReader, Validity, read_document};
use crate::ringcentral::wire::lenient::{Field, LenientObject, LenientString, ReadValue};

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

#[derive(Default)]
struct ErrorBody<'a> {
    errors: Field<ErrorList<'a>>,
    error: Field<LenientString<'a>>,
    error_code: Field<LenientString<'a>>,
    permission_name: Field<LenientString<'a>>,
}

/// The first element of `errors`.
#[derive(Default)]
struct ErrorList<'a>(Option<LenientObject<ErrorEntry<'a>>>);

#[derive(Default)]
struct ErrorEntry<'a> {
    error_code: Field<LenientString<'a>>,
    permission_name: Field<LenientString<'a>>,
    parameter_name: Field<LenientString<'a>>,
}

impl<'a> JsonObject<'a> for ErrorBody<'a> {
    fn read_field(&mut self, key: &str, json: &mut JsonReader<'a>) -> Result<Validity, JsonError> {
        match key {
            "errors" => self.errors.read(json),
            "error" => self.error.read(json),
            "errorCode" => self.error_code.read(json),
            "permissionName" => self.permission_name.read(json),
            _ => json.skip_value(),
        }
    }
}

impl<'a> ReadValue<'a> for ErrorList<'a> {
    fn read_value(&mut self, json: &mut JsonReader<'a>) -> Result<Validity, JsonError> {
        if json.peek()? != b'[' {
            return json.skip_value();
        }
        json.read_array(|json| {
            if self.0.is_some() {
                json.skip_value()?;
                return Ok(());
            }
            let mut entry = LenientObject::default();
            if entry.read_value(json)? == Validity::Malformed {
                entry = LenientObject::default();
            }
            self.0 = Some(entry);
            Ok(())
        })?;
        Ok(Validity::Valid)
    }
}

impl<'a> JsonObject<'a> for ErrorEntry<'a> {
    fn read_field(&mut self, key: &str, json: &mut JsonReader<'a>) -> Result<Validity, JsonError> {
        match key {
            "errorCode" => self.error_code.read(json),
            "permissionName" => self.permission_name.read(json),
            "parameterName" => self.parameter_name.read(json),
            _ => json.skip_value(),
        }
    }
}

/// Parses the body of an error response. A body that is empty or not RingCentral's gives an empty `ApiError`.
#[must_use]
pub fn parse_api_error(body: &[u8]) -> ApiError {
    let text = String::from_utf8_lossy(body);
    let mut body = ErrorBody::default();
    if read_document("error", &text, &mut body).is_err() {
        return ApiError::default();
    }
    let first = body.errors.value.0.unwrap_or_default().0;
    ApiError {
        code: identifier(&first.error_code).or_else(|| identifier(&body.error_code)),
        error: identifier(&body.error),
        permission: identifier(&first.permission_name)
            .or_else(|| identifier(&body.permission_name)),
        parameter: identifier(&first.parameter_name),
    }
}

/// Returns a code or a name: short, and without the characters of which sentences and most secrets have some.
fn identifier(field: &Field<LenientString<'_>>) -> Option<String> {
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
    fn api_error_code_survives_invalid_utf8_in_the_message() {
        let error = parse_api_error(b"{\"errorCode\":\"OAU-140\",\"message\":\"Donn\xe9es\"}");
        assert_eq!(error.code.as_deref(), Some("OAU-140"));
    }
}
