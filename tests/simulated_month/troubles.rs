//! What goes wrong during the month, and when. The other tool that empties the limit is the scenario's own.

use ringcentral_exporter::simulator::{Fault, FaultKind, Operation, SimResponse, Times};

use crate::world::World;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Makes happen what is due at this second.
pub fn befall(world: &mut World, second: i64) {
    let of_day = second % DAY;
    match of_day {
        // An outage of forty minutes each night; calls that end meanwhile go unseen, and a gap says so.
        s if s == 3 * HOUR + 40 * MINUTE => world.simulator().inject(Fault::always(
            Operation::ActiveCalls,
            SimResponse::unavailable(503),
        )),
        s if s == 4 * HOUR + 20 * MINUTE => world.simulator().clear_faults(),
        // A request that is never answered, and one that is torn.
        s if s == 7 * HOUR => hurt(world, FaultKind::Hang),
        s if s == 9 * HOUR => hurt(world, FaultKind::Truncate),
        // Somebody else opens a sixth session.
        s if s == 11 * HOUR => world.simulator().evict_tokens(),
        // Too many requests, by somebody else's doing, for the whole account.
        s if s == 15 * HOUR => hurt(world, SimResponse::too_many_requests(Some(40)).into()),
        // Logins that are refused thrice running: a gap.
        s if s == 19 * HOUR => refuse_logins(world),
        s if s == 22 * HOUR => world.rotate_jwt(),
        _ => {}
    }
}

fn hurt(world: &World, kind: FaultKind) {
    world
        .simulator()
        .inject(Fault::once(Operation::ActiveCalls, kind));
}

fn refuse_logins(world: &World) {
    let kind = FaultKind::from(SimResponse::grant_not_allowed());
    world.simulator().inject(Fault {
        operation: Operation::Token,
        kind,
        times: Times::N(3),
    });
    world.simulator().evict_tokens();
}
