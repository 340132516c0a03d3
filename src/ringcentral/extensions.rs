//! Fetches the list of the account's extensions, all pages of it.

use crate::calls::Directory;
use crate::clock::Moment;
use crate::ringcentral::pagination::RequestedPages;
use crate::ringcentral::wire::parse_extensions;
use crate::ringcentral::{Client, Error, Operation};

const OPERATION: Operation = Operation::Extensions;

impl Client {
    /// Returns whether the list of extensions may be fetched: the budget allows a request, and
    /// there is a token.
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
        let mut requested = RequestedPages::default();
        let mut entries = Vec::new();
        self.fetch_pages(OPERATION, &path, deadline, &mut requested, |body| {
            let page = parse_extensions(body)?;
            entries.extend(page.entries);
            Ok(page.next)
        })
        .await?;
        Ok(Directory::new(entries))
    }
}
