//! Why a request failed, in the detail that a person needs to fix it. Pure.
//!
//! A [`Reason`] is the coarser value that metrics count by.

use crate::ringcentral::wire::ApiError;
use crate::ringcentral::{Operation, Reason};

/// Defines an enum and its texts from one table, so that no variant can lack a text.
macro_rules! described_enum {
    ($(#[$meta:meta])* $name:ident {
        $($variant:ident = $label:literal, summary: $summary:literal, hint: $hint:literal;)*
    }) => {
        $crate::label_enum::label_enum! {
            $(#[$meta])*
            $name {
                $(#[doc = $summary] $variant = $label,)*
            }
        }

        impl $name {
            /// Returns what is wrong, in a few words.
            #[must_use]
            pub fn summary(self) -> &'static str {
                match self { $(Self::$variant => $summary,)* }
            }

            /// Returns what a person should check or change.
            #[must_use]
            pub fn hint(self) -> &'static str {
                match self { $(Self::$variant => $hint,)* }
            }
        }
    };
}
pub(crate) use described_enum;

described_enum! {
    /// The cause of a failure, also a field of log messages.
    Cause {
        NameNotFound = "name_not_found",
            summary: "the server's host name cannot be resolved",
            hint: "check --ringcentral.server-url (RC_SERVER_URL) and this machine's DNS; if only a proxy can resolve external names, set HTTPS_PROXY, and see that NO_PROXY does not name the server";
        Unreachable = "unreachable",
            summary: "connection refused, or no route to the server",
            hint: "check server name and port, and the firewall; if a proxy is required, set HTTPS_PROXY";
        Timeout = "no_answer",
            summary: "no complete response in time",
            hint: "check whether RingCentral is up, then server name and port, DNS, firewall and proxy (HTTPS_PROXY, NO_PROXY)";
        BrokenConnection = "broken_connection",
            summary: "the connection closed before the response was complete",
            hint: "if this repeats, look for a firewall or proxy that closes connections, and check server name and port";
        ProxyUnreachable = "proxy_unreachable",
            summary: "the proxy cannot be reached",
            hint: "check the proxy variable (the check command shows which): it must be the proxy's http://HOST:PORT or https://HOST:PORT, and the port must be open; if the server can be reached without the proxy, add the server to NO_PROXY";
        ProxyRefused = "proxy_refused",
            summary: "the proxy refused the connection",
            hint: "have the proxy's administrator allow CONNECT to the server's name and port, and check user and password in the proxy variable (the check command shows which)";
        UntrustedCertificate = "untrusted_certificate",
            summary: "the certificate of the server, or of its proxy, is not trusted",
            hint: "check server name and port, and the clock and root certificates of this system; behind a company proxy that intercepts TLS, set --ringcentral.ca-file (RC_CA_FILE)";
        NoTls = "no_tls",
            summary: "the server does not use TLS on this port",
            hint: "check server name and port (https usually uses port 443), and whether a proxy or another program responds";
        TlsRefused = "tls_refused",
            summary: "no common TLS version or cipher suite",
            hint: "check server name and port; the server must support TLS 1.2 or 1.3 and must not require a client certificate";
        NoRootCertificates = "no_root_certificates",
            summary: "this system has no root certificates",
            hint: "install the package ca-certificates, or set SSL_CERT_FILE to a file with root certificates";
        NotRingCentral = "not_ringcentral",
            summary: "the response is not from RingCentral, or was damaged in transit",
            hint: "check that --ringcentral.server-url is RingCentral's, and that no proxy or captive portal responds in its place";
        SecretUnreadable = "secret_unreadable",
            summary: "a secret file cannot be read",
            hint: "check --ringcentral.client-secret-file and --ringcentral.jwt-file: the files must exist, not be empty, and be readable by the exporter's user";
        BadClient = "bad_client",
            summary: "invalid client id or client secret",
            hint: "check client id and client secret, and that the app belongs to this server: copy both again from the developer console (Apps, the app, Credentials)";
        JwtNotAllowed = "jwt_not_allowed",
            summary: "the app is not allowed to log in by JWT",
            hint: "enable the JWT auth flow for the app in the developer console (Apps, the app, Settings, Auth)";
        JwtExpired = "jwt_expired",
            summary: "the JWT has expired",
            hint: "sign in to the developer console as the JWT's user, create a new JWT (your name, Credentials, Create JWT) and replace the old one";
        JwtRefused = "jwt_refused",
            summary: "the JWT is incomplete, revoked, for another app or server, or its user is disabled",
            hint: "check the JWT in the developer console (your name, Credentials): it must exist and be allowed for this app; otherwise create a new one and copy all of it";
        UserLocked = "user_locked",
            summary: "the JWT's user is locked after failed logins",
            hint: "stop the exporter, have an admin unlock the user, correct the credentials, then start the exporter";
        LoginRefused = "login_refused",
            summary: "RingCentral rejected the login without a specific reason",
            hint: "check client id, client secret and JWT, and that the app is active in the developer console";
        AppAccessDenied = "app_access_denied",
            summary: "the JWT's user is not allowed to use third-party apps",
            hint: "have an admin add the permission ThirdPartyAppAccess to the user's role (Admin Portal, Users, Roles), or use the JWT of another user";
        SessionEnded = "session_ended",
            summary: "RingCentral revoked the access token",
            hint: "check client id, client secret and JWT; if another program uses the same user and app, give the exporter an app of its own";
        AppLacksCallLog = "app_lacks_call_log",
            summary: "the app is not allowed to read the call log",
            hint: "add the permission Read Call Log to the app in the developer console (Apps, the app, Settings, Security)";
        NotAdmin = "not_admin",
            summary: "the user is not allowed to read the calls of the whole account",
            hint: "use an admin's JWT (permission ReadCompanyCallLog; in the Admin Portal Users, Roles, Company Call Log), or set --ringcentral.level=extension";
        UserLacksCallLog = "user_lacks_call_log",
            summary: "the user is not allowed to read the call log",
            hint: "add the permission ReadCallLog to the user's role (Admin Portal, Users, Roles), or use the JWT of another user";
        ExtensionsForbidden = "extensions_forbidden",
            summary: "no permission to read the extension list",
            hint: "add the permission Read Accounts to the app, and ReadExtensions to the user's role";
        AppLacksPresence = "app_lacks_presence",
            summary: "the app is not allowed to read presence",
            hint: "add the permission Read Presence to the app in the developer console (Apps, the app, Settings, Security)";
        UserLacksPresence = "user_lacks_presence",
            summary: "the user is not allowed to read the presence of the account",
            hint: "add the permission ReadPresenceStatus to the user's role (Admin Portal, Users, Roles), or use the JWT of another user";
        AppLacksWebSocket = "app_lacks_web_socket",
            summary: "the app is not allowed to open event connections",
            hint: "add the permission WebSocket Subscriptions to the app in the developer console (Apps, the app, Settings, Security), or set --ringcentral.presence=poll";
        SubscriptionForbidden = "subscription_forbidden",
            summary: "no permission to receive the account's presence events",
            hint: "add the permission Read Accounts to the app in the developer console (Apps, the app, Settings, Security), or set --ringcentral.presence=poll";
        FilterDisabled = "filter_disabled",
            summary: "RingCentral disabled the filter of the subscription, so that no event would arrive",
            hint: "see the reason in the error, and check that the app has the permission Read Accounts and that the JWT's user is an admin; or set --ringcentral.presence=poll";
        TooManySubscriptions = "too_many_subscriptions",
            summary: "the user and app have the maximum number of event subscriptions",
            hint: "give the exporter an app of its own, or stop other programs of this user and app that receive events; subscriptions that were not deleted count for up to 24 h";
        SubscriptionRefused = "subscription_refused",
            summary: "RingCentral rejected the subscription to presence events",
            hint: "if this repeats, set --ringcentral.presence=poll; RingCentral's support needs the error code";
        GatewayRefused = "gateway_refused",
            summary: "the event gateway, or a proxy before it, rejected the connection",
            hint: "check that firewall and proxy allow WebSocket connections (HTTP Upgrade) to the gateway's host; if this repeats without a proxy, set --ringcentral.presence=poll";
        EventsLost = "events_lost",
            summary: "the event connection was lost",
            hint: "the exporter connects again by itself; if this repeats, look for a firewall or proxy that ends long connections, and for more than four other logins of the same user";
        Forbidden = "forbidden",
            summary: "permission denied",
            hint: "check the app's permissions (developer console) and the user's role (Admin Portal, Users, Roles)";
        WrongAccount = "wrong_account",
            summary: "the account id is not that of the JWT's account",
            hint: "set --ringcentral.account-id to ~ or to the id of the JWT's account";
        Refused = "refused",
            summary: "RingCentral rejected the request",
            hint: "check --ringcentral.server-url and --ringcentral.account-id";
        RateLimited = "rate_limited",
            summary: "RingCentral's rate limit is exceeded",
            hint: "wait, since any request during the penalty restarts it; if another program uses the same limit, give the exporter an app of its own; avoid frequent restarts";
        NoBudget = "no_budget",
            summary: "the rate limit does not allow the request now",
            hint: "if this repeats, give the exporter an app of its own or ask RingCentral for a higher Heavy limit";
        ListTooLong = "list_too_long",
            summary: "the list has more pages than the rate limit allows",
            hint: "ask RingCentral for a higher Heavy limit for the app; an app of its own gives the exporter the whole limit";
        PageGone = "page_gone",
            summary: "the list became shorter while it was read, twice in a row",
            hint: "if this repeats, RingCentral's support needs the request id";
        ServerError = "server_error",
            summary: "RingCentral is unavailable or has an internal error",
            hint: "wait and try again; RingCentral's support needs the request id";
    }
}

