//! Why there are no events. Its texts contain error codes and nothing else of a message.

use crate::ringcentral::wire::ApiError;
use crate::ringcentral::{Cause, Error};

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
}

impl EventError {
    /// Creates an error without a code.
    pub(crate) fn new(cause: Cause, message: impl Into<String>) -> Self {
        Self {
            cause,
            message: message.into(),
            code: None,
            request_id: None,
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
        }
    }
}
