//! Fetches the list of active calls, all pages of it.

use std::collections::HashSet;
use std::time::Duration;

use crate::calls::Call;
use crate::clock::Moment;
use crate::config::{Account, Level};
use crate::ringcentral::cause::Cause;
use crate::ringcentral::client::Client;
use crate::ringcentral::error::Error;
use crate::ringcentral::operation::Operation;
use crate::ringcentral::pagination::Pagination;
use crate::ringcentral::rate_limit::budget::PageCount;
use crate::ringcentral::reason::Reason;
use crate::ringcentral::wire::{CallPage, parse_page};

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

/// What a running fetch has received so far.
#[derive(Default)]
struct FetchProgress {
    calls: Vec<Call>,
    expected: u32,
    requested: u32,
    pages: u32,
    skipped_records: usize,
}

impl Client {
    /// Fetches the list of active calls, after a login if there is no token.
    pub(crate) async fn fetch_active_calls(&mut self) -> FetchResult {
        let started = Moment::now();
        self.transport.budget.record_fetch_start(started);
        let mut progress = FetchProgress {
            expected: self.transport.budget.expected_pages(),
            ..FetchProgress::default()
        };
        let mut fetched_at = started;
        let mut result = self.ensure_token(started).await;
        if result.is_ok() {
            fetched_at = Moment::now();
            result = self.fetch_pages(&mut progress, fetched_at).await;
            let page_count = progress.page_count(&result);
            self.transport.budget.record_page_count(page_count);
        }
        FetchResult {
            fetched_at,
            duration: Moment::now().saturating_duration_since(started),
            pages: progress.pages,
            skipped_records: progress.skipped_records,
            calls: result.map(|()| dedup_by_id(progress.calls)),
        }
    }

    async fn fetch_pages(
        &mut self,
        progress: &mut FetchProgress,
        started: Moment,
    ) -> Result<(), Error> {
        let deadline = started.after(self.timeouts.fetch).instant;
        let path = active_calls_path(&self.account);
        let mut pagination = Pagination::new(self.transport.resolve_url(OPERATION, None, &path)?);
        while let Some(url) = pagination
            .take_next()
            .map_err(|error| self.transport.record_invalid_response(OPERATION, error))?
        {
            progress.requested = pagination.requested();
            let body = match self.get(OPERATION, &url, deadline).await {
                Ok(body) => body,
                Err(error) => return Err(self.refine_budget_error(error, progress)),
            };
            let page = parse_page(&body, progress.requested)
                .map_err(|error| self.transport.record_invalid_response(OPERATION, error))?;
            if let Some(next) = &page.next {
                pagination.set_next(self.transport.resolve_url(OPERATION, Some(&url), next)?);
            }
            if page.account_id.is_some() {
                self.reported_account_id.clone_from(&page.account_id);
            }
            progress.add_page(page);
        }
        Ok(())
    }

    /// Explains an error of a list that has more pages than expected: a later fetch waits until one
    /// window has room for all of them, unless the limit is lower than their number.
    fn refine_budget_error(&self, mut error: Error, progress: &FetchProgress) -> Error {
        if error.reason != Reason::Budget || !progress.exceeded_expectation() {
            return error;
        }
        let pages = progress.pages;
        let max_pages = self.transport.budget.max_pages();
        error.message = if pages >= max_pages {
            error.cause = Cause::ListTooLong;
            format!(
                "the list has more than {max_pages} pages, the maximum that one rate limit window allows"
            )
        } else {
            format!(
                "rate limit reached after {pages} pages: waiting until one window has room for the whole list"
            )
        };
        error
    }
}

impl FetchProgress {
    /// Returns whether more pages were requested than expected. Otherwise a budget error means that
    /// a retry or another program used the requests that were reserved for these pages.
    fn exceeded_expectation(&self) -> bool {
        self.requested > self.expected
    }

    fn page_count(&self, result: &Result<(), Error>) -> PageCount {
        match result {
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
