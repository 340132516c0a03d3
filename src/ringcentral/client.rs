//! The API client of one account.
//!
//! One task owns it, so there is never more than one fetch or login of an account at a time. The
//! requests are in `active_calls`, `extensions` and `login`.

use std::sync::Arc;

use secrecy::SecretString;

use crate::clock::Moment;
use crate::config::{Account, Level, Timeouts};
use crate::ringcentral::jwt::{is_well_formed_jwt, jwt_expiry};
use crate::ringcentral::login_registry::{ActiveLogin, LoginRegistry};
use crate::ringcentral::metrics::ApiMetrics;
use crate::ringcentral::operation::Operation;
use crate::ringcentral::rate_limit::budget::Budget;
use crate::ringcentral::status::ApiStatus;
use crate::ringcentral::token::{TokenState, TokenStatus};
use crate::ringcentral::transport::Transport;
use crate::secret::Fingerprint;

/// The API client of one account.
pub struct Client {
    pub(super) account: Arc<Account>,
    pub(super) timeouts: Timeouts,
    pub(super) transport: Transport,
    pub(super) token_state: TokenState,
    /// The `exp` claim of the JWT that was read last, in seconds since 1970.
    pub(super) jwt_expiry: Option<f64>,
    /// Of the client secret and the JWT of the last login attempt.
    pub(super) last_login_fingerprints: Option<[Fingerprint; 2]>,
    /// The client secret of the login that returned the token, which its revocation needs: its file
    /// may have changed.
    pub(super) client_secret: Option<SecretString>,
    pub(super) replaced_token: Option<ReplacedToken>,
    pub(super) logins: Arc<LoginRegistry>,
    pub(super) login: Option<Arc<ActiveLogin>>,
    /// The id of the RingCentral account, from the last page of calls that had it.
    pub(super) reported_account_id: Option<String>,
}

/// What a configuration reload may change of a running client.
#[derive(Clone)]
pub struct ClientConfig {
    /// The account's configuration.
    pub account: Arc<Account>,
    /// The HTTP client, which other accounts may share.
    pub http: reqwest::Client,
}

/// What a stopped client hands over to its successor.
pub struct ClientState {
    level: Level,
    budget: Budget,
    token_state: TokenState,
    last_login_fingerprints: Option<[Fingerprint; 2]>,
}

/// A token to revoke, with the client secret that it was issued for.
pub(super) struct ReplacedToken {
    pub(super) token: SecretString,
    pub(super) client_secret: SecretString,
}

impl Client {
    /// Creates a client that has not logged in yet.
    #[must_use]
    pub(crate) fn new(
        config: ClientConfig,
        timeouts: Timeouts,
        budget: Budget,
        metrics: Arc<ApiMetrics>,
        logins: Arc<LoginRegistry>,
    ) -> Self {
        let ClientConfig { account, http } = config;
        if let Ok(jwt) = account.jwt.read()
            && !is_well_formed_jwt(&jwt)
        {
            tracing::warn!(
                account = account.name,
                "malformed JWT: expected three parts separated by dots, without quotes"
            );
        }
        Self {
            transport: Transport::new(http, account.server.clone(), budget, metrics),
            jwt_expiry: read_jwt_expiry(&account),
            account,
            timeouts,
            token_state: TokenState::new(&timeouts),
            last_login_fingerprints: None,
            client_secret: None,
            replaced_token: None,
            logins,
            login: None,
            reported_account_id: None,
        }
    }

    /// Applies a changed configuration. Other secrets than those of the last login end its backoff,
    /// and its token is set aside for [`Client::revoke_replaced`].
    pub(crate) fn reconfigure(&mut self, config: ClientConfig) {
        self.account = config.account;
        self.transport.http = config.http;
        let fingerprints = self.secret_fingerprints();
        if fingerprints.is_none()
            || self.last_login_fingerprints.is_none()
            || fingerprints == self.last_login_fingerprints
        {
            return;
        }
        self.replaced_token = self.take_token();
        self.token_state = TokenState::new(&self.timeouts);
        self.jwt_expiry = read_jwt_expiry(&self.account);
        self.last_login_fingerprints = None;
        self.login = None;
    }

