//! A request to the simulated API as a plain value, and the route of its path.

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{
    ACCEPT_ENCODING, AUTHORIZATION, HOST, HeaderMap, HeaderName, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::{Method, Request};

use crate::simulator::query::Query;
use crate::simulator::request_log::Operation;

const MAX_FORM_BYTES: usize = 64 * 1024;

/// The meaning of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    Token,
    Revoke,
    ActiveCalls {
        account: &'a str,
        extension: Option<&'a str>,
    },
    Extensions {
        account: &'a str,
    },
    Presence {
        account: &'a str,
    },
    EventToken,
    /// The WebSocket.
    EventConnection,
    /// `/simulator/journal`, not part of RingCentral's API.
    Journal,
    /// `/simulator/listed`, not part of RingCentral's API.
    Listed,
    Unknown,
}

impl Route<'_> {
    fn parse(path: &str) -> Route<'_> {
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        match segments.as_slice() {
            ["restapi", "oauth", "token"] => Route::Token,
            ["restapi", "oauth", "revoke"] => Route::Revoke,
            ["restapi", "v1.0", "account", account, "active-calls"] => Route::ActiveCalls {
                account,
                extension: None,
            },
            [
                "restapi",
                "v1.0",
                "account",
                account,
                "extension",
                extension,
                "active-calls",
            ] => Route::ActiveCalls {
                account,
                extension: Some(extension),
            },
            ["restapi", "v1.0", "account", account, "extension"] => Route::Extensions { account },
            ["restapi", "v1.0", "account", account, "presence"] => Route::Presence { account },
            ["restapi", "oauth", "wstoken"] => Route::EventToken,
            ["ws"] => Route::EventConnection,
            ["simulator", "journal"] => Route::Journal,
            ["simulator", "listed"] => Route::Listed,
            _ => Route::Unknown,
        }
    }

    /// Returns the operation whose rate limit and faults apply.
    pub(super) fn operation(self) -> Option<Operation> {
        match self {
            Route::Token => Some(Operation::Token),
            Route::Revoke => Some(Operation::Revoke),
            Route::ActiveCalls { .. } => Some(Operation::ActiveCalls),
            Route::Extensions { .. } => Some(Operation::Extensions),
            Route::Presence { .. } => Some(Operation::Presence),
            Route::EventToken => Some(Operation::EventToken),
            Route::EventConnection => Some(Operation::EventConnection),
            Route::Journal | Route::Listed | Route::Unknown => None,
        }
    }

    /// Returns the only method that the route accepts.
    pub(super) fn method(self) -> Method {
        match self {
            Route::Token | Route::Revoke | Route::EventToken => Method::POST,
            _ => Method::GET,
        }
    }
}

/// A request whose body has been read.
#[derive(Debug)]
pub(super) struct ApiRequest {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: Query,
    pub(super) host: String,
    pub(super) authorization: Option<String>,
    pub(super) accepts_gzip: bool,
    /// The client's key of a request for a WebSocket.
    pub(super) websocket_key: Option<String>,
    pub(super) form: Query,
}

impl ApiRequest {
    /// Reads a request; returns `None` if its body is truncated or larger than 64 KiB.
    pub(super) async fn read(request: Request<Incoming>) -> Option<ApiRequest> {
        let (head, body) = request.into_parts();
        let body = Limited::new(body, MAX_FORM_BYTES)
            .collect()
            .await
            .ok()?
            .to_bytes();
        let encodings = header(&head.headers, ACCEPT_ENCODING).unwrap_or_default();
        Some(ApiRequest {
            method: head.method,
            path: head.uri.path().to_owned(),
            query: Query::parse(head.uri.query().unwrap_or_default().as_bytes()),
            host: header(&head.headers, HOST).unwrap_or_default(),
            authorization: header(&head.headers, AUTHORIZATION),
            websocket_key: websocket_key(&head.headers),
            accepts_gzip: encodings.contains("gzip"),
            form: Query::parse(&body),
        })
    }

    /// Returns the route of the path.
    pub(super) fn route(&self) -> Route<'_> {
        Route::parse(&self.path)
    }

    /// Returns path and query for the journal, with secrets redacted.
    pub(super) fn target(&self) -> String {
        let query = self.query.without_secrets();
        if query.is_empty() {
            self.path.clone()
        } else {
            format!("{}?{query}", self.path)
        }
    }

    /// Returns the credentials of the `Authorization` header if it has this scheme.
    pub(super) fn credentials(&self, scheme: &str) -> Option<&str> {
        let (given, credentials) = self.authorization.as_deref()?.split_once(' ')?;
        if given.eq_ignore_ascii_case(scheme) {
            Some(credentials.trim())
        } else {
            None
        }
    }
}

/// Returns the key of a request for a WebSocket of version 13.
fn websocket_key(headers: &HeaderMap) -> Option<String> {
    let upgrade = header(headers, UPGRADE)?;
    let version = header(headers, SEC_WEBSOCKET_VERSION)?;
    if upgrade.eq_ignore_ascii_case("websocket") && version == "13" {
        header(headers, SEC_WEBSOCKET_KEY)
    } else {
        None
    }
}

fn header(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    Some(value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_parsed_into_routes() {
        let calls = Route::parse("/restapi/v1.0/account/~/extension/62/active-calls");
        assert_eq!(
            calls,
            Route::ActiveCalls {
                account: "~",
                extension: Some("62")
            }
        );
        let list = Route::parse("/restapi/v1.0/account/7/extension");
        assert_eq!(list, Route::Extensions { account: "7" });
        assert_eq!(
            Route::parse("/restapi/v1.0/account/~/call-log"),
            Route::Unknown
        );
        assert_eq!(Route::parse("/restapi/oauth/token").method(), Method::POST);
    }
}
