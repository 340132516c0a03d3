//! The pages of a list: which URL is next, with protection against loops.

use std::collections::HashSet;

use reqwest::Url;
use tokio::time::Instant;

use crate::ringcentral::wire::ParseError;
use crate::ringcentral::{Client, Error, Operation};

/// The maximum number of pages of a list, for 100,000 records.
const MAX_PAGES: usize = 100;

/// The URLs of the pages of one list.
pub(crate) struct Pagination {
    next: Option<Url>,
    visited: HashSet<Url>,
}

/// A list whose pages do not end.
#[derive(Debug, thiserror::Error)]
#[error("the list repeats a page or has more than {MAX_PAGES} pages")]
pub(crate) struct EndlessPages;

impl Client {
    /// Fetches the pages of a list. `read_page` parses a page and returns the address of the next.
    ///
    /// # Errors
    /// Returns an error, counted by its reason, if a page cannot be fetched or is invalid.
    pub(super) async fn fetch_pages(
        &mut self,
        operation: Operation,
        pagination: &mut Pagination,
        deadline: Instant,
        mut read_page: impl FnMut(&[u8]) -> Result<Option<String>, ParseError>,
    ) -> Result<(), Error> {
        while let Some(url) = pagination
            .take_next()
            .map_err(|error| self.transport.record_invalid_response(operation, error))?
        {
            let body = self.get(operation, &url, deadline).await?;
            let next = read_page(&body)
                .map_err(|error| self.transport.record_invalid_response(operation, error))?;
            if let Some(next) = next {
                pagination.set_next(self.transport.resolve_url(operation, Some(&url), &next)?);
            }
        }
        Ok(())
    }
}

impl Pagination {
    /// Creates a pagination whose first page is at `first`.
    #[must_use]
    pub(crate) fn new(first: Url) -> Self {
        Self {
            next: Some(first),
            visited: HashSet::new(),
        }
    }

    /// Takes the URL of the next page, or `None` after the last.
    ///
    /// # Errors
    /// Returns an error if that page was already requested or is one more than `MAX_PAGES`.
    pub(crate) fn take_next(&mut self) -> Result<Option<Url>, EndlessPages> {
        let Some(url) = self.next.take() else {
            return Ok(None);
        };
        if self.visited.len() == MAX_PAGES || !self.visited.insert(url.clone()) {
            return Err(EndlessPages);
        }
        Ok(Some(url))
    }

    /// Returns how many pages were requested.
    #[must_use]
    pub(crate) fn requested(&self) -> u32 {
        self.visited.len() as u32
    }

    /// Sets the URL that the present page has for the next.
    pub(crate) fn set_next(&mut self, url: Url) {
        self.next = Some(url);
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
    fn pages_end_without_a_next_url() {
        let mut pages = Pagination::new(page(1));
        assert_eq!(pages.take_next().unwrap(), Some(page(1)));
        pages.set_next(page(2));
        assert_eq!(pages.take_next().unwrap(), Some(page(2)));
        assert_eq!(pages.take_next().unwrap(), None);
        assert_eq!(pages.requested(), 2);
    }

    #[test]
    fn repeated_page_is_an_error() {
        let mut pages = Pagination::new(page(1));
        pages.take_next().unwrap();
        pages.set_next(page(1));
        assert!(pages.take_next().is_err());
    }

    #[test]
    fn page_beyond_the_maximum_is_an_error() {
        let mut pages = Pagination::new(page(1));
        for number in 2..=MAX_PAGES + 1 {
            assert!(pages.take_next().is_ok(), "page {number}");
            pages.set_next(page(number));
        }
        assert!(pages.take_next().is_err());
    }
}
