//! The daily schedule of faults. The other client that uses the whole limit is part of the
//! scenario.

use ringcentral_exporter::simulator::{Fault, FaultKind, Operation, SimResponse, Times};

use crate::harness::TestExporter;
use crate::invariants::Invariants;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// The penalty of the 429 for the account. All others are longer.
pub const PENALTY_S: u32 = 40;

/// Stops or starts the exporter if that is due at this second.
pub async fn restart(exporter: &mut TestExporter, invariants: &mut Invariants, second: i64) {
    match second % DAY {
        // Not when the other client uses the limit: with lists that are 100 s apart, calls are lost in a restart. The
        // second stop is in a penalty, see `apply`.
        s if s == 14 * HOUR || s == 15 * HOUR + 15 => {
            exporter.scrape(false).await;
            invariants.note_stop(&exporter.get().await);
            exporter.stop().await;
        }
        s if s % MINUTE == 30 && !exporter.is_running() => exporter.start_again().await,
        _ => {}
    }
}

/// Injects the faults that are due at this second.
pub fn apply(exporter: &mut TestExporter, second: i64) {
    match second % DAY {
        // An outage of 40 minutes. Calls that end meanwhile are not seen, so the exporter must
        // report a coverage gap.
        s if s == 3 * HOUR + 40 * MINUTE => exporter.simulator().inject(Fault::always(
            Operation::ActiveCalls,
            SimResponse::unavailable(503),
        )),
        s if s == 4 * HOUR + 20 * MINUTE => exporter.simulator().clear_faults(),
        s if s == 7 * HOUR => inject(exporter, FaultKind::Hang),
        s if s == 9 * HOUR => inject(exporter, FaultKind::Truncate),
        // Another client opens a sixth session.
        s if s == 11 * HOUR => exporter.simulator().evict_tokens(),
        // Another client exceeded the limit of the whole account.
        s if s == 15 * HOUR => inject(
            exporter,
            SimResponse::too_many_requests(Some(PENALTY_S.into())).into(),
        ),
        // The back-off after three refused logins causes a coverage gap.
        s if s == 19 * HOUR => refuse_logins(exporter),
        s if s == 22 * HOUR => exporter.rotate_jwt(),
        _ => {}
    }
}

fn inject(exporter: &TestExporter, kind: FaultKind) {
    exporter
        .simulator()
        .inject(Fault::once(Operation::ActiveCalls, kind));
}

fn refuse_logins(exporter: &TestExporter) {
    let kind = FaultKind::from(SimResponse::grant_not_allowed());
    exporter.simulator().inject(Fault {
        operation: Operation::Token,
        kind,
        times: Times::N(3),
    });
    exporter.simulator().evict_tokens();
}
