//! Stands for the part of `ringcentral` that reads the list, until it exists.

use crate::clock::Moment;
use crate::presence::ExtensionStatus;
use crate::ringcentral::{Client, Error};

/// A row of the list.
pub(crate) struct PresenceRow {
    pub(crate) extension: u64,
    pub(crate) status: ExtensionStatus,
    pub(crate) has_telephony: bool,
}

#[derive(Default)]
pub(crate) struct PresenceRead;

impl PresenceRead {
    pub(crate) fn has_begun(&self) -> bool {
        false
    }
}

pub(crate) fn set_presence_due(_client: &mut Client, _is_due: bool) {}

pub(crate) fn can_fetch_presence(_client: &Client, _now: Moment) -> bool {
    false
}

pub(crate) async fn fetch_presence(
    _client: &mut Client,
    _read: &mut PresenceRead,
    _pause_at: Option<Moment>,
) -> Result<Option<Vec<PresenceRow>>, Error> {
    Ok(None)
}
