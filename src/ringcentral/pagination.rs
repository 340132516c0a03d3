//! The pages of a list, one after the other.
//!
//! Owns: where the next page is, that it lies on the configured origin, and that pages end. Refuses to know: what is on
//! them.

use std::collections::HashSet;

use bytes::Bytes;
use reqwest::Url;
use tokio::time::Instant;

use crate::ringcentral::error::Error;
use crate::ringcentral::login::Session;
use crate::ringcentral::operation::Operation;
use crate::ringcentral::reason::Reason;

/// More pages than any account has: 100,000 records.
const MAX_PAGES: usize = 100;

/// A walk over pages.
pub struct Pagination {
    operation: Operation,
    first: Option<String>,
    next: Option<Url>,
    current: Option<Url>,
    visited: HashSet<Url>,
    deadline: Instant,
}

impl Pagination {
    /// A walk that begins at this path.
    #[must_use]
    pub fn new(operation: Operation, first: &str, deadline: Instant) -> Self {
        Self {
            operation,
            first: Some(first.to_owned()),
            next: None,
            current: None,
            visited: HashSet::new(),
            deadline,
        }
    }

    /// The next page; none after the last.
    ///
    /// # Errors
    /// When it cannot be had, comes round again, or is one too many.
    pub async fn next(&mut self, session: &mut Session) -> Result<Option<Bytes>, Error> {
        if let Some(first) = self.first.take() {
            self.next = Some(session.resolve_url(self.operation, None, &first)?);
        }
        let Some(url) = self.next.take() else {
            return Ok(None);
        };
        if self.visited.len() == MAX_PAGES || !self.visited.insert(url.clone()) {
            return Err(self.invalid_page(
                session,
                "the pages of the list come round again or do not end",
            ));
        }
        self.current = Some(url.clone());
        session
            .get(self.operation, url, self.deadline)
            .await
            .map(Some)
    }

    /// How many pages were asked for.
    #[must_use]
    pub fn requested(&self) -> u32 {
        self.visited.len() as u32
    }

    /// Takes over where the present page says that the next one is.
    ///
    /// # Errors
    /// When that is elsewhere or nowhere.
    pub fn set_next(&mut self, session: &Session, next: Option<&str>) -> Result<(), Error> {
        let follow = |uri| session.resolve_url(self.operation, self.current.as_ref(), uri);
        self.next = next.map(follow).transpose()?;
        Ok(())
    }

    /// A page that cannot be believed.
    pub fn invalid_page(&self, session: &Session, why: &str) -> Error {
        session.record_failure(self.operation, Reason::InvalidResponse, why)
    }
}
