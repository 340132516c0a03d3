//! What users' programs and browsers ask us: our side of HTTP.
//!
//! Owns: sockets ([`listen`]), connections ([`server`]), paths and their answers ([`routes`]), the deadline of a scrape ([`deadline`]), the
//! encoding of an answer ([`reply`]), the page for people ([`page`]). Refuses to know: RingCentral.

pub mod bucket;
pub mod client_certificate;
pub mod deadline;
pub mod listen;
pub mod login;
pub mod page;
pub mod queue;
pub mod reply;
pub mod routes;
pub mod server;
pub mod tls;
pub mod verdicts;
