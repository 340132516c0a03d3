//! Which calls come about in a minute, and what becomes of them.
//!
//! Pure. Here is what a working day sounds like: who calls whom, how long it rings, how it ends,
//! and how many records RingCentral makes of it. Knows nothing of what is asked about them.

use fastrand::Rng;

use super::company::Company;
use super::curve::Curve;
use super::dice::{exponential_ms, mix, pick, poisson};
use super::record::{Direction, Face, Life, Session, Side};

/// No record is listed for longer than this after its minute began.
pub(super) const LONGEST_LIFE_MINUTES: i64 = 62;

const MINUTE_MS: i64 = 60_000;
const LONGEST_TALK_MS: i64 = 55 * MINUTE_MS;
const MEAN_TALK_MS: f64 = 170_000.0;

/// All records of the calls that arrive in `minute` (minutes since 1970).
pub(super) fn of_minute(company: &Company, curve: &Curve, seed: u64, minute: i64) -> Vec<Life> {
    let mut rng = Rng::with_seed(mix(seed, minute as u64));
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

/// When a call began, was answered and ended.
#[derive(Clone, Copy)]
struct Span {
    start: i64,
    answered: Option<i64>,
    end: i64,
}

/// A call that is being placed: the dice are its own, so that no call changes another.
struct Call<'a> {
    company: &'a Company,
    rng: Rng,
    at: i64,
    session: Session,
}

