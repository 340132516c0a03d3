//! The pages of a list, one after the other.
//!
//! Owns: where the next page is, that it lies on the configured origin, and that pages end. Refuses to know: what is on
//! them.

use std::collections::HashSet;

use bytes::Bytes;
use reqwest::Url;
use tokio::time::Instant;

use crate::ringcentral::error::{Error, Reason};
use crate::ringcentral::login::Session;
use crate::ringcentral::operation::Operation;

/// More pages than any account has: 100,000 records.
const PAGES_MOST: usize = 100;

/// A walk over pages.
pub struct Pages {
    operation: Operation,
    first: Option<String>,
    next: Option<Url>,
    current: Option<Url>,
    seen: HashSet<Url>,
    deadline: Instant,
}

impl Pages {
    /// A walk that begins at this path.
    #[must_use]
    pub fn new(operation: Operation, first: &str, deadline: Instant) -> Self {
        Self {
            operation,
            first: Some(first.to_owned()),
            next: None,
            current: None,
            seen: HashSet::new(),
            deadline,
        }
    }

    /// The next page; none after the last.
    ///
    /// # Errors
    /// When it cannot be had, comes round again, or is one too many.
    pub async fn next(&mut self, session: &mut Session) -> Result<Option<Bytes>, Error> {
        if let Some(first) = self.first.take() {
            self.next = Some(session.address(self.operation, None, &first)?);
        }
        let Some(url) = self.next.take() else {
            return Ok(None);
        };
        if self.seen.len() == PAGES_MOST || !self.seen.insert(url.clone()) {
            return Err(self.invalid(
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
    pub fn asked(&self) -> u32 {
        self.seen.len() as u32
    }

    /// Takes over where the present page says that the next one is.
    ///
    /// # Errors
    /// When that is elsewhere or nowhere.
    pub fn follow(&mut self, session: &Session, next: Option<&str>) -> Result<(), Error> {
        let follow = |uri| session.address(self.operation, self.current.as_ref(), uri);
        self.next = next.map(follow).transpose()?;
        Ok(())
    }

    /// A page that cannot be believed.
    pub fn invalid(&self, session: &Session, why: &str) -> Error {
        session.fault(self.operation, Reason::InvalidResponse, why)
    }
}
