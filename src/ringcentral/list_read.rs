//! Reads a list of extensions, in as many rate limit windows as its pages need.

use tokio::time::Instant;

use crate::clock::Moment;
use crate::ringcentral::pagination::PageCursor;
use crate::ringcentral::wire::{ListPage, ParseError};
use crate::ringcentral::{Client, Error, Operation};

/// The number of records that are requested for each page, the maximum.
const PER_PAGE: usize = 1000;

/// An entry of a list, which says where the list is and how its pages are read.
pub(crate) trait ListEntry: Sized + Send + 'static {
    /// The operation that requests a page.
    const OPERATION: Operation;
    /// The path of the list below that of the account.
    const PATH: &str;

    /// Parses a page that follows pages with this number of records.
    ///
    /// # Errors
    /// Returns an error if the page or the list is not valid.
    fn parse_page(body: &[u8], earlier_records: usize) -> Result<ListPage<Self>, ParseError>;
}

/// An unfinished read of a list: the pages that were received, and the position after them.
pub(crate) struct ListRead<T> {
    /// `None` before the first request.
    pages: Option<PageCursor>,
    entries: Vec<T>,
    /// The number of all records, those without an id included.
    records: usize,
    /// Whether the read started again at the first page because a page was gone.
    was_restarted: bool,
}

impl<T> Default for ListRead<T> {
    fn default() -> Self {
        Self {
            pages: None,
            entries: Vec::new(),
            records: 0,
            was_restarted: false,
        }
    }
}

impl<T> ListRead<T> {
    /// Creates a read of which this many pages were received.
    #[cfg(test)]
    pub(crate) fn with_pages(count: u32) -> Self {
        Self {
            pages: Some(PageCursor::with_received(count)),
            ..Self::default()
        }
    }

    fn is_complete(&self) -> bool {
        self.pages.as_ref().is_some_and(PageCursor::is_at_end)
    }

    /// Returns whether a part of the list was read.
    pub(crate) fn has_begun(&self) -> bool {
        self.was_restarted || self.page_count() > 0
    }

    /// Returns the entries of a complete read, which starts again at the first page.
    fn take_entries(&mut self) -> Vec<T> {
        std::mem::take(self).entries
    }

    /// Starts the read again at the first page because a page is gone.
    fn restart(&mut self) {
        *self = Self {
            was_restarted: true,
            ..Self::default()
        };
    }

    /// Returns the number of pages that were received.
    pub(crate) fn page_count(&self) -> u32 {
        self.pages.as_ref().map_or(0, PageCursor::received)
    }

    /// Returns the number of pages that are known to exist.
    fn known_pages(&self) -> u32 {
        self.pages.as_ref().map_or(0, PageCursor::known)
    }
}

impl Client {
    /// Continues to read a list by at least one page, until it is complete, `can_continue` does not allow another page,
    /// the time of a fetch is over, or `pause_at` is past. The list may change meanwhile, and once the read starts again
    /// if a page is gone. Returns all entries of a complete read.
    ///
    /// # Errors
    /// Returns an error if a page cannot be fetched or is invalid. `read` keeps the pages before it.
    pub(super) async fn read_list<T: ListEntry>(
        &mut self,
        read: &mut ListRead<T>,
        pause_at: Option<Moment>,
        can_continue: fn(&Self, Moment) -> bool,
    ) -> Result<Option<Vec<T>>, Error> {
        let timeouts = self.timeouts;
        let started = Moment::now();
        let deadline = started.after(timeouts.fetch).instant;
        // A page that starts later could be cut off by the deadline.
        let mut last_start = started.after(timeouts.fetch.saturating_sub(timeouts.request));
        if let Some(pause_at) = pause_at {
            last_start = last_start.min(pause_at);
        }
        loop {
            self.read_list_page(read, deadline).await?;
            self.record_list_pages(T::OPERATION, read.known_pages(), read.is_complete());
            if read.is_complete() {
                self.futile_restarts.retain(|list| *list != T::OPERATION);
                return Ok(Some(read.take_entries()));
            }
            let now = Moment::now();
            if last_start.is_past(now) || !can_continue(self, now) {
                return Ok(None);
            }
        }
    }

    async fn read_list_page<T: ListEntry>(
        &mut self,
        read: &mut ListRead<T>,
        deadline: Instant,
    ) -> Result<(), Error> {
        let pages = match &mut read.pages {
            Some(pages) => pages,
            None => {
                let path = list_path::<T>(&self.account.account_id);
                read.pages.insert(self.first_page(T::OPERATION, &path)?)
            }
        };
        let earlier_records = read.records;
        let parse = move |body: &[u8]| T::parse_page(body, earlier_records);
        let result = self.fetch_next_page(T::OPERATION, pages, deadline, parse);
        match result.await {
            Ok(Some(page)) => {
                read.records += page.records;
                read.entries.extend(page.entries);
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(error) if pages.is_next_gone(&error) => {
                if read.was_restarted {
                    self.futile_restarts.push(T::OPERATION);
                }
                if self.futile_restarts.contains(&T::OPERATION) {
                    return Err(error.into_page_gone());
                }
                read.restart();
                Ok(())
            }
            Err(error) => {
                // A list that does not end has no page to try again.
                if pages.is_at_end() {
                    *read = ListRead::default();
                }
                Err(error)
            }
        }
    }

    /// Records the number of pages that a list of the calls' usage group is known to have.
    fn record_list_pages(&mut self, operation: Operation, pages: u32, is_exact: bool) {
        if operation == Operation::Presence {
            let budget = &mut self.transport.budget;
            budget.record_presence_pages(pages, is_exact, Moment::now());
        }
    }
}

fn list_path<T: ListEntry>(account_id: &str) -> String {
    let path = T::PATH;
    format!("/restapi/v1.0/account/{account_id}/{path}?perPage={PER_PAGE}")
}
