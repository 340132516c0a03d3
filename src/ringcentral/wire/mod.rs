//! JSON as RingCentral sends it, and the calls, extensions, tokens and errors in it. Pure.
//!
//! A list is read whole or not at all, since part of a list would show too few calls: a body that is not JSON, has
//! no `records`, or points to a next page in a way that cannot be followed is an error. A record is read
//! leniently: a field that is missing, null or of another type counts as absent, and only a record that is not an
//! object, or has a key twice, is skipped.

mod api_error;
mod extension;
mod json;
mod lenient;
mod page;
mod record;
mod token;

pub use api_error::{ApiError, parse_api_error};
pub use page::{CallPage, ExtensionPage, parse_extensions, parse_page};
pub use token::{TokenResponse, parse_token};

/// The reason why a body cannot be parsed, in words that repeat nothing of its content.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseError(pub String);
