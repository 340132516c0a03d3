//! The pages of a list, with protection against loops.

use std::collections::HashSet;

use reqwest::Url;
use tokio::time::Instant;

use crate::ringcentral::wire::{CallPage, ListPage, ParseError};
use crate::ringcentral::{Cause, Client, Error, Operation, response_body};

/// The maximum number of pages of a list, for 100,000 records.
const MAX_PAGES: usize = 100;

/// The position in a list that is read page by page.
pub(crate) struct PageCursor {
    received: HashSet<Url>,
    /// The page to request next; `None` after the last one.
    next: Option<Url>,
}

/// A list whose pages do not end.
#[derive(Debug, thiserror::Error)]
#[error("the list repeats a page or has more than {MAX_PAGES} pages")]
pub(crate) struct EndlessPages;

impl Client {
    /// Returns a cursor at the first page of the list at `path`.
    ///
    /// # Errors
    /// Returns an error if the path does not give a valid URL.
    pub(super) fn first_page(&self, operation: Operation, path: &str) -> Result<PageCursor, Error> {
        let url = self.transport.resolve_url(operation, None, path)?;
        Ok(PageCursor::new(url))
    }

    /// Fetches the next page of a list, if there is one, and moves the cursor behind it. After an error the same page is
    /// next, unless the list does not end.
    ///
    /// # Errors
    /// Returns an error, counted by its reason, if the page cannot be fetched or is invalid.
    pub(super) async fn fetch_next_page<P: Page>(
        &mut self,
        operation: Operation,
        pages: &mut PageCursor,
        deadline: Instant,
        parse: impl FnOnce(&[u8]) -> Result<P, ParseError> + Send + 'static,
    ) -> Result<Option<P>, Error> {
        let Some(url) = pages.next.clone() else {
            return Ok(None);
        };
        let body = self.get(operation, &url, deadline).await?;
        let parsed = response_body::parse(body, deadline, parse).await;
        let mut page = parsed.map_err(|error| match error.cause {
            Cause::NotRingCentral => self
                .transport
                .record_invalid_response(operation, error.message),
            // No time or no thread: the response is not at fault.
            cause => self
                .transport
                .record_failure(operation, cause, error.message),
        })?;
        let next = match page.take_next() {
            Some(next) => Some(self.transport.resolve_url(operation, Some(&url), &next)?),
            None => None,
        };
        pages
            .advance(next)
            .map_err(|error| self.transport.record_invalid_response(operation, error))?;
        Ok(Some(page))
    }
}

/// A page of a list.
pub(super) trait Page: Send + 'static {
    /// Takes the address of the next page.
    fn take_next(&mut self) -> Option<String>;
}

impl Page for CallPage {
    fn take_next(&mut self) -> Option<String> {
        self.next.take()
    }
}

impl<T: Send + 'static> Page for ListPage<T> {
    fn take_next(&mut self) -> Option<String> {
        self.next.take()
    }
}

impl PageCursor {
    fn new(first: Url) -> Self {
        Self {
            received: HashSet::new(),
            next: Some(first),
        }
    }

    /// Creates a cursor behind this many pages.
    #[cfg(test)]
    pub(crate) fn with_received(count: u32) -> Self {
        let page = |number| -> Url { format!("https://one.test/{number}").parse().unwrap() };
        Self {
            received: (0..count).map(page).collect(),
            next: Some(page(count)),
        }
    }

    /// Returns whether the last page was received.
    pub(crate) fn is_at_end(&self) -> bool {
        self.next.is_none()
    }

    /// Returns the number of pages that were received.
    pub(crate) fn received(&self) -> u32 {
        self.received.len() as u32
    }

    /// Returns the number of pages that are known to exist: those received and the next one.
    pub(crate) fn known(&self) -> u32 {
        self.received() + u32::from(self.next.is_some())
    }

    /// Returns whether an error says that the page at the cursor does not exist although the page before it has named
    /// it: the list has become shorter meanwhile. The error of a login before the page says nothing of the list.
    pub(crate) fn is_next_gone(&self, error: &Error) -> bool {
        let is_about_list = error.operation != Operation::Token;
        is_about_list && self.received() > 0 && matches!(error.status, Some(400 | 404))
    }

    /// Records that the page at the cursor was received and moves to the page `next`.
    ///
    /// # Errors
    /// Returns an error if that page was received before or is one more than `MAX_PAGES`.
    fn advance(&mut self, next: Option<Url>) -> Result<(), EndlessPages> {
        self.received.extend(self.next.take());
        let Some(next) = next else { return Ok(()) };
        if self.received.len() == MAX_PAGES || self.received.contains(&next) {
            return Err(EndlessPages);
        }
        self.next = Some(next);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(number: usize) -> Url {
        format!("https://one.test/list?page={number}")
            .parse()
            .unwrap()
    }

    #[test]
    fn repeated_page_is_an_error() {
        let mut pages = PageCursor::new(page(1));
        pages.advance(Some(page(2))).unwrap();
        assert!(pages.advance(Some(page(1))).is_err());
        let mut pages = PageCursor::new(page(1));
        assert!(pages.advance(Some(page(1))).is_err());
    }

    #[test]
    fn page_beyond_the_maximum_is_an_error() {
        let mut pages = PageCursor::new(page(1));
        for number in 2..=MAX_PAGES {
            assert!(pages.advance(Some(page(number))).is_ok(), "page {number}");
        }
        assert_eq!((pages.received(), pages.known()), (99, 100));
        assert!(pages.advance(Some(page(MAX_PAGES + 1))).is_err());
    }

    #[test]
    fn cursor_ends_after_page_without_next() {
        let mut pages = PageCursor::new(page(1));
        assert_eq!((pages.received(), pages.known()), (0, 1));
        pages.advance(None).unwrap();
        assert!(pages.is_at_end());
        assert_eq!((pages.received(), pages.known()), (1, 1));
    }
}
