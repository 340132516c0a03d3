//! Why there are no events. Its texts contain error codes and nothing else of a message.

use crate::ringcentral::wire::ApiError;
use crate::ringcentral::{Cause, Error};

/// The hint for a gateway that cannot be reached. The API server can be, since it issued the token.
const GATEWAY_HINT: &str = "check that DNS, firewall and proxy allow HTTPS and WebSocket connections to the event gateway, which is another host than --ringcentral.server-url; or set --ringcentral.presence=poll";
/// The hint for a token that was not requested.
const NO_BUDGET_HINT: &str = "wait: the exporter requests the token as soon as the next login fits after it, usually within a minute; if this lasts, give the exporter an app of its own, and start and check it less often";

/// The failure of an event connection, or of the request for its token.
#[derive(Clone, Debug)]
pub(crate) struct EventError {
    /// The cause in detail.
    pub(crate) cause: Cause,
    /// What happened.
    pub(crate) message: String,
    /// RingCentral's error code, like `SUB-505`.
    pub(crate) code: Option<String>,
    /// The header `RCRequestId`, which RingCentral's support needs.
    pub(crate) request_id: Option<String>,
    /// The host and port of the event gateway, if the failure is one of the connection to it.
    pub(crate) gateway: Option<String>,
}

impl EventError {
    /// Creates an error without a code.
    pub(crate) fn new(cause: Cause, message: impl Into<String>) -> Self {
        Self {
            cause,
            message: message.into(),
            code: None,
            request_id: None,
            gateway: None,
        }
    }

    /// Adds the gateway whose connection failed.
    pub(super) fn at_gateway(mut self, gateway: &str) -> Self {
        self.gateway = Some(gateway.to_owned());
        self
    }

    /// Returns what a person should check or change.
    pub(crate) fn hint(&self) -> &'static str {
        match self.cause {
            Cause::NameNotFound
            | Cause::Unreachable
            | Cause::Timeout
            | Cause::BrokenConnection
            | Cause::ProxyUnreachable
            | Cause::ProxyRefused
            | Cause::NoTls
            | Cause::TlsRefused
            | Cause::NotRingCentral
                if self.gateway.is_some() =>
            {
                GATEWAY_HINT
            }
            Cause::NoBudget => NO_BUDGET_HINT,
            cause => cause.hint(),
        }
    }

    /// Adds the first code of an error body.
    pub(crate) fn with_code(mut self, error: &ApiError) -> Self {
        self.code = error.codes.first().cloned();
        self
    }
}

impl From<Error> for EventError {
    fn from(error: Error) -> Self {
        Self {
            cause: error.cause,
            message: error.to_string(),
            code: error.code,
            request_id: error.request_id,
            gateway: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_about_events_are_documented() {
        let document = include_str!("../../../docs/CHECK.md");
        for hint in [GATEWAY_HINT, NO_BUDGET_HINT] {
            assert!(document.contains(&format!("| {hint} |\n")), "{hint}");
        }
    }
}
