//! The client of RingCentral's API.
//!
//! Facts about the API are from its public OpenAPI description and guides. In reading order:
//!
//! | module | content |
//! |---|---|
//! | `label_enum` | defines enums of label values |
//! | [`operation`] | the operations of the API that are used, and their usage groups |
//! | [`rate_limit`] | pure: limits that responses report, and the budget of requests |
//! | [`wire`] | pure: JSON to calls and extensions |
//! | [`error`], [`cause`], [`transport_error`] | what failed, for programs and for people |
//! | [`status`] | the state of the API access, as plain values |
//! | [`metrics`] | counters and durations of requests |
//! | [`response_body`] | the body of a response: maximum size, gzip |
//! | [`http_client`] | the HTTP client of a server: proxy, addresses, reuse of connections |
//! | [`transport`] | one request: budget, redirects, counters |
//! | [`token`], [`jwt`] | pure: the access token and its renewal; the shape and expiry of a JWT |
//! | [`login_registry`] | two accounts of one user |
//! | [`client`] | the client of one account |
//! | [`login`] | its login, token renewal and revocation |
//! | [`active_calls`], [`extensions`], [`presence`] | its lists |
//! | [`pagination`], `list_read` | all pages of a list; a read over several rate limit windows |
//! | `events` | its event connection: token, WebSocket, subscription |

pub mod active_calls;
pub mod cause;
pub mod client;
pub mod error;
pub(crate) mod events;
pub mod extensions;
pub mod http_client;
pub mod jwt;
mod list_read;
pub mod login;
pub mod login_registry;
pub mod metrics;
pub mod operation;
pub mod pagination;
pub mod presence;
pub mod rate_limit;
pub mod reason;
pub mod response_body;
pub mod status;
pub mod token;
pub mod transport;
pub mod transport_error;
pub mod wire;

pub use active_calls::FetchResult;
pub use cause::Cause;
pub use client::{Client, ClientConfig};
pub use error::Error;
pub use operation::Operation;
pub use reason::Reason;
