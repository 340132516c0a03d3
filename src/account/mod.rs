//! One account at run time: its collector task, published state and counters.

pub mod collector;
pub mod directory_cache;
mod extension_counts;
pub(crate) mod facts;
pub mod fetch_log;
pub mod manager;
pub mod metrics;
pub mod presence;
pub(crate) mod problem;
mod saved_calls;
pub mod state;
pub mod warning;
