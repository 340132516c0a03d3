//! An answer of the API as a plain value, and the error bodies that RingCentral documents.
//!
//! Pure. Knows status, headers and body; not when an error is deserved, and no sockets.

use bytes::Bytes;
use serde_json::{Value, json};

/// Status, headers and body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimResponse {
    /// The HTTP status.
    pub status: u16,
    /// Headers besides those that every answer carries.
    pub headers: Vec<(String, String)>,
    /// The body before any compression.
    pub body: Bytes,
}

impl SimResponse {
    /// A status with a JSON body.
    pub fn json(status: u16, body: &impl serde::Serialize) -> SimResponse {
        let body = serde_json::to_vec(body).unwrap_or_default();
        SimResponse {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
        .with("Content-Type", "application/json;charset=utf-8")
    }

    /// A status with the page of a gateway that knows no JSON.
    pub fn html(status: u16, title: &str) -> SimResponse {
        let body = format!(
            "<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
        );
        SimResponse {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
        .with("Content-Type", "text/html")
    }

    /// The same with one more header.
    pub fn with(mut self, name: &str, value: impl ToString) -> SimResponse {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    /// 400 of the token endpoint: the app may not use the JWT grant.
    pub fn grant_not_allowed() -> SimResponse {
        token_error(
            400,
            "unauthorized_client",
            "OAU-251",
            "Unauthorized for this grant type",
        )
    }

    /// 400 of the token endpoint: a grant type that it does not know.
    pub fn unsupported_grant() -> SimResponse {
        token_error(400, "invalid_request", "OAU-250", "Unsupported grant type")
    }

    /// 400 of the token endpoint, 401 without any credentials: no such client.
    pub fn invalid_client(status: u16) -> SimResponse {
        token_error(
            status,
            "invalid_client",
            "OAU-153",
            "Invalid client credentials",
        )
    }

    /// 400 of the token endpoint: the JWT is not the user's, or its time is over.
    pub fn invalid_grant(message: &str) -> SimResponse {
        token_error(400, "invalid_grant", "OAU-140", message)
    }

    /// 401: revoked, evicted or never issued.
    pub fn token_not_found() -> SimResponse {
        api_error(401, "TokenInvalid", "OAU-213", "Token not found", json!({}))
    }

    /// 401: its time is over.
    pub fn token_expired() -> SimResponse {
        api_error(
            401,
            "TokenExpired",
            "OAU-128",
            "Access token expired",
            json!({}),
        )
    }

    /// 401: no `Authorization` that can be read.
    pub fn no_token() -> SimResponse {
        let message = "Authorization header is not specified";
        api_error(
            401,
            "InvalidAuthorizationHeader",
            "OAU-123",
            message,
            json!({}),
        )
    }

    /// 403: the app lacks a scope.
    pub fn app_lacks(permission: &str) -> SimResponse {
        let message = format!(
            "In order to call this API endpoint, application needs to have [{permission}] permission"
        );
        let extra = json!({"permissionName": permission});
        api_error(403, "InsufficientPermissions", "CMN-401", &message, extra)
    }

    /// 403: the user lacks a permission, for most an admin's.
    pub fn user_lacks(permission: &str) -> SimResponse {
        let message = format!("[{permission}] permission required");
        let extra = json!({"permissionName": permission});
        api_error(403, "InsufficientPermissions", "CMN-408", &message, extra)
    }

    /// 404: no such account or extension.
    pub fn not_found(parameter: &str, value: &str) -> SimResponse {
        let message = format!("Resource for parameter [{parameter}] is not found");
        let extra = json!({"parameterName": parameter, "parameterValue": value});
        api_error(404, "CMN-102", "CMN-102", &message, extra)
    }

    /// 400: a parameter out of range.
    pub fn bad_parameter(parameter: &str, value: &str) -> SimResponse {
        let message = format!("Parameter [{parameter}] value is invalid");
        let extra = json!({"parameterName": parameter, "parameterValue": value});
        api_error(400, "InvalidParameter", "CMN-101", &message, extra)
    }

    /// 404: a path that the API does not have.
    pub fn bad_uri() -> SimResponse {
        api_error(404, "CMN-120", "CMN-120", "Invalid URI", json!({}))
    }

    /// 405: a path of the API, asked in another way.
    pub fn bad_method() -> SimResponse {
        api_error(405, "CMN-121", "CMN-121", "Method not allowed", json!({}))
    }

    /// 429, with `Retry-After` if given.
    pub fn too_many_requests(retry_after_seconds: Option<u64>) -> SimResponse {
        let reply = api_error(
            429,
            "CMN-301",
            "CMN-301",
            "Request rate exceeded",
            json!({}),
        );
        match retry_after_seconds {
            Some(seconds) => reply.with("Retry-After", seconds),
            None => reply,
        }
    }

    /// 503 (or 500): out of order for now.
    pub fn unavailable(status: u16) -> SimResponse {
        api_error(
            status,
            "CMN-201",
            "CMN-201",
            "Service Temporary Unavailable",
            json!({}),
        )
    }

    /// The same with the headers of a rate-limit group, whose name is written in lower case.
    pub fn with_rate_limit(
        self,
        group: &str,
        limit: u32,
        remaining: u32,
        window_seconds: u64,
    ) -> SimResponse {
        self.with("X-Rate-Limit-Group", group)
            .with("X-Rate-Limit-Limit", limit)
            .with("X-Rate-Limit-Remaining", remaining)
            .with("X-Rate-Limit-Window", window_seconds)
    }
}

fn token_error(status: u16, error: &str, code: &str, message: &str) -> SimResponse {
    let body = json!({
        "error": error,
        "error_description": message,
        "errors": [{"errorCode": code, "message": message}],
    });
    SimResponse::json(status, &body)
}

/// `extra` appears both in the error and beside it, as RingCentral repeats itself.
fn api_error(status: u16, word: &str, code: &str, message: &str, extra: Value) -> SimResponse {
    let body = |code: &str| {
        let mut body = json!({"errorCode": code, "message": message});
        if let (Some(body), Some(extra)) = (body.as_object_mut(), extra.as_object()) {
            body.extend(extra.clone());
        }
        body
    };
    let mut whole = body(word);
    if let Some(whole) = whole.as_object_mut() {
        whole.insert("errors".to_owned(), Value::from(vec![body(code)]));
    }
    SimResponse::json(status, &whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(reply: &SimResponse) -> Value {
        serde_json::from_slice(&reply.body).unwrap()
    }

    #[test]
    fn the_missing_permission_of_an_app_reads_as_published() {
        let message = "In order to call this API endpoint, application needs to have [ReadCallLog] permission";
        let expected = json!({
            "errorCode": "InsufficientPermissions",
            "message": message,
            "errors": [
                {"errorCode": "CMN-401", "message": message, "permissionName": "ReadCallLog"}
            ],
            "permissionName": "ReadCallLog"
        });
        assert_eq!(body(&SimResponse::app_lacks("ReadCallLog")), expected);
    }

    #[test]
    fn the_missing_permission_of_a_user_reads_as_published() {
        let message = "[ReadCompanyCallLog] permission required";
        let expected = json!({
            "errorCode": "InsufficientPermissions",
            "message": message,
            "errors": [
                {"errorCode": "CMN-408", "message": message, "permissionName": "ReadCompanyCallLog"}
            ],
            "permissionName": "ReadCompanyCallLog"
        });
        assert_eq!(
            body(&SimResponse::user_lacks("ReadCompanyCallLog")),
            expected
        );
    }

    #[test]
    fn a_refused_grant_and_an_outage_read_as_published() {
        let message = "Unauthorized for this grant type";
        let refused = json!({
            "error": "unauthorized_client",
            "error_description": message,
            "errors": [{"errorCode": "OAU-251", "message": message}]
        });
        assert_eq!(body(&SimResponse::grant_not_allowed()), refused);
        let message = "Service Temporary Unavailable";
        let down = json!({
            "errorCode": "CMN-201",
            "message": message,
            "errors": [{"errorCode": "CMN-201", "message": message}]
        });
        assert_eq!(body(&SimResponse::unavailable(503)), down);
    }
}
