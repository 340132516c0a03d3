//! The operations of the API that the exporter uses, and the usage groups whose rate limits they count against.

use crate::label_enum::label_enum;

label_enum! {
    /// An operation of the API, a label value of `operation`.
    Operation {
        /// `POST /restapi/oauth/token`: a login.
        Token = "token",
        /// `GET .../active-calls`: one page of the list.
        ActiveCalls = "active_calls",
        /// `GET .../extension`: one page of the account's extensions.
        Extensions = "extensions",
        /// `POST /restapi/oauth/revoke`: revokes the token.
        Revoke = "revoke",
        /// `GET .../presence`: one page of the statuses of all extensions.
        Presence = "presence",
        /// `POST /restapi/oauth/wstoken`: a token for one event connection.
        EventToken = "event_token",
    }
}

impl Operation {
    /// Returns whether its requests are GET, which may be sent twice.
    #[must_use]
    pub fn is_get(self) -> bool {
        matches!(self, Self::ActiveCalls | Self::Extensions | Self::Presence)
    }

    /// Returns the documented usage group. None is documented for the revocation; counting it as a login is safe.
    #[must_use]
    pub fn group(self) -> UsageGroup {
        match self {
            Self::Token | Self::Revoke | Self::EventToken => UsageGroup::Auth,
            Self::ActiveCalls | Self::Presence => UsageGroup::Heavy,
            Self::Extensions => UsageGroup::Medium,
        }
    }
}

label_enum! {
    /// A usage group: the requests of one user and app in one group share a rate limit. The label value is the documented
    /// name, which is used until a response has another one.
    UsageGroup {
        /// Active calls, call log, presence of an account.
        Heavy = "heavy",
        /// The list of extensions.
        Medium = "medium",
        /// Logins.
        Auth = "auth",
    }
}

impl UsageGroup {
    /// Returns the group with this documented name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|group| group.as_str() == name)
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
