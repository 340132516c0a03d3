//! The reason of a failure, as metrics count it. Pure.

/// A label value of `reason`; the set is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// No complete response in time.
    Timeout,
    /// No connection, or one that closed early: name not found, refused, reset.
    Connect,
    /// The TLS certificate or handshake.
    Tls,
    /// Status 429.
    RateLimited,
    /// The request was not sent, or the fetch was abandoned, because the rate limit does not allow it.
    Budget,
    /// Status 401, or credentials that cannot be read.
    Unauthorized,
    /// Status 403.
    Forbidden,
    /// Status 404.
    NotFound,
    /// Any other status 4xx.
    ClientError,
    /// Status 5xx.
    ServerError,
    /// A response that cannot be parsed or must not be followed.
    InvalidResponse,
}

impl Reason {
    /// All reasons.
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

    /// Returns the label value.
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

    /// Returns the reason for a status that is not 2xx or 3xx.
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
