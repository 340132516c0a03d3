//! The client of one account: the walk over the pages of its active calls.
//!
//! Owns: the order of things: log in if need be, ask page after page, give the session back at the end. It is owned
//! by one task, so there is never more than one login or one walk at a time. Refuses to know: when it is wise to
//! fetch ([`Client::ready`] says when it is allowed), and what the calls mean.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use super::auth::{Auth, Need, jwt_expiry, looks_like_a_jwt};
use super::budget::{Budget, Walked};
use super::error::{Error, Reason};
use super::operation::Operation;
use super::transport::Transport;
use super::wire::{GrantedToken, Page, parse_page, parse_token};
use crate::calls::Call;
use crate::calls::observation::ApiStanding;
use crate::clock::Moment;
use crate::config::{Account, Level, Patience};
use crate::instruments::Instruments;
use crate::secret::SecretError;

/// More pages than any account has: 100,000 records.
const PAGES_MOST: u32 = 100;
const TOKEN_PATH: &str = "/restapi/oauth/token";
const REVOKE_PATH: &str = "/restapi/oauth/revoke";
const JWT_GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// One account's client.
pub struct Client {
    account: Arc<Account>,
    patience: Patience,
    transport: Transport,
    auth: Auth,
    account_id: Option<String>,
    jwt_expiry: Option<f64>,
}

/// A finished fetch.
#[derive(Debug)]
pub struct Fetch {
    /// The calls, distinct by id; or why there are none.
    pub outcome: Result<Vec<Call>, Error>,
    /// When its first page was asked for, after a login.
    pub taken: Moment,
    /// From its start, a login included, to its end.
    pub took: Duration,
    /// Pages that were read.
    pub pages: u32,
    /// Records that were left out since they could not be read.
    pub unreadable: usize,
}

/// A walk under way.
#[derive(Default)]
struct Walk {
    calls: HashMap<String, Call>,
    pages: u32,
    asked: u32,
    unreadable: usize,
    seen: HashSet<Url>,
}

impl Client {
    /// A client that has not spoken yet.
    #[must_use]
    pub fn new(
        account: Arc<Account>,
        patience: Patience,
        http: reqwest::Client,
        min_interval: Duration,
        instruments: Arc<Instruments>,
    ) -> Self {
        let budget = Budget::new(min_interval);
        let transport = Transport::new(http, account.server.clone(), budget, instruments);
        let jwt = account.jwt.read().ok();
        if jwt.as_ref().is_some_and(|jwt| !looks_like_a_jwt(jwt)) {
            tracing::warn!(
                account = account.name,
                "the JWT does not look like one: three parts joined by dots, unquoted"
            );
        }
        Self {
            account,
            patience,
            transport,
            auth: Auth::new(&patience),
            account_id: None,
            jwt_expiry: jwt.as_ref().and_then(jwt_expiry),
        }
    }

    /// Whether a fetch may start: the budget holds a walk, and a token is there or may be had.
    #[must_use]
    pub fn ready(&self, now: Moment) -> bool {
        let has_token = self.auth.need(now) != Need::Login || self.may_log_in(now);
        has_token && self.transport.budget.walk_at(now).has_come(now)
    }

    /// Fetches the whole list.
    pub async fn fetch(&mut self) -> Fetch {
        let started = Moment::now();
        self.transport.budget.walk_starts(started);
        let mut walk = Walk::default();
        let outcome = match self.log_in_if_needed(started).await {
            Ok(()) => {
                let taken = Moment::now();
                let outcome = self.walk(&mut walk, taken).await;
                self.transport.budget.walk_ended(walk.ended(&outcome));
                outcome.map(|()| taken)
            }
            Err(error) => Err(error),
        };
        Fetch {
            taken: *outcome.as_ref().unwrap_or(&started),
            took: Moment::now().since(started),
            pages: walk.pages,
            unreadable: walk.unreadable,
            outcome: outcome.map(|_| walk.calls.into_values().collect()),
        }
    }

    /// Whether the token should be renewed, and may be.
    #[must_use]
    pub fn wants_renewal(&self, now: Moment) -> bool {
        self.auth.need(now) == Need::Renewal && self.may_log_in(now)
    }

    /// Renews the token ahead of its end; if that fails, the present one serves on.
    pub async fn renew(&mut self) {
        let deadline = Moment::now().after(self.patience.request).instant;
        if let Err(error) = self.log_in(deadline).await {
            self.auth.not_renewed(Moment::now());
            report_renewal(&self.account.name, &error);
        }
    }

