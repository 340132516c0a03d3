//! The JWT of the simulated user.
//!
//! The account compares the whole text, so the signature is random and never verified.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::simulator::random::hash_seed;

/// Creates a JWT of the user `owner_id`; each `serial` gives a different one.
pub(super) fn issue(owner_id: u64, issued_s: i64, expires_s: Option<i64>, serial: u64) -> String {
    let header = json!({"alg": "RS256", "typ": "JWT", "kid": "8762f598d05944dbb86bf5ca97804760"});
    let mut claims = json!({
        "sub": owner_id.to_string(),
        "aud": "https://platform.ringcentral.com/restapi/oauth/token",
        "iat": issued_s,
        "jti": format!("{:016x}", hash_seed(owner_id, serial)),
    });
    if let (Some(expires), Some(claims)) = (expires_s, claims.as_object_mut()) {
        claims.insert("exp".to_owned(), Value::from(expires));
    }
    let mut signature = Vec::new();
    for part in 0..8 {
        signature.extend(hash_seed(serial, part).to_be_bytes());
    }
    let encode = |part: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(part);
    let header = encode(header.to_string().as_bytes());
    let claims = encode(claims.to_string().as_bytes());
    format!("{header}.{claims}.{}", encode(&signature))
}

/// Returns the second at which the JWT expires; `None` without `exp` or if it is not a JWT.
pub(super) fn expiry_s(jwt: &str) -> Option<i64> {
    let claims = jwt.split('.').nth(1)?;
    let claims = BASE64_URL_SAFE_NO_PAD.decode(claims).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    claims.get("exp")?.as_i64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jwt_has_three_parts_and_an_optional_expiry() {
        let jwt = issue(62_000_000_016, 1_000, Some(2_000), 1);
        assert_eq!(jwt.split('.').count(), 3);
        assert_eq!(expiry_s(&jwt), Some(2_000));
        assert_eq!(expiry_s(&issue(62_000_000_016, 1_000, None, 1)), None);
        assert_eq!(expiry_s("not a jwt"), None);
        assert_ne!(jwt, issue(62_000_000_016, 1_000, Some(2_000), 2));
    }
}
