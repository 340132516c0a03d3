//! The result of a call: RingCentral's own word for how it went.
//!
//! Owns: the documented list and its one spelling. Refuses to fail on a word that the list lacks, since RingCentral
//! adds some and its own clients meet others: such a word is kept, made safe and short.

use std::borrow::Cow;

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
    IN_PROGRESS,
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
    UNKNOWN,
    "Voicemail",
    "Wrong Number",
];
const IN_PROGRESS: &str = "In Progress";
const UNKNOWN: &str = "Unknown";

/// The longest value that is kept of a word outside the list, in characters.
const MAX_CHARS: usize = 64;

/// A result as the label shows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallResult(Cow<'static, str>);

impl CallResult {
    /// What every live record carries.
    pub const IN_PROGRESS: Self = Self(Cow::Borrowed(IN_PROGRESS));
    /// What a record without a result carries, and an ended one that still says it is in progress.
    pub const UNKNOWN: Self = Self(Cow::Borrowed(UNKNOWN));

    /// What strange results beyond the bound are folded into.
    pub const OTHER: Self = Self(Cow::Borrowed("other"));

    /// Reads a result: the documented spelling whatever the case; a stranger as it came, without control characters
    /// and cut to 64 characters; nothing if nothing is left.
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

    /// Whether it says that the call goes on.
    #[must_use]
    pub fn is_in_progress(&self) -> bool {
        self.0 == IN_PROGRESS
    }

    /// Whether it is one of RingCentral's documented values.
    #[must_use]
    pub fn is_documented(&self) -> bool {
        matches!(self.0, Cow::Borrowed(_))
    }

    /// The label value.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn sanitize_undocumented(text: &str) -> Option<CallResult> {
    let printable = text.chars().filter(|c| !c.is_control());
    let kept: String = printable.take(MAX_CHARS).collect();
    let kept = kept.trim();
    (!kept.is_empty()).then(|| CallResult(Cow::Owned(kept.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<String> {
        CallResult::parse(text).map(|result| result.as_str().to_owned())
    }

    #[test]
    fn a_documented_value_gets_its_documented_spelling() {
        assert_eq!(read("Hang up").as_deref(), Some("Hang Up"));
        assert_eq!(read("IN PROGRESS").as_deref(), Some("In Progress"));
        assert_eq!(
            read("Suspended Account").as_deref(),
            Some("Suspended account")
        );
    }

    #[test]
    fn a_stranger_is_kept_safe_and_short() {
        assert_eq!(
            read("Ringing\n Elsewhere\u{7f}").as_deref(),
            Some("Ringing Elsewhere")
        );
        assert_eq!(
            read(&"é".repeat(100)).map(|text| text.chars().count()),
            Some(64)
        );
    }

    #[test]
    fn nothing_is_no_result() {
        assert_eq!(read("  "), None);
        assert_eq!(read("\u{0}\u{1}"), None);
    }
}
