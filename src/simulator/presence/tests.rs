use std::collections::HashMap;

use super::*;
use crate::simulator::company::Company;
use crate::simulator::load_profile::LoadProfile;

const HOUR_MS: i64 = 60 * MINUTE_MS;
/// 2026-09-15 10:20:00.123 UTC, a Tuesday.
const MORNING: i64 = 1_789_467_600_123;

fn switchboard(calls_per_minute: f64) -> Switchboard {
    let load_profile = LoadProfile {
        calls_per_minute,
        day_shift_ms: 0,
        surge: None,
    };
    Switchboard::new(Company::new(200, 5), load_profile, 5)
}

fn statuses(switchboard: &Switchboard, at: i64) -> HashMap<u64, Presence> {
    let list = switchboard.presence_at(at);
    let with_status = |row: ExtensionPresence| Some((row.extension_id, row.status?));
    list.into_iter().filter_map(with_status).collect()
}

#[test]
fn changes_applied_to_a_list_give_each_later_list() {
    let switchboard = switchboard(60.0);
    let mut state = statuses(&switchboard, MORNING);
    let changes = switchboard.presence_changes(MORNING, MORNING + 5 * MINUTE_MS);
    assert!(changes.len() > 200, "{}", changes.len());
    for (index, change) in changes.iter().enumerate() {
        let before = state.insert(change.extension_id, change.to);
        assert_eq!(before, Some(change.from));
        let next = changes.get(index + 1);
        if index % 20 == 0 && next.is_none_or(|next| next.at_ms > change.at_ms) {
            assert_eq!(state, statuses(&switchboard, change.at_ms));
        }
    }
    assert_eq!(state, statuses(&switchboard, MORNING + 5 * MINUTE_MS));
}

#[test]
fn changes_by_parts_equal_those_of_the_whole() {
    let switchboard = switchboard(60.0);
    let whole = switchboard.presence_changes(MORNING, MORNING + 3 * MINUTE_MS);
    let mut parts = Vec::new();
    for part in 0..180 {
        let after = MORNING + part * 1_000;
        parts.extend(switchboard.presence_changes(after, after + 1_000));
    }
    assert_eq!(whole, parts);
}

#[test]
fn an_hour_has_every_status_and_each_dnd_status() {
    let changes = switchboard(20.0).presence_changes(MORNING, MORNING + HOUR_MS);
    for status in [
        TelephonyStatus::NoCall,
        TelephonyStatus::Ringing,
        TelephonyStatus::CallConnected,
        TelephonyStatus::OnHold,
        TelephonyStatus::ParkedCall,
    ] {
        assert!(
            changes.iter().any(|c| c.to.telephony == status),
            "{status:?}"
        );
    }
    for status in [
        Reachability::Available,
        Reachability::Busy,
        Reachability::Offline,
    ] {
        assert!(
            changes.iter().any(|c| c.to.presence == status),
            "{status:?}"
        );
    }
    for status in [
        DndStatus::TakeAllCalls,
        DndStatus::TakeDepartmentCallsOnly,
        DndStatus::DoNotAcceptDepartmentCalls,
        DndStatus::DoNotAcceptAnyCalls,
    ] {
        assert!(changes.iter().any(|c| c.to.dnd == status), "{status:?}");
    }
}

#[test]
fn only_enabled_users_have_statuses() {
    let switchboard = switchboard(10.0);
    let list = switchboard.presence_at(MORNING);
    let company = switchboard.company();
    for row in &list {
        let mut extensions = company.extensions.iter();
        let extension = extensions.find(|e| e.id == row.extension_id).unwrap();
        assert!(matches!(extension.status, None | Some("Enabled")));
        assert_eq!(row.status.is_some(), extension.kind == "User");
    }
    // The users and the main line.
    let with_status = list.iter().filter(|row| row.status.is_some()).count();
    assert_eq!(with_status, company.users.len() + 1);
}

#[test]
fn interrupted_conversation_returns_to_connected() {
    let changes = switchboard(20.0).presence_changes(MORNING, MORNING + HOUR_MS);
    let held = changes.iter().filter(|c| {
        c.from.telephony == TelephonyStatus::CallConnected
            && c.to.telephony == TelephonyStatus::OnHold
    });
    let taken_back = changes.iter().filter(|c| {
        c.from.telephony == TelephonyStatus::OnHold
            && c.to.telephony == TelephonyStatus::CallConnected
    });
    let (held, taken_back) = (held.count(), taken_back.count());
    assert!(held > 50 && held.abs_diff(taken_back) < held / 5);
}

#[test]
fn no_phone_rings_that_is_offline_or_refuses_calls() {
    let mut rings = 0;
    for change in switchboard(60.0).presence_changes(MORNING, MORNING + HOUR_MS) {
        if change.to.telephony == TelephonyStatus::Ringing {
            rings += 1;
            assert_ne!(change.to.presence, Reachability::Offline, "{change:?}");
            assert_ne!(change.to.dnd, DndStatus::DoNotAcceptAnyCalls, "{change:?}");
        }
    }
    assert!(rings > 500, "{rings}");
}
