//! Login, token renewal and revocation, and requests that carry the token.

use bytes::Bytes;
use reqwest::Url;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use crate::clock::{Moment, unix_seconds};
use crate::ringcentral::jwt::JwtStatus;
use crate::ringcentral::login_registry::ActiveLogin;
use crate::ringcentral::rate_limit::registry::{JwtHash, SavedBackoff};
use crate::ringcentral::token::TokenStatus;
use crate::ringcentral::wire::{TokenResponse, parse_token};
use crate::ringcentral::{Cause, Client, Error, Operation, Reason};
use crate::secret::{SecretSource, hash_parts};

const TOKEN_PATH: &str = "/restapi/oauth/token";
const REVOKE_PATH: &str = "/restapi/oauth/revoke";
const JWT_GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

impl Client {
    /// Logs in if there is no valid token. A token that is due for renewal is left to
    /// [`Client::renew`].
    pub(super) async fn ensure_token(&mut self, now: Moment) -> Result<(), Error> {
        if self.has_token(now) {
            return Ok(());
        }
        self.log_in(now.after(self.timeouts.request).instant).await
    }

    /// Sends a GET request with the token and returns the body of the response. A 401 to a token
    /// that was accepted before costs one login and one retry. A response about presence changes
    /// nothing of the token, which calls need: their next fetch finds out itself.
    ///
    /// # Errors
    /// Returns an error, counted by its reason, if there is no complete 2xx response.
    pub(super) async fn get(
        &mut self,
        operation: Operation,
        url: &Url,
        deadline: Instant,
    ) -> Result<Bytes, Error> {
        let mut result = self.get_once(operation, url, deadline).await;
        if operation == Operation::Presence {
            return result;
        }
        if let Err(error) = &result
            && error.reason == Reason::Unauthorized
            && self.token_state.was_accepted()
        {
            let now = Moment::now();
            self.token_state.on_token_rejected(now);
            if !self.next_login_at(now).is_past(now) {
                return result;
            }
            self.log_in(deadline).await?;
            result = self.get_once(operation, url, deadline).await;
        }
        match &result {
            Ok(_) => {
                self.token_state.mark_accepted();
                if self.token_state.backoff().is_none() {
                    self.save_backoff();
                }
            }
            Err(error) if error.reason == Reason::Unauthorized => {
                self.token_state.on_token_rejected(Moment::now());
                self.save_backoff();
            }
            // A permission is missing. Permissions are fixed when a token is issued, so the token is
            // revoked and a new one requested after the backoff. Without the permission for the
            // extensions the fetch continues.
            Err(error)
                if error.reason == Reason::Forbidden && operation == Operation::ActiveCalls =>
            {
                self.revoke().await;
                self.token_state.on_login_rejected(Moment::now());
                self.save_backoff();
            }
            Err(_) => {}
        }
        result
    }

    /// Returns whether the token is due for renewal and a login is allowed.
    pub(crate) fn should_renew(&self, now: Moment) -> bool {
        self.token_state.status(now) == TokenStatus::RenewalDue
            && self.next_login_at(now).is_past(now)
    }

    /// Renews the token by a login; if that fails, the present token stays in use until it expires.
    pub(crate) async fn renew(&mut self) {
        let deadline = Moment::now().after(self.timeouts.request).instant;
        if let Err(error) = self.log_in(deadline).await {
            self.token_state.on_renewal_failed(Moment::now());
            tracing::warn!(
                account = self.account.name,
                reason = error.reason.as_str(),
                cause = error.cause.as_str(),
                request_id = error.request_id.as_deref(),
                hint = error.hint(),
                %error,
                "token renewal failed, keeping the present token until it expires"
            );
        }
    }

    /// Revokes the token, since RingCentral allows a user only about five. Ignores errors and the
    /// login backoff. A client that spares the last request of the group may keep its token.
    pub(crate) async fn revoke(&mut self) {
        self.login = None;
        self.revoke_replaced().await;
        if self.keeps_token(Moment::now()) {
            return;
        }
        self.replaced_token = self.token_state.take_token();
        self.revoke_replaced().await;
    }

    /// Returns whether [`Client::reconfigure`] replaced a token that is not revoked yet.
    pub(crate) fn has_replaced_token(&self) -> bool {
        self.replaced_token.is_some()
    }

