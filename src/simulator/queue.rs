//! Calls to a queue: the odd ones, whose records change what they say of themselves.
//!
//! Pure. Routing is not listed; ringing and talking look like calls of the agents to themselves;
//! ended, each record tells under the same id what the call had been.

use crate::simulator::calls::Call;
use crate::simulator::random::pick;
use crate::simulator::timeline::{Face, Life, Side, Span};

impl Call<'_> {
    /// The caller waits unlisted; then one or several agents ring, and one of them answers.
    pub(super) fn queue(&mut self, lives: &mut Vec<Life>) {
        let chosen = self.rng.usize(0..self.company.queues.len().max(1));
        let Some(queue) = self.company.queues.get(chosen) else {
            return;
        };
        let caller = self.outsider();
        self.at += self.rng.i64(1_000..40_000);
        if pick(&mut self.rng, true, &[(140, false)]) {
            self.ring_agents(&queue.agents, caller, lives);
        } else {
            lives.push(self.unanswered(queue.extension, caller));
        }
    }

    fn ring_agents(&mut self, agents: &[usize], caller: Side, lives: &mut Vec<Life>) {
        let at_once = pick(&mut self.rng, 1, &[(150, 2), (100, 3), (50, 4)]).min(agents.len());
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
    ) -> Life {
        let oneself = Side::NumberOnly(agent);
        let ended = Face::inbound(caller, Side::Inside(agent));
        let live = Face::outbound("VoIP Call", oneself, oneself);
        Life {
            live,
            ..self.record(Some(agent), ended, span, result)
        }
    }

    /// Nobody rang, so nothing was listed: the record turns up when all is over.
    fn unanswered(&mut self, queue: usize, caller: Side) -> Life {
        let others = [(400, "Voicemail"), (100, "Callback requested")];
        let result = pick(&mut self.rng, "Abandoned", &others);
        let life = self.life(
            Some(queue),
            Face::inbound(caller, Side::Inside(queue)),
            result,
        );
        Life {
            appears: life.end_shows,
            ..life
        }
    }
}
