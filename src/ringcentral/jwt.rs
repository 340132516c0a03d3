//! The shape and the expiry of a JWT, read without verifying its signature.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

/// What a JWT says about itself.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct JwtStatus {
    /// The `exp` claim in seconds since 1970.
    pub(crate) expiry: Option<f64>,
    /// Whether the text does not have the form of a JWT.
    pub(crate) is_malformed: bool,
}

impl JwtStatus {
    /// Parses a JWT.
    pub(crate) fn new(jwt: &SecretString) -> Self {
        Self {
            expiry: jwt_expiry(jwt),
            is_malformed: !is_well_formed_jwt(jwt),
        }
    }
}

#[derive(Deserialize)]
struct Claims {
    exp: Option<f64>,
}

/// Returns whether the text has the form of a JWT: three parts of base64url, separated by dots.
fn is_well_formed_jwt(jwt: &SecretString) -> bool {
    let parts: Vec<&str> = jwt.expose_secret().split('.').collect();
    let is_valid = |part: &&str| !part.is_empty() && part.bytes().all(is_base64url);
    parts.len() == 3 && parts.iter().all(is_valid)
}

fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_=".contains(&byte)
}

/// Returns the `exp` claim of a JWT in seconds since 1970, or `None` if it has none or is
/// malformed.
#[must_use]
pub fn jwt_expiry(jwt: &SecretString) -> Option<f64> {
    let payload = jwt.expose_secret().split('.').nth(1)?;
    let json = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    let claims: Claims = serde_json::from_slice(&json).ok()?;
    claims.exp.filter(|exp| exp.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_or_partial_jwt_is_malformed() {
        for (text, well_formed) in [
            ("e30.e30.c2ln", true),
            ("\"e30.e30.c2ln\"", false),
            ("e30.e30", false),
            ("e30.e30.c2ln.c2ln", false),
            ("e30..c2ln", false),
            ("hello", false),
        ] {
            let jwt = SecretString::from(text);
            assert_eq!(is_well_formed_jwt(&jwt), well_formed, "{text}");
        }
    }

    #[test]
    fn jwt_expiry_is_the_exp_claim() {
        let jwt = |payload: &str| {
            let payload = URL_SAFE_NO_PAD.encode(payload);
            SecretString::from(format!("e30.{payload}.sig"))
        };
        assert_eq!(
            jwt_expiry(&jwt(r#"{"exp":1795514400,"sub":"1"}"#)),
            Some(1_795_514_400.0)
        );
        assert_eq!(jwt_expiry(&jwt(r#"{"sub":"1"}"#)), None);
        assert_eq!(jwt_expiry(&SecretString::from("not a JWT")), None);
    }
}
