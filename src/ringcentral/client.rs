//! The client of one account: its active calls, and its extensions.
//!
//! Owns: what is asked for, and a list as a whole: all of it or nothing. It is owned by one task, so there is never more
//! than one walk at a time. Refuses to know: pages (`pages`), tokens (`session`), when it is wise to fetch ([`Client::ready`] says when it
//! is allowed), and what the calls mean.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use crate::account::metrics::Instruments;
use crate::calls::{Call, Directory};
use crate::clock::Moment;
use crate::config::{Account, Level, Patience};
use crate::ringcentral::cause::Cause;
use crate::ringcentral::error::{Error, Reason};
use crate::ringcentral::login::{Estate, Session, Terms};
use crate::ringcentral::login_registry::Users;
use crate::ringcentral::operation::Operation;
use crate::ringcentral::pagination::Pages;
use crate::ringcentral::rate_limit::budget::{Budget, Walked};
use crate::ringcentral::status::ApiStanding;
use crate::ringcentral::transport::Transport;
use crate::ringcentral::wire::{Page, parse_extensions, parse_page};

/// One account's client.
pub struct Client {
    first_page: String,
    first_extensions: String,
    walk_patience: Duration,
    level: Level,
    session: Session,
    account_id: Option<String>,
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
    calls: Vec<Call>,
    expected: u32,
    pages: u32,
    asked: u32,
    unreadable: usize,
}

// === impl Client ===

impl Client {
    /// A client that has not spoken yet.
    #[must_use]
    pub fn new(
        terms: Terms,
        patience: Patience,
        budget: Budget,
        instruments: Arc<Instruments>,
        users: Arc<Users>,
    ) -> Self {
        let Terms { account, http } = terms;
        let transport = Transport::new(http, account.server.clone(), budget, instruments);
        Self {
            first_page: first_page(&account),
            first_extensions: format!(
                "/restapi/v1.0/account/{}/extension?perPage=1000",
                account.account_id
            ),
            walk_patience: patience.walk,
            level: account.level,
            session: Session::new(account, patience, transport, users),
            account_id: None,
        }
    }

    /// Goes on by other terms: see [`Session::adopt`].
    pub fn adopt(&mut self, terms: Terms) {
        self.session.adopt(terms);
    }

    /// Goes on where another client of the same user and app has ended.
    pub fn inherit(&mut self, estate: Estate) {
        self.session.inherit(estate);
    }

    /// What a client that may come after should know.
    #[must_use]
    pub fn bequeath(self) -> Estate {
        self.session.bequeath()
    }

    /// Gives back a token that a changed secret has replaced, if there is one.
    pub async fn revoke_former(&mut self) {
        self.session.revoke_former().await;
    }

    /// Whose calls were listed last, as far as replies tell: another company may have taken an account's place.
    #[must_use]
    pub fn owner(&self) -> Option<&str> {
        match self.level {
            Level::Account => self.account_id.as_deref(),
            Level::Extension => self.session.user(),
        }
    }

    /// Whether a fetch may start: the budget holds a walk, and a token is there or may be had.
    #[must_use]
    pub fn ready(&self, now: Moment) -> bool {
        self.session.may_begin(now) && self.session.budget().walk_at(now).is_past(now)
    }

    /// Fetches the whole list.
    pub async fn fetch(&mut self) -> Fetch {
        let started = Moment::now();
        self.session.budget_mut().walk_starts(started);
        let mut walk = Walk {
            expected: self.session.budget().expected_pages(),
            ..Walk::default()
        };
        let outcome = match self.session.begin(started).await {
            Ok(()) => {
                let taken = Moment::now();
                let outcome = self.walk(&mut walk, taken).await;
                self.session.budget_mut().walk_ended(walk.ended(&outcome));
                outcome.map(|()| taken)
            }
            Err(error) => Err(error),
        };
        Fetch {
            taken: *outcome.as_ref().unwrap_or(&started),
            took: Moment::now().since(started),
            pages: walk.pages,
            unreadable: walk.unreadable,
            outcome: outcome.map(|_| distinct(walk.calls)),
        }
    }

