//! The door: what a connection and a request meet before anything is answered.
//!
//! Owns: what of `--web.config.file` is in force, as one value that is exchanged whole, and the order of refusals: the
//! rate limit comes before the login, as in the toolkit, so that it also bounds guesses. Refuses to know: when the
//! files are read, and which paths need no login.

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue, WWW_AUTHENTICATE};
use hyper::{HeaderMap, StatusCode};
use rustls::ServerConfig;
use tokio_rustls::TlsAcceptor;

use crate::clock::Moment;
use crate::config::ConfigError;
use crate::config::web::{BasicAuthUsers, ClientAuth, RateLimit, WebConfig, error_prefix};
use crate::http::response::{self, Response};
use crate::web::basic_auth::{AuthResult, BasicAuth};
use crate::web::rate_limiter::TokenBucket;
use crate::web::tls;
use crate::web::verify_limiter::VerifyLimiter;

/// How long a client should wait for a place in the queue: some checks are done by then.
const OVERLOADED_RETRY_AFTER: Duration = Duration::from_secs(1);

/// What stands between the network and an answer. The default is wide open.
#[derive(Clone, Default)]
pub struct AccessControl {
    tls: Option<Arc<ServerConfig>>,
    client_auth: Option<ClientAuth>,
    basic_auth: Option<Arc<BasicAuth>>,
    rate_limiter: Option<Arc<Mutex<TokenBucket>>>,
    headers: Vec<(HeaderName, HeaderValue)>,
    verify_limiter: Arc<VerifyLimiter>,
    warnings: Vec<String>,
}

impl AccessControl {
    /// A door of this configuration, which was read from `file`, in place of another. What has not changed is kept:
    /// what is known of passwords, and the fill of the bucket.
    ///
    /// # Errors
    /// When a certificate, key or CA does not serve, or if TLS or login would end, or less be asked of clients. That
    /// needs a restart: a file that is cut short must not open the door.
    pub fn new(file: &Path, web: WebConfig, before: &Self) -> Result<Self, ConfigError> {
        let wrong = |what: &str| ConfigError(format!("{}: {what}", error_prefix(file)));
        before.check_not_weakened(&web).map_err(wrong)?;
        let tls = web
            .tls
            .as_ref()
            .map(|tls| tls::server_config(tls, Moment::now()))
            .transpose()?;
        let warnings = warnings(&web, tls.as_ref());
        let login = before
            .reuse_basic_auth(web.users)
            .map_err(|_| wrong("the system has no random numbers"))?;
        let bucket = web.rate_limit.map(|limit| before.reuse_rate_limiter(limit));
        Ok(Self {
            tls: tls.map(|tls| tls.config),
            client_auth: web.tls.and_then(|tls| tls.clients),
            basic_auth: login,
            rate_limiter: bucket,
            headers: web.headers,
            verify_limiter: before.verify_limiter.clone(),
            warnings,
        })
    }

