//! What users choose: available or not, and which calls they accept. Each keeps a choice for an hour.

use fastrand::Rng;

use crate::simulator::presence::{DndStatus, Reachability};
use crate::simulator::random::{choose, hash_seed};

const HOUR_MS: i64 = 3_600_000;
/// Longer than any phone rings, in milliseconds.
const MAX_RING_MS: i64 = 60_000;

/// What a user does in a call.
#[derive(Clone, Copy, Debug)]
pub(in crate::simulator) enum Role {
    Caller,
    Callee,
    QueueAgent,
}

/// Returns whether the user's choices allow a call that begins to ring at `at`.
pub(in crate::simulator) fn allow_call(seed: u64, position: usize, at: i64, role: Role) -> bool {
    for at in [at, at + MAX_RING_MS] {
        let (reachability, dnd) = self::at(seed, position, at);
        if reachability == Reachability::Offline || !accepts(dnd, role) {
            return false;
        }
    }
    true
}

/// Returns whether the setting allows the call. A user who refuses all calls makes none either.
fn accepts(dnd: DndStatus, role: Role) -> bool {
    match dnd {
        DndStatus::TakeAllCalls => true,
        DndStatus::TakeDepartmentCallsOnly => !matches!(role, Role::Callee),
        DndStatus::DoNotAcceptDepartmentCalls => !matches!(role, Role::QueueAgent),
        DndStatus::DoNotAcceptAnyCalls => false,
    }
}

/// Returns the choices at `at` of the user at this position among the extensions.
pub(super) fn at(seed: u64, position: usize, at: i64) -> (Reachability, DndStatus) {
    let hour = (at + offset(seed, position)).div_euclid(HOUR_MS);
    let user = hash_seed(hash_seed(seed, 0x5E77), position as u64);
    let mut rng = Rng::with_seed(hash_seed(user, hour.unsigned_abs()));
    let reachability = choose(
        &mut rng,
        Reachability::Available,
        &[(60, Reachability::Busy), (80, Reachability::Offline)],
    );
    let others = [
        (50, DndStatus::TakeDepartmentCallsOnly),
        (40, DndStatus::DoNotAcceptDepartmentCalls),
        (30, DndStatus::DoNotAcceptAnyCalls),
    ];
    (
        reachability,
        choose(&mut rng, DndStatus::TakeAllCalls, &others),
    )
}

/// Returns the first instant from `at` on at which the choices may change.
pub(super) fn next_change(seed: u64, position: usize, at: i64) -> i64 {
    let offset = offset(seed, position);
    // The last millisecond before `at` is in the hour that ends next.
    ((at - 1 + offset).div_euclid(HOUR_MS) + 1) * HOUR_MS - offset
}

/// Returns where in an hour the user's choices change, so that not all change at the same time.
fn offset(seed: u64, position: usize) -> i64 {
    (hash_seed(hash_seed(seed, 0x0FF5), position as u64) % HOUR_MS.unsigned_abs()) as i64
}
