//! The client of one account: its active calls, and its extensions.
//!
//! Owns: what is asked for, and a list as a whole: all of it or nothing. It is owned by one task, so there is never more
//! than one walk at a time. Refuses to know: pages (`pages`), tokens (`session`), when it is wise to fetch ([`Client::ready`] says when it
//! is allowed), and what the calls mean.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use crate::account::metrics::AccountMetrics;
use crate::calls::{Call, Directory};
use crate::clock::Moment;
use crate::config::{Account, Level, Timeouts};
use crate::ringcentral::cause::Cause;
use crate::ringcentral::error::{Error, Reason};
use crate::ringcentral::login::{ClientConfig, ClientState, Session};
use crate::ringcentral::login_registry::LoginRegistry;
use crate::ringcentral::operation::Operation;
use crate::ringcentral::pagination::Pagination;
use crate::ringcentral::rate_limit::budget::{Budget, PageCount};
use crate::ringcentral::status::ApiStatus;
use crate::ringcentral::transport::Transport;
use crate::ringcentral::wire::{CallPage, parse_extensions, parse_page};

/// One account's client.
pub struct Client {
    first_page: String,
    extensions_path: String,
    walk_patience: Duration,
    level: Level,
    session: Session,
    account_id: Option<String>,
}

/// A finished fetch.
#[derive(Debug)]
pub struct FetchResult {
    /// The calls, distinct by id; or why there are none.
    pub outcome: Result<Vec<Call>, Error>,
    /// When its first page was asked for, after a login.
    pub fetched_at: Moment,
    /// From its start, a login included, to its end.
    pub duration: Duration,
    /// Pages that were read.
    pub pages: u32,
    /// Records that were left out since they could not be read.
    pub skipped_records: usize,
}

/// A walk under way.
#[derive(Default)]
struct FetchProgress {
    calls: Vec<Call>,
    expected: u32,
    pages: u32,
    requested: u32,
    skipped_records: usize,
}

// === impl Client ===

impl Client {
    /// A client that has not spoken yet.
    #[must_use]
    pub fn new(
        terms: ClientConfig,
        patience: Timeouts,
        budget: Budget,
        instruments: Arc<AccountMetrics>,
        users: Arc<LoginRegistry>,
    ) -> Self {
        let ClientConfig { account, http } = terms;
        let transport = Transport::new(http, account.server.clone(), budget, instruments);
        Self {
            first_page: active_calls_path(&account),
            extensions_path: format!(
                "/restapi/v1.0/account/{}/extension?perPage=1000",
                account.account_id
            ),
            walk_patience: patience.fetch,
            level: account.level,
            session: Session::new(account, patience, transport, users),
            account_id: None,
        }
    }

    /// Goes on by other terms: see [`Session::adopt`].
    pub fn reconfigure(&mut self, terms: ClientConfig) {
        self.session.reconfigure(terms);
    }

    /// Goes on where another client of the same user and app has ended.
    pub fn resume_from(&mut self, estate: ClientState) {
        self.session.resume_from(estate);
    }

    /// What a client that may come after should know.
    #[must_use]
    pub fn into_state(self) -> ClientState {
        self.session.into_state()
    }

    /// Returns whether a changed secret has replaced a token that is not revoked yet.
    #[must_use]
    pub fn has_replaced_token(&self) -> bool {
        self.session.has_replaced_token()
    }

    /// Gives back a token that a changed secret has replaced, if there is one.
    pub async fn revoke_replaced(&mut self) {
        self.session.revoke_replaced().await;
    }

    /// Whose calls were listed last, as far as replies tell: another company may have taken an account's place.
    #[must_use]
    pub fn account_identity(&self) -> Option<&str> {
        match self.level {
            Level::Account => self.account_id.as_deref(),
            Level::Extension => self.session.user(),
        }
    }

    /// Whether a fetch may start: the budget holds a walk, and a token is there or may be had.
    #[must_use]
    pub fn can_fetch(&self, now: Moment) -> bool {
        self.session.can_authenticate(now) && self.session.budget().next_fetch_at(now).is_past(now)
    }

    /// Fetches the whole list.
    pub async fn fetch(&mut self) -> FetchResult {
        let started = Moment::now();
        self.session.budget_mut().record_fetch_start(started);
        let mut walk = FetchProgress {
            expected: self.session.budget().expected_pages(),
            ..FetchProgress::default()
        };
        let outcome = match self.session.ensure_token(started).await {
            Ok(()) => {
                let taken = Moment::now();
                let outcome = self.fetch_pages(&mut walk, taken).await;
                self.session
                    .budget_mut()
                    .record_page_count(walk.page_count(&outcome));
                outcome.map(|()| taken)
            }
            Err(error) => Err(error),
        };
        FetchResult {
            fetched_at: *outcome.as_ref().unwrap_or(&started),
            duration: Moment::now().saturating_duration_since(started),
            pages: walk.pages,
            skipped_records: walk.skipped_records,
            outcome: outcome.map(|_| dedup_by_id(walk.calls)),
        }
    }

    /// Whether the token should be renewed, and may be.
    #[must_use]
    pub fn should_renew(&self, now: Moment) -> bool {
        self.session.should_renew(now)
    }

    /// Renews the token ahead of its end; if that fails, the present one serves on.
    pub async fn renew(&mut self) {
        self.session.renew().await;
    }

    /// Gives the session back at the end.
    pub async fn revoke(&mut self) {
        self.session.revoke().await;
    }

