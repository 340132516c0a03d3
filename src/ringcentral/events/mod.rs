//! The event connection of an account: a WebSocket to RingCentral's event gateway with one subscription.
//!
//! In reading order:
//!
//! | module | content |
//! |---|---|
//! | [`error`] | why there are no events |
//! | [`token`] | the request for a token, which is for one connection |
//! | [`connect`] | the connection through the HTTP client, with its root certificates and proxy, up to the upgrade |
//! | [`protocol`] | pure: what is sent and when, and what a message means |
//! | [`connection`] | the protocol over the WebSocket |
//! | [`lost_subscriptions`] | what lost connections leave to be deleted |
//!
//! The URL of a connection contains its token, so no log message, error or `Debug` has it.

mod connect;
mod connection;
mod error;
mod lost_subscriptions;
mod protocol;
mod token;

pub(crate) use connection::{ConnectionSettings, EventConnection, Received};
pub(crate) use error::EventError;
pub(crate) use lost_subscriptions::LostSubscriptions;
pub(crate) use protocol::MAX_SILENCE;
pub(crate) use token::EventToken;
