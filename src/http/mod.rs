//! What users' programs and browsers ask us: our side of HTTP.
//!
//! Owns: sockets ([`listen`]), connections ([`server`]), who has a place among them ([`places`]; [`neighbour`]) and how many there
//! are ([`descriptors`]), paths and their answers ([`routes`]), the deadline of a scrape ([`deadline`]) and whom it asks
//! ([`scrape`]), targets ([`discovery`]), the encoding of an answer ([`reply`]), the page for people ([`page`]). Refuses to
//! know: RingCentral.
//!
//! What `--web.config.file` asks for stands at the [`door`]: [`tls`] and [`client_certificate`] for connections,
//! [`login`] with its [`queue`] and its [`verdicts`], and the [`bucket`] of the rate limit.

pub mod connections;
pub mod deadline;
pub mod descriptors;
pub mod discovery;
pub mod landing_page;
pub mod listener;
pub mod response;
pub mod routes;
pub mod scrape;
pub mod server;
