//! What is well, but should not stay so.
//!
//! Owns: the warnings of `check`: their names, and what each means. Beside [`Cause`](crate::ringcentral::Cause) this is
//! all that `docs/CHECK.md` explains.

use std::time::Duration;

use crate::account::state::AccountState;
use crate::clock::{Moment, unix_seconds};
use crate::config::Account;
use crate::ringcentral::jwt::is_well_formed_jwt;
use crate::ringcentral::transport::is_loopback;

/// As early as the alert that is shipped.
const EXPIRY_WARNING: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// A warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the table below says what each means")]
pub enum Warning {
    PlainHttp,
    MalformedJwt,
    JwtExpiresSoon,
    ExtensionsNotRead,
    SameUser,
}

impl Warning {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::PlainHttp,
        Self::MalformedJwt,
        Self::JwtExpiresSoon,
        Self::ExtensionsNotRead,
        Self::SameUser,
    ];

    /// Those that are due.
    #[must_use]
    pub fn active(account: &Account, observation: &AccountState, now: Moment) -> Vec<Self> {
        let plain = account.server.scheme() == "http" && !is_loopback(&account.server);
        let odd = account
            .jwt
            .read()
            .is_ok_and(|jwt| !is_well_formed_jwt(&jwt));
        let (now, soon) = (
            unix_seconds(now.wall),
            unix_seconds(now.after(EXPIRY_WARNING).wall),
        );
        let ends_soon = observation
            .api
            .jwt_expiry
            .is_some_and(|end| now < end && end < soon);
        let due = |warning: &Self| match warning {
            Self::PlainHttp => plain,
            Self::MalformedJwt => odd,
            Self::JwtExpiresSoon => ends_soon,
            Self::ExtensionsNotRead => observation.directory_failure.is_some(),
            Self::SameUser => observation.api.same_user_account.is_some(),
        };
        Self::ALL.into_iter().filter(due).collect()
    }

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.row().0
    }

    /// What it means.
    #[must_use]
    pub fn summary(self) -> &'static str {
        self.row().1
    }

    /// What a person should do.
    #[must_use]
    pub fn hint(self) -> &'static str {
        self.row().2
    }

    fn row(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::PlainHttp => (
                "plain_http",
                "the server is asked without TLS: secrets and calls can be read on the way",
                "give --ringcentral.server-url as https://...",
            ),
            Self::MalformedJwt => (
                "odd_jwt",
                "the JWT does not look like one: three parts joined by dots, unquoted",
                "copy all of it, without quotes and line breaks",
            ),
            Self::JwtExpiresSoon => (
                "jwt_ends_soon",
                "the JWT ends within 14 days, and no login is possible after that",
                "sign in to the developer console as its user, create a new one (your name, Credentials, Create JWT) and put it in place of the old; its file is read anew at the next login",
            ),
            Self::ExtensionsNotRead => (
                "extensions_unread",
                "the list of extensions was not read: extensions that records do not number are shown by id",
                "do what is told for the cause beside it",
            ),
            Self::SameUser => (
                "same_user",
                "another account is logged in as the same user: the two share its sessions, with one app its limit too, and their calls are counted twice",
                "remove one of the two, or give each the JWT of its own company",
            ),
        }
    }
}
