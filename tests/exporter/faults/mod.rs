//! Tests of faults in the responses of RingCentral and in the connections to it.
//!
//! All faults cross a socket. `table` lists the faults that `case` tests in the same way;
//! `scenarios` has those with a sequence of their own. `log` captures the log.

mod case;
pub mod log;
mod scenarios;
mod table;
