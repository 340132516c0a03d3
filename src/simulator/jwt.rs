//! The JWT of the simulated user.
//!
//! The account compares only the signature, which is a function of user and serial: a JWT that a simulator of the same seed
//! issued in an earlier run stays valid until its `exp`.

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
    let seed = hash_seed(owner_id, serial);
    for part in 0..8 {
        signature.extend(hash_seed(seed, part).to_be_bytes());
    }
    let encode = |part: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(part);
    let header = encode(header.to_string().as_bytes());
    let claims = encode(claims.to_string().as_bytes());
    format!("{header}.{claims}.{}", encode(&signature))
}

/// Returns whether two JWTs have the same signature. Another text is its own signature.
pub(super) fn have_same_signature(one: &str, other: &str) -> bool {
    one.rsplit('.').next() == other.rsplit('.').next()
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

    #[test]
    fn only_user_and_serial_decide_the_signature() {
        let jwt = issue(62_000_000_016, 1_000, Some(2_000), 1);
        let is_same = |other: &str| have_same_signature(&jwt, other);
        assert!(is_same(&issue(62_000_000_016, 1_500, Some(2_500), 1)));
        assert!(!is_same(&issue(62_000_000_016, 1_000, Some(2_000), 2)));
        assert!(!is_same(&issue(62_000_000_028, 1_000, Some(2_000), 1)));
        assert!(!is_same(""));
    }
}
