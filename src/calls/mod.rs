//! Calls, their states and what is counted of them. Pure: no JSON, HTTP or Prometheus, and the time is an argument.
//!
//! A [`Call`] is one record of RingCentral's list: the view of one party. The records of one telephone call share a
//! session. Metric names with `calls` count records, those with `sessions` count telephone calls.
//!
//! | module | content |
//! |---|---|
//! | [`call`], [`result`], [`outcome`] | one record of the active-calls list |
//! | [`session`] | which records belong to one call |
//! | [`directory`] | the account's extension list |
//! | [`labels`] | label values and their limits |
//! | [`unknown_extensions`] | extensions that the list lacks |
//! | [`snapshot`] | the gauges of one list |
//! | [`tracker`] | the calls that started and ended between two lists |

pub mod call;
pub mod directory;
pub mod labels;
pub mod outcome;
pub mod result;
pub mod session;
pub mod snapshot;
pub mod tracker;
pub mod unknown_extensions;

pub use call::{Call, CallState, Direction, Extension};
pub use directory::Directory;
pub use labels::{ExtensionLabel, LabelLimiter};
pub use outcome::Outcome;
pub use result::CallResult;
pub use session::SessionIds;
pub use snapshot::Snapshot;
pub use tracker::{CallEvents, CallTracker, SavedTracker};
pub use unknown_extensions::NewExtensions;
