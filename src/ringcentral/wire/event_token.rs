//! The response to a request for an event token.

use std::borrow::Cow;

use secrecy::SecretString;

use crate::ringcentral::wire::json::{
    JsonObject, JsonReader, JsonResult, JsonValue, read_document,
};
use crate::ringcentral::wire::lenient::{Field, json_object};
use crate::ringcentral::wire::token::seconds;
use crate::ringcentral::wire::{ParseError, check_size};

/// A token for one event connection.
#[derive(Debug)]
pub(crate) struct EventTokenResponse {
    /// The token, a secret.
    pub(crate) token: SecretString,
    /// The address of the gateway.
    pub(crate) uri: String,
    /// Lifetime in whole seconds, if the response has a number.
    pub(crate) expires_in: Option<u64>,
}

json_object! {
    struct EventTokenBody<'a> {
        token: Cow<'a, str> = "ws_access_token",
        uri: Cow<'a, str> = "uri",
        expires_in: JsonValue<'a> = "expires_in",
    }
}

/// Parses the response to a request for an event token.
///
/// # Errors
/// Returns an error if the body is not a JSON object, or lacks the token or the address.
pub(crate) fn parse_event_token(body: &[u8]) -> Result<EventTokenResponse, ParseError> {
    const SUBJECT: &str = "event token";
    let mut response = EventTokenBody::default();
    check_size(SUBJECT, body)?;
    read_document(SUBJECT, body, &mut response)?;
    let missing = |name| ParseError(format!("cannot parse {SUBJECT}: missing or invalid {name}"));
    let token = response.token.text().filter(|text| is_graphic(text));
    let uri = response.uri.text().filter(|text| is_graphic(text));
    Ok(EventTokenResponse {
        token: token.ok_or_else(|| missing("ws_access_token"))?.into(),
        uri: uri.ok_or_else(|| missing("uri"))?.to_owned(),
        expires_in: seconds(&response.expires_in),
    })
}

fn is_graphic(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn recorded_event_token_is_read() {
        let body = include_bytes!("../../../tests/fixtures/events/ws-token-2022.json");
        let response = parse_event_token(body).unwrap();
        assert!(response.token.expose_secret().starts_with("EXAMPLE"));
        assert_eq!(response.uri, "wss://platform.devtest.ringcentral.com/ws");
        assert_eq!(response.expires_in, Some(60));
        assert!(!format!("{response:?}").contains("EXAMPLE"));
    }

    #[test]
    fn event_token_needs_token_and_address() {
        for (body, problem) in [
            (r#"{"uri":"wss://h/ws"}"#, "ws_access_token"),
            (
                r#"{"uri":"wss://h/ws","ws_access_token":""}"#,
                "ws_access_token",
            ),
            (
                r#"{"uri":"wss://h/ws","ws_access_token":"a b"}"#,
                "ws_access_token",
            ),
            (
                r#"{"uri":"wss://h/ws","ws_access_token":["T"]}"#,
                "ws_access_token",
            ),
            (
                r#"{"uri":"wss://h/ws","ws_access_token":"T","ws_access_token":"U"}"#,
                "ws_access_token",
            ),
            (r#"{"ws_access_token":"T"}"#, "uri"),
            (r#"{"ws_access_token":"T","uri":null}"#, "uri"),
            (r#"{"ws_access_token":"T","uri":"wss://h/\n"}"#, ""),
            ("[]", "array"),
            ("", "empty"),
            ("<html>", "JSON"),
        ] {
            let result = parse_event_token(body.as_bytes());
            if problem.is_empty() {
                assert_eq!(result.unwrap().uri, "wss://h/", "{body}");
                continue;
            }
            let error = result.unwrap_err().to_string();
            assert!(error.contains(problem), "{body}: {error}");
        }
    }
}