    /// Gives the session back: a user has only about five. Errors do not matter, and neither does a penalty's end.
    pub async fn revoke(&mut self) {
        let Some(token) = self.auth.take() else { return };
        let Ok(url) = self.transport.address(Operation::Revoke, None, REVOKE_PATH) else { return };
        let Ok(client_secret) = self.account.client_secret.read() else { return };
        let deadline = Moment::now().after(self.patience.revoke).instant;
        let client_id = &self.account.client_id;
        let form = [("token", token.expose_secret())];
        let basic = |http: &reqwest::Client, url| {
            http.post(url).basic_auth(client_id, Some(client_secret.expose_secret())).form(&form)
        };
        if let Err(error) = self.transport.send(Operation::Revoke, url, deadline, basic).await {
            tracing::debug!(account = %self.account.name, %error, "the token was not revoked");
        }
    }

    /// Where we stand with the API.
    #[must_use]
    pub fn standing(&self) -> ApiStanding {
        let blocked = |operation: Operation| {
            let silence = self.transport.budget.silent_until(operation);
            let refusal = self.auth.refused_until().filter(|_| self.needs_login(operation));
            let latest = [silence, refusal].into_iter().flatten().reduce(Moment::or_later);
            (operation.as_str(), latest)
        };
        ApiStanding {
            account_id: self.account_id.clone(),
            rate_limits: self.transport.budget.announced(),
            blocked_until: Operation::ALL.into_iter().map(blocked).collect(),
            token_expiry: self.auth.expiry(),
            jwt_expiry: self.jwt_expiry,
        }
    }

    async fn walk(&mut self, walk: &mut Walk, started: Moment) -> Result<(), Error> {
        let deadline = started.instant + self.patience.walk;
        let first = first_page(&self.account);
        let mut next = Some(self.transport.address(Operation::ActiveCalls, None, &first)?);
        while let Some(url) = next {
            if walk.pages == PAGES_MOST || !walk.seen.insert(url.clone()) {
                let what = "the pages of the list come round again or do not end";
                return Err(self.transport.fault(Operation::ActiveCalls, Reason::InvalidResponse, what));
            }
            walk.asked += 1;
            let page = self.page(url.clone(), walk.asked, deadline).await;
            let page = page.map_err(|error| self.explain_budget(error, walk.pages))?;
            next = self.next_page(&url, page.next.as_deref())?;
            walk.take(page);
        }
        Ok(())
    }

    async fn page(&mut self, url: Url, number: u32, deadline: Instant) -> Result<Page, Error> {
        let body = match self.get_with_retry(url, deadline).await {
            Ok(body) => body,
            Err(error) => {
                self.heed_rejection(&error).await;
                return Err(error);
            }
        };
        self.auth.proved();
        let page = parse_page(&body, number);
        let page = page.map_err(|why| self.invalid(Operation::ActiveCalls, &why.to_string()))?;
        self.account_id = page.account_id.clone().or(self.account_id.take());
        Ok(page)
    }

    /// A token that has ended early costs one login and one more try.
    async fn get_with_retry(&mut self, url: Url, deadline: Instant) -> Result<Bytes, Error> {
        let result = self.get(url.clone(), deadline).await;
        match result {
            Err(error) if error.reason == Reason::Unauthorized && self.auth.is_proven() => {
                let now = Moment::now();
                self.auth.rejected(now);
                if !self.may_log_in(now) {
                    return Err(error);
                }
                self.log_in(deadline).await?;
                self.get(url, deadline).await
            }
            other => other,
        }
    }

    /// A list that has grown is fetched as soon as the window holds it; one that no window holds never is.
    fn explain_budget(&self, mut error: Error, pages: u32) -> Error {
        let longest = self.transport.budget.longest_walk();
        if error.reason == Reason::Budget && pages >= longest {
            error.what =
                format!("the list has more than {longest} pages, the most that the limit allows in one window");
        } else if error.reason == Reason::Budget {
            error.what =
                format!("after {pages} pages the limit leaves no room for more: waiting until it holds them all");
        }
        error
    }

    async fn get(&mut self, url: Url, deadline: Instant) -> Result<Bytes, Error> {
        let Some(token) = self.auth.token().cloned() else {
            return Err(self.transport.fault(Operation::Token, Reason::Unauthorized, "there is no token"));
        };
        let deadline = deadline.min(Moment::now().after(self.patience.request).instant);
        let bearer = |http: &reqwest::Client, url| http.get(url).bearer_auth(token.expose_secret());
        self.transport.send(Operation::ActiveCalls, url, deadline, bearer).await
    }

