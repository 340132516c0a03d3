//! Calls to a queue, whose records change direction and parties when they end.
//!
//! As at RingCentral, the list does not show a call that waits in the queue. While it rings or is
//! connected, its records look like outbound calls of the agents to themselves; when ended, the
//! same records show an inbound call of the caller.

use std::ops::Range;

use crate::simulator::calls::Call;
use crate::simulator::company::{Queue, Ringing};
use crate::simulator::presence::settings::Role;
use crate::simulator::random::choose;
use crate::simulator::timeline::{CallTimeline, RecordView, Side, Span};

/// Number of agents that a queue rings one after another before the call goes to voicemail.
const MAX_SEQUENTIAL_AGENTS: usize = 8;
/// Time between two of these agents, in which the list has no live record of the call.
const AGENT_GAP_MS: i64 = 3_000;
/// Share of the agents who answer, in thousandths.
const ANSWERED: u32 = 300;

impl Call<'_> {
    /// Appends the records of the agents, at most one of which accepts, or of an unanswered call.
    pub(super) fn queue(&mut self, timelines: &mut Vec<CallTimeline>) {
        let position = self.rng.usize(0..self.company.queues.len().max(1));
        let Some(queue) = self.company.queues.get(position) else {
            return;
        };
        let caller = self.outsider();
        self.at += self.rng.i64(1_000..40_000);
        if self.company.ringing == Ringing::Sequential {
            self.ring_in_turn(queue, caller, timelines);
        } else if choose(&mut self.rng, true, &[(140, false)]) {
            self.ring_agents(queue, caller, timelines);
        } else {
            timelines.push(self.unanswered(queue.extension, caller));
        }
    }

    /// Appends the records of up to four agents who ring at the same time; the first of them answers.
    fn ring_agents(&mut self, queue: &Queue, caller: Side, timelines: &mut Vec<CallTimeline>) {
        let count = choose(&mut self.rng, 1, &[(150, 2), (100, 3), (50, 4)]);
        let agents = self.reachable_agents(queue);
        if agents.is_empty() {
            timelines.push(self.unanswered(queue.extension, caller));
            return;
        }
        let accepted = self.span("Accepted");
        let missed = Span {
            answered: None,
            end: accepted.answered.unwrap_or(accepted.end),
            ..accepted
        };
        let mut ringing = agents.iter().take(count);
        if let Some(agent) = ringing.next() {
            timelines.push(self.agent_record(*agent, caller, accepted, "Accepted"));
        }
        for agent in ringing {
            timelines.push(self.agent_record(*agent, caller, missed, "Missed"));
        }
    }

    /// Appends the records of agents who ring one after another until one answers, else of the voicemail.
    fn ring_in_turn(&mut self, queue: &Queue, caller: Side, timelines: &mut Vec<CallTimeline>) {
        for agent in self
            .reachable_agents(queue)
            .iter()
            .take(MAX_SEQUENTIAL_AGENTS)
        {
            // The choice can change while others ring.
            if !self.is_reachable(*agent, Role::QueueAgent) {
                continue;
            }
            if choose(&mut self.rng, false, &[(ANSWERED, true)]) {
                let span = self.span("Accepted");
                timelines.push(self.agent_record(*agent, caller, span, "Accepted"));
                return;
            }
            let span = self.unanswered_span(10_000..20_000);
            timelines.push(self.agent_record(*agent, caller, span, "Missed"));
            self.at = span.end + AGENT_GAP_MS;
        }
        let view = RecordView::inbound(caller, Side::Inside(queue.extension));
        let span = self.unanswered_span(4_000..60_000);
        timelines.push(self.record(Some(queue.extension), view, span, "Voicemail"));
    }

    /// Returns the agents whom the queue can ring, from a random one on.
    fn reachable_agents(&mut self, queue: &Queue) -> Vec<usize> {
        let first = self.rng.usize(0..queue.agents.len().max(1));
        let mut agents = queue.agents.clone();
        agents.rotate_left(first);
        agents.retain(|agent| self.is_reachable(*agent, Role::QueueAgent));
        agents
    }

    fn unanswered_span(&mut self, duration_ms: Range<i64>) -> Span {
        Span {
            start: self.at,
            answered: None,
            end: self.at + self.rng.i64(duration_ms),
        }
    }

    fn agent_record(
        &mut self,
        agent: usize,
        caller: Side,
        span: Span,
        result: &'static str,
    ) -> CallTimeline {
        let number = Side::NumberOnly(agent);
        let ended = RecordView::inbound(caller, Side::Inside(agent));
        let live = RecordView::outbound("VoIP Call", number, number);
        CallTimeline {
            live,
            ..self.record(Some(agent), ended, span, result)
        }
    }

    /// Returns the record of a call that rang no agent, which the list shows only after its end.
    fn unanswered(&mut self, queue: usize, caller: Side) -> CallTimeline {
        let others = [(400, "Voicemail"), (100, "Callback requested")];
        let result = choose(&mut self.rng, "Abandoned", &others);
        let timeline = self.timeline(
            Some(queue),
            RecordView::inbound(caller, Side::Inside(queue)),
            result,
        );
        CallTimeline {
            visible_from: timeline.end_visible_from,
            ..timeline
        }
    }
}