impl Cause {
    /// Returns whether the failure is expected to end without a change by a person.
    #[must_use]
    pub fn is_transient(self) -> bool {
        matches!(
            self,
            Self::RateLimited
                | Self::NoBudget
                | Self::ServerError
                | Self::SessionEnded
                | Self::PageGone
                | Self::Timeout
                | Self::BrokenConnection
                | Self::EventsLost
        )
    }

    /// Returns the cause of a response with status 4xx or 5xx: by the missing permission, else by RingCentral's codes,
    /// else by OAuth's word, else by the status.
    #[must_use]
    pub fn from_response(operation: Operation, status: u16, error: &ApiError) -> Self {
        match status {
            407 => return Self::ProxyRefused,
            429 => return Self::RateLimited,
            _ => {}
        }
        if let Some(cause) = Self::from_permission(operation, error) {
            return cause;
        }
        if operation == Operation::Extensions && status == 403 && error.is_ringcentral() {
            return Self::ExtensionsForbidden;
        }
        for code in error.codes.iter().chain(&error.error) {
            if let Some(cause) = Self::from_code(operation, code) {
                return cause;
            }
        }
        Self::from_status(operation, status, error.is_ringcentral())
    }

    /// Returns the cause of a subscription that RingCentral rejected: by the missing permission, else by RingCentral's
    /// codes, else by the status.
    #[must_use]
    pub fn from_subscription(status: u16, error: &ApiError) -> Self {
        if status == 429 {
            return Self::RateLimited;
        }
        if let Some(cause) = Self::from_subscription_permission(error) {
            return cause;
        }
        for code in &error.codes {
            if let Some(cause) = Self::from_subscription_code(code) {
                return cause;
            }
        }
        match status {
            401 => Self::SessionEnded,
            403 => Self::SubscriptionForbidden,
            408 => Self::Timeout,
            500..600 => Self::ServerError,
            _ => Self::SubscriptionRefused,
        }
    }

