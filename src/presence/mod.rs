//! The presence of extensions: who is ringing, talking, on hold, available. Pure: no JSON, sockets or Prometheus.
//!
//! | module | content |
//! |---|---|
//! | [`status`] | the documented values of the three statuses |
//! | [`state`] | one small row per extension, from reads of the whole list and from events |
//! | [`recent_ids`] | which notifications were received already |

pub mod recent_ids;
pub mod state;
pub mod status;

pub use recent_ids::EventId;
pub use state::{Discarded, PresenceEvent, PresenceState, StatusChange};
pub use status::{DndStatus, ExtensionStatus, PresenceStatus, TelephonyStatus};
