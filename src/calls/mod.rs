//! Calls as the exporter thinks of them: the pure middle of the program.
//!
//! Owns: what a call record means ([`call`], [`result`], [`outcome`]), what a list of them amounts to ([`snapshot`]), which
//! label values they take ([`labels`], from the [`directory`]), what
//! has begun and ended since the list before ([`ledger`]), and what is known of an account at one moment
//! ([`observation`]). Refuses to know: JSON, HTTP, Prometheus and the clock.

pub mod call;
pub mod directory;
pub mod labels;
pub mod outcome;
pub mod result;
pub mod snapshot;
pub mod tracker;

pub use call::{Call, CallState, Direction, Extension};
pub use directory::Directory;
pub use labels::{ExtensionLabel, LabelLimiter};
pub use outcome::Outcome;
pub use result::CallResult;
pub use snapshot::Snapshot;
pub use tracker::{CallEvents, CallTracker};