    /// Returns the cause of a filter that RingCentral disabled, by the word that it gives as the reason.
    #[must_use]
    pub fn from_disabled_filter(reason: &str) -> Self {
        if reason.to_ascii_lowercase().contains("permission") {
            return Self::SubscriptionForbidden;
        }
        Self::FilterDisabled
    }

    fn from_subscription_permission(error: &ApiError) -> Option<Self> {
        Some(match error.permission.as_deref()? {
            "ThirdPartyAppAccess" => Self::AppAccessDenied,
            "ReadPresence" if error.has_user_code() => Self::UserLacksPresence,
            "ReadPresence" => Self::AppLacksPresence,
            "ReadPresenceStatus" => Self::UserLacksPresence,
            permission if is_web_socket(permission) => Self::AppLacksWebSocket,
            _ => Self::SubscriptionForbidden,
        })
    }

    fn from_subscription_code(code: &str) -> Option<Self> {
        match code {
            "SUB-505" => Some(Self::TooManySubscriptions),
            // Another user, account or extension, or an unknown one.
            "SUB-402" | "SUB-403" | "SUB-404" | "SUB-405" | "SUB-406" | "SUB-408" | "CMN-401"
            | "CMN-402" | "CMN-408" => Some(Self::SubscriptionForbidden),
            code if code.starts_with("SUB-") => Some(Self::SubscriptionRefused),
            _ => None,
        }
    }

    /// Returns the cause of a missing permission. ReadCallLog and ReadPresence may be permissions of the app or of the
    /// user: only the code distinguishes them.
    fn from_permission(operation: Operation, error: &ApiError) -> Option<Self> {
        let is_user = error.has_user_code();
        match (operation, error.permission.as_deref()?) {
            (_, "ThirdPartyAppAccess") => Some(Self::AppAccessDenied),
            (Operation::Presence, "ReadPresence") if !is_user => Some(Self::AppLacksPresence),
            (Operation::Presence, "ReadPresence" | "ReadPresenceStatus") => {
                Some(Self::UserLacksPresence)
            }
            (Operation::EventToken, permission) if is_web_socket(permission) => {
                Some(Self::AppLacksWebSocket)
            }
            (Operation::ActiveCalls, "ReadCompanyCallLog" | "FullCompanyCallLog") => {
                Some(Self::NotAdmin)
            }
            (Operation::ActiveCalls, "ReadCallLog") if is_user => Some(Self::UserLacksCallLog),
            (Operation::ActiveCalls, "ReadCallLog") => Some(Self::AppLacksCallLog),
            _ => None,
        }
    }

