//! A response of the API as a plain value, with the error bodies that RingCentral documents.

use bytes::Bytes;
use serde_json::{Value, json};

/// A response before compression and faults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimResponse {
    /// The HTTP status.
    pub status: u16,
    /// Headers in addition to those of every response.
    pub headers: Vec<(String, String)>,
    /// The uncompressed body.
    pub body: Bytes,
}

impl SimResponse {
    /// Creates a response with a JSON body.
    pub fn json(status: u16, body: &impl serde::Serialize) -> SimResponse {
        let body = serde_json::to_vec(body).unwrap_or_default();
        SimResponse {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
        .with("Content-Type", "application/json;charset=utf-8")
    }

    /// Creates a response with an HTML page, as gateways return it.
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

    /// Adds a header.
    pub fn with(mut self, name: &str, value: impl ToString) -> SimResponse {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    /// Creates a 400 of the token endpoint: the app is not allowed to use the JWT grant.
    pub fn grant_not_allowed() -> SimResponse {
        token_error(
            400,
            "unauthorized_client",
            "OAU-251",
            "Unauthorized for this grant type",
        )
    }

    /// Creates a 400 of the token endpoint: unknown grant type.
    pub fn unsupported_grant() -> SimResponse {
        token_error(400, "invalid_request", "OAU-250", "Unsupported grant type")
    }

    /// Creates a 400 of the token endpoint (401 without credentials): unknown client or secret.
    pub fn invalid_client(status: u16) -> SimResponse {
        token_error(
            status,
            "invalid_client",
            "OAU-153",
            "Invalid client credentials",
        )
    }

    /// Creates a 400 of the token endpoint: unknown or expired JWT.
    pub fn invalid_grant(message: &str) -> SimResponse {
        token_error(400, "invalid_grant", "OAU-140", message)
    }

    /// Creates a 401: access token revoked, evicted or never issued.
    pub fn token_not_found() -> SimResponse {
        api_error(401, "TokenInvalid", "OAU-213", "Token not found", json!({}))
    }

    /// Creates a 401: access token expired.
    pub fn token_expired() -> SimResponse {
        api_error(
            401,
            "TokenExpired",
            "OAU-128",
            "Access token expired",
            json!({}),
        )
    }

    /// Creates a 401: no `Authorization` header of the scheme `Bearer`.
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

    /// Creates a 403: the app lacks a scope.
    pub fn app_lacks(permission: &str) -> SimResponse {
        let message = format!(
            "In order to call this API endpoint, application needs to have [{permission}] permission"
        );
        let extra = json!({"permissionName": permission});
        api_error(403, "InsufficientPermissions", "CMN-401", &message, extra)
    }

    /// Creates a 403: the user lacks a permission.
    pub fn user_lacks(permission: &str) -> SimResponse {
        let message = format!("[{permission}] permission required");
        let extra = json!({"permissionName": permission});
        api_error(403, "InsufficientPermissions", "CMN-408", &message, extra)
    }

    /// Creates a 404: unknown account or extension.
    pub fn not_found(parameter: &str, value: &str) -> SimResponse {
        let message = format!("Resource for parameter [{parameter}] is not found");
        let extra = json!({"parameterName": parameter, "parameterValue": value});
        api_error(404, "CMN-102", "CMN-102", &message, extra)
    }

    /// Creates a 400: invalid value of a parameter.
    pub fn bad_parameter(parameter: &str, value: &str) -> SimResponse {
        let message = format!("Parameter [{parameter}] value is invalid");
        let extra = json!({"parameterName": parameter, "parameterValue": value});
        api_error(400, "InvalidParameter", "CMN-101", &message, extra)
    }

    /// Creates a 404: unknown path.
    pub fn bad_uri() -> SimResponse {
        api_error(404, "CMN-120", "CMN-120", "Invalid URI", json!({}))
    }

    /// Creates a 405: known path with another method.
    pub fn bad_method() -> SimResponse {
        api_error(405, "CMN-121", "CMN-121", "Method not allowed", json!({}))
    }

    /// Creates a 403: the user and app have too many subscriptions.
    pub fn too_many_subscriptions() -> SimResponse {
        let message = "Subscriptions limit exceeded";
        api_error(403, "SUB-505", "SUB-505", message, json!({}))
    }

    /// Creates a 400: an event filter is unknown, or there is none.
    pub fn invalid_filters() -> SimResponse {
        let message = "Event filters are not valid";
        api_error(400, "SUB-508", "SUB-508", message, json!({}))
    }

    /// Creates a 429, with `Retry-After` if given.
    pub fn too_many_requests(retry_after_seconds: Option<u64>) -> SimResponse {
        let response = api_error(
            429,
            "CMN-301",
            "CMN-301",
            "Request rate exceeded",
            json!({}),
        );
        match retry_after_seconds {
            Some(seconds) => response.with("Retry-After", seconds),
            None => response,
        }
    }

    /// Creates a 503 or 500: service unavailable.
    pub fn unavailable(status: u16) -> SimResponse {
        api_error(
            status,
            "CMN-201",
            "CMN-201",
            "Service Temporary Unavailable",
            json!({}),
        )
    }

    /// Adds the headers of a rate-limit group, whose name is in lower case.
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

/// Creates an error response; `extra` is both in `errors` and at the top level, as at RingCentral.
fn api_error(status: u16, name: &str, code: &str, message: &str, extra: Value) -> SimResponse {
    let fields = |code: &str| {
        let mut fields = json!({"errorCode": code, "message": message});
        if let (Some(fields), Some(extra)) = (fields.as_object_mut(), extra.as_object()) {
            fields.extend(extra.clone());
        }
        fields
    };
    let mut body = fields(name);
    if let Some(body) = body.as_object_mut() {
        body.insert("errors".to_owned(), Value::from(vec![fields(code)]));
    }
    SimResponse::json(status, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(response: &SimResponse) -> Value {
        serde_json::from_slice(&response.body).unwrap()
    }

    #[test]
    fn missing_app_permission_equals_the_published_error() {
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
    fn missing_user_permission_equals_the_published_error() {
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
    fn refused_grant_and_outage_equal_published_errors() {
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
