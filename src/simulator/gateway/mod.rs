//! RingCentral's WebSocket gateway: event tokens, connections, subscriptions and notifications about presence.
//!
//! | module | content |
//! |---|---|
//! | `handshake` | the event token and the upgrade, over HTTP |
//! | `connection` | one open WebSocket: messages, pings, time limits, faults |
//! | `frames` | the JSON of messages |
//! | `subscriptions` | requests for a subscription |
//! | `filters` | event filters |
//! | `hub` | event tokens, sessions and their recovery |
//! | `queue` | notifications until they are due, with their faults |
//! | `feed` | the changes of presence with their sequences |
//! | `journal` | what was sent, for tests |
//! | `throttle` | a stream that sends slowly |
//!
//! Where RingCentral's rule is not known, the one that is harder for a client applies: see `docs/dev/DESIGN.md`.

pub(super) mod connection;
mod feed;
mod filters;
mod frames;
pub(super) mod handshake;
mod hub;
mod journal;
mod queue;
mod subscriptions;
mod throttle;

pub(super) use hub::Hub;
pub use journal::{ConnectionEntry, EventEntry, EventFate};
