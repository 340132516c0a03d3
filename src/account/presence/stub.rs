//! Stands for the parts that connect to RingCentral for events, until they exist.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::account::presence::{Presence, StreamRequest};
use crate::ringcentral::{Client, Error};

#[derive(Debug)]
pub(crate) struct EventToken;

pub(crate) fn login_count(_client: &Client) -> u64 {
    0
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
