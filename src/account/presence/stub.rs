//! Stands for the parts of `ringcentral` that read the list and connect to RingCentral, until they exist.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::account::presence::{Presence, StreamRequest};
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

#[derive(Debug)]
pub(crate) struct EventToken;

impl PresenceRead {
    pub(crate) fn has_begun(&self) -> bool {
        false
    }

    pub(crate) fn page_count(&self) -> u32 {
        0
    }
}

pub(crate) fn set_presence_due(_client: &mut Client, _is_due: bool) {}

pub(crate) fn can_fetch_presence(_client: &Client, _now: Moment) -> bool {
    false
}

pub(crate) fn login_count(_client: &Client) -> u64 {
    0
}

pub(crate) async fn fetch_presence(
    _client: &mut Client,
    _read: &mut PresenceRead,
    _pause_at: Option<Moment>,
) -> Result<Option<Vec<PresenceRow>>, Error> {
    Ok(None)
}

pub(crate) async fn fetch_event_token(_client: &mut Client) -> Result<EventToken, Error> {
    Ok(EventToken)
}

pub(crate) async fn run_stream(
    _presence: Arc<Presence>,
    _requests: mpsc::Sender<StreamRequest>,
    stopped: oneshot::Receiver<()>,
) {
    let _ = stopped.await;
}
