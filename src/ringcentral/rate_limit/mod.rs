//! When a request may be sent: the windows and penalties of RingCentral's usage groups.

pub mod budget;
pub mod headers;
pub mod window;
