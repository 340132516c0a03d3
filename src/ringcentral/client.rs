//! The API client of one account.
//!
//! One task owns it, so there is never more than one fetch or login of an account at a time. The
//! requests are in `active_calls`, `extensions` and `login`.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Moment;
use crate::config::{Account, Level, Timeouts};
use crate::ringcentral::http_client::HttpClient;
use crate::ringcentral::jwt::JwtStatus;
use crate::ringcentral::login_registry::{ActiveLogin, LoginRegistry};
use crate::ringcentral::metrics::ApiMetrics;
use crate::ringcentral::operation::UsageGroup;
use crate::ringcentral::rate_limit::budget::Budget;
use crate::ringcentral::rate_limit::registry::{App, JwtHash, UsageRegistry};
use crate::ringcentral::status::ApiStatus;
use crate::ringcentral::token::{Token, TokenState, TokenStatus};
use crate::ringcentral::transport::Transport;
use crate::ringcentral::{Cause, Error, Operation};
use crate::secret::hash_parts;

/// The time after which a request that must not hold a fetch has failed, instead of being repeated.
const SLOW_RESPONSE: Duration = Duration::from_secs(1);

/// The API client of one account.
pub struct Client {
    pub(super) account: Arc<Account>,
    pub(super) timeouts: Timeouts,
    pub(super) transport: Transport,
    pub(super) token_state: TokenState,
    /// The `exp` claim of the JWT that was read last, in seconds since 1970.
    pub(super) jwt: JwtStatus,
    pub(super) usages: Arc<UsageRegistry>,
    /// The name of the JWT that was read last.
    pub(super) jwt_hash: Option<JwtHash>,
    /// The hash of what a person may change to end a backoff, besides the JWT.
    pub(super) credentials_hash: String,
    /// Whether the budget is that of the user, and not only that of a JWT.
    pub(super) is_user_known: bool,
    /// A token to revoke.
    pub(super) replaced_token: Option<Token>,
    pub(super) logins: Arc<LoginRegistry>,
    pub(super) login: Option<Arc<ActiveLogin>>,
    /// The number of successful logins, each of which is another OAuth session.
    pub(super) login_count: u64,
    /// The HTTP client for the event gateway, once it is known.
    pub(super) gateway: Option<HttpClient>,
    /// The id of the RingCentral account, from the last page of calls that had it.
    pub(super) reported_account_id: Option<String>,
    /// The lists of which a page was gone also after a restart. Until a fetch succeeds they are not restarted, which
    /// would double the requests.
    pub(super) futile_restarts: Vec<Operation>,
    /// Whether the token is revoked only if another request of the group is left after that.
    pub(crate) spares_last_request: bool,
}

/// What the accounts of this process know of the users that they log in as.
#[derive(Clone)]
pub(crate) struct Users {
    pub(crate) logins: Arc<LoginRegistry>,
    pub(crate) usages: Arc<UsageRegistry>,
}

/// What a configuration reload may change of a running client.
#[derive(Clone)]
pub struct ClientConfig {
    /// The account's configuration.
    pub account: Arc<Account>,
    /// The HTTP client, which other accounts may share.
    pub http: HttpClient,
}

impl Client {
    /// Creates a client that has not logged in yet.
    pub(crate) fn new(
        config: ClientConfig,
        timeouts: Timeouts,
        min_interval: Duration,
        metrics: Arc<ApiMetrics>,
        users: Users,
    ) -> Self {
        let ClientConfig { account, http } = config;
        let Users { logins, usages } = users;
        let budget = Budget::new(min_interval);
        let mut client = Self {
            transport: Transport::new(http, account.server.clone(), budget, metrics),
            jwt: read_jwt_status(&account),
            account,
            timeouts,
            token_state: TokenState::new(&timeouts),
            replaced_token: None,
            usages,
            jwt_hash: None,
            credentials_hash: String::new(),
            is_user_known: false,
            logins,
            login: None,
            login_count: 0,
            gateway: None,
            reported_account_id: None,
            futile_restarts: Vec::new(),
            spares_last_request: false,
        };
        client.join_usage_of_secrets();
        client.resume_backoff();
        client
    }

    /// Applies a changed configuration. Other secrets than those of the last login end its backoff,
    /// and its token is set aside for [`Client::revoke_replaced`].
    pub(crate) fn reconfigure(&mut self, config: ClientConfig) {
        self.account = config.account;
        self.transport.http = config.http;
        let former = (self.jwt_hash.clone(), self.credentials_hash.clone());
        self.join_usage_of_secrets();
        if former.0.is_none() || former == (self.jwt_hash.clone(), self.credentials_hash.clone()) {
            return;
        }
        self.replaced_token = self.token_state.take_token();
        self.token_state = TokenState::new(&self.timeouts);
        self.jwt = read_jwt_status(&self.account);
        self.login = None;
        self.resume_backoff();
    }

    /// Continues with the pace of a stopped client of the same JWT or name. If the user of the JWT is
    /// not known, it is probably the same one.
    pub(crate) fn resume_from(&mut self, stopped: &Self) {
        let former = &stopped.transport.budget;
        let budget = &mut self.transport.budget;
        budget.resume_pace(former);
        if !self.is_user_known {
            budget.join(former.usage(), Moment::now());
        }
    }

    /// Allows a login in spite of a backoff of the running exporter: a person may have corrected its cause.
    pub(crate) fn end_backoff(&mut self) {
        self.token_state = TokenState::new(&self.timeouts);
    }

    /// Stops waiting for responses: their requests occupy the budget as if they had timed out now.
    pub(crate) fn abandon_requests(&mut self) {
        self.transport.budget.abandon(Moment::now());
    }

