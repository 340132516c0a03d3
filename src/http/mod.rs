//! What users' programs and browsers ask us: our side of HTTP.
//!
//! Owns: sockets ([`listen`]), connections ([`server`]), paths and their answers ([`routes`]), the deadline of a scrape ([`deadline`]), the
//! encoding of an answer ([`reply`]), the page for people ([`page`]). Refuses to know: RingCentral.

pub mod deadline;
pub mod listen;
pub mod page;
pub mod reply;
pub mod routes;
pub mod server;