    /// Returns the code or word that says most: the first one with a cause, else the first code with a number, since
    /// `CMN-109` says more than `InsufficientPermissions`, else the first one.
    pub(crate) fn main_code(operation: Operation, error: &ApiError) -> Option<&String> {
        let has_cause = |code: &&String| Self::from_code(operation, code).is_some();
        let mut codes = error.codes.iter();
        codes
            .clone()
            .find(has_cause)
            .or_else(|| codes.clone().find(|code| code.contains('-')))
            .or_else(|| codes.next())
            .or(error.error.as_ref())
    }

    /// Returns the reason of a failure without an error status.
    #[must_use]
    pub fn reason(self) -> Reason {
        match self {
            Self::Timeout => Reason::Timeout,
            Self::UntrustedCertificate | Self::NoTls | Self::TlsRefused => Reason::Tls,
            Self::SecretUnreadable | Self::SessionEnded => Reason::Unauthorized,
            Self::NoBudget | Self::ListTooLong => Reason::Budget,
            Self::NotRingCentral => Reason::InvalidResponse,
            Self::NameNotFound
            | Self::Unreachable
            | Self::BrokenConnection
            | Self::ProxyUnreachable
            | Self::ProxyRefused
            | Self::NoRootCertificates
            | Self::GatewayRefused
            | Self::EventsLost => Reason::Connect,
            Self::RateLimited => Reason::RateLimited,
            Self::ServerError => Reason::ServerError,
            Self::AppAccessDenied
            | Self::AppLacksCallLog
            | Self::NotAdmin
            | Self::UserLacksCallLog
            | Self::ExtensionsForbidden
            | Self::AppLacksPresence
            | Self::UserLacksPresence
            | Self::AppLacksWebSocket
            | Self::SubscriptionForbidden
            | Self::FilterDisabled
            | Self::TooManySubscriptions
            | Self::Forbidden => Reason::Forbidden,
            Self::BadClient
            | Self::JwtNotAllowed
            | Self::JwtExpired
            | Self::JwtRefused
            | Self::UserLocked
            | Self::LoginRefused
            | Self::WrongAccount
            | Self::PageGone
            | Self::SubscriptionRefused
            | Self::Refused => Reason::ClientError,
        }
    }

    /// Returns the cause of a code or a word.
    fn from_code(operation: Operation, code: &str) -> Option<Self> {
        match operation {
            Operation::Token | Operation::Revoke => Self::from_login_code(code),
            Operation::ActiveCalls | Operation::Extensions => Self::from_list_code(code),
            Operation::Presence => Self::from_presence_code(code),
            Operation::EventToken => Self::from_event_token_code(code),
        }
    }

    /// Returns the cause of a code or a word from the token endpoint.
    fn from_login_code(code: &str) -> Option<Self> {
        Some(match code {
            "OAU-251"
            | "OAU-112"
            | "OAU-125"
            | "unauthorized_client"
            | "unsupported_grant_type" => Self::JwtNotAllowed,
            "OAU-153" | "OAU-146" | "OAU-120" | "OAU-121" | "OAU-123" | "OAU-134"
            | "invalid_client" => Self::BadClient,
            "OAU-147" | "OAU-148" => Self::UserLocked,
            "OAU-140" | "OAU-141" | "OAU-142" | "OAU-136" | "OAU-210" | "OAU-334" | "OAU-473"
            | "invalid_grant" => Self::JwtRefused,
            _ => return None,
        })
    }

    /// Returns the cause of a code or a word from a list.
    fn from_list_code(code: &str) -> Option<Self> {
        Some(match code {
            "CMN-401" | "insufficient_scope" => Self::AppLacksCallLog,
            "CMN-408" | "CMN-402" => Self::NotAdmin,
            "CMN-102" => Self::WrongAccount,
            _ => return None,
        })
    }

    /// Returns the cause of a code or a word from the presence list.
    fn from_presence_code(code: &str) -> Option<Self> {
        Some(match code {
            "CMN-401" | "insufficient_scope" => Self::AppLacksPresence,
            "CMN-408" | "CMN-402" => Self::UserLacksPresence,
            "CMN-102" => Self::WrongAccount,
            _ => return None,
        })
    }

    /// Returns the cause of a code or a word from the endpoint of event tokens.
    fn from_event_token_code(code: &str) -> Option<Self> {
        Some(match code {
            "CMN-401" | "insufficient_scope" => Self::AppLacksWebSocket,
            _ => return None,
        })
    }

    /// Returns the cause by status. RingCentral's 4xx responses have an error code, sometimes except 401; one
    /// without a code comes from another server, such as a proxy or a captive portal.
    fn from_status(operation: Operation, status: u16, has_code: bool) -> Self {
        match (status, has_code) {
            // A server or proxy waited too long: for the request, or (499, nginx) for its response.
            (408 | 499, _) => Self::Timeout,
            (425, _) => Self::ServerError,
            (401, _) if operation != Operation::Token => Self::SessionEnded,
            (401, _) | (400 | 403, true) if operation == Operation::Token => Self::LoginRefused,
            (511, _) | (400..500, false) => Self::NotRingCentral,
            (403, true) => Self::Forbidden,
            (500..600, _) => Self::ServerError,
            _ => Self::Refused,
        }
    }
}

