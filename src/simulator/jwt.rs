//! The credential that the account's user was given: a JWT nobody needs to verify.
//!
//! Pure. Makes one and reads `exp` back; the signature is made up and never checked, since the
//! account compares the text as a whole.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::simulator::random::hash_seed;

/// A JWT of the user `owner_id`; `serial` tells it from the ones before.
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
    let seal: Vec<u8> = (0..8)
        .flat_map(|part| hash_seed(serial, part).to_be_bytes())
        .collect();
    let encode = |part: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(part);
    let parts = [
        encode(header.to_string().as_bytes()),
        encode(claims.to_string().as_bytes()),
    ];
    format!("{}.{}", parts.join("."), encode(&seal))
}

/// The second at which the JWT expires, if it says so.
pub(super) fn expiry_s(jwt: &str) -> Option<i64> {
    let claims = BASE64_URL_SAFE_NO_PAD.decode(jwt.split('.').nth(1)?).ok()?;
    serde_json::from_slice::<Value>(&claims)
        .ok()?
        .get("exp")?
        .as_i64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jwt_has_three_parts_and_tells_its_expiry_if_it_has_one() {
        let jwt = issue(62_000_000_016, 1_000, Some(2_000), 1);
        assert_eq!(jwt.split('.').count(), 3);
        assert_eq!(expiry_s(&jwt), Some(2_000));
        assert_eq!(expiry_s(&issue(62_000_000_016, 1_000, None, 1)), None);
        assert_eq!(expiry_s("not a jwt"), None);
        assert_ne!(jwt, issue(62_000_000_016, 1_000, Some(2_000), 2));
    }
}
