//! Access control of requests and connections, as `--web.config.file` configures it.
//!
//! The rate limit is checked before the credentials, as in the exporter-toolkit, so that it also
//! limits guesses.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use rustls::ServerConfig;
use tokio_rustls::TlsAcceptor;

use crate::clock::Moment;
use crate::config::ConfigError;
use crate::config::web::{ClientAuth, WebConfig, error_prefix};
use crate::secret::redact_value;
use crate::web::basic_auth::BasicAuth;
pub(crate) use crate::web::basic_auth::Denied;
use crate::web::rate_limiter::TokenBucket;
use crate::web::tls;

/// From this cost on, one verification takes seconds.
const HIGH_COST: u32 = 15;

/// Access control of one configuration. The default allows everything.
#[derive(Clone, Default)]
pub struct AccessControl {
    tls: Option<Arc<ServerConfig>>,
    client_auth: Option<ClientAuth>,
    basic_auth: Option<Arc<BasicAuth>>,
    rate_limiter: Option<Arc<TokenBucket>>,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Users whose passwords take seconds to verify.
    slow_users: Vec<String>,
    warnings: Vec<String>,
}

impl AccessControl {
    /// Creates the access control of `config`, which was read from `file`. What has not changed is
    /// taken over from `previous`: cached password checks and the level of the rate limit.
    ///
    /// # Errors
    /// Returns an error if a certificate, key or CA is invalid, or if TLS, basic auth or client
    /// authentication would be disabled or weakened. That requires a restart, so that a truncated
    /// file does not remove protection.
    pub fn from_config(
        file: &Path,
        config: WebConfig,
        previous: &Self,
    ) -> Result<Self, ConfigError> {
        let error = |what: &str| ConfigError(format!("{}: {what}", error_prefix(file)));
        previous.check_not_weakened(&config).map_err(error)?;
        let tls = match &config.tls {
            Some(tls) => Some(tls::server_config(tls, Moment::now())?),
            None => None,
        };
        let slow = config
            .users
            .iter()
            .filter(|(_, hash)| hash.cost >= HIGH_COST);
        let slow_users = slow.map(|(user, _)| user.clone()).collect();
        let warnings = warnings(&config, tls.as_ref());
        let basic_auth = match &previous.basic_auth {
            _ if config.users.is_empty() => None,
            Some(same) if same.users == config.users => Some(same.clone()),
            other => {
                let basic_auth = BasicAuth::new(config.users, other.as_deref())
                    .map_err(|_| error("cannot generate random numbers"))?;
                Some(Arc::new(basic_auth))
            }
        };
        let rate_limiter = match (config.rate_limit, &previous.rate_limiter) {
            (Some(limit), Some(same)) if same.limit == limit => Some(same.clone()),
            (limit, _) => limit.map(|limit| Arc::new(TokenBucket::new(limit))),
        };
        Ok(Self {
            tls: tls.map(|tls| tls.config),
            client_auth: config.tls.and_then(|tls| tls.clients),
            basic_auth,
            rate_limiter,
            headers: config.headers,
            slow_users,
            warnings,
        })
    }

    fn check_not_weakened(&self, config: &WebConfig) -> Result<(), &'static str> {
        if config.tls.is_none() && self.has_tls() {
            return Err("missing tls_server_config: disabling TLS requires a restart");
        }
        if config.users.is_empty() && self.has_basic_auth() {
            return Err("missing basic_auth_users: disabling basic auth requires a restart");
        }
        let Some(previous) = &self.client_auth else {
            return Ok(());
        };
        let is_weaker = match config.tls.as_ref().and_then(|tls| tls.clients.as_ref()) {
            None => previous.required || previous.ca.is_some(),
            Some(clients) => {
                (previous.required && !clients.required)
                    || (previous.ca.is_some() && clients.ca.is_none())
                    || (!previous.allowed_sans.is_empty() && clients.allowed_sans.is_empty())
            }
        };
        if is_weaker {
            return Err(
                "weaker client_auth_type or client_allowed_sans: requiring less of clients requires a restart",
            );
        }
        Ok(())
    }

    /// Returns whether connections use TLS.
    #[must_use]
    pub fn has_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Returns whether requests need a password.
    #[must_use]
    pub fn has_basic_auth(&self) -> bool {
        self.basic_auth.is_some()
    }

    /// Returns `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.has_tls() { "https" } else { "http" }
    }

    /// Returns the acceptor for TLS handshakes, if TLS is configured.
    pub(crate) fn tls_acceptor(&self) -> Option<TlsAcceptor> {
        self.tls.clone().map(TlsAcceptor::from)
    }

    /// Logs the warnings about this configuration.
    pub fn log_warnings(&self) {
        for user in &self.slow_users {
            tracing::warn!(
                user = redact_value(user),
                "the first login of a user takes seconds: the cost of the bcrypt hash is high; 10 to 12 is usual"
            );
        }
        for warning in &self.warnings {
            tracing::warn!("{warning}");
        }
    }

    /// Checks the rate limit and the credentials of a request.
    ///
    /// # Errors
    /// Returns an error if the request is not allowed.
    pub(crate) async fn check(&self, headers: &HeaderMap, client: IpAddr) -> Result<(), Denied> {
        if let Some(bucket) = &self.rate_limiter {
            let now = Moment::now().instant;
            bucket.try_acquire(now).map_err(Denied::RateLimited)?;
        }
        let Some(basic_auth) = &self.basic_auth else {
            return Ok(());
        };
        basic_auth.authenticate(headers, client).await
    }

    /// Adds the configured headers to those of a response, and replaces headers of the same names.
    pub(crate) fn apply_headers(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
    }
}

fn warnings(config: &WebConfig, tls: Option<&tls::TlsSetup>) -> Vec<String> {
    let mut warnings = Vec::new();
    match (tls, config.users.is_empty()) {
        (None, true) => warnings.push(
            "neither TLS nor basic auth is configured: anyone who can reach the port can read the metrics"
                .to_owned(),
        ),
        (None, false) => warnings.push(
            "basic auth without TLS: passwords can be read on the network".to_owned(),
        ),
        (Some(tls), _) => warnings.extend_from_slice(&tls.warnings),
    }
    warnings
}
