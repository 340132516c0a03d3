//! The reply to a login, and a JWT.

use hyper::header::HeaderValue;
use ringcentral_exporter::ringcentral::token::jwt_expiry;
use ringcentral_exporter::ringcentral::wire::{GrantedToken, parse_token};
use secrecy::{ExposeSecret, SecretString};

/// A token can be sent and is not printed; the user is an id; the end of a JWT is a time.
pub fn check(data: &[u8]) {
    match parse_token(data) {
        Ok(token) => assert_sound(token),
        Err(why) if why.0 == "the reply holds no access_token" => {}
        Err(why) => crate::assert_closed_words(&why, "a token"),
    }
    let jwt = SecretString::from(String::from_utf8_lossy(data).into_owned());
    assert!(jwt_expiry(&jwt).is_none_or(f64::is_finite));
}

fn assert_sound(token: GrantedToken) {
    let secret = token.access_token.expose_secret();
    assert!(!secret.is_empty() && HeaderValue::from_str(&format!("Bearer {secret}")).is_ok());
    let user = token.user.as_deref().unwrap_or("1");
    assert!((1..=20).contains(&user.len()) && user.bytes().all(|byte| byte.is_ascii_digit()));
    let printed = format!("{token:?}");
    let other = GrantedToken {
        access_token: SecretString::from("another"),
        ..token
    };
    assert_eq!(printed, format!("{other:?}"), "a token is printed");
}
