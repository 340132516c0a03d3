//! The error of a request to RingCentral.
//!
//! Its texts contain error codes and names of permissions, and nothing else of a response: bodies, messages and
//! addresses may hold secrets or personal data.

use std::fmt;

use crate::ringcentral::wire::ApiError;
use crate::ringcentral::{Cause, Operation, Reason};

/// A failed request.
#[derive(Clone, Debug)]
pub struct Error {
    /// The operation that failed.
    pub operation: Operation,
    /// The reason that metrics count.
    pub reason: Reason,
    /// The cause in detail.
    pub cause: Cause,
    /// What happened.
    pub message: String,
    /// The response's status, if there was a response.
    pub status: Option<u16>,
    /// RingCentral's or OAuth's error code, like `CMN-408` or `invalid_client`.
    pub code: Option<String>,
    /// The missing permission or the invalid parameter.
    pub subject: Option<String>,
    /// The header `RCRequestId`, which RingCentral's support needs.
    pub request_id: Option<String>,
}

impl Error {
    /// Creates an error without an error status.
    #[must_use]
    pub fn new(operation: Operation, cause: Cause, message: impl Into<String>) -> Self {
        Self {
            operation,
            reason: cause.reason(),
            cause,
            message: message.into(),
            status: None,
            code: None,
            subject: None,
            request_id: None,
        }
    }

    /// Creates the error for a response with an error status.
    #[must_use]
    pub fn from_response(
        operation: Operation,
        status: u16,
        body: ApiError,
        request_id: Option<String>,
    ) -> Self {
        let cause = Cause::from_response(operation, status, &body);
        let code = Cause::main_code(operation, &body).cloned();
        Self {
            operation,
            reason: Reason::from_status(status),
            cause,
            message: format!("HTTP status {status}"),
            status: Some(status),
            code,
            subject: body.permission.or(body.parameter),
            request_id,
        }
    }

    /// Explains the error of a page that does not exist, although the page before it has named it.
    pub(crate) fn into_page_gone(mut self) -> Self {
        self.cause = Cause::PageGone;
        self.message = format!("the next page is gone: {}", self.message);
        self
    }

    /// Adapts the cause to a list of only the user's calls: no admin's right is needed for it.
    pub(crate) fn set_extension_level(&mut self) {
        if self.cause == Cause::NotAdmin {
            self.cause = Cause::UserLacksCallLog;
        }
    }

    /// Returns whether RingCentral rejected the credentials. A person has to change them, and further logins lock the
    /// user out.
    #[must_use]
    pub fn is_login_rejected(&self) -> bool {
        self.operation == Operation::Token && matches!(self.status, Some(400 | 401 | 403))
    }

    /// Returns what a person should check or change.
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
        if let Some(subject) = &self.subject {
            write!(f, " ({subject})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ringcentral::wire::parse_api_error;

    fn error_for(operation: Operation, status: u16, body: &str) -> Error {
        Error::from_response(operation, status, parse_api_error(body.as_bytes()), None)
    }

    #[test]
    fn missing_user_permission_hint_has_both_fixes() {
        let body = include_str!("../../tests/fixtures/error-403-user-permission-cmn-408.json");
        let error = error_for(Operation::ActiveCalls, 403, body);
        assert_eq!(
            error.to_string(),
            "active_calls: HTTP status 403 CMN-408 (ReadCompanyCallLog)"
        );
        assert!(
            error.hint().contains("admin")
                && error.hint().contains("--ringcentral.level=extension")
        );
    }

    #[test]
    fn hint_at_level_extension_does_not_suggest_it() {
        for permission in ["ReadCompanyCallLog", "FullCompanyCallLog", "Other"] {
            let body = format!(r#"{{"errorCode":"CMN-408","permissionName":"{permission}"}}"#);
            let mut error = error_for(Operation::ActiveCalls, 403, &body);
            assert_eq!(error.cause, Cause::NotAdmin);
            error.set_extension_level();
            assert_eq!(error.cause, Cause::UserLacksCallLog, "{permission}");
            assert!(!error.hint().contains("--ringcentral.level"), "{error}");
        }
    }

    #[test]
    fn shown_code_is_the_one_with_a_cause() {
        let operation = Operation::Token;
        for (body, code) in [
            (
                r#"{"errors":[{"errorCode":"OAU-250"},{"errorCode":"OAU-140"}]}"#,
                "OAU-140",
            ),
            (
                r#"{"errors":[{"errorCode":"X"},{"errorCode":"OAU-250"}]}"#,
                "OAU-250",
            ),
            (r#"{"errorCode":"X","error":"invalid_client"}"#, "X"),
            (r#"{"error":"invalid_client"}"#, "invalid_client"),
        ] {
            let error = error_for(operation, 400, body);
            assert_eq!(error.code.as_deref(), Some(code), "{body}");
        }
    }

    #[test]
    fn missing_app_scope_is_named_in_hint() {
        let body = include_str!("../../tests/fixtures/error-403-app-permission-cmn-401.json");
        let error = error_for(Operation::ActiveCalls, 403, body);
        assert!(error.hint().contains("Read Call Log"));
    }

    #[test]
    fn unauthorized_client_hint_names_jwt_auth_flow() {
        let body =
            include_str!("../../tests/fixtures/error-400-token-unauthorized-client-oau-251.json");
        let error = error_for(Operation::Token, 400, body);
        assert!(error.is_login_rejected());
        assert!(error.hint().contains("JWT auth flow"));
        assert_eq!(error.reason, Reason::ClientError);
    }

    #[test]
    fn unavailable_service_is_not_a_rejected_login() {
        let body = include_str!("../../tests/fixtures/error-service-unavailable-cmn-201.json");
        let error = error_for(Operation::Token, 503, body);
        assert!(!error.is_login_rejected());
        assert_eq!(error.code.as_deref(), Some("CMN-201"));
    }
}
