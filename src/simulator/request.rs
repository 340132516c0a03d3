//! A request to the simulated API as a plain value, and which operation its path means.
//!
//! Reads the request off the wire once; everything after works on the value.

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{ACCEPT_ENCODING, AUTHORIZATION, HOST, HeaderMap, HeaderName};
use hyper::{Method, Request};

use crate::simulator::query::Query;
use crate::simulator::request_log::Operation;

const LARGEST_FORM: usize = 64 * 1024;

/// What a path means.
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
    /// For people and tests: the journal.
    Journal,
    /// For people and tests: the full list of an instant.
    Listed,
    Unknown,
}

impl Route<'_> {
    fn of(path: &str) -> Route<'_> {
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
            ["simulator", "journal"] => Route::Journal,
            ["simulator", "listed"] => Route::Listed,
            _ => Route::Unknown,
        }
    }

    pub(super) fn operation(self) -> Option<Operation> {
        match self {
            Route::Token => Some(Operation::Token),
            Route::Revoke => Some(Operation::Revoke),
            Route::ActiveCalls { .. } => Some(Operation::ActiveCalls),
            Route::Extensions { .. } => Some(Operation::Extensions),
            Route::Journal | Route::Listed | Route::Unknown => None,
        }
    }

    pub(super) fn method(self) -> Method {
        match self {
            Route::Token | Route::Revoke => Method::POST,
            _ => Method::GET,
        }
    }
}

/// One request.
#[derive(Debug)]
pub(super) struct ApiRequest {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: Query,
    pub(super) host: String,
    pub(super) authorization: Option<String>,
    pub(super) accepts_gzip: bool,
    pub(super) form: Query,
}

impl ApiRequest {
    /// Reads a request; `None` if its body breaks off or is larger than any form.
    pub(super) async fn read(request: Request<Incoming>) -> Option<ApiRequest> {
        let (head, body) = request.into_parts();
        let body = Limited::new(body, LARGEST_FORM)
            .collect()
            .await
            .ok()?
            .to_bytes();
        let encodings = header(&head.headers, ACCEPT_ENCODING).unwrap_or_default();
        Some(ApiRequest {
            method: head.method,
            path: head.uri.path().to_owned(),
            query: Query::parse(head.uri.query().unwrap_or_default()),
            host: header(&head.headers, HOST).unwrap_or_default(),
            authorization: header(&head.headers, AUTHORIZATION),
            accepts_gzip: encodings.contains("gzip"),
            form: Query::parse(&String::from_utf8_lossy(&body)),
        })
    }

    pub(super) fn route(&self) -> Route<'_> {
        Route::of(&self.path)
    }

    /// Path and query, fit for the journal.
    pub(super) fn target(&self) -> String {
        let query = self.query.without_secrets();
        if query.is_empty() {
            self.path.clone()
        } else {
            format!("{}?{query}", self.path)
        }
    }

    /// The credentials of an `Authorization` of this scheme.
    pub(super) fn credentials(&self, scheme: &str) -> Option<&str> {
        let (given, credentials) = self.authorization.as_deref()?.split_once(' ')?;
        given
            .eq_ignore_ascii_case(scheme)
            .then_some(credentials.trim())
    }
}

fn header(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_api_are_told_from_others() {
        let calls = Route::of("/restapi/v1.0/account/~/extension/62/active-calls");
        assert_eq!(
            calls,
            Route::ActiveCalls {
                account: "~",
                extension: Some("62")
            }
        );
        let list = Route::of("/restapi/v1.0/account/7/extension");
        assert_eq!(list, Route::Extensions { account: "7" });
        assert_eq!(
            Route::of("/restapi/v1.0/account/~/call-log"),
            Route::Unknown
        );
        assert_eq!(Route::of("/restapi/oauth/token").method(), Method::POST);
    }
}
