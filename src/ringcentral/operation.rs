//! The operations of the API that the exporter uses, and the usage groups whose rate limits they count against.

/// An operation of the API, a label value of `operation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `POST /restapi/oauth/token`: a login.
    Token,
    /// `GET .../active-calls`: one page of the list.
    ActiveCalls,
    /// `GET .../extension`: one page of the account's extensions.
    Extensions,
    /// `POST /restapi/oauth/revoke`: revokes the token.
    Revoke,
}

impl Operation {
    /// All operations.
    pub const ALL: [Self; 4] = [
        Self::Token,
        Self::ActiveCalls,
        Self::Extensions,
        Self::Revoke,
    ];

    /// Returns the label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::ActiveCalls => "active_calls",
            Self::Extensions => "extensions",
            Self::Revoke => "revoke",
        }
    }

    /// Returns the documented usage group. None is documented for the revocation; counting it as a login is safe.
    #[must_use]
    pub fn group(self) -> UsageGroup {
        match self {
            Self::Token | Self::Revoke => UsageGroup::Auth,
            Self::ActiveCalls => UsageGroup::Heavy,
            Self::Extensions => UsageGroup::Medium,
        }
    }
}

/// A usage group: the requests of one user and app in one group share a rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageGroup {
    /// Active calls, call log, presence of an account.
    Heavy,
    /// The list of extensions.
    Medium,
    /// Logins.
    Auth,
}

impl UsageGroup {
    /// The groups that the exporter uses.
    pub const ALL: [Self; 3] = [Self::Heavy, Self::Medium, Self::Auth];

    /// Returns the documented name, which is used until a response has another one.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Heavy => "heavy",
            Self::Medium => "medium",
            Self::Auth => "auth",
        }
    }

    /// Returns the documented limit of requests in 60 s, which is used until a response has another one.
    #[must_use]
    pub fn documented_limit(self) -> u32 {
        match self {
            Self::Heavy => 10,
            Self::Medium => 40,
            Self::Auth => 5,
        }
    }
}
