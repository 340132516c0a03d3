//! What we ask of the API, and which usage group pays for it.
//!
//! Owns: the closed set of label values of `operation`.

/// An operation of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `POST /restapi/oauth/token`: a login.
    Token,
    /// `GET .../active-calls`: one page of the list.
    ActiveCalls,
    /// `GET .../extension`: one page of the account's extensions.
    Extensions,
    /// `POST /restapi/oauth/revoke`: gives the token's session back.
    Revoke,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Token,
        Self::ActiveCalls,
        Self::Extensions,
        Self::Revoke,
    ];

    /// The label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::ActiveCalls => "active_calls",
            Self::Extensions => "extensions",
            Self::Revoke => "revoke",
        }
    }

    /// The usage group that the documents put it in. They do not place the revocation; beside the login it is safe.
    #[must_use]
    pub fn group(self) -> UsageGroup {
        match self {
            Self::Token | Self::Revoke => UsageGroup::Auth,
            Self::ActiveCalls => UsageGroup::Heavy,
            Self::Extensions => UsageGroup::Medium,
        }
    }
}

/// A usage group: requests of one group by one user through one app share a limit.
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
    /// All that we use.
    pub const ALL: [Self; 3] = [Self::Heavy, Self::Medium, Self::Auth];

    /// The name that the documents use, for as long as no answer has told another.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Heavy => "heavy",
            Self::Medium => "medium",
            Self::Auth => "auth",
        }
    }

    /// The documented limit of requests in 60 s, believed until an answer says otherwise.
    #[must_use]
    pub fn documented_limit(self) -> u32 {
        match self {
            Self::Heavy => 10,
            Self::Medium => 40,
            Self::Auth => 5,
        }
    }
}
