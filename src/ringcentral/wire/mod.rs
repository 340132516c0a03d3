//! JSON as RingCentral sends it, and the calls, extensions, statuses, tokens and errors in it. Pure.
//!
//! A list is read whole or not at all, since part of a list would show too few calls: a body that is not JSON, has
//! no `records`, has too many of them, or points to a next page in a way that cannot be followed is an error. All else
//! is read leniently: a field that is missing, repeated, null, unreadable or of another type counts as absent, and only
//! a record that is not an object, or has two ids, is skipped.
//!
//! What outlives the parse is small: ids, names and results are cut, and nothing is kept of what exceeds a limit.

mod api_error;
mod event;
mod event_token;
mod extension;
mod json;
mod lenient;
mod page;
mod presence;
mod record;
mod token;

pub use api_error::{ApiError, parse_api_error};
pub(crate) use event::{ConnectionDetails, Frame, Response, parse_frame};
pub(crate) use event_token::{EventTokenResponse, parse_event_token};
pub use page::{
    CallPage, ExtensionPage, ListPage, PresencePage, parse_extensions, parse_extensions_after,
    parse_page, parse_page_after, parse_presence, parse_presence_after,
};
pub use presence::PresenceRow;
pub use token::{TokenResponse, parse_token};

/// The reason why a body cannot be parsed, in words that repeat nothing of its content.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseError(pub String);

/// The maximum size of the response to a login and of the body of an error, in bytes.
const MAX_SMALL_BODY: usize = 64 * 1024;

/// Checks the size of a body that is not a list.
fn check_size(subject: &str, body: &[u8]) -> Result<(), ParseError> {
    if body.len() > MAX_SMALL_BODY {
        let problem = format!("cannot parse {subject}: larger than 64 KiB");
        return Err(ParseError(problem));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_login_or_error_body_is_not_read() {
        let padding = " ".repeat(MAX_SMALL_BODY);
        let token = format!(r#"{{"access_token":"T"}}{padding}"#);
        let error = parse_token(token.as_bytes()).unwrap_err().to_string();
        assert_eq!(error, "cannot parse token: larger than 64 KiB");
        let error = format!(r#"{{"errorCode":"CMN-408"}}{padding}"#);
        assert_eq!(parse_api_error(error.as_bytes()), ApiError::default());
        let long = format!(r#"{{"access_token":"{}"}}"#, "T".repeat(10_000));
        assert!(parse_token(long.as_bytes()).is_err());
    }
}
