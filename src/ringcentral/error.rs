//! One failure of the API or on the way to it.
//!
//! Owns: the closed set of reasons, and the words for the log; what a person should change is the [`Cause`]'s. Refuses to
//! repeat: bodies, messages and addresses that an answer holds, since anything may stand there; codes and names of
//! permissions are safe. What the program does next depends on the operation and the reason alone.

use std::fmt;

use crate::ringcentral::cause::Cause;
use crate::ringcentral::operation::Operation;
use crate::ringcentral::wire::ApiError;

/// The closed set of label values of `reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// No whole answer in time.
    Timeout,
    /// No connection, or one that broke: name not found, refused, reset.
    Connect,
    /// No trust: certificate or handshake.
    Tls,
    /// 429.
    RateLimited,
    /// The request was not sent, or the walk given up, since the limit would have been passed.
    Budget,
    /// 401, or credentials that cannot be read.
    Unauthorized,
    /// 403.
    Forbidden,
    /// 404.
    NotFound,
    /// Any other 4xx.
    ClientError,
    /// 5xx.
    ServerError,
    /// An answer that cannot be believed or must not be followed.
    InvalidResponse,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Timeout,
        Self::Connect,
        Self::Tls,
        Self::RateLimited,
        Self::Budget,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::ClientError,
        Self::ServerError,
        Self::InvalidResponse,
    ];

    /// The label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::RateLimited => "rate_limited",
            Self::Budget => "budget",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::ClientError => "client_error",
            Self::ServerError => "server_error",
            Self::InvalidResponse => "invalid_response",
        }
    }

    /// What a status other than 2xx and 3xx means.
    #[must_use]
    pub fn from_status(status: u16) -> Self {
        match status {
            401 => Self::Unauthorized,
            403 => Self::Forbidden,
            404 => Self::NotFound,
            429 => Self::RateLimited,
            400..500 => Self::ClientError,
            500..600 => Self::ServerError,
            _ => Self::InvalidResponse,
        }
    }
}

/// A failure, with all that may be said of it.
#[derive(Clone, Debug)]
pub struct Error {
    /// What was asked.
    pub operation: Operation,
    /// Why it failed.
    pub reason: Reason,
    /// The same as finely as it can be told.
    pub cause: Cause,
    /// What happened, in our words.
    pub message: String,
    /// The answer's status, if there was one.
    pub status: Option<u16>,
    /// The API's own code, like `CMN-408` or `invalid_client`.
    pub code: Option<String>,
    /// The permission that is missing, or the parameter that is at fault.
    pub subject: Option<String>,
    /// The API's `RCRequestId`: the vendor's support asks for it.
    pub request_id: Option<String>,
}

impl Error {
    /// A failure without an answer.
    #[must_use]
    pub fn new(operation: Operation, reason: Reason, what: impl Into<String>) -> Self {
        let cause = Cause::from_reason(reason);
        Self {
            operation,
            reason,
            cause,
            message: what.into(),
            status: None,
            code: None,
            subject: None,
            request_id: None,
        }
    }

    /// An answer with a status that is a failure.
    #[must_use]
    pub fn from_response(
        operation: Operation,
        status: u16,
        body: ApiError,
        request_id: Option<String>,
    ) -> Self {
        let code = body.code.or(body.error);
        Self {
            status: Some(status),
            cause: Cause::from_response(operation, status, code.as_deref()),
            code,
            subject: body.permission.or(body.parameter),
            request_id,
            ..Self::new(
                operation,
                Reason::from_status(status),
                format!("the API answered {status}"),
            )
        }
    }

    /// A refused login: credentials that a person has to change. Asking again soon helps nobody, and locks the user
    /// out.
    #[must_use]
    pub fn is_login_rejected(&self) -> bool {
        self.operation == Operation::Token && matches!(self.status, Some(400 | 401 | 403))
    }

    /// What to change.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        self.cause.hint()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.operation.as_str(), self.message)?;
        if let Some(code) = &self.code {
            write!(f, " {code}")?;
        }
        match &self.subject {
            Some(about) => write!(f, " ({about})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ringcentral::wire::parse_api_error;

    fn answered(operation: Operation, status: u16, body: &str) -> Error {
        Error::from_response(operation, status, parse_api_error(body.as_bytes()), None)
    }

    #[test]
    fn a_user_who_is_no_admin_is_told_both_ways_out() {
        let body = include_str!("../../tests/fixtures/error-403-user-permission-cmn-408.json");
        let error = answered(Operation::ActiveCalls, 403, body);
        assert_eq!(
            error.to_string(),
            "active_calls: the API answered 403 CMN-408 (ReadCompanyCallLog)"
        );
        assert!(
            error.hint().contains("admin")
                && error.hint().contains("--ringcentral.level=extension")
        );
    }

    #[test]
    fn an_app_without_the_scope_is_told_which() {
        let body = include_str!("../../tests/fixtures/error-403-app-permission-cmn-401.json");
        let error = answered(Operation::ActiveCalls, 403, body);
        assert!(error.hint().contains("Read Call Log"));
    }

    #[test]
    fn an_app_without_the_grant_is_told_so() {
        let body =
            include_str!("../../tests/fixtures/error-400-token-unauthorized-client-oau-251.json");
        let error = answered(Operation::Token, 400, body);
        assert!(error.is_login_rejected());
        assert!(error.hint().contains("JWT auth flow"));
        assert_eq!(error.reason, Reason::ClientError);
    }

    #[test]
    fn an_unavailable_service_is_no_refusal() {
        let body = include_str!("../../tests/fixtures/error-service-unavailable-cmn-201.json");
        let error = answered(Operation::Token, 503, body);
        assert!(!error.is_login_rejected());
        assert_eq!(error.code.as_deref(), Some("CMN-201"));
    }

    #[test]
    fn every_status_has_its_reason() {
        let reasons = [
            (400, "client_error"),
            (401, "unauthorized"),
            (403, "forbidden"),
            (404, "not_found"),
            (418, "client_error"),
            (429, "rate_limited"),
            (500, "server_error"),
            (503, "server_error"),
            (199, "invalid_response"),
            (304, "invalid_response"),
        ];
        for (status, reason) in reasons {
            assert_eq!(Reason::from_status(status).as_str(), reason, "{status}");
        }
    }
}
