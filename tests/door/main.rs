//! The front door under load and under attack: the program over real sockets, with as many descriptors as systemd gives.
//!
//! `stage` starts it and asks it, from any address of loopback; `flood` holds thousands of connections open. Whatever the
//! flood, an honest scrape has three seconds, and memory and descriptors have bounds.

#![allow(clippy::disallowed_methods, reason = "tests measure time themselves")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail"
)]

#[path = "../common/mod.rs"]
mod common;
mod crowd;
mod flood;
mod floods;
mod requests;
mod stage;