    /// Revokes the token that [`Client::reconfigure`] replaced, if there is one. Ignores errors.
    pub(crate) async fn revoke_replaced(&mut self) {
        let Some(token) = self.replaced_token.take() else {
            return;
        };
        let deadline = Moment::now().after(self.timeouts.revoke).instant;
        let form = [("token", token.secret.expose_secret())];
        let result = self
            .post_form(Operation::Revoke, &token.client_secret, &form, deadline)
            .await;
        if let Err(error) = result {
            tracing::debug!(account = self.account.name, %error, "token revocation failed");
        }
    }

    /// Returns when the login backoff and the budget allow a login, as far as is known now.
    pub(super) fn next_login_at(&self, now: Moment) -> Moment {
        let allowed_at = self.token_state.next_login_at(now);
        allowed_at.max(self.transport.budget.next_request_at(Operation::Token, now))
    }

    /// Returns whether an event token may be requested: there is a token, and a login fits into the window afterwards.
    pub(crate) fn can_request_event_token(&self, now: Moment) -> bool {
        self.has_token(now) && self.next_event_token_at(now).is_past(now)
    }

    /// Returns when an event token may be requested, as far as is known now. Without a token that is after a login.
    pub(crate) fn next_event_token_at(&self, now: Moment) -> Moment {
        let budget = &self.transport.budget;
        let next = budget.next_request_at(Operation::EventToken, now);
        if self.has_token(now) {
            return next;
        }
        next.max(self.next_login_at(now))
    }

    /// Returns the name of another account that is logged in as the same user.
    pub(super) fn same_user_account(&self) -> Option<String> {
        self.logins.other_account(self.login.as_ref()?)
    }

    /// Returns the extension id of the user of the last login.
    pub(super) fn user_id(&self) -> Option<&str> {
        Some(&self.login.as_ref()?.user_id)
    }

    async fn get_once(
        &mut self,
        operation: Operation,
        url: &Url,
        deadline: Instant,
    ) -> Result<Bytes, Error> {
        let Some(token) = self.token_state.token() else {
            let (transport, cause) = (&self.transport, Cause::SessionEnded);
            return Err(transport.record_failure(Operation::Token, cause, "no access token"));
        };
        let deadline = self.request_deadline(deadline);
        let token = token.expose_secret();
        let build_request = |http: &reqwest::Client, url| http.get(url).bearer_auth(token);
        self.transport
            .send(operation, url.clone(), deadline, build_request)
            .await
    }

    async fn log_in(&mut self, deadline: Instant) -> Result<(), Error> {
        let result = self.request_token(deadline).await;
        let now = Moment::now();
        match result {
            Ok((response, client_secret)) => {
                self.login_count += 1;
                self.register_login(response.user.clone());
                self.join_usage_of_user();
                self.token_state.set_token(response, client_secret, now);
                Ok(())
            }
            Err(mut error) => {
                if error.is_login_rejected() {
                    self.login = None;
                    self.token_state.on_login_rejected(now);
                    self.save_backoff();
                }
                // RingCentral has one code for all that may be wrong with a JWT.
                if error.cause == Cause::JwtRefused
                    && let Some(expiry) = self.jwt.expiry
                    && expiry <= unix_seconds(now.wall)
                {
                    error.cause = Cause::JwtExpired;
                }
                Err(error)
            }
        }
    }

    /// Requests a token. Returns also the client secret, which its revocation needs: its file may
    /// change.
    async fn request_token(
        &mut self,
        deadline: Instant,
    ) -> Result<(TokenResponse, SecretString), Error> {
        let client_secret = self.read_secret("client secret", &self.account.client_secret)?;
        let jwt = self.read_secret("JWT", &self.account.jwt)?;
        self.jwt = JwtStatus::new(&jwt);
        self.join_usage_of_jwt(&client_secret, &jwt);
        let deadline = self.request_deadline(deadline);
        let form = [
            ("grant_type", JWT_GRANT),
            ("assertion", jwt.expose_secret()),
        ];
        let body = self
            .post_form(Operation::Token, &client_secret, &form, deadline)
            .await?;
        match parse_token(&body) {
            Ok(response) => Ok((response, client_secret)),
            Err(error) => Err(self
                .transport
                .record_invalid_response(Operation::Token, error)),
        }
    }

