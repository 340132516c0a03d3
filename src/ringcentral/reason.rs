//! The reason of a failure, as metrics count it. Pure.

use crate::label_enum::label_enum;

label_enum! {
    /// A label value of `reason`; the set is closed.
    Reason {
        /// No complete response in time, or status 408 or 499.
        Timeout = "timeout",
        /// No connection, or one that closed early: name not found, refused, reset.
        Connect = "connect",
        /// The TLS certificate or handshake.
        Tls = "tls",
        /// Status 429.
        RateLimited = "rate_limited",
        /// The request was not sent, or the fetch was abandoned, because the rate limit does not allow it.
        Budget = "budget",
        /// Status 401, or credentials that cannot be read.
        Unauthorized = "unauthorized",
        /// Status 403.
        Forbidden = "forbidden",
        /// Status 404.
        NotFound = "not_found",
        /// Any other status 4xx.
        ClientError = "client_error",
        /// Status 5xx or 425.
        ServerError = "server_error",
        /// A response that cannot be parsed or must not be followed.
        InvalidResponse = "invalid_response",
    }
}

impl Reason {
    /// Returns the reason for a status that is not 2xx or 3xx.
    #[must_use]
    pub fn from_status(status: u16) -> Self {
        match status {
            401 => Self::Unauthorized,
            403 => Self::Forbidden,
            404 => Self::NotFound,
            408 | 499 => Self::Timeout,
            429 => Self::RateLimited,
            425 | 500..600 => Self::ServerError,
            400..500 => Self::ClientError,
            _ => Self::InvalidResponse,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_follows_from_status() {
        let reasons = [
            (400, "client_error"),
            (401, "unauthorized"),
            (403, "forbidden"),
            (404, "not_found"),
            (408, "timeout"),
            (425, "server_error"),
            (499, "timeout"),
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
