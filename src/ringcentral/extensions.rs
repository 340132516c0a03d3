//! Fetches the list of the account's extensions, all pages of it.

use crate::calls::Directory;
use crate::clock::Moment;
use crate::ringcentral::client::Client;
use crate::ringcentral::error::Error;
use crate::ringcentral::operation::Operation;
use crate::ringcentral::pagination::Pagination;
use crate::ringcentral::wire::parse_extensions;

const OPERATION: Operation = Operation::Extensions;

impl Client {
    /// Returns whether the list of extensions may be fetched: the budget allows a request, and
    /// there is a token.
    #[must_use]
    pub(crate) fn can_fetch_extensions(&self, now: Moment) -> bool {
        let budget = &self.transport.budget;
        self.has_token(now) && budget.next_request_at(OPERATION, now).is_past(now)
    }

    /// Fetches the list of extensions.
    ///
    /// # Errors
    /// Returns an error if one of its pages cannot be fetched or is invalid.
    pub(crate) async fn fetch_extensions(&mut self) -> Result<Directory, Error> {
        let deadline = Moment::now().after(self.timeouts.fetch).instant;
        let path = format!(
            "/restapi/v1.0/account/{}/extension?perPage=1000",
            self.account.account_id
        );
        let mut pagination = Pagination::new(self.transport.resolve_url(OPERATION, None, &path)?);
        let mut entries = Vec::new();
        while let Some(url) = pagination
            .take_next()
            .map_err(|error| self.transport.record_invalid_response(OPERATION, error))?
        {
            let body = self.get(OPERATION, &url, deadline).await?;
            let page = parse_extensions(&body)
                .map_err(|error| self.transport.record_invalid_response(OPERATION, error))?;
            if let Some(next) = &page.next {
                pagination.set_next(self.transport.resolve_url(OPERATION, Some(&url), next)?);
            }
            entries.extend(page.entries);
        }
        Ok(Directory::new(entries))
    }
}
