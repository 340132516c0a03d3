//! Fetches the list of active calls, all pages of it.

use std::time::Duration;

use foldhash::{HashSet, HashSetExt};
use tokio::time::Instant;

use crate::calls::Call;
use crate::clock::Moment;
use crate::config::{Account, Level};
use crate::ringcentral::pagination::PageCursor;
use crate::ringcentral::rate_limit::budget::PageCount;
use crate::ringcentral::wire::{CallPage, parse_page_after};
use crate::ringcentral::{Cause, Client, Error, Operation, Reason};

const OPERATION: Operation = Operation::ActiveCalls;
/// The number of records that are requested for each page, the maximum.
const PER_PAGE: usize = 1000;

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
    /// Returns whether a fetch may start now, and reserves its pages in the budget if so.
    pub(crate) fn try_start_fetch(&mut self, now: Moment) -> bool {
        let login_allowed = self.has_token(now) || self.next_login_at(now).is_past(now);
        login_allowed && self.transport.budget.try_start_fetch(now)
    }

    /// Fetches the list of active calls, after a login if there is no token, once
    /// [`Client::try_start_fetch`] has allowed it.
    pub(crate) async fn fetch_active_calls(&mut self) -> FetchResult {
        let started = Moment::now();
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
            Err(error) => {
                fetch.calls = Err(error);
                self.transport.budget.finish_fetch(None, Moment::now());
            }
        }
        fetch.duration = Moment::now().monotonic_duration_since(started);
        fetch
    }

    /// Fetches all pages, and starts again once if a page is gone because the list has become shorter.
    async fn fetch_calls(&mut self, fetch: &mut FetchResult) -> Result<Vec<Call>, Error> {
        let deadline = fetch.fetched_at.after(self.timeouts.fetch).instant;
        match self.fetch_all_pages(fetch, deadline).await? {
            FetchEnd::Complete(calls) => return Ok(calls),
            FetchEnd::PageGone(error) if self.futile_restarts.contains(&OPERATION) => {
                return Err(error.into_page_gone());
            }
            FetchEnd::PageGone(_) if self.transport.budget.try_restart_fetch(Moment::now()) => {}
            FetchEnd::PageGone(_) => {
                let problem = "the list became shorter while it was read: waiting until one window has room for all of it";
                let transport = &self.transport;
                return Err(transport.record_failure(OPERATION, Cause::NoBudget, problem));
            }
        }
        (fetch.pages, fetch.skipped_records) = (0, 0);
        fetch.fetched_at = Moment::now();
        match self.fetch_all_pages(fetch, deadline).await? {
            FetchEnd::Complete(calls) => Ok(calls),
            FetchEnd::PageGone(error) => {
                self.futile_restarts.push(OPERATION);
                Err(error.into_page_gone())
            }
        }
    }

    /// Fetches all pages, and records their number in the budget.
    async fn fetch_all_pages(
        &mut self,
        fetch: &mut FetchResult,
        deadline: Instant,
    ) -> Result<FetchEnd, Error> {
        let expected = self.transport.budget.expected_pages();
        let path = active_calls_path(&self.account);
        let mut pages = self.first_page(OPERATION, &path)?;
        let mut list = CallList::default();
        let result = self
            .fetch_pages(&mut pages, deadline, &mut list, fetch)
            .await;
        if list.account_id.is_some() {
            self.reported_account_id = list.account_id;
        }
        let requested = pages.known();
        let budget = &mut self.transport.budget;
        let now = Moment::now();
        match result {
            Ok(()) => {
                // A list that is about to need another page is read with room for it.
                let is_nearly_full = list.fill.is_last_nearly_full(fetch.pages);
                let next_pages = fetch.pages + u32::from(is_nearly_full);
                budget.finish_fetch(Some(PageCount::Exact(next_pages)), now);
                self.futile_restarts.retain(|list| *list != OPERATION);
                Ok(FetchEnd::Complete(dedup_by_id(list.calls)))
            }
            // Otherwise a retry or another program used the requests that were reserved for these pages.
            Err(error) if error.reason == Reason::Budget && requested > expected => {
                budget.finish_fetch(Some(PageCount::Unknown), now);
                Err(self.refine_budget_error(error, fetch.pages))
            }
            Err(mut error) => {
                budget.finish_fetch(Some(PageCount::AtLeast(requested)), now);
                if pages.is_next_gone(&error) {
                    return Ok(FetchEnd::PageGone(error));
                }
                if self.account.level == Level::Extension {
                    error.set_extension_level();
                }
                Err(error)
            }
        }
    }

    /// Fetches the pages from the cursor on into `list`.
    async fn fetch_pages(
        &mut self,
        pages: &mut PageCursor,
        deadline: Instant,
        list: &mut CallList,
        fetch: &mut FetchResult,
    ) -> Result<(), Error> {
        loop {
            let (number, earlier_records) = (fetch.pages + 1, list.records);
            let parse = move |body: &[u8]| parse_page_after(body, number, earlier_records);
            let page = self.fetch_next_page(OPERATION, pages, deadline, parse);
            let Some(page) = page.await? else {
                return Ok(());
            };
            fetch.pages += 1;
            fetch.skipped_records += page.skipped;
            list.add(page);
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

/// How a fetch has ended.
enum FetchEnd {
    /// With all calls of the list.
    Complete(Vec<Call>),
    /// With the error of a page that does not exist, although the page before it has named it.
    PageGone(Error),
}

/// The pages that were received.
#[derive(Default)]
struct CallList {
    calls: Vec<Call>,
    /// The number of all records, those that are not calls included.
    records: usize,
    account_id: Option<String>,
    fill: PageFill,
}

impl CallList {
    fn add(&mut self, page: CallPage) {
        self.records += page.records();
        self.fill.record(page.records(), page.per_page);
        if page.account_id.is_some() {
            self.account_id = page.account_id;
        }
        if self.calls.is_empty() {
            self.calls = page.calls;
        } else {
            self.calls.extend(page.calls);
        }
    }
}

/// How full the pages of a list are.
#[derive(Default)]
struct PageFill {
    /// Records of the last page.
    last: usize,
    /// Records of the fullest page.
    fullest: usize,
    /// The maximum that the server gives for its pages, which may be smaller than the requested one.
    per_page: Option<usize>,
}

impl PageFill {
    /// Records a page with its number of records.
    fn record(&mut self, records: usize, per_page: Option<usize>) {
        self.last = records;
        self.fullest = self.fullest.max(records);
        self.per_page = per_page;
    }

    /// Returns whether the last of `pages` pages is at least 90 % full.
    fn is_last_nearly_full(&self, pages: u32) -> bool {
        let mut capacity = self.per_page.unwrap_or(PER_PAGE).clamp(1, PER_PAGE);
        if pages > 1 {
            capacity = capacity.min(self.fullest.max(1));
        }
        self.last * 10 >= capacity * 9
    }
}

fn active_calls_path(account: &Account) -> String {
    let extension = match account.level {
        Level::Account => "",
        Level::Extension => "/extension/~",
    };
    format!(
        "/restapi/v1.0/account/{}{extension}/active-calls?perPage={PER_PAGE}",
        account.account_id
    )
}

/// Keeps the last record of each id: the list may shift between two pages, and the later record is
/// newer.
fn dedup_by_id(mut calls: Vec<Call>) -> Vec<Call> {
    let mut seen = HashSet::with_capacity(calls.len());
    if calls.iter().all(|call| seen.insert(call.id.as_str())) {
        return calls;
    }
    let mut seen = HashSet::new();
    calls.reverse();
    calls.retain(|call| seen.insert(call.id.clone()));
    calls.reverse();
    calls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_is_nearly_full_from_90_percent() {
        let is_nearly_full = |pages: &[usize], per_page: Option<usize>| {
            let mut fill = PageFill::default();
            for records in pages {
                fill.record(*records, per_page);
            }
            fill.is_last_nearly_full(pages.len() as u32)
        };
        assert!(!is_nearly_full(&[0], None) && !is_nearly_full(&[899], None));
        assert!(is_nearly_full(&[900], None) && is_nearly_full(&[1000], None));
        assert!(is_nearly_full(&[90], Some(100)) && !is_nearly_full(&[89], Some(100)));
        assert!(!is_nearly_full(&[0], Some(0)) && !is_nearly_full(&[90], Some(5000)));
        assert!(
            is_nearly_full(&[20, 18], None),
            "the server's pages are shorter than requested"
        );
        assert!(!is_nearly_full(&[20, 17], None) && !is_nearly_full(&[0, 0], None));
    }

    #[test]
    fn later_of_two_records_with_one_id_is_kept() {
        let page = |json: &str| {
            let body = format!(r#"{{"records":[{json}]}}"#);
            parse_page_after(body.as_bytes(), 1, 0).unwrap().calls
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
