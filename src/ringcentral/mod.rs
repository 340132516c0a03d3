//! RingCentral's API, as much of it as we speak.
//!
//! Owns: everything that leaves for RingCentral and everything that comes back. In reading order:
//!
//! | module | what it does |
//! |---|---|
//! | [`operation`] | names what we ask for, and the usage group that pays for it |
//! | [`limits`] | pure: what an answer's headers say about limits |
//! | [`window`] | pure: one usage group's budget |
//! | [`budget`] | pure: the account's budget: which request may leave, and when a walk may start |
//! | [`wire`] | pure: JSON as sent, to calls |
//! | [`cause`] | pure: what a failure means to a person, and what to do: one table |
//! | [`error`] | one failure: its reason, its cause, its words |
//! | [`breakage`] | pure: what broke where no answer came |
//! | [`body`] | the bytes of a reply: their size, and gzip |
//! | [`transport`] | one request, from the budget's leave to a checked reply |
//! | [`auth`] | pure: the access token: kept, renewed, refused |
//! | [`users`] | who is logged in as which user, over all accounts |
//! | [`session`] | login and renewal, and requests that carry the token |
//! | [`pages`] | one page after the other |
//! | [`client`] | the two lists: active calls and extensions |
//!
//! Refuses to know: scrapes, Prometheus' wishes and what becomes of the calls. Facts about the API are from its
//! public OpenAPI and guides; where the two differ, the safer reading is taken and said.

pub mod cause;
pub mod client;
pub mod error;
pub mod login;
pub mod login_registry;
pub mod metrics;
pub mod operation;
pub mod pagination;
pub mod rate_limit;
pub mod reason;
pub mod response_body;
pub mod status;
pub mod token;
pub mod transport;
pub mod transport_error;
pub mod wire;

pub use cause::Cause;
pub use client::{Client, FetchResult};
pub use error::Error;
pub use login::{ClientConfig, ClientState};
pub use operation::Operation;
pub use reason::Reason;
