//! The response to a login.

use std::borrow::Cow;

use secrecy::SecretString;

use crate::ringcentral::wire::json::{
    JsonObject, JsonReader, JsonResult, JsonString, JsonValue, read_document,
};
use crate::ringcentral::wire::lenient::{Field, json_object};
use crate::ringcentral::wire::record::is_digits;
use crate::ringcentral::wire::{ParseError, check_size};

/// An access token with its lifetime and user.
#[derive(Debug)]
pub struct TokenResponse {
    /// The access token, a secret.
    pub access_token: SecretString,
    /// Lifetime in whole seconds, if the response has a number; a negative one is 0.
    pub expires_in: Option<u64>,
    /// Extension id of the logged-in user, if the response has it.
    pub user: Option<String>,
}

json_object! {
    struct TokenBody<'a> {
        access_token: Cow<'a, str> = "access_token",
        expires_in: JsonValue<'a> = "expires_in",
        owner_id: Cow<'a, str> = "owner_id",
    }
}

/// Parses the response to a login.
///
/// # Errors
/// Returns an error if the body is not a JSON object or has no `access_token` that can be sent in a header.
pub fn parse_token(body: &[u8]) -> Result<TokenResponse, ParseError> {
    let mut token = TokenBody::default();
    check_size("token", body)?;
    read_document("token", body, &mut token)?;
    let access_token = match token.access_token.text() {
        Some(text) if text.bytes().all(|byte| byte.is_ascii_graphic()) => text,
        _ => {
            let problem = "cannot parse token: missing or invalid access_token";
            return Err(ParseError(problem.to_owned()));
        }
    };
    let expires_in = seconds(&token.expires_in);
    let user = token.owner_id.text().filter(|id| is_digits(id, 20));
    Ok(TokenResponse {
        access_token: SecretString::from(access_token),
        expires_in,
        user: user.map(str::to_owned),
    })
}

/// Returns the seconds of a field that may be text.
pub(super) fn seconds(field: &Field<JsonValue<'_>>) -> Option<u64> {
    match &field.value {
        Some(JsonValue::String(JsonString::Text(text))) => parse_seconds(text.trim()),
        Some(JsonValue::Scalar(number)) => parse_seconds(number),
        _ => None,
    }
}

/// Parses a number of seconds, rounded down to a whole number that may be 0.
fn parse_seconds(text: &str) -> Option<u64> {
    let seconds: f64 = text.parse().ok()?;
    // A cast saturates, and turns NaN into 0.
    Some(seconds as u64)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn token_response_needs_only_the_token() {
        let token = parse_token(br#"{"access_token":"T"}"#).unwrap();
        assert_eq!(
            (token.access_token.expose_secret(), token.expires_in),
            ("T", None)
        );
        assert!(format!("{token:?}").contains("REDACTED"), "{token:?}");
        for (value, expires_in) in [
            ("\"60\"", Some(60)),
            ("\" 60.0 \"", Some(60)),
            ("59.9", Some(59)),
            ("0", Some(0)),
            ("-3600", Some(0)),
            ("0.5", Some(0)),
            ("1e3", Some(1000)),
            ("1e99", Some(u64::MAX)),
            ("100000000000000000000000", Some(u64::MAX)),
            ("\"soon\"", None),
            ("null", None),
            ("true", None),
            ("[3600]", None),
            ("{}", None),
        ] {
            let body = format!(r#"{{"access_token":"T","expires_in":{value}}}"#);
            assert_eq!(
                parse_token(body.as_bytes()).unwrap().expires_in,
                expires_in,
                "{value}"
            );
        }
        let message = parse_token(br#"{"access_token":"a\nb"}"#)
            .unwrap_err()
            .to_string();
        assert_eq!(
            message,
            "cannot parse token: missing or invalid access_token"
        );
    }

    #[test]
    fn token_parse_error_repeats_nothing_of_the_body() {
        let message = parse_token(br#"{"access_token": sesame}"#)
            .unwrap_err()
            .to_string();
        assert_eq!(
            message,
            "cannot parse token: invalid JSON at line 1 column 18"
        );
    }

    #[test]
    fn repeated_fields_do_not_hide_the_token() {
        for repeated in [
            r#""expires_in":60,"expires_in":60"#,
            r#""owner_id":"1","owner_id":"2""#,
            r#""scope":"a","scope":"b""#,
        ] {
            let body = format!(r#"{{{repeated},"access_token":"T"}}"#);
            let token = parse_token(body.as_bytes()).unwrap();
            assert_eq!(token.access_token.expose_secret(), "T");
            assert_eq!((token.expires_in, token.user), (None, None), "{repeated}");
        }
        assert!(parse_token(br#"{"access_token":"T","access_token":"U"}"#).is_err());
    }

    #[test]
    fn invalid_utf8_elsewhere_does_not_hide_the_token() {
        let token = parse_token(b"{\"access_token\":\"T\",\"scope\":\"\xe9\"}").unwrap();
        assert_eq!(token.access_token.expose_secret(), "T");
        assert!(parse_token(b"{\"access_token\":\"T\xe9\"}").is_err());
    }
}