    /// After the last try a 401 to a token that is still held can only be one that was refused fresh. A 403 lacks a
    /// permission, and those are settled when a token is made: this one is given back, and a new one asked for when
    /// the back-off ends. A login that failed has been heeded already.
    async fn heed_rejection(&mut self, error: &Error) {
        match (error.operation, error.reason) {
            (Operation::ActiveCalls, Reason::Unauthorized) if self.auth.token().is_some() => {
                self.auth.rejected(Moment::now());
            }
            (Operation::ActiveCalls, Reason::Forbidden) => {
                self.revoke().await;
                self.auth.refused(Moment::now());
            }
            _ => {}
        }
    }

    fn next_page(&self, current: &Url, next: Option<&str>) -> Result<Option<Url>, Error> {
        let follow = |uri| self.transport.address(Operation::ActiveCalls, Some(current), uri);
        next.map(follow).transpose()
    }

    /// Without a token the list cannot be asked for before a login.
    fn needs_login(&self, operation: Operation) -> bool {
        operation == Operation::Token || (operation == Operation::ActiveCalls && self.auth.token().is_none())
    }

    /// A token that serves still is renewed by [`Client::renew`], beside the fetches.
    async fn log_in_if_needed(&mut self, now: Moment) -> Result<(), Error> {
        match self.auth.need(now) {
            Need::Login => self.log_in(now.after(self.patience.request).instant).await,
            Need::Nothing | Need::Renewal => Ok(()),
        }
    }

    fn may_log_in(&self, now: Moment) -> bool {
        let refusal = self.auth.login_at(now);
        let budget = self.transport.budget.request_at(Operation::Token, now);
        refusal.has_come(now) && budget.has_come(now)
    }

    async fn log_in(&mut self, deadline: Instant) -> Result<(), Error> {
        let result = self.request_token(deadline).await;
        let now = Moment::now();
        match result {
            Ok(granted) => self.auth.granted(granted, now),
            Err(error) => {
                if error.is_refused_login() {
                    self.auth.refused(now);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    async fn request_token(&mut self, deadline: Instant) -> Result<GrantedToken, Error> {
        let client_secret = self.secret("client secret", self.account.client_secret.read())?;
        let jwt = self.secret("JWT", self.account.jwt.read())?;
        self.jwt_expiry = jwt_expiry(&jwt);
        let url = self.transport.address(Operation::Token, None, TOKEN_PATH)?;
        let deadline = deadline.min(Moment::now().after(self.patience.request).instant);
        let client_id = self.account.client_id.clone();
        let form = [("grant_type", JWT_GRANT), ("assertion", jwt.expose_secret())];
        let basic = |http: &reqwest::Client, url| {
            let request = http.post(url).header(reqwest::header::ACCEPT, "application/json");
            request.basic_auth(&client_id, Some(client_secret.expose_secret())).form(&form)
        };
        let body = self.transport.send(Operation::Token, url, deadline, basic).await?;
        parse_token(&body).map_err(|why| self.invalid(Operation::Token, &why.to_string()))
    }

    fn secret(&self, what: &str, read: Result<SecretString, SecretError>) -> Result<SecretString, Error> {
        let fault =
            |error| self.transport.fault(Operation::Token, Reason::Unauthorized, format!("the {what}: {error}"));
        read.map_err(fault)
    }

    fn invalid(&self, operation: Operation, why: &str) -> Error {
        self.transport.fault(operation, Reason::InvalidResponse, why)
    }
}

impl Walk {
    fn ended(&self, outcome: &Result<(), Error>) -> Walked {
        match outcome {
            Ok(()) => Walked::Whole(self.pages),
            Err(error) if error.reason == Reason::Budget => Walked::OverBudget,
            Err(_) => Walked::Broken(self.asked),
        }
    }

    /// The list may shift between two pages, so a record can come twice: the later one is newer.
    fn take(&mut self, page: Page) {
        self.pages += 1;
        self.unreadable += page.unreadable;
        self.calls.extend(page.calls.into_iter().map(|call| (call.id.clone(), call)));
    }
}

fn first_page(account: &Account) -> String {
    let of_extension = match account.level {
        Level::Account => "",
        Level::Extension => "/extension/~",
    };
    format!("/restapi/v1.0/account/{}{of_extension}/active-calls?perPage=1000", account.account_id)
}

fn report_renewal(account: &str, error: &Error) {
    tracing::warn!(
        account,
        reason = error.reason.as_str(),
        request_id = error.request_id.as_deref(),
        advice = error.advice(),
        "the token was not renewed, the present one serves until it ends: {error}"
    );
}
