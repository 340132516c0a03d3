//! A RingCentral account of our own.

pub mod company;
pub mod curve;
pub mod faults;
pub mod journal;
pub mod limiter;
pub mod record;
pub mod reply;
pub mod scenario;
pub mod switchboard;

mod calls;
mod dice;
mod jwt;
mod query;
mod tokens;
