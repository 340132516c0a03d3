//! One failure of the API or on the way to it.
//!
//! Owns: the closed set of reasons, the words for the log, and the advice: what a person should change. Refuses to
//! repeat: bodies, messages and addresses that an answer holds, since anything may stand there; codes and names of
//! permissions are safe. What the program does next depends on the operation and the reason alone.

use std::fmt;

use super::operation::Operation;
use super::wire::ApiError;

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
    pub fn of_status(status: u16) -> Self {
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
    /// What happened, in our words.
    pub what: String,
    /// The answer's status, if there was one.
    pub status: Option<u16>,
    /// The API's own code, like `CMN-408` or `invalid_client`.
    pub code: Option<String>,
    /// The permission that is missing, or the parameter that is at fault.
    pub about: Option<String>,
    /// The API's `RCRequestId`: the vendor's support asks for it.
    pub request_id: Option<String>,
}

impl Error {
    /// A failure without an answer.
    #[must_use]
    pub fn new(operation: Operation, reason: Reason, what: impl Into<String>) -> Self {
        Self { operation, reason, what: what.into(), status: None, code: None, about: None, request_id: None }
    }

    /// An answer with a status that is a failure.
    #[must_use]
    pub fn of_answer(operation: Operation, status: u16, body: ApiError, request_id: Option<String>) -> Self {
        Self {
            status: Some(status),
            code: body.code.or(body.error),
            about: body.permission.or(body.parameter),
            request_id,
            ..Self::new(operation, Reason::of_status(status), format!("the API answered {status}"))
        }
    }

    /// A refused login: credentials that a person has to change. Asking again soon helps nobody, and locks the user
    /// out.
    #[must_use]
    pub fn is_refused_login(&self) -> bool {
        self.operation == Operation::Token && matches!(self.status, Some(400 | 401 | 403))
    }

    /// What to change, for the log and for `check`.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        if self.operation == Operation::Extensions && self.reason == Reason::Forbidden {
            return "add the permission Read Accounts to the app, and ReadExtensions to the role of the user";
        }
        self.advice_by_code().unwrap_or_else(|| self.advice_by_reason())
    }

    fn advice_by_code(&self) -> Option<&'static str> {
        Some(match self.code.as_deref()? {
            "OAU-251" | "unauthorized_client" => "enable the JWT auth flow for the app in the developer console",
            "OAU-153" | "OAU-146" | "OAU-120" | "OAU-121" | "invalid_client" => {
                "check client id and client secret, and that they are of an app on this server"
            }
            "OAU-147" | "OAU-148" => "the user is locked after failed logins: unlock it, then correct the credentials",
            "OAU-140" | "OAU-141" | "OAU-142" | "OAU-136" | "invalid_grant" => {
                "check the JWT: it is incomplete, expired, revoked, of another app, or its user is disabled; create a new one"
            }
            "CMN-401" => "add the permission Read Call Log to the app in the developer console",
            "CMN-408" | "CMN-402" => {
                "use the JWT of an admin (permission ReadCompanyCallLog), or set --ringcentral.level=extension"
            }
            "CMN-102" => "check --ringcentral.account-id: it must be ~ or the id of the account of the JWT",
            _ => return None,
        })
    }

    fn advice_by_reason(&self) -> &'static str {
        match (self.operation, self.reason) {
            (_, Reason::Timeout | Reason::Connect) => {
                "is RingCentral up? if so check server name and port, DNS, firewall, and proxy (HTTPS_PROXY, NO_PROXY)"
            }
            (_, Reason::Tls) => {
                "check server name and port, and the root certificates of this system; behind a company proxy set --ringcentral.ca-file"
            }
            (_, Reason::RateLimited) => {
                "something else used up the limit, or this was restarted often; give the exporter an app of its own"
            }
            (_, Reason::Budget) => {
                "if this repeats, give the exporter an app of its own or ask RingCentral for a higher Heavy limit"
            }
            _ if self.is_refused_login() => "check client id, client secret and JWT",
            (_, Reason::Unauthorized) => {
                "check client id, client secret and JWT; is another program using the same user and app?"
            }
            (_, Reason::Forbidden) => "check the permissions of the app and the role of the user",
            (_, Reason::NotFound | Reason::ClientError) => {
                "check --ringcentral.server-url and --ringcentral.account-id"
            }
            (_, Reason::ServerError) => "RingCentral has a problem; the next scrape tries again",
            (_, Reason::InvalidResponse) => {
                "check that --ringcentral.server-url is RingCentral and that no proxy answers in its place"
            }
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.operation.as_str(), self.what)?;
        if let Some(code) = &self.code {
            write!(f, " {code}")?;
        }
        match &self.about {
            Some(about) => write!(f, " ({about})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::super::wire::parse_api_error;
    use super::*;

    fn answered(operation: Operation, status: u16, body: &str) -> Error {
        Error::of_answer(operation, status, parse_api_error(body.as_bytes()), None)
    }

    #[test]
    fn a_user_who_is_no_admin_is_told_both_ways_out() {
        let body = include_str!("../../tests/fixtures/error-403-user-permission-cmn-408.json");
        let error = answered(Operation::ActiveCalls, 403, body);
        assert_eq!(error.to_string(), "active_calls: the API answered 403 CMN-408 (ReadCompanyCallLog)");
        assert!(error.advice().contains("admin") && error.advice().contains("--ringcentral.level=extension"));
    }

    #[test]
    fn an_app_without_the_scope_is_told_which() {
        let body = include_str!("../../tests/fixtures/error-403-app-permission-cmn-401.json");
        let error = answered(Operation::ActiveCalls, 403, body);
        assert!(error.advice().contains("Read Call Log"));
    }

    #[test]
    fn an_app_without_the_grant_is_told_so() {
        let body = include_str!("../../tests/fixtures/error-400-token-unauthorized-client-oau-251.json");
        let error = answered(Operation::Token, 400, body);
        assert!(error.is_refused_login());
        assert!(error.advice().contains("JWT auth flow"));
        assert_eq!(error.reason, Reason::ClientError);
    }

    #[test]
    fn an_unavailable_service_is_no_refusal() {
        let body = include_str!("../../tests/fixtures/error-service-unavailable-cmn-201.json");
        let error = answered(Operation::Token, 503, body);
        assert!(!error.is_refused_login());
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
            assert_eq!(Reason::of_status(status).as_str(), reason, "{status}");
        }
    }
}
