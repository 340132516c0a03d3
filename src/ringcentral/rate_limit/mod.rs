//! When a request may be sent: the limits, windows and penalties of RingCentral's usage groups.
//!
//! | module | content |
//! |---|---|
//! | [`headers`] | the headers of a response |
//! | `window` | the requests of one usage group |
//! | `presence` | what presence lists use of a limit |
//! | `usage` | all groups of one user and app |
//! | `saved` | the form of a usage in the state directory |
//! | [`shared`] | a usage that several accounts and processes share |
//! | [`registry`] | the usages of all users and apps |
//! | [`budget`] | the view of one account: when it may fetch |
//!
//! All but `shared` and `registry` are pure.

pub mod budget;
pub mod headers;
mod presence;
pub mod registry;
mod saved;
pub mod shared;
mod usage;
mod window;
