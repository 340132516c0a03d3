//! One record of the list of active calls, and the life it leads from ringing to oblivion.
//!
//! Pure. A [`Life`] holds everything that will ever be true of a record; [`Life::at`] says what
//! the list shows of it at an instant. Knows no JSON and no reason why calls come about.

use super::{company::Company, dice::mix};

/// For how long the list still shows a call that has ended.
pub const LINGER_MS: i64 = 120_000;

const PLACES: [&str; 5] = ["San Mateo, CA", "Boise, ID", "Palo Alto, CA", "Rochester, NY", ", CO"];

/// `Inbound` or `Outbound`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[allow(missing_docs)]
pub enum Direction {
    Inbound,
    Outbound,
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

/// One end of a call.
#[derive(Clone, Copy, Debug)]
pub(super) enum Side {
    /// Somebody outside; the number stands for all there is to know of them.
    Outside(u32),
    /// A position in the company's extensions.
    Inside(usize),
    /// The same, told by the extension's number alone.
    NumberOnly(usize),
    /// The company's main number.
    MainNumber,
}

impl Side {
    fn party(self, company: &Company) -> Party {
        match self {
            Side::Outside(who) => outsider(who),
            Side::Inside(position) => insider(company, position),
            Side::NumberOnly(position) => {
                Party { extension_number: insider(company, position).extension_number, ..Party::default() }
            }
            Side::MainNumber => Party {
                phone_number: Some("+16505550100".to_owned()),
                name: Some("Main Line".to_owned()),
                ..Party::default()
            },
        }
    }
}

fn outsider(who: u32) -> Party {
    Party {
        phone_number: Some(format!("+1650555{:04}", 200 + who % 9_800)),
        name: who.is_multiple_of(3).then(|| "WIRELESS CALLER".to_owned()),
        location: PLACES.iter().cycle().nth((who % 5) as usize).copied(),
        ..Party::default()
    }
}

fn insider(company: &Company, position: usize) -> Party {
    let Some(extension) = company.extensions.get(position) else {
        return Party::default();
    };
    Party {
        extension_number: extension.number.clone(),
        extension_id: Some(extension.id),
        name: Some(extension.name.clone()),
        ..Party::default()
    }
}

/// What a record looks like in one phase of its life.
#[derive(Clone, Copy, Debug)]
pub(super) struct Face {
    pub(super) direction: Direction,
    pub(super) action: &'static str,
    pub(super) from: Side,
    pub(super) to: Side,
}

/// What joins the records of one call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Session {
    pub(super) number: u64,
    pub(super) has_telephony_id: bool,
}

/// Everything that will ever be true of one record.
#[derive(Clone, Debug)]
pub(super) struct Life {
    pub(super) id: u64,
    pub(super) session: Session,
    pub(super) owner: Option<usize>,
    pub(super) kind: &'static str,
    pub(super) live: Face,
    pub(super) ended: Face,
    pub(super) result: &'static str,
    pub(super) start: i64,
    pub(super) answered: Option<i64>,
    pub(super) end: i64,
    /// When the list first shows the record: later than it began.
    pub(super) appears: i64,
    /// When the list first shows that it has ended: later than it did.
    pub(super) end_shows: i64,
    pub(super) shows_duration_ms: bool,
}

impl Life {
    /// The instant at which the list first tells of the end.
    pub(super) fn end_first_visible(&self) -> i64 {
        self.end_shows.max(self.appears)
    }

    /// The first instant at which the list has forgotten the record.
    pub(super) fn gone(&self) -> i64 {
        self.end + LINGER_MS
    }

    /// Whether the list shows the record at `at`, live or ended.
    pub(super) fn is_listed(&self, at: i64) -> bool {
        self.appears <= at && at < self.gone()
    }

    /// What the list shows of the record at `at`, given that it shows it.
    pub(super) fn at(&self, at: i64, company: &Company) -> Record {
        let has_ended = self.end_shows <= at;
        let face = if has_ended { self.ended } else { self.live };
        Record {
            id: self.id_text(),
            session_id: self.session.number.to_string(),
            telephony_session_id: self.telephony_session_id(),
            start_ms: self.start,
            duration_ms: has_ended.then_some(self.end - self.start),
            shows_duration_ms: self.shows_duration_ms,
            kind: self.kind,
            direction: face.direction,
            action: face.action,
            result: if has_ended { self.result } else { "In Progress" },
            reason: self.reason(at),
            from: face.from.party(company),
            to: face.to.party(company),
            extension_id: self.owner_id(company),
        }
    }

    pub(super) fn owner_id(&self, company: &Company) -> Option<u64> {
        self.owner.and_then(|owner| company.extensions.get(owner)).map(|owner| owner.id)
    }

    /// A live direct call does not tell that it was answered; a live queue call does.
    fn reason(&self, at: i64) -> Option<&'static str> {
        let is_queue_call = self.live.direction != self.ended.direction;
        let tells = is_queue_call || self.end_shows <= at;
        self.answered.filter(|answered| tells && *answered <= at).map(|_| "Accepted")
    }

    fn id_text(&self) -> String {
        use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
        BASE64_URL_SAFE_NO_PAD.encode(self.id.to_be_bytes()) + "zUA"
    }

    fn telephony_session_id(&self) -> Option<String> {
        let number = self.session.number;
        let halves = (mix(number, 1), mix(number, 2));
        self.session.has_telephony_id.then(|| format!("s-{:016x}{:016x}", halves.0, halves.1))
    }
}
