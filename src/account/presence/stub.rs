//! Stands for `ringcentral::presence` until it exists.

use crate::presence::ExtensionStatus;

/// A row of the list.
pub(crate) struct PresenceRow {
    pub(crate) extension: u64,
    pub(crate) status: ExtensionStatus,
    pub(crate) has_telephony: bool,
}
