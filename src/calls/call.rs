//! One record of the active-calls list, understood.
//!
//! Owns: the words of the domain. Refuses to know: how RingCentral spells them on the wire (`ringcentral::wire`), and
//! any phone number or person's name: they are not even kept.

use jiff::Timestamp;
use smol_str::SmolStr;

use crate::calls::CallResult;

/// One call record: a party's view of a call. A call between two extensions is two records of one session.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The record's id, the same from ringing to its end.
    pub id: SmolStr,
    /// What joins the records of one call.
    pub session: SmolStr,
    /// As RingCentral has it: a live queue call is `Outbound` and turns `Inbound` when it ends.
    pub direction: Direction,
    /// Whether it is going on.
    pub state: CallState,
    /// Its label value: always `In Progress` for a live record, never for an ended one.
    pub result: CallResult,
    /// The account's own party, if the record names one.
    pub extension: Option<Extension>,
    /// When it began, if that can be read.
    pub start: Option<Timestamp>,
    /// How long it took, in seconds, once it has ended: `durationMs` where it is given, else `duration`.
    pub duration: Option<f64>,
}

/// Which way a call goes, seen from the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// Someone called the extension.
    Inbound,
    /// The extension called someone, or it is a queue call that is still live.
    Outbound,
    /// The record does not say, or says something new.
    Unknown,
}

impl Direction {
    /// The label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "Inbound",
            Self::Outbound => "Outbound",
            Self::Unknown => "Unknown",
        }
    }
}

/// Whether a call is going on. A call stays listed about two minutes after its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallState {
    /// Ringing or talking: the list does not tell which.
    Live,
    /// Over, and still listed.
    Ended,
    /// The record does not say; counted as listed, and nowhere else.
    Unknown,
}

impl CallState {
    /// The rule of the contract: `finished` decides where it is given, else the result does.
    #[must_use]
    pub fn new(finished: Option<bool>, result: Option<&CallResult>) -> Self {
        match (finished, result) {
            (Some(true), _) => Self::Ended,
            (Some(false), _) => Self::Live,
            (None, Some(result)) if result.is_in_progress() => Self::Live,
            (None, Some(_)) => Self::Ended,
            (None, None) => Self::Unknown,
        }
    }
}

/// An extension as a record names it: at least one of the two is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// RingCentral's internal id, digits.
    pub id: Option<SmolStr>,
    /// The number that people dial, 1 to 8 digits.
    pub number: Option<SmolStr>,
}

impl Extension {
    /// The extension that these name; none if they name nothing.
    #[must_use]
    pub fn new(id: Option<SmolStr>, number: Option<SmolStr>) -> Option<Self> {
        (id.is_some() || number.is_some()).then_some(Self { id, number })
    }

    /// What people know it by: its number, else its id.
    #[must_use]
    pub fn number_or_id(&self) -> &str {
        let known = self.number.as_ref().or(self.id.as_ref());
        known.map_or("none", SmolStr::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finished_decides_before_the_result() {
        let accepted = CallResult::parse("Accepted");
        let in_progress = CallResult::parse("in progress");
        assert_eq!(
            CallState::new(Some(false), accepted.as_ref()),
            CallState::Live
        );
        assert_eq!(
            CallState::new(Some(true), in_progress.as_ref()),
            CallState::Ended
        );
        assert_eq!(CallState::new(None, in_progress.as_ref()), CallState::Live);
        assert_eq!(CallState::new(None, accepted.as_ref()), CallState::Ended);
        assert_eq!(CallState::new(None, None), CallState::Unknown);
        assert_eq!(CallState::new(Some(false), None), CallState::Live);
    }
}
