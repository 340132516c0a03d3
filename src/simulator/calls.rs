//! Which calls come about in a minute, and what becomes of them.
//!
//! Pure. Here is what a working day sounds like: who calls whom, how long it rings, how it ends,
//! and how many records RingCentral makes of it. Calls to queues, which are odd, are in `queue`.
//! Knows nothing of what is asked about the calls.

use fastrand::Rng;

use crate::simulator::company::Company;
use crate::simulator::load_profile::LoadProfile;
use crate::simulator::random::{choose, exponential_ms, hash_seed, poisson};
use crate::simulator::timeline::{CallTimeline, RecordView, Session, Side, Span};

/// No record is listed for longer than this after its minute began.
pub(super) const LONGEST_LIFE_MINUTES: i64 = 62;

const MINUTE_MS: i64 = 60_000;
const LONGEST_TALK_MS: i64 = 55 * MINUTE_MS;
const MEAN_TALK_MS: f64 = 170_000.0;

/// All records of the calls that arrive in `minute` (minutes since 1970).
pub(super) fn of_minute(
    company: &Company,
    curve: &LoadProfile,
    seed: u64,
    minute: i64,
) -> Vec<CallTimeline> {
    let mut rng = Rng::with_seed(hash_seed(seed, minute as u64));
    // Candidates come at the highest rate there can be and are thinned by the rate of their own
    // instant: so a surge may rise in the middle of a minute.
    let highest = curve.highest_rate();
    let mut lives = Vec::new();
    for candidate in 0..poisson(&mut rng, highest) {
        let at = minute * MINUTE_MS + rng.i64(0..MINUTE_MS);
        if rng.f64() * highest < curve.rate(at) {
            let number = minute.unsigned_abs() * 100_000 + u64::from(candidate);
            Call::new(company, seed, number, at).place(&mut lives);
        }
    }
    lives
}

#[derive(Clone, Copy)]
enum Kind {
    Direct,
    Outgoing,
    Internal,
    Queue,
    CompanyLevel,
    Fax,
}

/// A call that is being placed: the dice are its own, so that no call changes another.
pub(super) struct Call<'a> {
    pub(super) company: &'a Company,
    pub(super) rng: Rng,
    pub(super) at: i64,
    session: Session,
}

