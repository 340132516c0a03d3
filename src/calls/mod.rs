//! Calls as the exporter thinks of them: the pure middle of the program.
//!
//! Owns: what a call record means ([`call`], [`result`]), what a list of them amounts to ([`snapshot`]), and what is
//! known of an account at one moment ([`observation`]). Refuses to know: JSON, HTTP, Prometheus and the clock. What
//! is counted over time will live here too, as a ledger beside the snapshot.

pub mod call;
pub mod observation;
pub mod result;
pub mod snapshot;

pub use call::{Call, Direction, Extension, State};
pub use observation::Observation;
pub use result::CallResult;
pub use snapshot::{ExtensionLabel, Snapshot};
