//! JSON as RingCentral sends it, to calls: **pure**.
//!
//! Owns: the spelling of the API and the tolerance towards it. The list itself must be sound: a body that is no JSON,
//! has no `records`, or points to a next page in a way that cannot be followed is refused whole, since part of a list
//! shown as all of it would be a lie. A single record is taken as leniently as can be: a field that is missing, null
//! or of another type counts as missing, and only what is no object at all, or has a key twice, is
//! left out. Refuses to know: where bytes
//! come from, and what is done with calls.

mod body;
mod extension;
mod lenient;
mod list;
mod record;

pub use body::{
    ApiError, CallPage, ExtensionPage, ParseError, TokenResponse, parse_api_error,
    parse_extensions, parse_page, parse_token,
};
