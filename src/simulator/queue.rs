//! Calls to a queue: the odd ones, whose records change what they say of themselves.
//!
//! Pure. Routing is not listed; ringing and talking look like calls of the agents to themselves;
//! ended, each record tells under the same id what the call had been.

use crate::simulator::calls::Call;
use crate::simulator::random::choose;
use crate::simulator::timeline::{CallTimeline, RecordView, Side, Span};

impl Call<'_> {
    /// The caller waits unlisted; then one or several agents ring, and one of them answers.
    pub(super) fn queue(&mut self, lives: &mut Vec<CallTimeline>) {
        let chosen = self.rng.usize(0..self.company.queues.len().max(1));
        let Some(queue) = self.company.queues.get(chosen) else {
            return;
        };
        let caller = self.outsider();
        self.at += self.rng.i64(1_000..40_000);
        if choose(&mut self.rng, true, &[(140, false)]) {
            self.ring_agents(&queue.agents, caller, lives);
        } else {
            lives.push(self.unanswered(queue.extension, caller));
        }
    }

    fn ring_agents(&mut self, agents: &[usize], caller: Side, lives: &mut Vec<CallTimeline>) {
        let at_once = choose(&mut self.rng, 1, &[(150, 2), (100, 3), (50, 4)]).min(agents.len());
        let first = self.rng.usize(0..agents.len().max(1));
        let accepted = self.span("Accepted");
        let missed = Span {
            answered: None,
            end: accepted.answered.unwrap_or(accepted.end),
            ..accepted
        };
        let mut ringing = agents.iter().cycle().skip(first).take(at_once);
        if let Some(agent) = ringing.next() {
            lives.push(self.agents_record(*agent, caller, accepted, "Accepted"));
        }
        lives.extend(ringing.map(|agent| self.agents_record(*agent, caller, missed, "Missed")));
    }

    fn agents_record(
        &mut self,
        agent: usize,
        caller: Side,
        span: Span,
        result: &'static str,
    ) -> CallTimeline {
        let oneself = Side::NumberOnly(agent);
        let ended = RecordView::inbound(caller, Side::Inside(agent));
        let live = RecordView::outbound("VoIP Call", oneself, oneself);
        CallTimeline {
            live,
            ..self.record(Some(agent), ended, span, result)
        }
    }

    /// Nobody rang, so nothing was listed: the record turns up when all is over.
    fn unanswered(&mut self, queue: usize, caller: Side) -> CallTimeline {
        let others = [(400, "Voicemail"), (100, "Callback requested")];
        let result = choose(&mut self.rng, "Abandoned", &others);
        let life = self.life(
            Some(queue),
            RecordView::inbound(caller, Side::Inside(queue)),
            result,
        );
        CallTimeline {
            appears: life.end_shows,
            ..life
        }
    }
}