impl<'a> Call<'a> {
    fn new(company: &'a Company, seed: u64, number: u64, at: i64) -> Call<'a> {
        let mut rng = Rng::with_seed(hash_seed(hash_seed(seed, 0xCA11), number));
        let session = Session {
            number,
            has_telephony_id: choose(&mut rng, true, &[(60, false)]),
        };
        Call {
            company,
            rng,
            at,
            session,
        }
    }

    fn place(mut self, lives: &mut Vec<CallTimeline>) {
        let others = [
            (300, Kind::Direct),
            (150, Kind::Internal),
            (200, Kind::Queue),
            (60, Kind::CompanyLevel),
            (10, Kind::Fax),
        ];
        match choose(&mut self.rng, Kind::Outgoing, &others) {
            Kind::Direct => lives.push(self.direct()),
            Kind::Outgoing => lives.push(self.outgoing()),
            Kind::Internal => lives.extend(self.internal()),
            Kind::Queue => self.queue(lives),
            Kind::CompanyLevel => lives.push(self.company_level()),
            Kind::Fax => lives.push(self.fax()),
        }
    }

    fn direct(&mut self) -> CallTimeline {
        let others = [
            (40, "Call connected"),
            (130, "Missed"),
            (100, "Voicemail"),
            (20, "Busy"),
            (20, "Hang Up"),
            (5, "Hang up"),
            (15, "Rejected"),
            (15, "Answered Elsewhere"),
            (10, "No Answer"),
            (10, "Blocked"),
        ];
        let result = choose(&mut self.rng, "Accepted", &others);
        let callee = self.user();
        let face = RecordView::inbound(self.outsider(), Side::Inside(callee));
        self.life(Some(callee), face, result)
    }

    fn outgoing(&mut self) -> CallTimeline {
        let others = [
            (90, "Hang Up"),
            (15, "Hang up"),
            (80, "No Answer"),
            (50, "Busy"),
            (15, "Rejected"),
            (20, "Wrong Number"),
            (25, "Call Failed"),
            (8, "International Disabled"),
            (6, "IP Phone Offline"),
            (4, "Internal Error"),
        ];
        let result = choose(&mut self.rng, "Call connected", &others);
        let actions = [
            (150, "RingOut Web"),
            (50, "RingOut Mobile"),
            (100, "Phone Call"),
        ];
        let action = choose(&mut self.rng, "VoIP Call", &actions);
        let caller = self.user();
        let face = RecordView::outbound(action, Side::Inside(caller), self.outsider());
        self.life(Some(caller), face, result)
    }

    /// One session, two records: the caller's and the callee's.
    fn internal(&mut self) -> [CallTimeline; 2] {
        let others = [
            (120, ("No Answer", "Missed")),
            (60, ("Hang Up", "Missed")),
            (70, ("Call connected", "Voicemail")),
            (30, ("Busy", "Busy")),
        ];
        let (out, back) = choose(&mut self.rng, ("Call connected", "Accepted"), &others);
        let caller = self.user();
        let callee = self.user_but(caller);
        let (from, to) = (Side::Inside(caller), Side::Inside(callee));
        let span = self.span(back);
        [
            self.record(
                Some(caller),
                RecordView::outbound("VoIP Call", from, to),
                span,
                out,
            ),
            self.record(Some(callee), RecordView::inbound(from, to), span, back),
        ]
    }

    /// To the main number or the menu: nobody's extension.
    fn company_level(&mut self) -> CallTimeline {
        let others = [
            (250, "Hang Up"),
            (200, "Abandoned"),
            (150, "Missed"),
            (100, "Voicemail"),
        ];
        let result = choose(&mut self.rng, "Accepted", &others);
        let face = RecordView::inbound(self.outsider(), Side::MainNumber);
        self.life(None, face, result)
    }

    fn fax(&mut self) -> CallTimeline {
        let user = self.user();
        let (outside, inside) = (self.outsider(), Side::Inside(user));
        let arriving = RecordView {
            action: "Incoming Fax",
            ..RecordView::inbound(outside, inside)
        };
        let leaving = RecordView::outbound("Outgoing Fax", inside, outside);
        let others = [(400, (leaving, "Sent")), (60, (leaving, "Fax Not Sent"))];
        let (face, result) = choose(&mut self.rng, (arriving, "Received"), &others);
        CallTimeline {
            kind: "Fax",
            ..self.life(Some(user), face, result)
        }
    }

    /// One record of a call that takes as long as calls with its result do.
    pub(super) fn life(
        &mut self,
        owner: Option<usize>,
        face: RecordView,
        result: &'static str,
    ) -> CallTimeline {
        let span = self.span(result);
        self.record(owner, face, span, result)
    }

    pub(super) fn record(
        &mut self,
        owner: Option<usize>,
        face: RecordView,
        span: Span,
        result: &'static str,
    ) -> CallTimeline {
        CallTimeline {
            id: self.rng.u64(..),
            session: self.session,
            owner,
            kind: "Voice",
            live: face,
            ended: face,
            result,
            span,
            // The list lags behind by 3 to 10 seconds in both directions.
            appears: span.start + self.rng.i64(3_000..=10_000),
            end_shows: span.end + self.rng.i64(3_000..=10_000),
            shows_duration_ms: self.rng.bool(),
        }
    }

    pub(super) fn span(&mut self, result: &str) -> Span {
        let (ring, talk) = match result {
            "Accepted" | "Call connected" => (self.rng.i64(2_000..20_000), self.talk()),
            "Answered Elsewhere" => (self.rng.i64(2_000..20_000), 0),
            "Voicemail" => (self.rng.i64(18_000..30_000), self.rng.i64(4_000..60_000)),
            "Busy"
            | "Rejected"
            | "Blocked"
            | "Wrong Number"
            | "Call Failed"
            | "Internal Error"
            | "International Disabled"
            | "IP Phone Offline" => (self.rng.i64(0..4_000), 0),
            "Sent" | "Received" => (self.rng.i64(20_000..90_000), 0),
            _ => (self.rng.i64(6_000..45_000), 0),
        };
        let answered = (talk > 0).then_some(self.at + ring);
        Span {
            start: self.at,
            answered,
            end: self.at + ring + talk,
        }
    }

    fn talk(&mut self) -> i64 {
        let usual = 12_000 + exponential_ms(&mut self.rng, MEAN_TALK_MS);
        let meeting = self.rng.i64(15 * MINUTE_MS..50 * MINUTE_MS);
        choose(&mut self.rng, usual, &[(35, meeting)]).min(LONGEST_TALK_MS)
    }

    pub(super) fn outsider(&mut self) -> Side {
        Side::Outside(self.rng.u32(..))
    }

    /// Some people phone far more than others: the first ones here.
    fn user(&mut self) -> usize {
        let users = &self.company.users;
        let drawn = self.rng.f64().powf(1.3) * users.len() as f64;
        users.get(drawn as usize).copied().unwrap_or(0)
    }

    fn user_but(&mut self, other: usize) -> usize {
        let wanted = self.user();
        let mut candidates = self
            .company
            .users
            .iter()
            .copied()
            .filter(|user| *user != other);
        if wanted != other {
            wanted
        } else {
            candidates.next().unwrap_or(other)
        }
    }
}
