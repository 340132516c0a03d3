//! A RingCentral account of our own.

pub mod company;
pub mod curve;
pub mod record;
pub mod switchboard;

mod calls;
mod dice;
