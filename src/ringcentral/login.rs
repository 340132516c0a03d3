//! A session with the API: login, renewal, and requests that carry its token.
//!
//! Owns: the order of things around a token: log in if need be, one new login and one more try after a 401, the
//! back-off after a refusal, the token given back at the end. Refuses to know: what is asked with it.

use std::sync::Arc;

use bytes::Bytes;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{RequestBuilder, Url};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use crate::clock::{Moment, unix_seconds};
use crate::config::{Account, Timeouts};
use crate::ringcentral::cause::Cause;
use crate::ringcentral::error::{Error, Reason};
use crate::ringcentral::login_registry::{ActiveLogin, LoginRegistry};
use crate::ringcentral::operation::Operation;
use crate::ringcentral::rate_limit::budget::Budget;
use crate::ringcentral::token::{TokenState, TokenStatus, is_well_formed_jwt, jwt_expiry};
use crate::ringcentral::transport::Transport;
use crate::ringcentral::wire::{TokenResponse, parse_token};
use crate::secret::{Fingerprint, SecretError};

const TOKEN_PATH: &str = "/restapi/oauth/token";
const REVOKE_PATH: &str = "/restapi/oauth/revoke";
const JWT_GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// What a reload may change while a client goes on: secrets, and with which certificates a server is believed.
#[derive(Clone)]
pub struct ClientConfig {
    /// The account's configuration.
    pub account: Arc<Account>,
    /// The way out, which may be shared with other accounts.
    pub http: reqwest::Client,
}

/// What a session leaves to one that may come after.
pub struct ClientState {
    account: Arc<Account>,
    budget: Budget,
    auth: TokenState,
    last_login_fingerprints: Option<[Fingerprint; 2]>,
}

/// One account's session.
pub struct Session {
    account: Arc<Account>,
    patience: Timeouts,
    transport: Transport,
    auth: TokenState,
    jwt_expiry: Option<f64>,
    /// Client secret and JWT of the last login that was tried.
    tried: Option<[Fingerprint; 2]>,
    /// By which the token was had, and is given back: the file may be another server's by then, or gone.
    client_secret: Option<SecretString>,
    /// A token and its client secret, to be given back.
    replaced_token: Option<(SecretString, SecretString)>,
    users: Arc<LoginRegistry>,
    user: Option<Arc<ActiveLogin>>,
}

// === impl Session ===

impl Session {
    /// A session that has not begun.
    #[must_use]
    pub fn new(
        account: Arc<Account>,
        patience: Timeouts,
        transport: Transport,
        users: Arc<LoginRegistry>,
    ) -> Self {
        let jwt = account.jwt.read().ok();
        if jwt.as_ref().is_some_and(|jwt| !is_well_formed_jwt(jwt)) {
            let doubt = "the JWT does not look like one: three parts joined by dots, unquoted";
            tracing::warn!(account = account.name, "{doubt}");
        }
        Self {
            account,
            patience,
            transport,
            auth: TokenState::new(&patience),
            jwt_expiry: jwt.as_ref().and_then(jwt_expiry),
            tried: None,
            client_secret: None,
            replaced_token: None,
            users,
            user: None,
        }
    }

    /// Goes on by other terms. Secrets that are not those of the last login are worth a login at once, whatever was
    /// refused before; the token that came of the old ones is to be given back.
    pub fn reconfigure(&mut self, terms: ClientConfig) {
        self.account = terms.account;
        self.transport.http = terms.http;
        let secrets = self.secret_fingerprints();
        if secrets.is_some() && self.tried.is_some() && secrets != self.tried {
            self.replaced_token = self.auth.take_token().zip(self.client_secret.take());
            self.auth = TokenState::new(&self.patience);
            self.jwt_expiry = self.account.jwt.read().ok().as_ref().and_then(jwt_expiry);
            (self.tried, self.user) = (None, None);
        }
    }

