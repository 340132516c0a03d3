//! Fetches the list of the statuses of all extensions, within what calls leave of the budget.

use crate::clock::Moment;
use crate::ringcentral::list_read::{ListEntry, ListRead};
use crate::ringcentral::wire::{ListPage, ParseError, PresenceRow, parse_presence_after};
use crate::ringcentral::{Client, Error, Operation};

/// An unfinished read of the list.
pub(crate) type PresenceRead = ListRead<PresenceRow>;

impl ListEntry for PresenceRow {
    const OPERATION: Operation = Operation::Presence;
    const PATH: &str = "presence";

    fn parse_page(body: &[u8], earlier_records: usize) -> Result<ListPage<Self>, ParseError> {
        parse_presence_after(body, earlier_records)
    }
}

impl Client {
    /// Sets whether a read of the list is due. While one is, and for a window after its last page, calls are fetched at
    /// a pace that leaves requests for its pages.
    pub(crate) fn set_presence_due(&mut self, is_due: bool) {
        let budget = &mut self.transport.budget;
        budget.set_presence_due(is_due, Moment::now());
    }

    /// Returns whether a page of the list may be fetched: there is a token, the calls were fetched first, and the budget
    /// has room for it and for the next fetch of calls.
    pub(crate) fn can_fetch_presence(&self, now: Moment) -> bool {
        self.has_token(now) && self.transport.budget.can_request_presence(now)
    }

    /// Continues to read the list by at least one page, see [`Client::read_list`]. Returns the rows once all pages were
    /// received. A row on two pages occurs twice, the newer one later. The future may be dropped, see
    /// [`Client::interrupt_request`].
    ///
    /// # Errors
    /// Returns an error if a page cannot be fetched or is invalid. `read` keeps the pages before it.
    pub(crate) async fn fetch_presence(
        &mut self,
        read: &mut PresenceRead,
    ) -> Result<Option<Vec<PresenceRow>>, Error> {
        self.read_list(read, None, Self::can_fetch_presence).await
    }
}