    /// Whether the token should be renewed, and may be.
    #[must_use]
    pub fn wants_renewal(&self, now: Moment) -> bool {
        self.session.wants_renewal(now)
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
    pub fn standing(&self) -> ApiStanding {
        let now = Moment::now();
        let blocked = |operation: Operation| {
            (
                operation.as_str(),
                self.session.blocked_until(operation, now),
            )
        };
        ApiStanding {
            account_id: self.account_id.clone(),
            rate_limits: self.session.budget().announced(),
            pace: self.session.budget().pace(),
            blocked_until: Operation::ALL.into_iter().map(blocked).collect(),
            token_expiry: self.session.expiry(),
            jwt_expiry: self.session.jwt_expiry(),
            namesake: self.session.namesake(),
        }
    }

    async fn walk(&mut self, walk: &mut Walk, started: Moment) -> Result<(), Error> {
        let deadline = started.after(self.walk_patience).instant;
        let mut pages = Pages::new(Operation::ActiveCalls, &self.first_page, deadline);
        loop {
            let body = pages.next(&mut self.session).await;
            walk.asked = pages.asked();
            let Some(body) = body.map_err(|error| self.explain_budget(error, walk))? else {
                return Ok(());
            };
            let page = parse_page(&body, walk.asked)
                .map_err(|why| pages.invalid(&self.session, &why.to_string()))?;
            pages.follow(&self.session, page.next.as_deref())?;
            self.account_id = page.account_id.clone().or(self.account_id.take());
            walk.take(page);
        }
    }

    /// Reads the account's extensions, all pages.
    ///
    /// # Errors
    /// Whatever went wrong with one of them.
    pub async fn extensions(&mut self) -> Result<Directory, Error> {
        let deadline = Moment::now().after(self.walk_patience).instant;
        let mut pages = Pages::new(Operation::Extensions, &self.first_extensions, deadline);
        let mut entries = Vec::new();
        while let Some(body) = pages.next(&mut self.session).await? {
            let page = parse_extensions(&body)
                .map_err(|why| pages.invalid(&self.session, &why.to_string()))?;
            pages.follow(&self.session, page.next.as_deref())?;
            entries.extend(page.entries);
        }
        Ok(Directory::new(entries))
    }

    /// Whether the list of extensions may be asked for now.
    #[must_use]
    pub fn may_read_extensions(&self, now: Moment) -> bool {
        let budget = self.session.budget().request_at(Operation::Extensions, now);
        self.session.has_token(now) && budget.is_past(now)
    }

    /// A list that has grown is fetched as soon as the window holds it; one that no window holds never is.
    fn explain_budget(&self, mut error: Error, walk: &Walk) -> Error {
        let (pages, longest) = (walk.pages, self.session.budget().longest_walk());
        if error.reason != Reason::Budget || !walk.has_outgrown() {
            return error;
        }
        error.what = if pages >= longest {
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

impl Walk {
    /// Whether it came to ask for more pages than it had set out for. If not, a repeated request or another tool took
    /// what was meant for them.
    fn has_outgrown(&self) -> bool {
        self.asked > self.expected
    }

    fn ended(&self, outcome: &Result<(), Error>) -> Walked {
        match outcome {
            Ok(()) => Walked::Whole(self.pages),
            Err(error) if error.reason == Reason::Budget && self.has_outgrown() => {
                Walked::OverBudget
            }
            Err(_) => Walked::Broken(self.asked),
        }
    }

    fn take(&mut self, page: Page) {
        self.pages += 1;
        self.unreadable += page.unreadable;
        self.calls.extend(page.calls);
    }
}

fn first_page(account: &Account) -> String {
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
fn distinct(mut calls: Vec<Call>) -> Vec<Call> {
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
        let calls = distinct(listed.into_iter().flat_map(page).collect());
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
