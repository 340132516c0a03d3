//! The calls of a minute: caller, callee, result, times and records. Queue calls are in `queue`.

use fastrand::Rng;

use crate::simulator::company::Company;
use crate::simulator::load_profile::LoadProfile;
use crate::simulator::presence::settings::{self, Role};
use crate::simulator::random::{choose, exponential_ms, hash_seed, poisson};
use crate::simulator::timeline::{CallTimeline, RecordView, Session, Side, Span};

/// Maximum time from the start of a call's minute to the removal of its records from the list.
pub(super) const MAX_LISTED_MINUTES: i64 = 66;

const MINUTE_MS: i64 = 60_000;
const MAX_TALK_MS: i64 = 55 * MINUTE_MS;
const MEAN_TALK_MS: f64 = 170_000.0;

/// Returns the records of the calls that arrive in `minute`, in minutes since 1970.
pub(super) fn for_minute(
    company: &Company,
    profile: &LoadProfile,
    seed: u64,
    minute: i64,
) -> Vec<CallTimeline> {
    let mut rng = Rng::with_seed(hash_seed(seed, minute as u64));
    // Candidates arrive at the maximum rate and are then accepted with the probability of their own
    // instant, so that a surge can begin in the middle of a minute.
    let max_rate = profile.max_rate();
    let mut timelines = Vec::new();
    for candidate in 0..poisson(&mut rng, max_rate) {
        let at = minute * MINUTE_MS + rng.i64(0..MINUTE_MS);
        if rng.f64() * max_rate < profile.rate(at) {
            let number = minute.unsigned_abs() * 100_000 + u64::from(candidate);
            Call::new(company, seed, number, at).generate(&mut timelines);
        }
    }
    timelines
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

/// Generator of the records of one call, with its own random numbers: a change to one call does not
/// affect others.
pub(super) struct Call<'a> {
    pub(super) company: &'a Company,
    pub(super) rng: Rng,
    pub(super) at: i64,
    seed: u64,
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
            seed,
            session,
        }
    }

    fn generate(mut self, timelines: &mut Vec<CallTimeline>) {
        let others = [
            (300, Kind::Direct),
            (150, Kind::Internal),
            (200, Kind::Queue),
            (60, Kind::CompanyLevel),
            (10, Kind::Fax),
        ];
        match choose(&mut self.rng, Kind::Outgoing, &others) {
            Kind::Direct => timelines.push(self.direct()),
            Kind::Outgoing => timelines.push(self.outgoing()),
            Kind::Internal => timelines.extend(self.internal()),
            Kind::Queue => self.queue(timelines),
            Kind::CompanyLevel => timelines.push(self.company_level()),
            Kind::Fax => timelines.push(self.fax()),
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
        let callee = self.user(Role::Callee);
        let view = RecordView::inbound(self.outsider(), Side::Inside(callee));
        self.timeline(Some(callee), view, result)
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
        let caller = self.user(Role::Caller);
        let view = RecordView::outbound(action, Side::Inside(caller), self.outsider());
        self.timeline(Some(caller), view, result)
    }

    /// Returns the records of caller and callee, which share a session.
    fn internal(&mut self) -> [CallTimeline; 2] {
        let others = [
            (120, ("No Answer", "Missed")),
            (60, ("Hang Up", "Missed")),
            (70, ("Call connected", "Voicemail")),
            (30, ("Busy", "Busy")),
        ];
        let (caller_result, callee_result) =
            choose(&mut self.rng, ("Call connected", "Accepted"), &others);
        let caller = self.user(Role::Caller);
        let callee = self.callee_other_than(caller);
        let (from, to) = (Side::Inside(caller), Side::Inside(callee));
        let span = self.span(callee_result);
        [
            self.record(
                Some(caller),
                RecordView::outbound("VoIP Call", from, to),
                span,
                caller_result,
            ),
            self.record(
                Some(callee),
                RecordView::inbound(from, to),
                span,
                callee_result,
            ),
        ]
    }

    /// Returns the record of a call to the main number, which belongs to no extension.
    fn company_level(&mut self) -> CallTimeline {
        let others = [
            (250, "Hang Up"),
            (200, "Abandoned"),
            (150, "Missed"),
            (100, "Voicemail"),
        ];
        let result = choose(&mut self.rng, "Accepted", &others);
        let view = RecordView::inbound(self.outsider(), Side::MainNumber);
        self.timeline(None, view, result)
    }

    fn fax(&mut self) -> CallTimeline {
        let user = self.user(Role::Callee);
        let (outside, inside) = (self.outsider(), Side::Inside(user));
        let received = RecordView {
            action: "Incoming Fax",
            ..RecordView::inbound(outside, inside)
        };
        let sent = RecordView::outbound("Outgoing Fax", inside, outside);
        let others = [(400, (sent, "Sent")), (60, (sent, "Fax Not Sent"))];
        let (view, result) = choose(&mut self.rng, (received, "Received"), &others);
        CallTimeline {
            kind: "Fax",
            ..self.timeline(Some(user), view, result)
        }
    }

    /// Returns a record with a random duration that fits `result`.
    pub(super) fn timeline(
        &mut self,
        owner: Option<usize>,
        view: RecordView,
        result: &'static str,
    ) -> CallTimeline {
        let span = self.span(result);
        self.record(owner, view, span, result)
    }

    /// Returns a record with the given times.
    pub(super) fn record(
        &mut self,
        owner: Option<usize>,
        view: RecordView,
        span: Span,
        result: &'static str,
    ) -> CallTimeline {
        CallTimeline {
            id: self.rng.u64(..),
            session: self.session,
            owner,
            kind: "Voice",
            live: view,
            ended: view,
            result,
            span,
            // The list shows starts and ends 3 to 10 s late.
            visible_from: span.start + self.rng.i64(3_000..=10_000),
            end_visible_from: span.end + self.rng.i64(3_000..=10_000),
            shows_duration_ms: self.rng.bool(),
        }
    }

    /// Returns random times of a call with this result.
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
        choose(&mut self.rng, usual, &[(35, meeting)]).min(MAX_TALK_MS)
    }

    /// Returns a random external party.
    pub(super) fn outsider(&mut self) -> Side {
        Side::Outside(self.rng.u32(..))
    }

    /// Returns a random user who is reachable; the first ones are more likely, as few users make most of the calls.
    fn user(&mut self, role: Role) -> usize {
        let users = &self.company.users;
        let drawn = (self.rng.f64().powf(1.3) * users.len() as f64) as usize;
        self.next_reachable(drawn, role, None)
    }

    fn callee_other_than(&mut self, other: usize) -> usize {
        let user = self.user(Role::Callee);
        if user == other {
            return self.next_reachable(0, Role::Callee, Some(other));
        }
        user
    }

    /// Returns the first reachable user from `first` on, except one; if none is reachable, the first.
    fn next_reachable(&self, first: usize, role: Role, except: Option<usize>) -> usize {
        let users = &self.company.users;
        let mut fallback = None;
        for user in users.iter().cycle().skip(first).take(users.len()) {
            if Some(*user) == except {
                continue;
            }
            if self.is_reachable(*user, role) {
                return *user;
            }
            fallback = fallback.or(Some(*user));
        }
        fallback.or(except).unwrap_or(0)
    }

    /// Returns whether the user's choices allow this call.
    pub(super) fn is_reachable(&self, user: usize, role: Role) -> bool {
        settings::allow_call(self.seed, user, self.at, role)
    }
}