    /// Continues with the budget of a stopped client of the same user and app. Its backoff
    /// continues only for the same secrets and level: a changed level may be what the hint of the
    /// failure asked for.
    pub(crate) fn resume_from(&mut self, state: ClientState) {
        self.transport.budget = state.budget;
        if state.last_login_fingerprints.is_some()
            && state.last_login_fingerprints == self.secret_fingerprints()
            && state.level == self.account.level
        {
            self.token_state = state.token_state;
            self.last_login_fingerprints = state.last_login_fingerprints;
        }
    }

    /// Converts the client into the state for its successor.
    #[must_use]
    pub(crate) fn into_state(mut self) -> ClientState {
        self.transport.budget.abandon_in_flight(Moment::now());
        ClientState {
            level: self.account.level,
            budget: self.transport.budget,
            token_state: self.token_state,
            last_login_fingerprints: self.last_login_fingerprints,
        }
    }

    /// Returns the id of the account or user whose calls were fetched last. It changes with a JWT
    /// of another company.
    #[must_use]
    pub(crate) fn account_identity(&self) -> Option<&str> {
        match self.account.level {
            Level::Account => self.reported_account_id.as_deref(),
            Level::Extension => self.user_id(),
        }
    }

    /// Returns whether a fetch may start: the budget allows it, and there is a token or a login is
    /// allowed.
    #[must_use]
    pub(crate) fn can_fetch(&self, now: Moment) -> bool {
        self.next_fetch_at(now).is_past(now)
    }

    /// Returns when a fetch may start, as far as is known now.
    fn next_fetch_at(&self, now: Moment) -> Moment {
        let next_fetch = self.transport.budget.next_fetch_at(now);
        if self.has_token(now) {
            return next_fetch;
        }
        next_fetch.max(self.next_login_at(now))
    }

    /// Returns the present state of the API access.
    #[must_use]
    pub(crate) fn status(&self) -> ApiStatus {
        let now = Moment::now();
        let budget = &self.transport.budget;
        let blocked_until =
            Operation::ALL.map(|operation| (operation, self.blocked_until(operation, now)));
        ApiStatus {
            account_id: self.reported_account_id.clone(),
            rate_limits: budget.reported_limits(),
            min_fetch_interval: budget.min_fetch_interval(),
            next_fetch_at: Some(self.next_fetch_at(now)),
            blocked_until: blocked_until.to_vec(),
            token_expiry: self.token_state.expiry(),
            jwt_expiry: self.jwt_expiry,
            same_user_account: self.same_user_account(),
        }
    }

    /// Returns the end of the last penalty or login backoff for the operation, which may be in the
    /// past.
    fn blocked_until(&self, operation: Operation, now: Moment) -> Option<Moment> {
        let penalty = self.transport.budget.blocked_until(operation);
        let needs_login = match operation {
            Operation::Token => true,
            Operation::ActiveCalls | Operation::Extensions => !self.has_token(now),
            Operation::Revoke => false,
        };
        if !needs_login {
            return penalty;
        }
        penalty.max(self.token_state.login_blocked_until())
    }

    pub(super) fn has_token(&self, now: Moment) -> bool {
        self.token_state.status(now) != TokenStatus::Missing
    }

    /// Removes the token, to revoke it.
    pub(super) fn take_token(&mut self) -> Option<ReplacedToken> {
        Some(ReplacedToken {
            token: self.token_state.take_token()?,
            client_secret: self.client_secret.take()?,
        })
    }

    fn secret_fingerprints(&self) -> Option<[Fingerprint; 2]> {
        let client_secret = self.account.client_secret.read().ok()?;
        let jwt = self.account.jwt.read().ok()?;
        Some([Fingerprint::new(&client_secret), Fingerprint::new(&jwt)])
    }
}

fn read_jwt_expiry(account: &Account) -> Option<f64> {
    jwt_expiry(&account.jwt.read().ok()?)
}
