//! The outcome of a call, derived from its result.
//!
//! A session has the best outcome of its records: a call that rang at five agents and was answered by one is
//! answered.

use serde::{Deserialize, Serialize};

use crate::calls::CallResult;

/// An outcome; a better one is less than a worse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// The call was answered.
    Answered,
    /// The call went to voicemail.
    Voicemail,
    /// The call was not answered, or its result is not documented.
    Missed,
    /// The called party was busy.
    Busy,
    /// The call could not be connected because of the platform, the plan or the number.
    Failed,
}

impl Outcome {
    /// All outcomes, from best to worst.
    pub const ALL: [Self; 5] = [
        Self::Answered,
        Self::Voicemail,
        Self::Missed,
        Self::Busy,
        Self::Failed,
    ];

    /// Returns the outcome of a record that ended with this result, `Missed` for undocumented results.
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

    /// Returns the label value.
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

    fn outcome_of(result: &str) -> &'static str {
        CallResult::parse(result).map_or("none", |result| Outcome::from_result(&result).as_str())
    }

    #[test]
    fn outcome_follows_from_result() {
        let cases = [
            ("Accepted", "answered"),
            ("answered elsewhere", "answered"),
            ("Sent to Voicemail", "voicemail"),
            ("Busy", "busy"),
            ("Wrong Number", "failed"),
            ("Suspended Account", "failed"),
            ("Hang up", "missed"),
            ("No Answer", "missed"),
            ("An undocumented result", "missed"),
        ];
        for (result, outcome) in cases {
            assert_eq!(outcome_of(result), outcome, "{result}");
        }
    }

    #[test]
    fn better_outcome_is_less() {
        assert!(Outcome::ALL.is_sorted());
        assert_eq!(
            [Outcome::Missed, Outcome::Answered, Outcome::Failed]
                .into_iter()
                .min(),
            Some(Outcome::Answered)
        );
    }
}
