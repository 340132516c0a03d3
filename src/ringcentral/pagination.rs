//! The pages of a list, with protection against loops.

use std::collections::HashSet;

use reqwest::Url;
use tokio::time::Instant;

use crate::ringcentral::wire::ParseError;
use crate::ringcentral::{Client, Error, Operation};

/// The maximum number of pages of a list, for 100,000 records.
const MAX_PAGES: usize = 100;

/// The pages of one list that were requested.
#[derive(Default)]
pub(crate) struct RequestedPages(HashSet<Url>);

/// A list whose pages do not end.
#[derive(Debug, thiserror::Error)]
#[error("the list repeats a page or has more than {MAX_PAGES} pages")]
pub(crate) struct EndlessPages;

impl Client {
    /// Fetches the pages of a list from `path` on. `read_page` parses a page and returns the address
    /// of the next.
    ///
    /// # Errors
    /// Returns an error, counted by its reason, if a page cannot be fetched or is invalid.
    pub(super) async fn fetch_pages(
        &mut self,
        operation: Operation,
        path: &str,
        deadline: Instant,
        requested: &mut RequestedPages,
        mut read_page: impl FnMut(&[u8]) -> Result<Option<String>, ParseError>,
    ) -> Result<(), Error> {
        let mut url = self.transport.resolve_url(operation, None, path)?;
        loop {
            requested
                .insert(&url)
                .map_err(|error| self.transport.record_invalid_response(operation, error))?;
            let body = self.get(operation, &url, deadline).await?;
            let next = read_page(&body)
                .map_err(|error| self.transport.record_invalid_response(operation, error))?;
            let Some(next) = next else { return Ok(()) };
            url = self.transport.resolve_url(operation, Some(&url), &next)?;
        }
    }
}

impl RequestedPages {
    /// Returns the number of pages.
    pub(crate) fn count(&self) -> u32 {
        self.0.len() as u32
    }

    /// Inserts the page that is requested next.
    ///
    /// # Errors
    /// Returns an error if that page was already requested or is one more than `MAX_PAGES`.
    fn insert(&mut self, url: &Url) -> Result<(), EndlessPages> {
        if self.0.len() == MAX_PAGES || !self.0.insert(url.clone()) {
            return Err(EndlessPages);
        }
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
        let mut pages = RequestedPages::default();
        pages.insert(&page(1)).unwrap();
        assert!(pages.insert(&page(1)).is_err());
    }

    #[test]
    fn page_beyond_the_maximum_is_an_error() {
        let mut pages = RequestedPages::default();
        for number in 1..=MAX_PAGES {
            assert!(pages.insert(&page(number)).is_ok(), "page {number}");
        }
        assert_eq!(pages.count(), 100);
        assert!(pages.insert(&page(MAX_PAGES + 1)).is_err());
    }
}
