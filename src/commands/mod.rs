//! The commands other than `serve`, one module each.

pub mod check;
mod check_presence;
mod check_report;
pub mod demo;
pub mod documentation;
pub mod health;