/// Returns whether this is a name of the permission that the console calls *WebSocket Subscriptions*. RingCentral's
/// description of the API, its guide and the scope of a token have different names.
fn is_web_socket(permission: &str) -> bool {
    let name = permission.to_ascii_lowercase();
    name.starts_with("websocket") || name == "subscriptionwebsocket"
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::ringcentral::wire::parse_api_error;

    #[test]
    fn cause_texts_are_distinct() {
        let names: BTreeSet<_> = Cause::ALL.iter().map(|cause| cause.as_str()).collect();
        let summaries: BTreeSet<_> = Cause::ALL.iter().map(|cause| cause.summary()).collect();
        let hints: BTreeSet<_> = Cause::ALL.iter().map(|cause| cause.hint()).collect();
        assert_eq!(
            [names.len(), summaries.len(), hints.len()],
            [Cause::ALL.len(); 3]
        );
    }

    fn error(code: Option<&str>, permission: &str, word: &str) -> ApiError {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        ApiError {
            codes: code.map(str::to_owned).into_iter().collect(),
            error: given(word),
            permission: given(permission),
            parameter: None,
        }
    }

    #[test]
    fn cause_is_found_by_code_or_else_by_status() {
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
            (Token, 400, Some("CMN-102"), Cause::LoginRefused),
            (Token, 403, Some("CMN-401"), Cause::LoginRefused),
            (ActiveCalls, 401, Some("OAU-140"), Cause::SessionEnded),
            (ActiveCalls, 403, Some("OAU-251"), Cause::Forbidden),
            (ActiveCalls, 429, Some("CMN-301"), Cause::RateLimited),
            (ActiveCalls, 502, None, Cause::ServerError),
            (ActiveCalls, 511, None, Cause::NotRingCentral),
            (Token, 408, None, Cause::Timeout),
            (ActiveCalls, 408, None, Cause::Timeout),
            (ActiveCalls, 408, Some("CMN-203"), Cause::Timeout),
            (ActiveCalls, 499, None, Cause::Timeout),
            (ActiveCalls, 425, None, Cause::ServerError),
            (ActiveCalls, 413, None, Cause::NotRingCentral),
            (ActiveCalls, 421, None, Cause::NotRingCentral),
            (ActiveCalls, 431, None, Cause::NotRingCentral),
            (Token, 503, None, Cause::ServerError),
            (ActiveCalls, 504, None, Cause::ServerError),
            (ActiveCalls, 520, None, Cause::ServerError),
            (ActiveCalls, 530, None, Cause::ServerError),
            (ActiveCalls, 599, None, Cause::ServerError),
            (Extensions, 403, Some("CMN-401"), Cause::ExtensionsForbidden),
            (Extensions, 403, Some("X"), Cause::ExtensionsForbidden),
            (Extensions, 403, None, Cause::NotRingCentral),
        ];
        for (operation, status, code, cause) in cases {
            assert_eq!(
                Cause::from_response(operation, status, &error(code, "", "")),
                cause,
                "{operation:?} {status} {code:?}"
            );
        }
    }

    #[test]
    fn cause_is_found_in_every_form_of_error() {
        use Cause::{
            AppAccessDenied, AppLacksCallLog, BadClient, JwtNotAllowed, JwtRefused, NotAdmin,
        };
        use Operation::{ActiveCalls, Extensions, Token};
        let cases = [
            (
                ActiveCalls,
                403,
                r#"{"errorCode":"InsufficientPermissions","message":"[ReadCompanyCallLog] permission required"}"#,
                NotAdmin,
            ),
            (
                ActiveCalls,
                403,
                r#"{"errorCode":"InsufficientPermissions","message":"m","permissionName":"ReadCompanyCallLog"}"#,
                NotAdmin,
            ),
            (
                ActiveCalls,
                403,
                r#"{"errors":[{"errorCode":"InsufficientPermissions","message":"[ReadCompanyCallLog] permission required"}]}"#,
                NotAdmin,
            ),
            (
                ActiveCalls,
                403,
                r#"{"errorCode":"InsufficientPermissions","parameters":[{"parameterName":"permissionName","parameterValue":"ReadCompanyCallLog"}]}"#,
                NotAdmin,
            ),
            (
                ActiveCalls,
                403,
                r#"{"errors":[{"errorCode":"InsufficientPermissions"}],"errorCode":"CMN-408"}"#,
                NotAdmin,
            ),
            (
                ActiveCalls,
                403,
                r#"{"errorCode":"InsufficientPermissions","message":"application needs to have [ReadCallLog] permission"}"#,
                AppLacksCallLog,
            ),
            (
                ActiveCalls,
                403,
                r#"{"errors":[{"errorCode":"CMN-408","message":"[ReadCallLog] permission required"}]}"#,
                Cause::UserLacksCallLog,
            ),
            (
                ActiveCalls,
                403,
                r#"{"errorCode":"InsufficientPermissions","message":"m"}"#,
                Cause::Forbidden,
            ),
            (
                Token,
                403,
                r#"{"errorCode":"CMN-408","parameters":[{"parameterName":"permissionName","parameterValue":"ThirdPartyAppAccess"}]}"#,
                AppAccessDenied,
            ),
            (
                Token,
                400,
                r#"{"error":"access_denied","errors":[{"errorCode":"CMN-408"}],"parameters":[{"permissionName":"ThirdPartyAppAccess"}]}"#,
                AppAccessDenied,
            ),
            (
                Token,
                403,
                r#"{"errorCode":"CMN-408","message":"[ThirdPartyAppAccess] permission required"}"#,
                AppAccessDenied,
            ),
            (
                Token,
                403,
                r#"{"errorCode":"CMN-408","parameters":{"permissionName":"ThirdPartyAppAccess"}}"#,
                AppAccessDenied,
            ),
            (
                Token,
                403,
                r#"{"errorCode":"CMN-408"}"#,
                Cause::LoginRefused,
            ),
            (
                Token,
                401,
                r#"{"error":"invalid_client","errors":[{"errorCode":"OAU-123"}]}"#,
                BadClient,
            ),
            (
                Token,
                401,
                r#"{"errors":[{"errorCode":"OAU-123"}]}"#,
                BadClient,
            ),
            (
                Token,
                400,
                r#"{"error":"invalid_grant","errors":[{"errorCode":"OAU-210"}]}"#,
                JwtRefused,
            ),
            (
                Token,
                400,
                r#"{"errors":[{"errorCode":"OAU-334"}]}"#,
                JwtRefused,
            ),
            (
                Token,
                400,
                r#"{"error":"invalid_grant","errors":[{"errorCode":"OAU-999"}]}"#,
                JwtRefused,
            ),
            (
                Token,
                403,
                r#"{"error":"unauthorized_client","errors":[{"errorCode":"OAU-112"}]}"#,
                JwtNotAllowed,
            ),
            (
                Token,
                401,
                r#"{"errors":[{"errorCode":"OAU-125"}]}"#,
                JwtNotAllowed,
            ),
            (
                Token,
                403,
                r#"{"error":"unauthorized_client"}"#,
                JwtNotAllowed,
            ),
            (
                ActiveCalls,
                401,
                r#"{"errors":[{"errorCode":"OAU-123"}]}"#,
                Cause::SessionEnded,
            ),
            (
                ActiveCalls,
                403,
                r#"{"errorCode":"CMN-408","permissionName":"ThirdPartyAppAccess"}"#,
                AppAccessDenied,
            ),
            (
                ActiveCalls,
                403,
                r#"{"errorCode":"CMN-401","permissionName":"ThirdPartyAppAccess"}"#,
                AppAccessDenied,
            ),
            (
                Extensions,
                403,
                r#"{"errorCode":"CMN-408","permissionName":"ThirdPartyAppAccess"}"#,
                AppAccessDenied,
            ),
            (
                ActiveCalls,
                403,
                r#"{"errorCode":"InsufficientPermissions","permissionName":"FullCompanyCallLog"}"#,
                NotAdmin,
            ),
            (
                ActiveCalls,
                403,
                r#"{"errorCode":"CMN-401","permissionName":"FullCompanyCallLog"}"#,
                NotAdmin,
            ),
            (
                ActiveCalls,
                403,
                r#"{"message":"[FullCompanyCallLog] permission required"}"#,
                NotAdmin,
            ),
            (
                ActiveCalls,
                403,
                r#"{"errorCode":"CMN-402","permissionName":"ReadCallLog"}"#,
                Cause::UserLacksCallLog,
            ),
            (
                ActiveCalls,
                403,
                r#"{"errorCode":"CMN-401","permissionName":"ReadCallLog"}"#,
                AppLacksCallLog,
            ),
            (
                ActiveCalls,
                403,
                r#"{"permissionName":"ReadPresence"}"#,
                Cause::Forbidden,
            ),
            (
                Extensions,
                403,
                r#"{"permissionName":"ReadExtensions"}"#,
                Cause::ExtensionsForbidden,
            ),
            (
                Extensions,
                403,
                r#"<html>403 Forbidden</html>"#,
                Cause::NotRingCentral,
            ),
            (Extensions, 403, r#""#, Cause::NotRingCentral),
            (
                Token,
                400,
                r#"{"errorCode":"OAU-140","errors":[{"errorCode":"OAU-999"}]}"#,
                JwtRefused,
            ),
            (
                Token,
                400,
                r#"{"errors":[{"errorCode":"OAU-250"},{"errorCode":"OAU-140"}]}"#,
                JwtRefused,
            ),
            (
                Token,
                400,
                r#"{"errors":[{"errorCode":"X"},{"errorCode":"OAU-250"}],"errorCode":"OAU-147"}"#,
                Cause::UserLocked,
            ),
            (
                ActiveCalls,
                404,
                r#"{"errors":[{"errorCode":"CMN-101"},{"errorCode":"CMN-102"}]}"#,
                Cause::WrongAccount,
            ),
            (
                Token,
                400,
                r#"{"error":"unsupported_grant_type"}"#,
                JwtNotAllowed,
            ),
            (
                Token,
                400,
                r#"{"error":"unsupported_grant_type","errors":[{"errorCode":"OAU-250"}]}"#,
                JwtNotAllowed,
            ),
        ];
        for (operation, status, body, cause) in cases {
            let error = parse_api_error(body.as_bytes());
            assert_eq!(
                Cause::from_response(operation, status, &error),
                cause,
                "{body}"
            );
        }
    }

    /// Returns the body of a 403 in each form in which RingCentral sends it.
    fn forms_of_403(code: &str, permission: &str) -> Vec<String> {
        let message = format!("In order to call this, it needs to have [{permission}] permission");
        vec![
            format!(r#"{{"errorCode":"{code}","message":"m","permissionName":"{permission}"}}"#),
            format!(r#"{{"errorCode":"{code}","message":"{message}"}}"#),
            format!(
                r#"{{"errorCode":"InsufficientPermissions","message":"m","errors":[{{"errorCode":"{code}","permissionName":"{permission}"}}]}}"#
            ),
            format!(
                r#"{{"errors":[{{"errorCode":"InsufficientPermissions"}},{{"errorCode":"{code}","message":"{message}"}}]}}"#
            ),
            format!(
                r#"{{"errorCode":"{code}","parameters":[{{"parameterName":"permissionName","parameterValue":"{permission}"}}]}}"#
            ),
        ]
    }

    #[test]
    fn missing_presence_permission_is_of_app_or_user() {
        for (code, permission, cause) in [
            ("CMN-401", "ReadPresence", Cause::AppLacksPresence),
            ("CMN-408", "ReadPresence", Cause::UserLacksPresence),
            ("CMN-402", "ReadPresence", Cause::UserLacksPresence),
            ("CMN-408", "ReadPresenceStatus", Cause::UserLacksPresence),
            ("CMN-401", "ReadPresenceStatus", Cause::UserLacksPresence),
            ("CMN-408", "ThirdPartyAppAccess", Cause::AppAccessDenied),
            ("X", "ReadPresence", Cause::AppLacksPresence),
            ("X", "Other", Cause::Forbidden),
        ] {
            for body in forms_of_403(code, permission) {
                if permission == "Other" && !body.contains(r#""Other""#) {
                    continue;
                }
                let error = parse_api_error(body.as_bytes());
                let found = Cause::from_response(Operation::Presence, 403, &error);
                assert_eq!(found, cause, "{body}");
            }
        }
        let by_code = |status, code, word| {
            Cause::from_response(Operation::Presence, status, &error(code, "", word))
        };
        assert_eq!(by_code(403, Some("CMN-401"), ""), Cause::AppLacksPresence);
        assert_eq!(by_code(403, Some("CMN-408"), ""), Cause::UserLacksPresence);
        assert_eq!(
            by_code(403, None, "insufficient_scope"),
            Cause::AppLacksPresence
        );
        assert_eq!(by_code(403, Some("CMN-109"), ""), Cause::Forbidden);
        assert_eq!(by_code(403, None, ""), Cause::NotRingCentral);
        assert_eq!(by_code(404, Some("CMN-102"), ""), Cause::WrongAccount);
        assert_eq!(by_code(401, Some("OAU-213"), ""), Cause::SessionEnded);
        assert_eq!(by_code(429, Some("CMN-301"), ""), Cause::RateLimited);
        assert_eq!(by_code(503, None, ""), Cause::ServerError);
    }

    #[test]
    fn missing_web_socket_permission_has_many_names() {
        for permission in [
            "WebSocket",
            "WebSocketSubscription",
            "WebSocketSubscriptions",
            "WebSocketsSubscription",
            "WebSocketsSubscriptions",
            "SubscriptionWebSocket",
        ] {
            for code in ["CMN-401", "CMN-408", "InsufficientPermissions"] {
                for body in forms_of_403(code, permission) {
                    let error = parse_api_error(body.as_bytes());
                    let found = Cause::from_response(Operation::EventToken, 403, &error);
                    assert_eq!(found, Cause::AppLacksWebSocket, "{body}");
                    let found = Cause::from_subscription(403, &error);
                    assert_eq!(found, Cause::AppLacksWebSocket, "{body}");
                }
            }
        }
        let by_code = |status, code, word| {
            Cause::from_response(Operation::EventToken, status, &error(code, "", word))
        };
        assert_eq!(by_code(403, Some("CMN-401"), ""), Cause::AppLacksWebSocket);
        assert_eq!(
            by_code(403, None, "insufficient_scope"),
            Cause::AppLacksWebSocket
        );
        // The user's role: neither the app's permission nor the level of the calls can be the fix.
        assert_eq!(by_code(403, Some("CMN-408"), ""), Cause::Forbidden);
        assert_eq!(by_code(403, None, ""), Cause::NotRingCentral);
        assert_eq!(by_code(404, Some("CMN-102"), ""), Cause::Refused);
        assert_eq!(by_code(401, None, ""), Cause::SessionEnded);
        assert_eq!(by_code(429, None, ""), Cause::RateLimited);
        assert_eq!(by_code(500, None, ""), Cause::ServerError);
    }

    #[test]
    fn rejected_subscription_has_a_cause() {
        use Cause::{SubscriptionForbidden, SubscriptionRefused, TooManySubscriptions};
        for (status, code, cause) in [
            (403, Some("SUB-505"), TooManySubscriptions),
            (400, Some("SUB-505"), TooManySubscriptions),
            (403, Some("SUB-402"), SubscriptionForbidden),
            (403, Some("SUB-405"), SubscriptionForbidden),
            (403, Some("SUB-406"), SubscriptionForbidden),
            (403, Some("SUB-408"), SubscriptionForbidden),
            (403, Some("CMN-401"), SubscriptionForbidden),
            (403, Some("CMN-408"), SubscriptionForbidden),
            (403, Some("InsufficientPermissions"), SubscriptionForbidden),
            (403, None, SubscriptionForbidden),
            (404, Some("SUB-507"), SubscriptionRefused),
            (400, Some("SUB-508"), SubscriptionRefused),
            (403, Some("SUB-528"), SubscriptionRefused),
            (400, Some("CMN-101"), SubscriptionRefused),
            (404, Some("CMN-120"), SubscriptionRefused),
            (400, None, SubscriptionRefused),
            (401, Some("AGW-401"), Cause::SessionEnded),
            (401, None, Cause::SessionEnded),
            (429, Some("CMN-301"), Cause::RateLimited),
            (408, None, Cause::Timeout),
            (503, Some("CMN-201"), Cause::ServerError),
        ] {
            let found = Cause::from_subscription(status, &error(code, "", ""));
            assert_eq!(found, cause, "{status} {code:?}");
        }
        for (code, permission, cause) in [
            ("CMN-401", "ReadAccounts", SubscriptionForbidden),
            ("CMN-401", "ReadPresence", Cause::AppLacksPresence),
            ("CMN-408", "ReadPresence", Cause::UserLacksPresence),
            ("CMN-408", "ReadPresenceStatus", Cause::UserLacksPresence),
            ("CMN-408", "ThirdPartyAppAccess", Cause::AppAccessDenied),
        ] {
            for body in forms_of_403(code, permission) {
                let error = parse_api_error(body.as_bytes());
                assert_eq!(Cause::from_subscription(403, &error), cause, "{body}");
            }
        }
    }

    #[test]
    fn disabled_filter_is_forbidden_or_has_another_reason() {
        for (reason, cause) in [
            ("InsufficientPermissions", Cause::SubscriptionForbidden),
            ("insufficient_permissions", Cause::SubscriptionForbidden),
            ("FeatureNotAvailable", Cause::FilterDisabled),
            ("", Cause::FilterDisabled),
        ] {
            assert_eq!(Cause::from_disabled_filter(reason), cause, "{reason}");
        }
    }

    #[test]
    fn cause_is_found_by_permission_or_word() {
        use Operation::{ActiveCalls, Token};
        let word = Some("InsufficientPermissions");
        let by_permission = |operation, code, permission| {
            Cause::from_response(operation, 403, &error(code, permission, ""))
        };
        let company = "ReadCompanyCallLog";
        assert_eq!(by_permission(ActiveCalls, word, company), Cause::NotAdmin);
        assert_eq!(by_permission(ActiveCalls, None, company), Cause::NotAdmin);
        let app = by_permission(ActiveCalls, word, "ReadCallLog");
        assert_eq!(app, Cause::AppLacksCallLog);
        assert_eq!(by_permission(ActiveCalls, word, "Other"), Cause::Forbidden);
        assert_eq!(by_permission(Token, word, company), Cause::LoginRefused);
        let by_word =
            |operation, code, word| Cause::from_response(operation, 401, &error(code, "", word));
        assert_eq!(
            by_word(Token, Some("OAU-999"), "invalid_client"),
            Cause::BadClient
        );
        assert_eq!(
            by_word(Token, Some("OAU-147"), "invalid_client"),
            Cause::UserLocked
        );
        assert_eq!(
            by_word(ActiveCalls, None, "invalid_client"),
            Cause::SessionEnded
        );
    }
}
