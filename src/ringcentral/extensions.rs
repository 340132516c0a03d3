//! Fetches the list of the account's extensions, in as many rate limit windows as its pages need.

use tokio::time::Instant;

use crate::calls::Directory;
use crate::calls::directory::DirectoryEntry;
use crate::clock::Moment;
use crate::ringcentral::pagination::PageCursor;
use crate::ringcentral::wire::{ParseError, parse_extensions};
use crate::ringcentral::{Client, Error, Operation};

const OPERATION: Operation = Operation::Extensions;
/// The maximum number of entries that are kept, duplicates included.
const MAX_ENTRIES: usize = 100_000;

/// An unfinished read of the list: the pages that were received, and the position after them.
#[derive(Default)]
pub(crate) struct ExtensionRead {
    /// `None` before the first request.
    pages: Option<PageCursor>,
    entries: Vec<DirectoryEntry>,
}

/// What a part of a read has led to.
pub(crate) enum ReadProgress {
    /// All pages were received.
    Complete(Directory),
    /// The rate limit or the time for one part is used up; the read continues at the next page.
    Paused,
}

impl ExtensionRead {
    /// Creates a read of which this many pages were received.
    #[cfg(test)]
    pub(crate) fn with_pages(count: u32) -> Self {
        Self {
            pages: Some(PageCursor::with_received(count)),
            entries: Vec::new(),
        }
    }

    fn is_complete(&self) -> bool {
        self.pages.as_ref().is_some_and(PageCursor::is_at_end)
    }

    /// Returns the directory of a complete read, which starts again at the first page.
    fn take_directory(&mut self) -> Directory {
        self.pages = None;
        Directory::new(std::mem::take(&mut self.entries))
    }

    /// Returns the number of pages that were received.
    pub(crate) fn page_count(&self) -> u32 {
        match &self.pages {
            Some(pages) => pages.received(),
            None => 0,
        }
    }
}

impl Client {
    /// Returns whether a page of the list may be fetched: the budget allows a request, and there is a token.
    pub(crate) fn can_fetch_extensions(&self, now: Moment) -> bool {
        let budget = &self.transport.budget;
        self.has_token(now) && budget.next_request_at(OPERATION, now).is_past(now)
    }

    /// Continues to read the list until it is complete, the budget is used up, or the time of a fetch is over. The list
    /// may change meanwhile: of an extension on two pages the later entry is kept.
    ///
    /// # Errors
    /// Returns an error if a page cannot be fetched or is invalid. `read` keeps the pages before it.
    pub(crate) async fn fetch_extensions(
        &mut self,
        read: &mut ExtensionRead,
    ) -> Result<ReadProgress, Error> {
        let timeouts = self.timeouts;
        let started = Moment::now();
        let deadline = started.after(timeouts.fetch).instant;
        // A page that starts later could be cut off by the deadline.
        let last_start = started.after(timeouts.fetch.saturating_sub(timeouts.request));
        if read.pages.is_none() {
            let path = extensions_path(&self.account.account_id);
            read.pages = Some(self.first_page(OPERATION, &path)?);
        }
        loop {
            self.fetch_extension_page(read, deadline).await?;
            if read.is_complete() {
                return Ok(ReadProgress::Complete(read.take_directory()));
            }
            let now = Moment::now();
            if last_start.is_past(now) || !self.can_fetch_extensions(now) {
                return Ok(ReadProgress::Paused);
            }
        }
    }

    async fn fetch_extension_page(
        &mut self,
        read: &mut ExtensionRead,
        deadline: Instant,
    ) -> Result<(), Error> {
        let Some(pages) = &mut read.pages else {
            return Ok(());
        };
        let entries = &mut read.entries;
        let read_page = |body: &[u8]| {
            let page = parse_extensions(body)?;
            entries.extend(page.entries);
            if entries.len() > MAX_ENTRIES {
                let problem = format!("the list has more than {MAX_ENTRIES} extensions");
                return Err(ParseError(problem));
            }
            Ok(page.next)
        };
        let result = self
            .fetch_next_page(OPERATION, pages, deadline, read_page)
            .await;
        // A list that does not end has no page to try again.
        if result.is_err() && pages.is_at_end() {
            *read = ExtensionRead::default();
        }
        result
    }
}

fn extensions_path(account_id: &str) -> String {
    format!("/restapi/v1.0/account/{account_id}/extension?perPage=1000")
}
