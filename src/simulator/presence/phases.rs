//! What a call does to the telephony status of its extension: ringing, connected, on hold, parked.

use fastrand::Rng;

use crate::simulator::presence::TelephonyStatus;
use crate::simulator::random::{choose, hash_seed};
use crate::simulator::timeline::{CallTimeline, Span};

/// Shortest conversation with a hold, in milliseconds.
const MIN_TALK_WITH_HOLD_MS: i64 = 20_000;

/// A time in which a call has one status, in Unix milliseconds; `until` is the first instant after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Phase {
    pub(super) status: TelephonyStatus,
    pub(super) from: i64,
    pub(super) until: i64,
}

/// Returns the phases of a call; none for a fax.
pub(super) fn of(call: &CallTimeline) -> Vec<Phase> {
    if call.kind != "Voice" {
        return Vec::new();
    }
    let Span {
        start,
        answered,
        end,
    } = call.span;
    let mut phases = vec![phase(
        TelephonyStatus::Ringing,
        start,
        answered.unwrap_or(end),
    )];
    // Voicemail answers in the user's place.
    if let Some(answered) = answered
        && call.result != "Voicemail"
    {
        phases.extend(conversation(call.id, answered, end));
    }
    phases.retain(|phase| phase.from < phase.until);
    phases
}

/// Returns the phases of a conversation: a quarter of the longer ones are put on hold once, a few are parked.
fn conversation(call_id: u64, answered: i64, end: i64) -> Vec<Phase> {
    let whole = phase(TelephonyStatus::CallConnected, answered, end);
    if end - answered < MIN_TALK_WITH_HOLD_MS {
        return vec![whole];
    }
    let mut rng = Rng::with_seed(hash_seed(call_id, 0x401D));
    let interruptions = [
        (250, Some(TelephonyStatus::OnHold)),
        (40, Some(TelephonyStatus::ParkedCall)),
    ];
    let Some(status) = choose(&mut rng, None, &interruptions) else {
        return vec![whole];
    };
    let from = rng.i64(answered + 5_000..end - 10_000);
    let until = (from + rng.i64(3_000..60_000)).min(end - 1_000);
    vec![
        Phase {
            until: from,
            ..whole
        },
        phase(status, from, until),
        Phase {
            from: until,
            ..whole
        },
    ]
}

fn phase(status: TelephonyStatus, from: i64, until: i64) -> Phase {
    Phase {
        status,
        from,
        until,
    }
}