    /// Where we stand with the API.
    #[must_use]
    pub fn status(&self) -> ApiStatus {
        let now = Moment::now();
        let blocked = |operation: Operation| {
            (
                operation.as_str(),
                self.session.blocked_until(operation, now),
            )
        };
        ApiStatus {
            account_id: self.account_id.clone(),
            rate_limits: self.session.budget().reported_limits(),
            min_fetch_interval: self.session.budget().min_fetch_interval(),
            blocked_until: Operation::ALL.into_iter().map(blocked).collect(),
            token_expiry: self.session.expiry(),
            jwt_expiry: self.session.jwt_expiry(),
            same_user_account: self.session.namesake(),
        }
    }

    async fn fetch_pages(
        &mut self,
        walk: &mut FetchProgress,
        started: Moment,
    ) -> Result<(), Error> {
        let deadline = started.after(self.walk_patience).instant;
        let mut pages = Pagination::new(Operation::ActiveCalls, &self.first_page, deadline);
        loop {
            let body = pages.next(&mut self.session).await;
            walk.requested = pages.requested();
            let Some(body) = body.map_err(|error| self.refine_budget_error(error, walk))? else {
                return Ok(());
            };
            let page = parse_page(&body, walk.requested)
                .map_err(|why| pages.invalid_page(&self.session, &why.to_string()))?;
            pages.set_next(&self.session, page.next.as_deref())?;
            self.account_id = page.account_id.clone().or(self.account_id.take());
            walk.add_page(page);
        }
    }

    /// Reads the account's extensions, all pages.
    ///
    /// # Errors
    /// Whatever went wrong with one of them.
    pub async fn fetch_extensions(&mut self) -> Result<Directory, Error> {
        let deadline = Moment::now().after(self.walk_patience).instant;
        let mut pages = Pagination::new(Operation::Extensions, &self.extensions_path, deadline);
        let mut entries = Vec::new();
        while let Some(body) = pages.next(&mut self.session).await? {
            let page = parse_extensions(&body)
                .map_err(|why| pages.invalid_page(&self.session, &why.to_string()))?;
            pages.set_next(&self.session, page.next.as_deref())?;
            entries.extend(page.entries);
        }
        Ok(Directory::new(entries))
    }

    /// Whether the list of extensions may be asked for now.
    #[must_use]
    pub fn can_fetch_extensions(&self, now: Moment) -> bool {
        let budget = self
            .session
            .budget()
            .next_request_at(Operation::Extensions, now);
        self.session.has_token(now) && budget.is_past(now)
    }

    /// A list that has grown is fetched as soon as the window holds it; one that no window holds never is.
    fn refine_budget_error(&self, mut error: Error, walk: &FetchProgress) -> Error {
        let (pages, longest) = (walk.pages, self.session.budget().max_pages());
        if error.reason != Reason::Budget || !walk.exceeded_expectation() {
            return error;
        }
        error.message = if pages >= longest {
            error.cause = Cause::ListTooLong;
            format!(
                "the list has more than {longest} pages, the most that the limit allows in one window"
            )
        } else {
            format!(
                "after {pages} pages the limit leaves no room for more: waiting until it holds them all"
            )
        };
        error
    }
}

// === impl Walk ===

impl FetchProgress {
    /// Whether it came to ask for more pages than it had set out for. If not, a repeated request or another tool took
    /// what was meant for them.
    fn exceeded_expectation(&self) -> bool {
        self.requested > self.expected
    }

    fn page_count(&self, outcome: &Result<(), Error>) -> PageCount {
        match outcome {
            Ok(()) => PageCount::Exact(self.pages),
            Err(error) if error.reason == Reason::Budget && self.exceeded_expectation() => {
                PageCount::Unknown
            }
            Err(_) => PageCount::AtLeast(self.requested),
        }
    }

    fn add_page(&mut self, page: CallPage) {
        self.pages += 1;
        self.skipped_records += page.skipped;
        self.calls.extend(page.calls);
    }
}

fn active_calls_path(account: &Account) -> String {
    let of_extension = match account.level {
        Level::Account => "",
        Level::Extension => "/extension/~",
    };
    format!(
        "/restapi/v1.0/account/{}{of_extension}/active-calls?perPage=1000",
        account.account_id
    )
}

/// The list may shift between two pages, so a record can come twice: the later one is newer.
fn dedup_by_id(mut calls: Vec<Call>) -> Vec<Call> {
    let mut seen = HashSet::with_capacity(calls.len());
    let newest: Vec<_> = calls
        .iter()
        .rev()
        .map(|call| seen.insert(call.id.as_str()))
        .collect();
    let mut newest = newest.into_iter().rev();
    calls.retain(|_| newest.next().unwrap_or(true));
    calls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_record_that_comes_twice_the_later_one_is_kept() {
        let page = |json: &str| {
            parse_page(format!(r#"{{"records":[{json}]}}"#).as_bytes(), 1)
                .unwrap()
                .calls
        };
        let listed = [
            r#"{"id":"a","result":"In Progress"},{"id":"b"}"#,
            r#"{"id":"a","result":"Accepted"},{"id":"c"}"#,
        ];
        let calls = dedup_by_id(listed.into_iter().flat_map(page).collect());
        let kept: Vec<_> = calls
            .iter()
            .map(|call| (call.id.as_str(), call.result.as_str()))
            .collect();
        assert_eq!(
            kept,
            [("b", "Unknown"), ("a", "Accepted"), ("c", "Unknown")]
        );
    }
}
