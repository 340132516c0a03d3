//! When a request may be sent: the limits, windows and penalties of RingCentral's usage groups. Pure.

pub mod budget;
pub mod headers;
mod window;
