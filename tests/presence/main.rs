//! Presence over a simulated day: the exporter's state, fed with what arrives of the truth, against a second
//! implementation of the contract.
//!
//! `recording` has the truth of a day, the connections, and what arrives over them. `verifier` follows the contract
//! from the whole history of each extension. The reducers in `mutants` have defects and must fail: they test the test.
//!
//! With a whole exporter over real sockets: `whole_exporter` compares its metrics with the truth, `faults` has a table
//! of what can go wrong between it and the event gateway, and `secrets` looks for tokens in all that it writes.

#![allow(
    unreachable_pub,
    reason = "nothing outside this program can use its items"
)]
#![allow(clippy::disallowed_methods, reason = "tests measure time themselves")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail"
)]

#[path = "../common/mod.rs"]
mod common;
mod faults;
#[allow(dead_code, reason = "another test program's, which uses all of it")]
#[path = "../exporter/harness.rs"]
mod harness;
mod mutants;
mod recording;
mod secrets;
mod verifier;
mod whole_exporter;

use std::sync::LazyLock;

use mutants::{Defect, Mutant, Reducer};
use recording::{Recording, Settings};
use ringcentral_exporter::presence::PresenceState;
use verifier::{Report, verify};

/// A busy day with faults, in the form of events that RingCentral documents: only changed fields.
static FAULTY: LazyLock<Recording> = LazyLock::new(|| Recording::new(Settings::faulty(1, true)));

fn replay(reducer: &mut dyn Reducer, recording: &Recording) -> Report {
    let report = verify(reducer, recording).unwrap();
    println!("{report:?}");
    report
}

fn assert_every_fault_occurred(report: &Report) {
    assert!(report.events > 15_000, "{report:?}");
    assert!(report.duplicates > 300 && report.late > 50, "{report:?}");
    assert!(report.gaps > 20 && report.stale_reads > 1, "{report:?}");
    assert!(report.unknown_extensions > 0, "{report:?}");
    assert!(report.corrections > 30, "{report:?}");
    assert!(report.restarts > 10, "{report:?}");
    assert!(
        report.changes > 10_000 && report.durations > 8_000,
        "{report:?}"
    );
    assert!(
        report.first_states_reported_late * 1_000 <= report.durations,
        "{report:?}"
    );
    // Few extensions have a state that the truth does not confirm, and only until the next read.
    assert!(
        report.confirmed_by_truth * 10 > report.events * 8,
        "{report:?}"
    );
}

#[test]
fn day_with_faults_and_changed_fields_is_exact() {
    let report = replay(&mut PresenceState::default(), &FAULTY);
    assert_every_fault_occurred(&report);
}

#[test]
fn day_with_faults_and_full_bodies_is_exact() {
    let recording = Recording::new(Settings::faulty(2, false));
    let report = replay(&mut PresenceState::default(), &recording);
    assert_every_fault_occurred(&report);
}

#[test]
fn day_of_another_company_with_faults_is_exact() {
    let recording = Recording::new(Settings::faulty(3, true));
    let report = replay(&mut PresenceState::default(), &recording);
    assert_every_fault_occurred(&report);
}

#[test]
fn reliable_day_equals_the_truth_without_corrections() {
    let recording = Recording::new(Settings::reliable(4));
    let report = replay(&mut PresenceState::default(), &recording);
    assert_eq!(report.corrections, 0, "{report:?}");
    let applied = report.events - report.duplicates;
    assert_eq!(report.confirmed_by_truth, applied, "{report:?}");
    let counted = (report.changes, report.durations);
    assert_eq!(counted, recording.telephony_changes(), "{report:?}");
}

/// Returns how a reducer with this defect is detected.
fn detect(defect: Defect) -> String {
    match verify(&mut Mutant::new(defect), &FAULTY) {
        Ok(report) => format!("not detected: {report:?}"),
        Err(failure) => failure,
    }
}

#[test]
fn reducer_without_a_defect_passes() {
    verify(&mut Mutant::new(Defect::None), &FAULTY).unwrap();
}

#[test]
fn defective_reducers_are_detected() {
    let mut wrong = Vec::new();
    for (defect, expected) in [
        (Defect::IgnoresSequences, "discarded"),
        (Defect::AppliesLateEvents, "states"),
        (Defect::AppliesDuplicates, "discarded"),
        (Defect::KeepsDurationsOverGaps, "change"),
        (Defect::KeepsDurationsOverHoles, "change"),
        (Defect::KeepsSequencesOverGaps, "Err("),
        (Defect::KeepsSequencesOverRestarts, "Err(Late)"),
        (Defect::IgnoresGaps, "is_whole"),
        (Defect::ReadReplacesNewerEvents, "corrections"),
        (Defect::CountsCorrections, "change"),
        (Defect::CountsRepeatedStatuses, "change"),
        (Defect::ForgetsHold, "change"),
        (Defect::ForgetsFieldsThatEventsLack, "state"),
        (Defect::AcceptsUnknownExtensions, "discarded"),
        (Defect::KeepsExtensionsThatReadsLack, "state"),
        (Defect::BelievesReadsFromBeforeAGap, "is_whole"),
        (Defect::CountsFirstReadAsAudit, "corrections"),
    ] {
        let failure = detect(defect);
        println!("{defect:?}: {failure}");
        if !failure.contains(expected) {
            wrong.push(format!("{defect:?}: {failure}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
