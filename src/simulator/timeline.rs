//! The states of a record over time, from its first listing to its removal.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use crate::simulator::company::Company;
use crate::simulator::random::hash_seed;
use crate::simulator::record::{Direction, Party, Record};

/// Time for which the list shows a call after its end.
pub(super) const RETENTION_MS: i64 = 120_000;

const LOCATIONS: [&str; 5] = [
    "San Mateo, CA",
    "Boise, ID",
    "Palo Alto, CA",
    "Rochester, NY",
    ", CO",
];

/// The caller or the callee.
#[derive(Clone, Copy, Debug)]
pub(super) enum Side {
    /// An external party, whose phone number and name are derived from this number.
    Outside(u32),
    /// An extension, as a position in [`Company::extensions`].
    Inside(usize),
    /// An extension of which the record has only the number.
    NumberOnly(usize),
    /// The company's main number.
    MainNumber,
}

impl Side {
    fn party(self, company: &Company) -> Party {
        match self {
            Side::Outside(number) => external_party(number),
            Side::Inside(position) => extension_party(company, position),
            Side::NumberOnly(position) => Party {
                extension_number: extension_party(company, position).extension_number,
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

fn external_party(number: u32) -> Party {
    Party {
        phone_number: Some(format!("+1650555{:04}", 200 + number % 9_800)),
        name: number
            .is_multiple_of(3)
            .then(|| "WIRELESS CALLER".to_owned()),
        location: LOCATIONS.get((number % 5) as usize).copied(),
        ..Party::default()
    }
}

fn extension_party(company: &Company, position: usize) -> Party {
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

/// Direction, action and parties of a record, either live or ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecordView {
    pub(super) direction: Direction,
    pub(super) action: &'static str,
    pub(super) from: Side,
    pub(super) to: Side,
}

impl RecordView {
    /// Creates the view of an inbound call.
    pub(super) fn inbound(from: Side, to: Side) -> RecordView {
        RecordView {
            direction: Direction::Inbound,
            action: "Phone Call",
            from,
            to,
        }
    }

    /// Creates the view of an outbound call.
    pub(super) fn outbound(action: &'static str, from: Side, to: Side) -> RecordView {
        RecordView {
            direction: Direction::Outbound,
            action,
            from,
            to,
        }
    }
}

/// Start, answer and end of a call, in Unix milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) start: i64,
    pub(super) answered: Option<i64>,
    pub(super) end: i64,
}

/// The identifiers that the records of one call share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Session {
    pub(super) number: u64,
    pub(super) has_telephony_id: bool,
}

/// All states of one record; [`CallTimeline::at`] selects one.
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
    /// Unix milliseconds at which the list first shows the record, after its start.
    pub(super) visible_from: i64,
    /// Unix milliseconds from which the list can show the end, after the end.
    pub(super) end_visible_from: i64,
    pub(super) shows_duration_ms: bool,
}

impl CallTimeline {
    /// Returns the instant at which the list first shows the end.
    pub(super) fn end_first_visible(&self) -> i64 {
        self.end_visible_from.max(self.visible_from)
    }

    /// Returns the first instant at which the list no longer shows the record.
    pub(super) fn removed_at(&self) -> i64 {
        self.span.end + RETENTION_MS
    }

    /// Returns whether the list shows the record at `at`, live or ended.
    pub(super) fn is_listed(&self, at: i64) -> bool {
        self.visible_from <= at && at < self.removed_at()
    }

    /// Returns the record as listed at `at`; the caller checks `is_listed`.
    pub(super) fn at(&self, at: i64, company: &Company) -> Record {
        let has_ended = self.end_visible_from <= at;
        let view = if has_ended { self.ended } else { self.live };
        Record {
            id: self.id_text(),
            session_id: self.session.number.to_string(),
            telephony_session_id: self.telephony_session_id(),
            start_ms: self.span.start,
            duration_ms: has_ended.then_some(self.span.end - self.span.start),
            shows_duration_ms: self.shows_duration_ms,
            kind: self.kind,
            direction: view.direction,
            action: view.action,
            result: if has_ended {
                self.result
            } else {
                "In Progress"
            },
            reason: self.reason(at),
            from: view.from.party(company),
            to: view.to.party(company),
            extension_id: self.owner_id(company),
        }
    }

    /// Returns the extension that owns the record.
    pub(super) fn owner_id(&self, company: &Company) -> Option<u64> {
        let extension = company.extensions.get(self.owner?)?;
        Some(extension.id)
    }

    /// Returns `Accepted` for an answered call; only queue calls show it while live.
    fn reason(&self, at: i64) -> Option<&'static str> {
        let is_queue_call = self.live.direction != self.ended.direction;
        if !is_queue_call && at < self.end_visible_from {
            return None;
        }
        if self.span.answered? <= at {
            Some("Accepted")
        } else {
            None
        }
    }

    fn id_text(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.id.to_be_bytes()) + "zUA"
    }

    fn telephony_session_id(&self) -> Option<String> {
        if !self.session.has_telephony_id {
            return None;
        }
        let number = self.session.number;
        let (high, low) = (hash_seed(number, 1), hash_seed(number, 2));
        Some(format!("s-{high:016x}{low:016x}"))
    }
}