    /// Goes on where another session of the same user and app has ended. A refusal holds for the same secrets and the same
    /// question: another level may be what was advised.
    pub fn resume_from(&mut self, estate: ClientState) {
        *self.budget_mut() = estate.budget;
        let is_same = estate.account.level == self.account.level
            && self.secret_fingerprints() == estate.last_login_fingerprints;
        if is_same && estate.last_login_fingerprints.is_some() {
            (self.auth, self.tried) = (estate.auth, estate.last_login_fingerprints);
        }
    }

    /// What a session that may come after should know.
    #[must_use]
    pub fn into_state(mut self) -> ClientState {
        self.budget_mut().abandon_in_flight(Moment::now());
        ClientState {
            account: self.account,
            budget: self.transport.budget,
            auth: self.auth,
            last_login_fingerprints: self.tried,
        }
    }

    fn secret_fingerprints(&self) -> Option<[Fingerprint; 2]> {
        let (client_secret, jwt) = (
            self.account.client_secret.read().ok()?,
            self.account.jwt.read().ok()?,
        );
        Some([Fingerprint::new(&client_secret), Fingerprint::new(&jwt)])
    }

    /// Whether a token is there, or may be had now.
    #[must_use]
    pub fn can_authenticate(&self, now: Moment) -> bool {
        self.auth.status(now) != TokenStatus::Missing || self.can_log_in(now)
    }

    /// Whether a token is there.
    #[must_use]
    pub fn has_token(&self, now: Moment) -> bool {
        self.auth.status(now) != TokenStatus::Missing
    }

    /// Logs in, unless a token serves still. Renewals are made beside the fetches, by [`Session::renew`].
    pub async fn ensure_token(&mut self, now: Moment) -> Result<(), Error> {
        match self.auth.status(now) {
            TokenStatus::Missing => self.log_in(now.after(self.patience.request).instant).await,
            TokenStatus::Valid | TokenStatus::RenewalDue => Ok(()),
        }
    }

    /// The body at an address. A token that has ended early costs one login and one more try.
    ///
    /// # Errors
    /// Whatever went wrong, counted by its reason; a refusal has been heeded.
    pub async fn get(
        &mut self,
        operation: Operation,
        url: Url,
        deadline: Instant,
    ) -> Result<Bytes, Error> {
        let result = match self.get_once(operation, url.clone(), deadline).await {
            Err(error) if error.reason == Reason::Unauthorized && self.auth.was_accepted() => {
                self.log_in_again(error, deadline).await?;
                self.get_once(operation, url, deadline).await
            }
            result => result,
        };
        match &result {
            Ok(_) => self.auth.mark_accepted(),
            Err(error) => self.handle_rejection(error).await,
        }
        result
    }

    /// Whether the token should be renewed, and may be.
    #[must_use]
    pub fn should_renew(&self, now: Moment) -> bool {
        self.auth.status(now) == TokenStatus::RenewalDue && self.can_log_in(now)
    }

    /// Renews the token ahead of its end; if that fails, the present one serves on.
    pub async fn renew(&mut self) {
        let deadline = Moment::now().after(self.patience.request).instant;
        if let Err(error) = self.log_in(deadline).await {
            self.auth.on_renewal_failed(Moment::now());
            report_renewal(&self.account.name, &error);
        }
    }

    /// Gives the session back: a user has only about five. Errors do not matter, and neither does a penalty's end.
    pub async fn revoke(&mut self) {
        self.user = None;
        self.revoke_replaced().await;
        self.replaced_token = self.auth.take_token().zip(self.client_secret.take());
        self.revoke_replaced().await;
    }

    /// Returns whether a changed secret has replaced a token that is not revoked yet.
    #[must_use]
    pub fn has_replaced_token(&self) -> bool {
        self.replaced_token.is_some()
    }

    /// Gives back a token that has been replaced, if there is one.
    pub async fn revoke_replaced(&mut self) {
        let Some((token, client_secret)) = self.replaced_token.take() else {
            return;
        };
        let Ok(url) = self.resolve_url(Operation::Revoke, None, REVOKE_PATH) else {
            return;
        };
        let deadline = Moment::now().after(self.patience.revoke).instant;
        let client_id = &self.account.client_id;
        let form = [("token", token.expose_secret())];
        let basic = |http: &reqwest::Client, url| {
            with_client_auth(http.post(url), client_id, &client_secret, &form)
        };
        if let Err(error) = self
            .transport
            .send(Operation::Revoke, url, deadline, basic)
            .await
        {
            tracing::debug!(account = %self.account.name, %error, "the token was not revoked");
        }
    }

