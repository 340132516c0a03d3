//! One record of the active-calls list. Contains no phone numbers and no names.

use jiff::Timestamp;
use smol_str::SmolStr;

use crate::calls::{CallResult, SessionIds};

/// A record of the active-calls list: one party's view of a call. A call between two extensions has two records in
/// one session.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Id of the record, which stays the same from ringing to the end.
    pub id: SmolStr,
    /// Ids of the session, of which the records of one call share at least one.
    pub session: SessionIds,
    /// Direction as listed: a live queue call is `Outbound` and becomes `Inbound` when it ends.
    pub direction: Direction,
    /// Whether the call is live.
    pub state: CallState,
    /// Result for the label: always `In Progress` for a live record, never for an ended one.
    pub result: CallResult,
    /// Extension of the account's own side, if the record has one.
    pub extension: Option<Extension>,
    /// Start of the call, if the record has a valid one.
    pub start: Option<Timestamp>,
    /// Duration in seconds of an ended call: `durationMs` if present, else `duration`.
    pub duration: Option<f64>,
}

impl Call {
    /// Returns whether the call has ended, with or without a result.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        matches!(self.state, CallState::Ended | CallState::Finishing)
    }
}

/// The direction of a call, seen from the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// A call to the extension.
    Inbound,
    /// A call from the extension, or a live queue call.
    Outbound,
    /// The record has no direction, or an undocumented one.
    Unknown,
}

impl Direction {
    /// Returns the label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "Inbound",
            Self::Outbound => "Outbound",
            Self::Unknown => "Unknown",
        }
    }
}

/// Whether a call is live. A call stays listed about two minutes after its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallState {
    /// Ringing or connected; the list does not distinguish them.
    Live,
    /// Ended and still listed.
    Ended,
    /// Ended, while the result is still In Progress; a later list has the result.
    Finishing,
    /// The record has neither `finished` nor a result. It is counted as listed, and nowhere else.
    Unknown,
}

impl CallState {
    /// Derives the state from `finished`, or from the result if `finished` is absent.
    #[must_use]
    pub fn new(finished: Option<bool>, result: Option<&CallResult>) -> Self {
        match (finished, result) {
            (Some(true), Some(result)) if result.is_in_progress() => Self::Finishing,
            (Some(true), _) => Self::Ended,
            (Some(false), _) => Self::Live,
            (None, Some(result)) if result.is_in_progress() => Self::Live,
            (None, Some(_)) => Self::Ended,
            (None, None) => Self::Unknown,
        }
    }
}

/// An extension as a record names it; at least one of the fields is present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// RingCentral's internal id, only digits.
    pub id: Option<SmolStr>,
    /// Extension number, 1 to 8 digits.
    pub number: Option<SmolStr>,
}

impl Extension {
    /// Creates an extension, `None` if there is neither an id nor a number.
    #[must_use]
    pub fn new(id: Option<SmolStr>, number: Option<SmolStr>) -> Option<Self> {
        if id.is_none() && number.is_none() {
            return None;
        }
        Some(Self { id, number })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finished_takes_precedence_over_result() {
        let accepted = CallResult::parse("Accepted");
        let in_progress = CallResult::parse("in progress");
        assert_eq!(
            CallState::new(Some(false), accepted.as_ref()),
            CallState::Live
        );
        assert_eq!(
            CallState::new(Some(true), in_progress.as_ref()),
            CallState::Finishing
        );
        assert_eq!(CallState::new(Some(true), None), CallState::Ended);
        assert_eq!(CallState::new(None, in_progress.as_ref()), CallState::Live);
        assert_eq!(CallState::new(None, accepted.as_ref()), CallState::Ended);
        assert_eq!(CallState::new(None, None), CallState::Unknown);
        assert_eq!(CallState::new(Some(false), None), CallState::Live);
    }
}
