//! Login, token renewal and revocation, and requests that carry the token.

use bytes::Bytes;
use reqwest::Url;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use crate::clock::{Moment, unix_seconds};
use crate::ringcentral::cause::Cause;
use crate::ringcentral::client::Client;
use crate::ringcentral::error::Error;
use crate::ringcentral::jwt::jwt_expiry;
use crate::ringcentral::login_registry::ActiveLogin;
use crate::ringcentral::operation::Operation;
use crate::ringcentral::reason::Reason;
use crate::ringcentral::token::TokenStatus;
use crate::ringcentral::wire::{TokenResponse, parse_token};
use crate::secret::{Fingerprint, SecretSource};

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
    /// that was accepted before costs one login and one retry.
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
        if let Err(error) = &result
            && error.reason == Reason::Unauthorized
            && self.token_state.was_accepted()
        {
            let now = Moment::now();
            self.token_state.on_token_rejected(now);
            if !self.can_log_in(now) {
                return result;
            }
            self.log_in(deadline).await?;
            result = self.get_once(operation, url, deadline).await;
        }
        match &result {
            Ok(_) => self.token_state.mark_accepted(),
            Err(error) => self.handle_rejection(error).await,
        }
        result
    }

    /// Returns whether the token is due for renewal and a login is allowed.
    #[must_use]
    pub(crate) fn should_renew(&self, now: Moment) -> bool {
        self.token_state.status(now) == TokenStatus::RenewalDue && self.can_log_in(now)
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
    /// login backoff.
    pub(crate) async fn revoke(&mut self) {
        self.login = None;
        self.revoke_replaced().await;
        self.replaced_token = self.take_token();
        self.revoke_replaced().await;
    }

    /// Returns whether [`Client::reconfigure`] replaced a token that is not revoked yet.
    #[must_use]
    pub(crate) fn has_replaced_token(&self) -> bool {
        self.replaced_token.is_some()
    }

    /// Revokes the token that [`Client::reconfigure`] replaced, if there is one. Ignores errors.
    pub(crate) async fn revoke_replaced(&mut self) {
        let Some(replaced) = self.replaced_token.take() else {
            return;
        };
        let deadline = Moment::now().after(self.timeouts.revoke).instant;
        let form = [("token", replaced.token.expose_secret())];
        let result = self
            .post_form(
                Operation::Revoke,
                REVOKE_PATH,
                &replaced.client_secret,
                &form,
                deadline,
            )
            .await;
        if let Err(error) = result {
            tracing::debug!(account = self.account.name, %error, "token revocation failed");
        }
    }

    /// Returns whether the login backoff and the budget allow a login.
    pub(super) fn can_log_in(&self, now: Moment) -> bool {
        self.next_login_at(now).is_past(now)
    }

    /// Returns when the login backoff and the budget allow a login, as far as is known now.
    pub(super) fn next_login_at(&self, now: Moment) -> Moment {
        let budget = &self.transport.budget;
        budget
            .next_request_at(Operation::Token, now)
            .max(self.token_state.next_login_at(now))
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
            return Err(self.transport.record_failure(
                Operation::Token,
                Reason::Unauthorized,
                "no access token",
            ));
        };
        let deadline = self.request_deadline(deadline);
        let build_request =
            |http: &reqwest::Client, url| http.get(url).bearer_auth(token.expose_secret());
        self.transport
            .send(operation, url.clone(), deadline, build_request)
            .await
    }

    /// Handles the rejection of a token after the last attempt.
    ///
    /// A 403 means that a permission is missing. Permissions are fixed when a token is issued, so
    /// the token is revoked and a new one requested after the backoff. Without the permission for
    /// the extensions the fetch continues.
    async fn handle_rejection(&mut self, error: &Error) {
        match (error.reason, error.operation) {
            (Reason::Unauthorized, _) => self.token_state.on_token_rejected(Moment::now()),
            (Reason::Forbidden, Operation::ActiveCalls) => {
                self.revoke().await;
                self.token_state.on_login_rejected(Moment::now());
            }
            _ => {}
        }
    }

    async fn log_in(&mut self, deadline: Instant) -> Result<(), Error> {
        let result = self.request_token(deadline).await;
        let now = Moment::now();
        match result {
            Ok(response) => {
                self.register_login(response.user.clone());
                self.token_state.set_token(response, now);
                Ok(())
            }
            Err(error) => {
                if error.is_login_rejected() {
                    self.login = None;
                    self.token_state.on_login_rejected(now);
                }
                Err(self.refine_cause(error, now))
            }
        }
    }

    async fn request_token(&mut self, deadline: Instant) -> Result<TokenResponse, Error> {
        let client_secret = self.read_secret("client secret", &self.account.client_secret)?;
        let jwt = self.read_secret("JWT", &self.account.jwt)?;
        self.jwt_expiry = jwt_expiry(&jwt);
        self.last_login_fingerprints =
            Some([Fingerprint::new(&client_secret), Fingerprint::new(&jwt)]);
        let deadline = self.request_deadline(deadline);
        let form = [
            ("grant_type", JWT_GRANT),
            ("assertion", jwt.expose_secret()),
        ];
        let body = self
            .post_form(
                Operation::Token,
                TOKEN_PATH,
                &client_secret,
                &form,
                deadline,
            )
            .await?;
        self.client_secret = Some(client_secret);
        parse_token(&body).map_err(|error| {
            self.transport
                .record_invalid_response(Operation::Token, error)
        })
    }

    /// Sends a form that is authenticated by client id and client secret.
    async fn post_form(
        &mut self,
        operation: Operation,
        path: &str,
        client_secret: &SecretString,
        form: &[(&str, &str)],
        deadline: Instant,
    ) -> Result<Bytes, Error> {
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

    /// Sets the cause of a rejected JWT that has expired: RingCentral has one code for all that may
    /// be wrong with a JWT.
    fn refine_cause(&self, mut error: Error, now: Moment) -> Error {
        if error.cause == Cause::JwtRefused
            && let Some(expiry) = self.jwt_expiry
            && expiry <= unix_seconds(now.wall)
        {
            error.cause = Cause::JwtExpired;
        }
        error
    }

    fn read_secret(&self, name: &str, source: &SecretSource) -> Result<SecretString, Error> {
        source.read().map_err(|error| Error {
            cause: Cause::SecretUnreadable,
            ..self.transport.record_failure(
                Operation::Token,
                Reason::Unauthorized,
                format!("the {name}: {error}"),
            )
        })
    }

    fn request_deadline(&self, deadline: Instant) -> Instant {
        deadline.min(Moment::now().after(self.timeouts.request).instant)
    }
}
