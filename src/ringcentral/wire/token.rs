//! The response to a login.

use std::borrow::Cow;

use secrecy::SecretString;

use crate::ringcentral::wire::ParseError;
use crate::ringcentral::wire::json::{JsonObject, JsonReader, JsonResult, read_document};
use crate::ringcentral::wire::lenient::{Field, json_object};
use crate::ringcentral::wire::record::is_digits;

/// An access token with its lifetime and user.
#[derive(Debug)]
pub struct TokenResponse {
    /// The access token, a secret.
    pub access_token: SecretString,
    /// Lifetime in seconds, if the response has it.
    pub expires_in: Option<u64>,
    /// Extension id of the logged-in user, if the response has it.
    pub user: Option<String>,
}

json_object! {
    struct TokenBody<'a> {
        access_token: Cow<'a, str> = "access_token",
        expires_in: Cow<'a, str> = "expires_in",
        owner_id: Cow<'a, str> = "owner_id",
    }
}

/// Parses the response to a login.
///
/// # Errors
/// Returns an error if the body is not a JSON object or has no `access_token` that can be sent in a header.
pub fn parse_token(body: &[u8]) -> Result<TokenResponse, ParseError> {
    let text = String::from_utf8_lossy(body);
    let mut token = TokenBody::default();
    read_document("token", &text, &mut token)?;
    let access_token = match token.access_token.text() {
        Some(text) if text.bytes().all(|byte| byte.is_ascii_graphic()) => text,
        _ => {
            let problem = "cannot parse token: missing or invalid access_token";
            return Err(ParseError(problem.to_owned()));
        }
    };
    let expires_in = token.expires_in.text();
    let user = token.owner_id.text().filter(|id| is_digits(id, 20));
    Ok(TokenResponse {
        access_token: SecretString::from(access_token),
        expires_in: expires_in.and_then(|seconds| seconds.parse().ok()),
        user: user.map(str::to_owned),
    })
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
        assert_eq!(
            parse_token(br#"{"access_token":"T","expires_in":"60"}"#)
                .unwrap()
                .expires_in,
            Some(60)
        );
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
    fn invalid_utf8_elsewhere_does_not_hide_the_token() {
        let token = parse_token(b"{\"access_token\":\"T\",\"scope\":\"\xe9\"}").unwrap();
        assert_eq!(token.access_token.expose_secret(), "T");
        assert!(parse_token(b"{\"access_token\":\"T\xe9\"}").is_err());
    }
}
