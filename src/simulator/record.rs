//! One record of the list of active calls at one instant.

/// The direction of a call, seen from the extension of the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[allow(missing_docs)]
pub enum Direction {
    Inbound,
    Outbound,
}

impl Direction {
    /// Returns the name that the API uses.
    pub fn name(self) -> &'static str {
        match self {
            Direction::Inbound => "Inbound",
            Direction::Outbound => "Outbound",
        }
    }
}

/// One side of a call; every field is optional, as in the API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Party {
    pub phone_number: Option<String>,
    pub extension_number: Option<String>,
    pub extension_id: Option<u64>,
    pub name: Option<String>,
    pub location: Option<&'static str>,
}

/// One record of the list at one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Identifier of the record, constant from ringing to the end.
    pub id: String,
    /// Identifier of the call, in digits, shared by all its records.
    pub session_id: String,
    /// Identifier of the telephony session, shared by all records of the call; sometimes absent.
    pub telephony_session_id: Option<String>,
    /// Start of the call in Unix milliseconds.
    pub start_ms: i64,
    /// Duration of the call in milliseconds; absent while live.
    pub duration_ms: Option<i64>,
    /// Whether the API returns `durationMs` in addition to `duration`.
    pub shows_duration_ms: bool,
    /// `Voice` or `Fax`.
    pub kind: &'static str,
    /// Direction of the call; a queue call is `Outbound` while live and `Inbound` when ended.
    pub direction: Direction,
    /// RingCentral's name for how the call was placed, such as `VoIP Call`.
    pub action: &'static str,
    /// Result of the call, `In Progress` while live.
    pub result: &'static str,
    /// `Accepted` from the answer of a queue call on, and at the end of any other answered call.
    pub reason: Option<&'static str>,
    /// The caller.
    pub from: Party,
    /// The callee.
    pub to: Party,
    /// Extension that owns the record; absent for company-level calls.
    pub extension_id: Option<u64>,
}

impl Record {
    /// Returns whether the list shows the call as in progress.
    pub fn is_live(&self) -> bool {
        self.duration_ms.is_none()
    }
}