    /// Stops waiting for a response so that a fetch can start: its request occupies the budget as if it had timed out now.
    /// Returns a counted failure if the response took long, `None` if the request is to be repeated.
    pub(crate) fn interrupt_request(&mut self) -> Option<Error> {
        let (operation, waited) = self.transport.budget.abandon_request(Moment::now())?;
        if waited < SLOW_RESPONSE {
            return None;
        }
        let problem = "no response before the next fetch of calls";
        let transport = &self.transport;
        Some(transport.record_failure(operation, Cause::Timeout, problem))
    }

    /// Returns a name of the list of calls that this client fetches, which shows nothing of it.
    pub(crate) fn call_source(&self) -> String {
        let account = &self.account;
        hash_parts(&[
            "calls",
            &account.name,
            account.server.as_str(),
            &account.client_id,
            self.user_id().unwrap_or_default(),
            &account.account_id,
            account.level.as_str(),
        ])
    }

    /// Returns the id of the account or user whose calls were fetched last. It changes with a JWT
    /// of another company.
    pub(crate) fn account_identity(&self) -> Option<&str> {
        match self.account.level {
            Level::Account => self.reported_account_id.as_deref(),
            Level::Extension => self.user_id(),
        }
    }

    /// Returns when the next fetch may start, as far as is known now: the budget allows it, and
    /// there is a token or a login is allowed.
    #[must_use]
    pub(crate) fn next_fetch_at(&self, now: Moment) -> Moment {
        let next = self.transport.budget.next_fetch_at(now);
        if self.has_token(now) {
            return next;
        }
        next.max(self.next_login_at(now))
    }

    /// Returns the present state of the API access.
    pub(crate) fn status(&self) -> ApiStatus {
        let now = Moment::now();
        let budget = &self.transport.budget;
        let blocked_until =
            Operation::ALL.map(|operation| (operation, self.blocked_until(operation, now)));
        ApiStatus {
            account_id: self.reported_account_id.clone(),
            rate_limits: budget.reported_limits(),
            min_fetch_interval: budget.min_fetch_interval(now),
            presence_read_interval: budget.presence_read_interval(),
            next_fetch_at: Some(self.next_fetch_at(now)),
            next_event_token_at: Some(self.next_event_token_at(now)),
            blocked_until: blocked_until.to_vec(),
            requests_left: self.requests_left(now),
            keeps_token: self.keeps_token(now),
            penalty_until: self.penalty_until(Operation::ActiveCalls, now),
            token_expiry: self.token_state.expiry(),
            jwt_expiry: self.jwt.expiry,
            jwt_malformed: self.jwt.is_malformed,
            same_user_account: self.same_user_account(),
        }
    }

    /// Returns the end of the last penalty or login backoff that holds the operation, which may be in
    /// the past. Without a token, what holds the login holds each operation that needs one.
    fn blocked_until(&self, operation: Operation, now: Moment) -> Option<Moment> {
        let penalty = self.penalty_until(operation, now);
        if !self.needs_login(operation, now) {
            return penalty;
        }
        penalty.max(self.token_state.login_blocked_until)
    }

    /// Returns the end of the last penalty of RingCentral that holds the operation, see
    /// [`Client::blocked_until`].
    fn penalty_until(&self, operation: Operation, now: Moment) -> Option<Moment> {
        let budget = &self.transport.budget;
        let mut penalty = budget.blocked_until(operation);
        if self.needs_login(operation, now) {
            penalty = penalty.max(budget.blocked_until(Operation::Token));
        }
        penalty
    }

    /// Returns the requests that are left in each group, once the token is revoked.
    fn requests_left(&self, now: Moment) -> Vec<(UsageGroup, u32)> {
        let mut groups = Vec::new();
        for operation in [
            Operation::ActiveCalls,
            Operation::Extensions,
            Operation::Revoke,
        ] {
            let mut left = self.transport.budget.requests_left(operation, now);
            let revokes = self.token_state.token().is_some() && !self.keeps_token(now);
            if operation == Operation::Revoke && revokes {
                left = left.saturating_sub(1);
            }
            groups.push((operation.group(), left));
        }
        groups
    }

    /// Returns whether there is a token that is not revoked because that would use the last request of its group.
    pub(super) fn keeps_token(&self, now: Moment) -> bool {
        self.spares_last_request
            && self.token_state.token().is_some()
            && self.transport.budget.requests_left(Operation::Revoke, now) < 2
    }

    /// Returns whether the operation is a login or needs one first.
    fn needs_login(&self, operation: Operation, now: Moment) -> bool {
        match operation {
            Operation::Token => true,
            Operation::Revoke => false,
            _ => !self.has_token(now),
        }
    }

    /// Returns whether there is an access token that is not expired.
    pub(crate) fn has_token(&self, now: Moment) -> bool {
        self.token_state.status(now) != TokenStatus::Missing
    }

    /// Uses the limits and the backoff of the present secrets, if they can be read.
    fn join_usage_of_secrets(&mut self) {
        let (client_secret, jwt) = (self.account.client_secret.read(), self.account.jwt.read());
        if let (Ok(client_secret), Ok(jwt)) = (client_secret, jwt) {
            self.join_usage_of_jwt(&client_secret, &jwt);
        }
    }

    pub(super) fn app(&self) -> App<'_> {
        App {
            server: &self.account.server,
            client_id: &self.account.client_id,
        }
    }
}

/// Reads the JWT and logs a warning if it is malformed. A JWT that cannot be read is reported by the login.
fn read_jwt_status(account: &Account) -> JwtStatus {
    let Ok(jwt) = account.jwt.read() else {
        return JwtStatus::default();
    };
    let status = JwtStatus::new(&jwt);
    if status.is_malformed {
        tracing::warn!(
            account = account.name,
            "malformed JWT: expected three parts separated by dots, without quotes"
        );
    }
    status
}
