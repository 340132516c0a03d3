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
use crate::config::web::{Clients, RateLimit, Users, WebConfig, complaint_place};
use crate::http::response::{self, Reply};
use crate::web::basic_auth::{Login, Verdict};
use crate::web::rate_limiter::Bucket;
use crate::web::tls;
use crate::web::verify_limiter::Queue;

/// How long a client should wait for a place in the queue: some checks are done by then.
const QUEUE_WAIT: Duration = Duration::from_secs(1);

/// What stands between the network and an answer. The default is wide open.
#[derive(Clone, Default)]
pub struct Door {
    tls: Option<Arc<ServerConfig>>,
    clients: Option<Clients>,
    login: Option<Arc<Login>>,
    bucket: Option<Arc<Mutex<Bucket>>>,
    headers: Vec<(HeaderName, HeaderValue)>,
    queue: Arc<Queue>,
    warnings: Vec<String>,
}

impl Door {
    /// A door of this configuration, which was read from `file`, in place of another. What has not changed is kept:
    /// what is known of passwords, and the fill of the bucket.
    ///
    /// # Errors
    /// When a certificate, key or CA does not serve, or if TLS or login would end, or less be asked of clients. That
    /// needs a restart: a file that is cut short must not open the door.
    pub fn new(file: &Path, web: WebConfig, before: &Self) -> Result<Self, ConfigError> {
        let wrong = |what: &str| ConfigError(format!("{}: {what}", complaint_place(file)));
        before.refuse_to_open(&web).map_err(wrong)?;
        let tls = web
            .tls
            .as_ref()
            .map(|tls| tls::ready(tls, Moment::now()))
            .transpose()?;
        let warnings = warnings(&web, tls.as_ref());
        let login = before
            .login_for(web.users)
            .map_err(|_| wrong("the system has no random numbers"))?;
        let bucket = web.rate_limit.map(|limit| before.bucket_for(limit));
        Ok(Self {
            tls: tls.map(|tls| tls.config),
            clients: web.tls.and_then(|tls| tls.clients),
            login,
            bucket,
            headers: web.headers,
            queue: before.queue.clone(),
            warnings,
        })
    }

    /// What this door asks for, the next one asks for too.
    fn refuse_to_open(&self, web: &WebConfig) -> Result<(), &'static str> {
        let clients = web.tls.as_ref().and_then(|tls| tls.clients.as_ref());
        if web.tls.is_none() && self.has_tls() {
            Err("tls_server_config is gone, and TLS ends with a restart alone")
        } else if web.users.is_empty() && self.has_login() {
            Err("basic_auth_users is gone, and login ends with a restart alone")
        } else if asks_less(clients, self.clients.as_ref()) {
            Err(
                "client_auth_type or client_allowed_sans asks less of clients than before, and that needs a restart",
            )
        } else {
            Ok(())
        }
    }

    fn login_for(&self, users: Users) -> Result<Option<Arc<Login>>, ring::error::Unspecified> {
        if users.is_empty() {
            return Ok(None);
        }
        match &self.login {
            Some(login) if *login.users() == users => Ok(Some(login.clone())),
            Some(login) => Ok(Some(Arc::new(login.with(users)))),
            None => Ok(Some(Arc::new(Login::new(users, self.queue.clone())?))),
        }
    }

    fn bucket_for(&self, limit: RateLimit) -> Arc<Mutex<Bucket>> {
        let same = |bucket: &&Arc<Mutex<Bucket>>| {
            bucket.lock().is_ok_and(|bucket| bucket.limit() == limit)
        };
        let kept = self.bucket.as_ref().filter(same).cloned();
        kept.unwrap_or_else(|| Arc::new(Mutex::new(Bucket::new(limit))))
    }

    /// Whether connections need a handshake.
    #[must_use]
    pub fn has_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Whether requests need a password.
    #[must_use]
    pub fn has_login(&self) -> bool {
        self.login.is_some()
    }

    /// `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.has_tls() { "https" } else { "http" }
    }

    /// What shakes hands, if anything has to.
    #[must_use]
    pub fn tls(&self) -> Option<TlsAcceptor> {
        self.tls.clone().map(TlsAcceptor::from)
    }

    /// Logs what a person should know.
    pub fn warn(&self) {
        for warning in &self.warnings {
            tracing::warn!("{warning}");
        }
    }

    /// The answer to a request that is not let in.
    pub async fn refusal(&self, headers: &HeaderMap, from: IpAddr) -> Option<Reply> {
        if let Some(bucket) = &self.bucket {
            let taken = bucket
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(Moment::now().instant);
            if let Err(wait) = taken {
                return Some(response::later(
                    StatusCode::TOO_MANY_REQUESTS,
                    "more requests than rate_limit allows",
                    wait,
                ));
            }
        }
        match self.login.as_ref()?.check(headers, from).await {
            Verdict::Right => None,
            Verdict::Wrong => Some(unauthorized()),
            Verdict::Busy => {
                let text = "too many passwords wait to be checked";
                Some(response::later(
                    StatusCode::SERVICE_UNAVAILABLE,
                    text,
                    QUEUE_WAIT,
                ))
            }
        }
    }

    /// Adds the configured headers, in place of our own of these names.
    pub fn furnish(&self, reply: &mut Reply) {
        for (name, value) in &self.headers {
            reply.headers_mut().insert(name, value.clone());
        }
    }
}

fn asks_less(now: Option<&Clients>, before: Option<&Clients>) -> bool {
    let asked: [fn(&Clients) -> bool; 3] = [
        |clients| clients.required,
        |clients| clients.ca.is_some(),
        |clients| !clients.allowed_names.is_empty(),
    ];
    asked
        .into_iter()
        .any(|asks| before.is_some_and(asks) && !now.is_some_and(asks))
}

fn warnings(web: &WebConfig, tls: Option<&tls::Ready>) -> Vec<String> {
    let mut warnings: Vec<_> = web.users.slow().map(slow_login).collect();
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

fn unauthorized() -> Reply {
    let mut reply = response::line(
        StatusCode::UNAUTHORIZED,
        "name and password are needed, or wrong",
    );
    reply
        .headers_mut()
        .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic"));
    reply
}

fn slow_login(user: &str) -> String {
    format!(
        "the first login of {user:?} takes seconds, since the cost of the hash is high; 10 to 12 is usual"
    )
}
