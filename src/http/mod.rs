//! The exporter's HTTP server.
//!
//! | module | contents |
//! |---|---|
//! | [`listener`] | sockets to listen on |
//! | [`server`] | accepting, serving and draining connections |
//! | `connections` | the number of connections, and which of them to evict |
//! | [`routes`] | paths and their handlers |
//! | [`scrape`] | the timeout of a scrape, and the refresh of its accounts |
//! | `exposition_body` | the body of a scrape's response |
//! | `accept` | format and compression that a client accepts |
//! | `response` | response bodies and headers |
//! | `discovery` | targets for Prometheus' HTTP service discovery |
//! | [`landing_page`] | the HTML page at `/` |
//! | `status` | the same facts at `/status`, as text or JSON |
//! | `health` | the state of an account in one word |

mod accept;
mod connections;
mod discovery;
mod exposition_body;
mod health;
pub mod landing_page;
pub mod listener;
mod response;
pub mod routes;
pub mod scrape;
pub mod server;
mod status;