    /// An address on the server; see [`Transport::address`].
    ///
    /// # Errors
    /// When it leads elsewhere or nowhere.
    pub fn resolve_url(
        &self,
        operation: Operation,
        base: Option<&Url>,
        path: &str,
    ) -> Result<Url, Error> {
        self.transport.resolve_url(operation, base, path)
    }

    /// A failure that is counted here and now.
    pub fn record_failure(
        &self,
        operation: Operation,
        reason: Reason,
        what: impl Into<String>,
    ) -> Error {
        self.transport.record_failure(operation, reason, what)
    }

    /// The budget that all requests come from.
    #[must_use]
    pub fn budget(&self) -> &Budget {
        &self.transport.budget
    }

    /// The same, to be told of walks.
    pub fn budget_mut(&mut self) -> &mut Budget {
        &mut self.transport.budget
    }

    /// The end of the penalty or back-off that holds this operation, present or past.
    #[must_use]
    pub fn blocked_until(&self, operation: Operation, now: Moment) -> Option<Moment> {
        let silence = self.budget().blocked_until(operation);
        let refusal = self
            .auth
            .refused_until()
            .filter(|_| self.needs_login(operation, now));
        [silence, refusal].into_iter().flatten().reduce(Moment::max)
    }

    /// When the token ends.
    #[must_use]
    pub fn expiry(&self) -> Option<Moment> {
        self.auth.expiry()
    }

    /// The `exp` of the JWT that was last read, in seconds since 1970.
    #[must_use]
    pub fn jwt_expiry(&self) -> Option<f64> {
        self.jwt_expiry
    }

    async fn get_once(
        &mut self,
        operation: Operation,
        url: Url,
        deadline: Instant,
    ) -> Result<Bytes, Error> {
        let Some(token) = self.auth.token().cloned() else {
            return Err(self.record_failure(
                Operation::Token,
                Reason::Unauthorized,
                "there is no token",
            ));
        };
        let deadline = deadline.min(Moment::now().after(self.patience.request).instant);
        let bearer = |http: &reqwest::Client, url| http.get(url).bearer_auth(token.expose_secret());
        self.transport.send(operation, url, deadline, bearer).await
    }

    /// After a token that had served was rejected: it was evicted, or has ended early. Where no login is allowed, the
    /// rejection is what is told.
    async fn log_in_again(&mut self, rejection: Error, deadline: Instant) -> Result<(), Error> {
        let now = Moment::now();
        self.auth.on_token_rejected(now);
        if self.can_log_in(now) {
            self.log_in(deadline).await
        } else {
            Err(rejection)
        }
    }

    /// After the last try a 401 can only be to a token fresh from its login. A 403 lacks a permission, and those are
    /// settled when a token is made: this one is given back, and a new one asked for when the back-off ends. Without
    /// the list of calls there is nothing to do; without that of extensions there is.
    async fn handle_rejection(&mut self, error: &Error) {
        match (error.reason, error.operation) {
            (Reason::Unauthorized, _) => self.auth.on_token_rejected(Moment::now()),
            (Reason::Forbidden, Operation::ActiveCalls) => {
                self.revoke().await;
                self.auth.on_login_rejected(Moment::now());
            }
            _ => {}
        }
    }

    /// Without a token nothing can be asked for before a login.
    fn needs_login(&self, operation: Operation, now: Moment) -> bool {
        match operation {
            Operation::Token => true,
            Operation::ActiveCalls | Operation::Extensions => {
                self.auth.status(now) == TokenStatus::Missing
            }
            Operation::Revoke => false,
        }
    }

    fn can_log_in(&self, now: Moment) -> bool {
        let refusal = self.auth.next_login_at(now);
        let budget = self.budget().next_request_at(Operation::Token, now);
        refusal.is_past(now) && budget.is_past(now)
    }

