//! One record of the list of active calls as it stands at one instant.
//!
//! Plain values. Knows neither JSON nor what the record was before or will be.

/// `Inbound` or `Outbound`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[allow(missing_docs)]
pub enum Direction {
    Inbound,
    Outbound,
}

impl Direction {
    /// As the API writes it.
    pub fn name(self) -> &'static str {
        match self {
            Direction::Inbound => "Inbound",
            Direction::Outbound => "Outbound",
        }
    }
}

/// One side of a record, all of it optional as in the API.
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
    /// The same from ringing to ended.
    pub id: String,
    /// Digits; joins the records of one call.
    pub session_id: String,
    /// Joins them as well; some calls have none.
    pub telephony_session_id: Option<String>,
    /// `startTime` in unix milliseconds.
    pub start_ms: i64,
    /// How long it took; absent while live.
    pub duration_ms: Option<i64>,
    /// Whether the API gives `durationMs` besides the seconds.
    pub shows_duration_ms: bool,
    /// `Voice` or `Fax`.
    pub kind: &'static str,
    /// Of a live queue call `Outbound`, of the same call ended `Inbound`.
    pub direction: Direction,
    /// RingCentral's word for how the call came about.
    pub action: &'static str,
    /// `In Progress` while live.
    pub result: &'static str,
    /// Set to `Accepted` once somebody has answered a queue call, and at the end of answered calls.
    pub reason: Option<&'static str>,
    /// The calling side.
    pub from: Party,
    /// The called side.
    pub to: Party,
    /// Whose record it is; company-level calls have none.
    pub extension_id: Option<u64>,
}

impl Record {
    /// Whether the list shows the call as still going on.
    pub fn is_live(&self) -> bool {
        self.duration_ms.is_none()
    }
}
