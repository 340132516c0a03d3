//! The response to a login, and a JWT.

use hyper::header::HeaderValue;
use ringcentral_exporter::ringcentral::jwt::jwt_expiry;
use ringcentral_exporter::ringcentral::wire::{TokenResponse, parse_token};
use secrecy::{ExposeSecret, SecretString};

/// The maximum length of a token, in bytes.
const MAX_TOKEN_LEN: usize = 8 * 1024;

/// Checks that a token fits a header and is never printed, that the user is an id, and that a JWT's
/// expiry is finite.
pub fn check(data: &[u8]) {
    match parse_token(data) {
        Ok(token) => assert_valid(token),
        Err(error) => {
            crate::assert_known_error(
                &error,
                "token",
                &["missing or invalid access_token", "larger than 64 KiB"],
            );
        }
    }
    let jwt = SecretString::from(String::from_utf8_lossy(data).into_owned());
    assert!(jwt_expiry(&jwt).is_none_or(f64::is_finite));
}

fn assert_valid(token: TokenResponse) {
    let secret = token.access_token.expose_secret();
    assert!(secret.len() <= MAX_TOKEN_LEN, "a long token is kept");
    assert!(!secret.is_empty() && HeaderValue::from_str(&format!("Bearer {secret}")).is_ok());
    if let Some(user) = &token.user {
        assert!((1..=20).contains(&user.len()) && user.bytes().all(|byte| byte.is_ascii_digit()));
    }
    let printed = format!("{token:?}");
    let other = TokenResponse {
        access_token: SecretString::from("another"),
        ..token
    };
    assert_eq!(printed, format!("{other:?}"), "the token is printed");
}
