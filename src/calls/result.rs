//! The result of a call in RingCentral's spelling.
//!
//! RingCentral adds results and its own clients know some that are not documented, so an undocumented result is
//! kept, without control characters and cut.

use std::borrow::Cow;

use crate::calls::labels::OTHER;

/// The documented values, in RingCentral's spelling (public OpenAPI, revision of 2026-08-13).
const DOCUMENTED: [&str; 45] = [
    "911",
    "933",
    "Abandoned",
    "Accepted",
    "Answered Elsewhere",
    "Answered Not Accepted",
    "Blocked",
    "Busy",
    "Call Failed",
    "Call Failure",
    "Call connected",
    "Callback requested",
    "Carrier is not active",
    "Declined",
    "EDGE trunk misconfigured",
    "Fax Not Sent",
    "Fax Partially Sent",
    "Fax Poor Line",
    "Fax Receipt Error",
    "Fax on Demand",
    "Hang Up",
    "IP Phone Offline",
    "In Progress",
    "Internal Error",
    "International Disabled",
    "International Restricted",
    "Missed",
    "No Answer",
    "No Calling Credit",
    "Not Allowed",
    "Partial Receive",
    "Phone Login",
    "Receive Error",
    "Received",
    "Rejected",
    "Reply",
    "Restricted Number",
    "Send Error",
    "Sent",
    "Sent to Voicemail",
    "Stopped",
    "Suspended account",
    "Unknown",
    "Voicemail",
    "Wrong Number",
];

/// The maximum length of an undocumented result, in characters; longer ones are cut.
const MAX_CHARS: usize = 64;

/// A value of the label `result`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallResult(Cow<'static, str>);

impl CallResult {
    /// The result of every live record.
    pub const IN_PROGRESS: Self = Self(Cow::Borrowed("In Progress"));
    /// The result of a record without one, and of an ended one that is still listed as in progress.
    pub const UNKNOWN: Self = Self(Cow::Borrowed("Unknown"));
    /// The label value of undocumented results beyond the limit.
    pub const OTHER: Self = Self(Cow::Borrowed(OTHER));

    /// Parses a result, ignoring case. Returns the documented spelling, or an undocumented result without control
    /// characters and cut to 64 characters, or `None` if nothing is left.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let documented = DOCUMENTED
            .iter()
            .find(|known| known.eq_ignore_ascii_case(text));
        match documented {
            Some(known) => Some(Self(Cow::Borrowed(known))),
            None => sanitize_undocumented(text),
        }
    }

    /// Returns whether this is `In Progress`.
    #[must_use]
    pub fn is_in_progress(&self) -> bool {
        *self == Self::IN_PROGRESS
    }

    /// Returns whether RingCentral documents the result.
    #[must_use]
    pub fn is_documented(&self) -> bool {
        matches!(self.0, Cow::Borrowed(_))
    }

    /// Returns the label value.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn sanitize_undocumented(text: &str) -> Option<CallResult> {
    let printable = text.chars().filter(|c| !c.is_control());
    let kept: String = printable.take(MAX_CHARS).collect();
    let kept = kept.trim();
    if kept.is_empty() {
        return None;
    }
    Some(CallResult(Cow::Owned(kept.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<String> {
        CallResult::parse(text).map(|result| result.as_str().to_owned())
    }

    #[test]
    fn documented_result_has_documented_spelling() {
        assert_eq!(parse("Hang up").as_deref(), Some("Hang Up"));
        assert_eq!(parse("IN PROGRESS").as_deref(), Some("In Progress"));
        assert_eq!(
            parse("Suspended Account").as_deref(),
            Some("Suspended account")
        );
    }

    #[test]
    fn undocumented_result_is_sanitized_and_cut() {
        assert_eq!(
            parse("Ringing\n Elsewhere\u{7f}").as_deref(),
            Some("Ringing Elsewhere")
        );
        assert_eq!(
            parse(&"é".repeat(100)).map(|text| text.chars().count()),
            Some(64)
        );
    }

    #[test]
    fn blank_result_is_absent() {
        assert_eq!(parse("  "), None);
        assert_eq!(parse("\u{0}\u{1}"), None);
    }
}
