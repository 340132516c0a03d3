//! Tests of the simulated account over HTTP, against RingCentral's documentation.
#![allow(clippy::disallowed_methods, reason = "tests measure time themselves")]
#![allow(
    unreachable_pub,
    reason = "nothing outside this program can use its items"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail"
)]

mod common;
mod event_client;
mod event_faults;
mod events;
mod faults;
mod limits;
mod lists;
mod login;
#[path = "../common/notifications.rs"]
mod notifications;
mod presence;
mod presence_state;
mod recovery;
mod subscriptions;