    /// What this door asks for, the next one asks for too.
    fn check_not_weakened(&self, web: &WebConfig) -> Result<(), &'static str> {
        let clients = web.tls.as_ref().and_then(|tls| tls.clients.as_ref());
        if web.tls.is_none() && self.has_tls() {
            Err("tls_server_config is gone, and TLS ends with a restart alone")
        } else if web.users.is_empty() && self.has_basic_auth() {
            Err("basic_auth_users is gone, and login ends with a restart alone")
        } else if is_weaker(clients, self.client_auth.as_ref()) {
            Err(
                "client_auth_type or client_allowed_sans asks less of clients than before, and that needs a restart",
            )
        } else {
            Ok(())
        }
    }

    fn reuse_basic_auth(
        &self,
        users: BasicAuthUsers,
    ) -> Result<Option<Arc<BasicAuth>>, ring::error::Unspecified> {
        if users.is_empty() {
            return Ok(None);
        }
        match &self.basic_auth {
            Some(login) if *login.users() == users => Ok(Some(login.clone())),
            Some(login) => Ok(Some(Arc::new(login.with_users(users)))),
            None => Ok(Some(Arc::new(BasicAuth::new(
                users,
                self.verify_limiter.clone(),
            )?))),
        }
    }

    fn reuse_rate_limiter(&self, limit: RateLimit) -> Arc<Mutex<TokenBucket>> {
        let same = |bucket: &&Arc<Mutex<TokenBucket>>| {
            bucket.lock().is_ok_and(|bucket| bucket.limit() == limit)
        };
        let kept = self.rate_limiter.as_ref().filter(same).cloned();
        kept.unwrap_or_else(|| Arc::new(Mutex::new(TokenBucket::new(limit))))
    }

    /// Whether connections need a handshake.
    #[must_use]
    pub fn has_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Whether requests need a password.
    #[must_use]
    pub fn has_basic_auth(&self) -> bool {
        self.basic_auth.is_some()
    }

    /// `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.has_tls() { "https" } else { "http" }
    }

    /// What shakes hands, if anything has to.
    #[must_use]
    pub fn tls_acceptor(&self) -> Option<TlsAcceptor> {
        self.tls.clone().map(TlsAcceptor::from)
    }

    /// Logs what a person should know.
    pub fn log_warnings(&self) {
        for warning in &self.warnings {
            tracing::warn!("{warning}");
        }
    }

    /// The answer to a request that is not let in.
    pub async fn check(&self, headers: &HeaderMap, from: IpAddr) -> Option<Response> {
        if let Some(bucket) = &self.rate_limiter {
            let taken = bucket
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .try_acquire(Moment::now().instant);
            if let Err(wait) = taken {
                return Some(response::retry_later(
                    StatusCode::TOO_MANY_REQUESTS,
                    "more requests than rate_limit allows",
                    wait,
                ));
            }
        }
        match self.basic_auth.as_ref()?.authenticate(headers, from).await {
            AuthResult::Allowed => None,
            AuthResult::Denied => Some(unauthorized()),
            AuthResult::Overloaded => {
                let text = "too many passwords wait to be checked";
                Some(response::retry_later(
                    StatusCode::SERVICE_UNAVAILABLE,
                    text,
                    OVERLOADED_RETRY_AFTER,
                ))
            }
        }
    }

    /// Adds the configured headers, in place of our own of these names.
    pub fn apply_headers(&self, reply: &mut Response) {
        for (name, value) in &self.headers {
            reply.headers_mut().insert(name, value.clone());
        }
    }
}

fn is_weaker(now: Option<&ClientAuth>, before: Option<&ClientAuth>) -> bool {
    let asked: [fn(&ClientAuth) -> bool; 3] = [
        |clients| clients.required,
        |clients| clients.ca.is_some(),
        |clients| !clients.allowed_sans.is_empty(),
    ];
    asked
        .into_iter()
        .any(|asks| before.is_some_and(asks) && !now.is_some_and(asks))
}

fn warnings(web: &WebConfig, tls: Option<&tls::TlsSetup>) -> Vec<String> {
    let mut warnings: Vec<_> = web
        .users
        .users_with_high_cost()
        .map(high_cost_warning)
        .collect();
    if tls.is_none() && !web.users.is_empty() {
        warnings.push("passwords come without TLS and can be read on the way".to_owned());
    }
    if tls.is_none() && web.users.is_empty() {
        warnings.push(
            "the web configuration asks for neither TLS nor login: whoever comes sees the calls"
                .to_owned(),
        );
    }
    warnings.extend(tls.and_then(|tls| tls.warning.clone()));
    warnings
}

fn unauthorized() -> Response {
    let mut reply = response::text(
        StatusCode::UNAUTHORIZED,
        "name and password are needed, or wrong",
    );
    reply
        .headers_mut()
        .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic"));
    reply
}

fn high_cost_warning(user: &str) -> String {
    format!(
        "the first login of {user:?} takes seconds, since the cost of the hash is high; 10 to 12 is usual"
    )
}
