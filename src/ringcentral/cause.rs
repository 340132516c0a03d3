//! Why the API could not be had, as finely as it can be told, and what a person should change: **pure**.
//!
//! Owns: the one table of causes. The log, the page and `check` speak from it, and `docs/CHECK.md` is tested against it.
//! A [`Reason`] is what programs count by; a cause is what a person looks up. Refuses to know: what the program does
//! next, and where the words appear.

use crate::ringcentral::error::Reason;
use crate::ringcentral::operation::Operation;

/// What is wrong, by what has to be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the table below says what each means")]
pub enum Cause {
    NameNotFound,
    Unreachable,
    Timeout,
    BrokenConnection,
    ProxyUnreachable,
    ProxyRefused,
    UntrustedCertificate,
    NoTls,
    TlsRefused,
    NoRootCertificates,
    NotRingCentral,
    SecretUnreadable,
    BadClient,
    JwtNotAllowed,
    JwtExpired,
    JwtRefused,
    UserLocked,
    LoginRefused,
    SessionEnded,
    AppLacksCallLog,
    NotAdmin,
    ExtensionsForbidden,
    Forbidden,
    WrongAccount,
    Refused,
    RateLimited,
    NoBudget,
    ListTooLong,
    ServerError,
}

/// A cause's name, what it means, and what to do.
type Row = (&'static str, &'static str, &'static str);

impl Cause {
    /// All of them, in the order in which they can meet a request.
    pub const ALL: [Self; 29] = [
        Self::NameNotFound,
        Self::Unreachable,
        Self::Timeout,
        Self::BrokenConnection,
        Self::ProxyUnreachable,
        Self::ProxyRefused,
        Self::UntrustedCertificate,
        Self::NoTls,
        Self::TlsRefused,
        Self::NoRootCertificates,
        Self::NotRingCentral,
        Self::SecretUnreadable,
        Self::BadClient,
        Self::JwtNotAllowed,
        Self::JwtExpired,
        Self::JwtRefused,
        Self::UserLocked,
        Self::LoginRefused,
        Self::SessionEnded,
        Self::AppLacksCallLog,
        Self::NotAdmin,
        Self::ExtensionsForbidden,
        Self::Forbidden,
        Self::WrongAccount,
        Self::Refused,
        Self::RateLimited,
        Self::NoBudget,
        Self::ListTooLong,
        Self::ServerError,
    ];

    /// The word by which the log, the page and `docs/CHECK.md` name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.row().0
    }

    /// What it means, in a few words.
    #[must_use]
    pub fn summary(self) -> &'static str {
        self.row().1
    }

    /// What a person should do.
    #[must_use]
    pub fn hint(self) -> &'static str {
        self.row().2
    }

    /// Whether it passes without anybody's doing.
    #[must_use]
    pub fn is_transient(self) -> bool {
        matches!(self, Self::RateLimited | Self::NoBudget | Self::ServerError)
    }

    /// What an answer with a status of 4xx or 5xx means.
    #[must_use]
    pub fn from_response(operation: Operation, status: u16, code: Option<&str>) -> Self {
        match (operation, status) {
            (_, 407) => Self::ProxyRefused,
            (_, 429) => Self::RateLimited,
            (Operation::Extensions, 403) => Self::ExtensionsForbidden,
            _ => code
                .and_then(Self::from_code)
                .unwrap_or_else(|| Self::from_status(operation, status, code.is_some())),
        }
    }

    /// What is known when there is nothing but the reason.
    #[must_use]
    pub fn from_reason(reason: Reason) -> Self {
        match reason {
            Reason::Timeout => Self::Timeout,
            Reason::Connect => Self::BrokenConnection,
            Reason::Tls => Self::TlsRefused,
            Reason::RateLimited => Self::RateLimited,
            Reason::Budget => Self::NoBudget,
            Reason::Unauthorized => Self::SessionEnded,
            Reason::Forbidden => Self::Forbidden,
            Reason::NotFound | Reason::ClientError => Self::Refused,
            Reason::ServerError => Self::ServerError,
            Reason::InvalidResponse => Self::NotRingCentral,
        }
    }

    fn from_code(code: &str) -> Option<Self> {
        Some(match code {
            "OAU-251" | "unauthorized_client" => Self::JwtNotAllowed,
            "OAU-153" | "OAU-146" | "OAU-120" | "OAU-121" | "invalid_client" => Self::BadClient,
            "OAU-147" | "OAU-148" => Self::UserLocked,
            "OAU-140" | "OAU-141" | "OAU-142" | "OAU-136" | "invalid_grant" => Self::JwtRefused,
            "CMN-401" => Self::AppLacksCallLog,
            "CMN-408" | "CMN-402" => Self::NotAdmin,
            "CMN-102" => Self::WrongAccount,
            _ => return None,
        })
    }

    /// RingCentral's refusals have a code: one without is of somebody else, such as a proxy or a hotel's log-in page. Its
    /// gateways' failures have none either, and a 401 has none at times.
    fn from_status(operation: Operation, status: u16, has_code: bool) -> Self {
        match (status, has_code) {
            (401, _) if operation != Operation::Token => Self::SessionEnded,
            (401, _) | (400 | 403, true) if operation == Operation::Token => Self::LoginRefused,
            (511, _) | (400..500, false) => Self::NotRingCentral,
            (403, true) => Self::Forbidden,
            (500..600, _) => Self::ServerError,
            _ => Self::Refused,
        }
    }

    fn row(self) -> Row {
        self.on_the_way()
            .or_else(|| self.at_the_login())
            .unwrap_or_else(|| self.at_the_list())
    }

    fn on_the_way(self) -> Option<Row> {
        Some(match self {
            Self::NameNotFound => (
                "name_not_found",
                "the server's name is not known here",
                "check --ringcentral.server-url (RC_SERVER_URL) and the DNS of this machine; where only a proxy knows outside names, set HTTPS_PROXY",
            ),
            Self::Unreachable => (
                "unreachable",
                "nobody accepts a connection at the server's address",
                "check server name and port, and the firewall; where a proxy is needed, set HTTPS_PROXY",
            ),
            Self::Timeout => (
                "no_answer",
                "no whole answer came in time",
                "is RingCentral up? if so check server name and port, DNS, firewall, and proxy (HTTPS_PROXY, NO_PROXY)",
            ),
            Self::BrokenConnection => (
                "broken_connection",
                "the connection ended before the answer did",
                "if this repeats, look for a firewall or proxy on the way that cuts connections, and check server name and port",
            ),
            Self::ProxyUnreachable => (
                "proxy_unreachable",
                "the proxy cannot be reached",
                "check HTTPS_PROXY: it must be http://HOST:PORT or https://HOST:PORT of the proxy, and the port open; if the server can be reached without it, name the server in NO_PROXY",
            ),
            Self::ProxyRefused => (
                "proxy_refused",
                "the proxy does not let us through",
                "check user and password in HTTPS_PROXY, and let the proxy's owner allow CONNECT to the server's name and port",
            ),
            Self::UntrustedCertificate => (
                "untrusted_certificate",
                "the server's certificate is not believed",
                "check server name and port, the clock and the root certificates of this system; behind a company proxy that opens TLS set --ringcentral.ca-file (RC_CA_FILE)",
            ),
            Self::NoTls => (
                "no_tls",
                "the server does not speak TLS there",
                "check server name and port: https is mostly port 443; is a proxy or another program answering?",
            ),
            Self::TlsRefused => (
                "tls_refused",
                "the server and we agree on no way of TLS",
                "check server name and port; whatever answers must speak TLS 1.2 or 1.3 and ask for no client certificate",
            ),
            Self::NoRootCertificates => (
                "no_root_certificates",
                "this system has no root certificates",
                "install the package ca-certificates, or name a file of root certificates in SSL_CERT_FILE",
            ),
            Self::NotRingCentral => (
                "not_ringcentral",
                "the answer is not RingCentral's, or was damaged on the way",
                "check that --ringcentral.server-url is RingCentral and that no proxy or log-in page of a network answers in its place",
            ),
            _ => return None,
        })
    }

    fn at_the_login(self) -> Option<Row> {
        Some(match self {
            Self::SecretUnreadable => (
                "secret_unreadable",
                "a file with a secret cannot be read",
                "check --ringcentral.client-secret-file and --ringcentral.jwt-file: the files must be there, not empty, and readable for the exporter's user",
            ),
            Self::BadClient => (
                "bad_client",
                "client id or client secret are wrong",
                "check client id and client secret, and that they are of an app on this server: copy them anew from the developer console (Apps, the app, Credentials)",
            ),
            Self::JwtNotAllowed => (
                "jwt_not_allowed",
                "the app may not log in by JWT",
                "enable the JWT auth flow for the app in the developer console (Apps, the app, Settings, Auth)",
            ),
            Self::JwtExpired => (
                "jwt_expired",
                "the JWT has expired",
                "sign in to the developer console as the JWT's user, create a new one (your name, Credentials, Create JWT) and put it in place of the old",
            ),
            Self::JwtRefused => (
                "jwt_refused",
                "the JWT is incomplete, revoked, of another app or server, or its user is disabled",
                "check the JWT in the developer console (your name, Credentials): it must be there and allowed for this app; else create a new one and copy all of it",
            ),
            Self::UserLocked => (
                "user_locked",
                "the JWT's user is locked after failed logins",
                "stop the exporter, let an admin unlock the user, correct the credentials, then start it",
            ),
            Self::LoginRefused => (
                "login_refused",
                "the login was refused, with a code that says no more",
                "check client id, client secret and JWT, and that the app is active in the developer console",
            ),
            Self::SessionEnded => (
                "session_ended",
                "RingCentral ended the session",
                "check client id, client secret and JWT; if another program uses the same user and app, give the exporter an app of its own",
            ),
            _ => return None,
        })
    }

    fn at_the_list(self) -> Row {
        match self {
            Self::AppLacksCallLog => (
                "app_lacks_call_log",
                "the app may not read the call log",
                "add the permission Read Call Log to the app in the developer console (Apps, the app, Settings, Security)",
            ),
            Self::NotAdmin => (
                "not_admin",
                "the user may not see the calls of the whole account",
                "use the JWT of an admin (permission ReadCompanyCallLog; in the Admin Portal Users, Roles, Company Call Log), or set --ringcentral.level=extension",
            ),
            Self::ExtensionsForbidden => (
                "extensions_forbidden",
                "the list of extensions may not be read",
                "add the permission Read Accounts to the app, and ReadExtensions to the role of the user",
            ),
            Self::Forbidden => (
                "forbidden",
                "something is not permitted",
                "check the permissions of the app (developer console) and the role of the user (Admin Portal, Users, Roles)",
            ),
            Self::WrongAccount => (
                "wrong_account",
                "the account id is not that of the JWT",
                "check --ringcentral.account-id: it must be ~ or the id of the account of the JWT",
            ),
            Self::RateLimited => (
                "rate_limited",
                "RingCentral's limit is used up",
                "wait, since any request starts the penalty again; something else used up the limit, or this was restarted often: give the exporter an app of its own",
            ),
            Self::NoBudget => (
                "no_budget",
                "the limit leaves no room for the request",
                "if this repeats, give the exporter an app of its own or ask RingCentral for a higher Heavy limit",
            ),
            Self::ListTooLong => (
                "list_too_long",
                "the list has more pages than the limit allows",
                "ask RingCentral for a higher Heavy limit for the app; an app of its own leaves the exporter all of it",
            ),
            Self::ServerError => (
                "server_error",
                "RingCentral has a problem",
                "wait and try again; the request id is what RingCentral's support asks for",
            ),
            _ => (
                "refused",
                "RingCentral refuses the request",
                "check --ringcentral.server-url and --ringcentral.account-id",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_cause_has_words_of_its_own() {
        let names: BTreeSet<_> = Cause::ALL.iter().map(|cause| cause.as_str()).collect();
        let meanings: BTreeSet<_> = Cause::ALL.iter().map(|cause| cause.summary()).collect();
        let advice: BTreeSet<_> = Cause::ALL.iter().map(|cause| cause.hint()).collect();
        assert_eq!(
            [names.len(), meanings.len(), advice.len()],
            [Cause::ALL.len(); 3]
        );
    }

    #[test]
    fn an_answer_is_told_by_its_code_and_without_one_by_its_status() {
        use Operation::{ActiveCalls, Extensions, Token};
        let cases = [
            (Token, 400, Some("OAU-251"), Cause::JwtNotAllowed),
            (Token, 401, Some("invalid_client"), Cause::BadClient),
            (Token, 401, None, Cause::LoginRefused),
            (Token, 400, Some("OAU-250"), Cause::LoginRefused),
            (Token, 400, None, Cause::NotRingCentral),
            (Token, 404, None, Cause::NotRingCentral),
            (Token, 407, None, Cause::ProxyRefused),
            (ActiveCalls, 401, Some("OAU-213"), Cause::SessionEnded),
            (ActiveCalls, 403, Some("CMN-408"), Cause::NotAdmin),
            (ActiveCalls, 403, Some("CMN-109"), Cause::Forbidden),
            (ActiveCalls, 403, None, Cause::NotRingCentral),
            (ActiveCalls, 400, Some("CMN-101"), Cause::Refused),
            (ActiveCalls, 404, Some("CMN-102"), Cause::WrongAccount),
            (ActiveCalls, 429, Some("CMN-301"), Cause::RateLimited),
            (ActiveCalls, 502, None, Cause::ServerError),
            (ActiveCalls, 511, None, Cause::NotRingCentral),
            (Extensions, 403, Some("CMN-401"), Cause::ExtensionsForbidden),
        ];
        for (operation, status, code, cause) in cases {
            assert_eq!(
                Cause::from_response(operation, status, code),
                cause,
                "{operation:?} {status} {code:?}"
            );
        }
    }
}
