//! Calls to a queue, whose records change direction and parties when they end.
//!
//! As at RingCentral, the list does not show a call that waits in the queue. While it rings or is
//! connected, its records look like outbound calls of the agents to themselves; when ended, the
//! same records show an inbound call of the caller.

use crate::simulator::calls::Call;
use crate::simulator::random::choose;
use crate::simulator::timeline::{CallTimeline, RecordView, Side, Span};

impl Call<'_> {
    /// Appends the records of the agents, at most one of which accepts, or of an unanswered call.
    pub(super) fn queue(&mut self, timelines: &mut Vec<CallTimeline>) {
        let position = self.rng.usize(0..self.company.queues.len().max(1));
        let Some(queue) = self.company.queues.get(position) else {
            return;
        };
        let caller = self.outsider();
        self.at += self.rng.i64(1_000..40_000);
        if choose(&mut self.rng, true, &[(140, false)]) {
            self.ring_agents(&queue.agents, caller, timelines);
        } else {
            timelines.push(self.unanswered(queue.extension, caller));
        }
    }

    fn ring_agents(&mut self, agents: &[usize], caller: Side, timelines: &mut Vec<CallTimeline>) {
        let count = choose(&mut self.rng, 1, &[(150, 2), (100, 3), (50, 4)]).min(agents.len());
        let first = self.rng.usize(0..agents.len().max(1));
        let accepted = self.span("Accepted");
        let missed = Span {
            answered: None,
            end: accepted.answered.unwrap_or(accepted.end),
            ..accepted
        };
        let mut ringing = agents.iter().cycle().skip(first).take(count);
        if let Some(agent) = ringing.next() {
            timelines.push(self.agent_record(*agent, caller, accepted, "Accepted"));
        }
        for agent in ringing {
            timelines.push(self.agent_record(*agent, caller, missed, "Missed"));
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
