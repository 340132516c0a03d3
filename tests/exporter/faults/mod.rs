//! What goes wrong on the way to RingCentral, and how a scrape tells it.
//!
//! Each fault is real: it crosses a socket. `table` lists those that follow one pattern, and `trial` is that pattern;
//! `stories` are those that have a course of their own.

pub mod log;
mod stories;
mod table;
mod trial;
