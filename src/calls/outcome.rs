//! What came of a call, in five words.
//!
//! Owns: the step from RingCentral's many results to few outcomes, and which of several records' outcomes is a
//! session's: a call that rang at five agents and was taken by one was answered.

use crate::calls::CallResult;

/// An outcome; the better one is the lesser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// Somebody took it.
    Answered,
    /// A voicemail box took it.
    Voicemail,
    /// Nobody took it.
    Missed,
    /// The other side was busy.
    Busy,
    /// It could not be made, for reasons of the platform, the plan or the number.
    Failed,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Answered,
        Self::Voicemail,
        Self::Missed,
        Self::Busy,
        Self::Failed,
    ];

    /// The outcome of a record that ended with this result. What is not known to be better counts as missed.
    #[must_use]
    pub fn from_result(result: &CallResult) -> Self {
        match result.as_str() {
            "Accepted" | "Call connected" | "Answered Elsewhere" => Self::Answered,
            "Voicemail" | "Sent to Voicemail" => Self::Voicemail,
            "Busy" => Self::Busy,
            "Call Failed"
            | "Call Failure"
            | "Internal Error"
            | "IP Phone Offline"
            | "Carrier is not active"
            | "EDGE trunk misconfigured"
            | "No Calling Credit"
            | "International Disabled"
            | "International Restricted"
            | "Restricted Number"
            | "Not Allowed"
            | "Wrong Number"
            | "Blocked"
            | "Suspended account" => Self::Failed,
            _ => Self::Missed,
        }
    }

    /// The label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Voicemail => "voicemail",
            Self::Missed => "missed",
            Self::Busy => "busy",
            Self::Failed => "failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(result: &str) -> &'static str {
        CallResult::parse(result).map_or("none", |result| Outcome::from_result(&result).as_str())
    }

    #[test]
    fn results_have_the_outcomes_of_the_contract() {
        let cases = [
            ("Accepted", "answered"),
            ("answered elsewhere", "answered"),
            ("Sent to Voicemail", "voicemail"),
            ("Busy", "busy"),
            ("Wrong Number", "failed"),
            ("Suspended Account", "failed"),
            ("Hang up", "missed"),
            ("No Answer", "missed"),
            ("A word of tomorrow", "missed"),
        ];
        for (result, outcome) in cases {
            assert_eq!(of(result), outcome, "{result}");
        }
    }

    #[test]
    fn the_better_outcome_is_the_lesser() {
        assert!(Outcome::ALL.is_sorted());
        assert_eq!(
            [Outcome::Missed, Outcome::Answered, Outcome::Failed]
                .into_iter()
                .min(),
            Some(Outcome::Answered)
        );
    }
}