    async fn log_in(&mut self, deadline: Instant) -> Result<(), Error> {
        let result = self.request_token(deadline).await;
        let now = Moment::now();
        match result {
            Ok(granted) => {
                self.register_login(granted.user.clone());
                self.auth.set_token(granted, now);
            }
            Err(error) => {
                if error.is_login_rejected() {
                    self.user = None;
                    self.auth.on_login_rejected(now);
                }
                return Err(self.refine_cause(error, now));
            }
        }
        Ok(())
    }

    /// Two accounts of one user are told once, by the one that comes second.
    fn register_login(&mut self, id: Option<String>) {
        if self.user.as_ref().map(|user| &user.id) == id.as_ref() {
            return;
        }
        let (account, server) = (self.account.name.clone(), self.account.server.clone());
        self.user = id.map(|id| {
            self.users.register(ActiveLogin {
                account,
                server,
                id,
            })
        });
        if let Some(other) = self.namesake() {
            tracing::warn!(
                account = self.account.name,
                other,
                "both accounts are logged in as the same user: remove one"
            );
        }
    }

    /// Another account that is logged in as the same user.
    #[must_use]
    pub fn namesake(&self) -> Option<String> {
        self.users.other_account(self.user.as_ref()?)
    }

    /// The id of the user whose session it is, as the last login told.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_ref().map(|user| user.id.as_str())
    }

    /// The API has one code for all that may be wrong with a JWT; its end we can see ourselves.
    fn refine_cause(&self, mut error: Error, now: Moment) -> Error {
        let has_ended = self
            .jwt_expiry
            .is_some_and(|expiry| expiry <= unix_seconds(now.wall));
        if error.cause == Cause::JwtRefused && has_ended {
            error.cause = Cause::JwtExpired;
        }
        error
    }

    async fn request_token(&mut self, deadline: Instant) -> Result<TokenResponse, Error> {
        let client_secret = self.secret("client secret", self.account.client_secret.read())?;
        let jwt = self.secret("JWT", self.account.jwt.read())?;
        self.jwt_expiry = jwt_expiry(&jwt);
        self.tried = Some([Fingerprint::new(&client_secret), Fingerprint::new(&jwt)]);
        let url = self.resolve_url(Operation::Token, None, TOKEN_PATH)?;
        let deadline = deadline.min(Moment::now().after(self.patience.request).instant);
        let client_id = self.account.client_id.clone();
        let form = [
            ("grant_type", JWT_GRANT),
            ("assertion", jwt.expose_secret()),
        ];
        let basic = |http: &reqwest::Client, url| {
            let request = http.post(url).header(ACCEPT, "application/json");
            with_client_auth(request, &client_id, &client_secret, &form)
        };
        let body = self
            .transport
            .send(Operation::Token, url, deadline, basic)
            .await?;
        self.client_secret = Some(client_secret);
        parse_token(&body).map_err(|why| {
            self.record_failure(Operation::Token, Reason::InvalidResponse, why.to_string())
        })
    }

    fn secret(
        &self,
        what: &str,
        read: Result<SecretString, SecretError>,
    ) -> Result<SecretString, Error> {
        read.map_err(|error| {
            let fault = self.record_failure(
                Operation::Token,
                Reason::Unauthorized,
                format!("the {what}: {error}"),
            );
            Error {
                cause: Cause::SecretUnreadable,
                ..fault
            }
        })
    }
}

/// A form that the app sends in its own name.
fn with_client_auth(
    request: RequestBuilder,
    id: &str,
    secret: &SecretString,
    form: &[(&str, &str)],
) -> RequestBuilder {
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish();
    let request = request.basic_auth(id, Some(secret.expose_secret()));
    request
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(body)
}

fn report_renewal(account: &str, error: &Error) {
    tracing::warn!(
        account,
        reason = error.reason.as_str(),
        cause = error.cause.as_str(),
        request_id = error.request_id.as_deref(),
        advice = error.hint(),
        "the token was not renewed, the present one serves until it ends: {error}"
    );
}