impl<'a> Call<'a> {
    fn new(company: &'a Company, seed: u64, number: u64, at: i64) -> Call<'a> {
        let mut rng = Rng::with_seed(mix(mix(seed, 0xCA11), number));
        let session = Session { number, has_telephony_id: pick(&mut rng, true, &[(60, false)]) };
        Call { company, rng, at, session }
    }

    fn place(mut self, lives: &mut Vec<Life>) {
        let others =
            [(300, Kind::Direct), (150, Kind::Internal), (200, Kind::Queue), (60, Kind::CompanyLevel), (10, Kind::Fax)];
        match pick(&mut self.rng, Kind::Outgoing, &others) {
            Kind::Direct => lives.push(self.direct()),
            Kind::Outgoing => lives.push(self.outgoing()),
            Kind::Internal => lives.extend(self.internal()),
            Kind::Queue => self.queue(lives),
            Kind::CompanyLevel => lives.push(self.company_level()),
            Kind::Fax => lives.push(self.fax()),
        }
    }

    fn direct(&mut self) -> Life {
        let callee = self.user();
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
        let result = pick(&mut self.rng, "Accepted", &others);
        let face = Face {
            direction: Direction::Inbound,
            action: "Phone Call",
            from: self.outsider(),
            to: Side::Inside(callee),
        };
        let span = self.span(result);
        self.record(Some(callee), face, span, result)
    }

    fn outgoing(&mut self) -> Life {
        let caller = self.user();
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
        let result = pick(&mut self.rng, "Call connected", &others);
        let actions = [(150, "RingOut Web"), (50, "RingOut Mobile"), (100, "Phone Call")];
        let face = Face {
            direction: Direction::Outbound,
            action: pick(&mut self.rng, "VoIP Call", &actions),
            from: Side::Inside(caller),
            to: self.outsider(),
        };
        let span = self.span(result);
        self.record(Some(caller), face, span, result)
    }

    /// One session, two records: the caller's and the callee's.
    fn internal(&mut self) -> [Life; 2] {
        let caller = self.user();
        let callee = self.user_but(caller);
        let others = [
            (120, ("No Answer", "Missed")),
            (60, ("Hang Up", "Missed")),
            (70, ("Call connected", "Voicemail")),
            (30, ("Busy", "Busy")),
        ];
        let (out, back) = pick(&mut self.rng, ("Call connected", "Accepted"), &others);
        let (from, to) = (Side::Inside(caller), Side::Inside(callee));
        let outbound = Face { direction: Direction::Outbound, action: "VoIP Call", from, to };
        let inbound = Face { direction: Direction::Inbound, action: "Phone Call", from, to };
        let span = self.span(back);
        [self.record(Some(caller), outbound, span, out), self.record(Some(callee), inbound, span, back)]
    }

    /// The caller waits unlisted; then one or several agents ring, and one of them answers.
    fn queue(&mut self, lives: &mut Vec<Life>) {
        let chosen = self.rng.usize(0..self.company.queues.len().max(1));
        let Some(queue) = self.company.queues.get(chosen) else {
            return;
        };
        let caller = self.outsider();
        self.at += self.rng.i64(1_000..40_000);
        if pick(&mut self.rng, true, &[(140, false)]) {
            self.ring_agents(&queue.agents, caller, lives);
        } else {
            lives.push(self.unanswered_in_queue(queue.extension, caller));
        }
    }

    fn ring_agents(&mut self, agents: &[usize], caller: Side, lives: &mut Vec<Life>) {
        let at_once = pick(&mut self.rng, 1, &[(150, 2), (100, 3), (50, 4)]);
        let first = self.rng.usize(0..agents.len().max(1));
        let accepted = self.span("Accepted");
        let missed = Span { answered: None, end: accepted.answered.unwrap_or(accepted.end), ..accepted };
        for (turn, agent) in agents.iter().cycle().skip(first).take(at_once.min(agents.len())).enumerate() {
            let (span, result) = if turn == 0 { (accepted, "Accepted") } else { (missed, "Missed") };
            lives.push(self.queue_record(*agent, caller, span, result));
        }
    }

    /// While live it looks like a call of the agent to himself; ended, like what it was.
    fn queue_record(&mut self, agent: usize, caller: Side, span: Span, result: &'static str) -> Life {
        let oneself = Side::NumberOnly(agent);
        let ended = Face { direction: Direction::Inbound, action: "Phone Call", from: caller, to: Side::Inside(agent) };
        let live = Face { direction: Direction::Outbound, action: "VoIP Call", from: oneself, to: oneself };
        Life { live, ..self.record(Some(agent), ended, span, result) }
    }

    /// Nobody rang, so nothing was listed: the record turns up when all is over.
    fn unanswered_in_queue(&mut self, queue: usize, caller: Side) -> Life {
        let others = [(400, "Voicemail"), (100, "Callback requested")];
        let result = pick(&mut self.rng, "Abandoned", &others);
        let face = Face { direction: Direction::Inbound, action: "Phone Call", from: caller, to: Side::Inside(queue) };
        let span = self.span(result);
        let life = self.record(Some(queue), face, span, result);
        Life { appears: life.end_shows, ..life }
    }

    /// To the main number or the menu: nobody's extension.
    fn company_level(&mut self) -> Life {
        let others = [(250, "Hang Up"), (200, "Abandoned"), (150, "Missed"), (100, "Voicemail")];
        let result = pick(&mut self.rng, "Accepted", &others);
        let face =
            Face { direction: Direction::Inbound, action: "Phone Call", from: self.outsider(), to: Side::MainNumber };
        let span = self.span(result);
        self.record(None, face, span, result)
    }

    fn fax(&mut self) -> Life {
        let user = self.user();
        let (from, to) = (self.outsider(), Side::Inside(user));
        let arriving = Face { direction: Direction::Inbound, action: "Incoming Fax", from, to };
        let leaving = Face { direction: Direction::Outbound, action: "Outgoing Fax", from: to, to: from };
        let others = [(400, (leaving, "Sent")), (60, (leaving, "Fax Not Sent"))];
        let (face, result) = pick(&mut self.rng, (arriving, "Received"), &others);
        let span = Span { start: self.at, answered: None, end: self.at + self.rng.i64(20_000..90_000) };
        Life { kind: "Fax", ..self.record(Some(user), face, span, result) }
    }

    fn record(&mut self, owner: Option<usize>, face: Face, span: Span, result: &'static str) -> Life {
        // The list lags behind by 3 to 10 seconds in both directions.
        let appears = span.start + self.rng.i64(3_000..=10_000);
        let end_shows = span.end + self.rng.i64(3_000..=10_000);
        Life {
            id: self.rng.u64(..),
            session: self.session,
            owner,
            kind: "Voice",
            live: face,
            ended: face,
            result,
            start: span.start,
            answered: span.answered,
            end: span.end,
            appears,
            end_shows,
            shows_duration_ms: self.rng.bool(),
        }
    }

    fn span(&mut self, result: &str) -> Span {
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
            _ => (self.rng.i64(6_000..45_000), 0),
        };
        let answered = (talk > 0).then_some(self.at + ring);
        Span { start: self.at, answered, end: self.at + ring + talk }
    }

    fn talk(&mut self) -> i64 {
        let usual = 12_000 + exponential_ms(&mut self.rng, MEAN_TALK_MS);
        let meeting = self.rng.i64(15 * MINUTE_MS..50 * MINUTE_MS);
        pick(&mut self.rng, usual, &[(35, meeting)]).min(LONGEST_TALK_MS)
    }

    fn outsider(&mut self) -> Side {
        Side::Outside(self.rng.u32(..))
    }

    /// Some people phone far more than others: the first ones here.
    fn user(&mut self) -> usize {
        let users = &self.company.users;
        let drawn = self.rng.f64().powf(1.3) * users.len() as f64;
        users.get(drawn as usize).copied().unwrap_or(0)
    }

    fn user_but(&mut self, other: usize) -> usize {
        let users = &self.company.users;
        let wanted = self.user();
        let mut candidates = users.iter().copied().filter(|user| *user != other);
        if wanted != other { wanted } else { candidates.next().unwrap_or(other) }
    }
}