    /// Uses the limits that are known for a JWT. While its user is not known, it is
    /// probably that of the JWT before it, whose limits stay in use.
    pub(super) fn join_usage_of_jwt(&mut self, client_secret: &SecretString, jwt: &SecretString) {
        let now = Moment::now();
        let jwt_hash = JwtHash::new(self.app(), jwt);
        // A changed level may be what the hint of a failure asked for.
        let credentials = [client_secret.expose_secret(), self.account.level.as_str()];
        self.credentials_hash = hash_parts(&credentials);
        if self.jwt_hash.as_ref() == Some(&jwt_hash) {
            return;
        }
        let (usage, is_user_known) = self.usages.usage_of_jwt(&jwt_hash, now);
        if is_user_known || self.jwt_hash.is_none() {
            self.transport.budget.join(usage, now);
            self.is_user_known = is_user_known;
        }
        self.jwt_hash = Some(jwt_hash);
    }

    /// Continues the backoff that is known for the present secrets, from before a restart or of a removed account.
    pub(super) fn resume_backoff(&mut self) {
        let Some(jwt_hash) = &self.jwt_hash else {
            return;
        };
        let now = Moment::now();
        let backoff = self.usages.backoff(jwt_hash, &self.credentials_hash, now);
        if let Some((failures, until)) = backoff {
            self.token_state.resume_backoff(failures, until);
        }
    }

    /// Uses the limits of the user of the last login.
    fn join_usage_of_user(&mut self) {
        if let (Some(jwt_hash), Some(user_id)) = (&self.jwt_hash, self.user_id()) {
            let now = Moment::now();
            let usage = self
                .usages
                .usage_of_user(self.app(), jwt_hash, user_id, now);
            let budget = &mut self.transport.budget;
            budget.join_user(usage, self.is_user_known, now);
            self.is_user_known = true;
        }
    }

    /// Remembers the backoff of logins over a restart and a removal of the account.
    pub(super) fn save_backoff(&self) {
        let Some(jwt_hash) = &self.jwt_hash else {
            return;
        };
        let now = Moment::now();
        let credentials = self.credentials_hash.clone();
        let backoff = self.token_state.backoff();
        let backoff =
            backoff.map(|(failures, until)| SavedBackoff::new(credentials, failures, until, now));
        self.usages.set_backoff(jwt_hash, backoff);
    }

    /// Sends a form that is authenticated by client id and client secret.
    async fn post_form(
        &mut self,
        operation: Operation,
        client_secret: &SecretString,
        form: &[(&str, &str)],
        deadline: Instant,
    ) -> Result<Bytes, Error> {
        let path = match operation {
            Operation::Revoke => REVOKE_PATH,
            _ => TOKEN_PATH,
        };
        let url = self.transport.resolve_url(operation, None, path)?;
        let client_id = &self.account.client_id;
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let build_request = |http: &reqwest::Client, url| {
            http.post(url)
                .header(ACCEPT, "application/json")
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .basic_auth(client_id, Some(client_secret.expose_secret()))
                .body(body.clone())
        };
        self.transport
            .send(operation, url, deadline, build_request)
            .await
    }

    /// Registers the user of a login, and warns if another account is logged in as the same user.
    fn register_login(&mut self, user_id: Option<String>) {
        if self.user_id() == user_id.as_deref() {
            return;
        }
        let Some(user_id) = user_id else {
            self.login = None;
            return;
        };
        self.login = Some(self.logins.register(ActiveLogin {
            account: self.account.name.clone(),
            server: self.account.server.clone(),
            user_id,
        }));
        if let Some(other_account) = self.same_user_account() {
            tracing::warn!(
                account = self.account.name,
                other_account,
                "two accounts are logged in as the same user, remove one of them"
            );
        }
    }

    fn read_secret(&self, name: &str, source: &SecretSource) -> Result<SecretString, Error> {
        source.read().map_err(|error| {
            let message = format!("the {name}: {error}");
            self.transport
                .record_failure(Operation::Token, Cause::SecretUnreadable, message)
        })
    }

    fn request_deadline(&self, deadline: Instant) -> Instant {
        deadline.min(Moment::now().after(self.timeouts.request).instant)
    }
}
