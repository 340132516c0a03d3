//! Fetches the list of active calls, all pages of it.

use std::collections::HashSet;
use std::time::Duration;

use crate::calls::Call;
use crate::clock::Moment;
use crate::config::{Account, Level};
use crate::ringcentral::rate_limit::budget::PageCount;
use crate::ringcentral::wire::parse_page;
use crate::ringcentral::{Cause, Client, Error, Operation, Reason};

const OPERATION: Operation = Operation::ActiveCalls;

/// A finished fetch.
#[derive(Debug)]
pub struct FetchResult {
    /// The calls, distinct by id, or why the fetch failed.
    pub calls: Result<Vec<Call>, Error>,
    /// When the first page was requested, after a login.
    pub fetched_at: Moment,
    /// The time that the fetch took, including a login.
    pub duration: Duration,
    /// The number of pages that were received.
    pub pages: u32,
    /// The number of records that were skipped because they are invalid.
    pub skipped_records: usize,
}

impl Client {
    /// Fetches the list of active calls, after a login if there is no token.
    pub(crate) async fn fetch_active_calls(&mut self) -> FetchResult {
        let started = Moment::now();
        self.transport.budget.record_fetch_start(started);
        let mut fetch = FetchResult {
            calls: Ok(Vec::new()),
            fetched_at: started,
            duration: Duration::ZERO,
            pages: 0,
            skipped_records: 0,
        };
        match self.ensure_token(started).await {
            Ok(()) => {
                fetch.fetched_at = Moment::now();
                fetch.calls = self.fetch_calls(&mut fetch).await;
            }
            Err(error) => fetch.calls = Err(error),
        }
        fetch.duration = Moment::now().saturating_duration_since(started);
        fetch
    }

    /// Fetches all pages, and records their number in the budget.
    async fn fetch_calls(&mut self, fetch: &mut FetchResult) -> Result<Vec<Call>, Error> {
        let expected = self.transport.budget.expected_pages();
        let deadline = fetch.fetched_at.after(self.timeouts.fetch).instant;
        let path = active_calls_path(&self.account);
        let mut pages = self.first_page(OPERATION, &path)?;
        let mut calls = Vec::new();
        let mut account_id = None;
        let result = self
            .fetch_pages(OPERATION, &mut pages, deadline, |body| {
                let page = parse_page(body, fetch.pages + 1)?;
                fetch.pages += 1;
                fetch.skipped_records += page.skipped;
                if page.account_id.is_some() {
                    account_id = page.account_id;
                }
                calls.extend(page.calls);
                Ok(page.next)
            })
            .await;
        if account_id.is_some() {
            self.reported_account_id = account_id;
        }
        let requested = pages.known();
        let budget = &mut self.transport.budget;
        match result {
            Ok(()) => {
                budget.record_page_count(PageCount::Exact(fetch.pages));
                Ok(dedup_by_id(calls))
            }
            // Otherwise a retry or another program used the requests that were reserved for these pages.
            Err(error) if error.reason == Reason::Budget && requested > expected => {
                budget.record_page_count(PageCount::Unknown);
                Err(self.refine_budget_error(error, fetch.pages))
            }
            Err(error) => {
                budget.record_page_count(PageCount::AtLeast(requested));
                Err(error)
            }
        }
    }

    /// Explains an error of a list that has more pages than expected: a later fetch waits until one
    /// window has room for all of them, unless the limit is lower than their number.
    fn refine_budget_error(&self, mut error: Error, pages: u32) -> Error {
        let max_pages = self.transport.budget.max_pages();
        if pages >= max_pages {
            error.cause = Cause::ListTooLong;
            error.message = format!(
                "the list has more than {max_pages} pages, the maximum that one rate limit window allows"
            );
        } else {
            error.message = format!(
                "rate limit reached after {pages} pages: waiting until one window has room for the whole list"
            );
        }
        error
    }
}

fn active_calls_path(account: &Account) -> String {
    let extension = match account.level {
        Level::Account => "",
        Level::Extension => "/extension/~",
    };
    format!(
        "/restapi/v1.0/account/{}{extension}/active-calls?perPage=1000",
        account.account_id
    )
}

/// Keeps the last record of each id: the list may shift between two pages, and the later record is
/// newer.
fn dedup_by_id(mut calls: Vec<Call>) -> Vec<Call> {
    let mut seen = HashSet::with_capacity(calls.len());
    calls.reverse();
    calls.retain(|call| seen.insert(call.id.clone()));
    calls.reverse();
    calls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_of_two_records_with_one_id_is_kept() {
        let page = |json: &str| {
            let body = format!(r#"{{"records":[{json}]}}"#);
            parse_page(body.as_bytes(), 1).unwrap().calls
        };
        let mut listed = page(r#"{"id":"a","result":"In Progress"},{"id":"b"}"#);
        listed.extend(page(r#"{"id":"a","result":"Accepted"},{"id":"c"}"#));
        let calls = dedup_by_id(listed);
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
