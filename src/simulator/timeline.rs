//! The life of a record, from ringing to oblivion.
//!
//! Pure. A [`Life`] holds everything that will ever be true of a record; [`Life::at`] says what
//! the list shows of it at an instant. Knows no reason why calls come about.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use crate::simulator::company::Company;
use crate::simulator::random::hash_seed;
use crate::simulator::record::{Direction, Party, Record};

/// For how long the list still shows a call that has ended.
pub(super) const RETENTION_MS: i64 = 120_000;

const PLACES: [&str; 5] = [
    "San Mateo, CA",
    "Boise, ID",
    "Palo Alto, CA",
    "Rochester, NY",
    ", CO",
];

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
            Side::NumberOnly(position) => Party {
                extension_number: insider(company, position).extension_number,
                ..Party::default()
            },
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
pub(super) struct RecordView {
    pub(super) direction: Direction,
    pub(super) action: &'static str,
    pub(super) from: Side,
    pub(super) to: Side,
}

impl RecordView {
    pub(super) fn inbound(from: Side, to: Side) -> RecordView {
        RecordView {
            direction: Direction::Inbound,
            action: "Phone Call",
            from,
            to,
        }
    }

    pub(super) fn outbound(action: &'static str, from: Side, to: Side) -> RecordView {
        RecordView {
            direction: Direction::Outbound,
            action,
            from,
            to,
        }
    }
}

/// When a call began, was answered and ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) start: i64,
    pub(super) answered: Option<i64>,
    pub(super) end: i64,
}

/// What joins the records of one call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Session {
    pub(super) number: u64,
    pub(super) has_telephony_id: bool,
}

/// Everything that will ever be true of one record.
#[derive(Clone, Debug)]
pub(super) struct CallTimeline {
    pub(super) id: u64,
    pub(super) session: Session,
    pub(super) owner: Option<usize>,
    pub(super) kind: &'static str,
    pub(super) live: RecordView,
    pub(super) ended: RecordView,
    pub(super) result: &'static str,
    pub(super) span: Span,
    /// When the list first shows the record: later than it began.
    pub(super) appears: i64,
    /// When the list first shows that it has ended: later than it did.
    pub(super) end_shows: i64,
    pub(super) shows_duration_ms: bool,
}

impl CallTimeline {
    /// The instant at which the list first tells of the end.
    pub(super) fn end_first_visible(&self) -> i64 {
        self.end_shows.max(self.appears)
    }

    /// The first instant at which the list has forgotten the record.
    pub(super) fn removed_at(&self) -> i64 {
        self.span.end + RETENTION_MS
    }

    /// Whether the list shows the record at `at`, live or ended.
    pub(super) fn is_listed(&self, at: i64) -> bool {
        self.appears <= at && at < self.removed_at()
    }

    /// What the list shows of the record at `at`, given that it shows it.
    pub(super) fn at(&self, at: i64, company: &Company) -> Record {
        let has_ended = self.end_shows <= at;
        let face = if has_ended { self.ended } else { self.live };
        Record {
            id: self.id_text(),
            session_id: self.session.number.to_string(),
            telephony_session_id: self.telephony_session_id(),
            start_ms: self.span.start,
            duration_ms: has_ended.then_some(self.span.end - self.span.start),
            shows_duration_ms: self.shows_duration_ms,
            kind: self.kind,
            direction: face.direction,
            action: face.action,
            result: if has_ended {
                self.result
            } else {
                "In Progress"
            },
            reason: self.reason(at),
            from: face.from.party(company),
            to: face.to.party(company),
            extension_id: self.owner_id(company),
        }
    }

    pub(super) fn owner_id(&self, company: &Company) -> Option<u64> {
        self.owner
            .and_then(|owner| company.extensions.get(owner))
            .map(|owner| owner.id)
    }

    /// A live direct call does not tell that it was answered; a live queue call does.
    fn reason(&self, at: i64) -> Option<&'static str> {
        let is_queue_call = self.live.direction != self.ended.direction;
        let tells = is_queue_call || self.end_shows <= at;
        self.span
            .answered
            .filter(|answered| tells && *answered <= at)
            .map(|_| "Accepted")
    }

    fn id_text(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.id.to_be_bytes()) + "zUA"
    }

    fn telephony_session_id(&self) -> Option<String> {
        let number = self.session.number;
        let halves = (hash_seed(number, 1), hash_seed(number, 2));
        self.session
            .has_telephony_id
            .then(|| format!("s-{:016x}{:016x}", halves.0, halves.1))
    }
}
