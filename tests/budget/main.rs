//! The budget as a property: whatever the day, the exporter causes no 429, sends nothing inside a penalty, and its
//! snapshot stays as fresh as the limit allows.
//!
//! A day is simulated request by request against the simulated account's own limiter, with fixed and sliding windows,
//! answers up to ten seconds late or never, a list that grows and shrinks, and another tool that spends from the same
//! bucket. `world` is the API's side, `exporter` ours: the budget itself, driven as the client drives it. Three budgets
//! that are broken on purpose must fail: they test the test.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail"
)]

mod exporter;
mod world;

use exporter::{Exporter, Mutation};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use world::{Day, World};

/// Runs a day and checks after each scrape what must hold.
fn holds(day: &Day, mutation: Mutation) -> Result<(), TestCaseError> {
    let mut world = World::new(day);
    let mut exporter = Exporter::new(day, mutation);
    for scrape in day.scrapes() {
        if !exporter.is_walking(scrape) {
            exporter.scrape(&mut world, scrape);
        }
        prop_assert!(
            world.inside_penalty == 0,
            "sent inside a penalty at {scrape} ms"
        );
        prop_assert!(
            day.other_is_greedy || world.refused == 0,
            "a 429 at {scrape} ms"
        );
        exporter.is_fresh_or_says_why(scrape)?;
    }
    prop_assert!(exporter.walks > 0);
    Ok(())
}

/// The same days each time, so that a failure is a change of ours; `PROPTEST_CASES=5000` looks at as many others.
fn runner() -> TestRunner {
    let config = Config {
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Config::default()
    };
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => TestRunner::new(config),
        None => {
            let dice = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
            TestRunner::new_with_rng(
                Config {
                    cases: 96,
                    ..config
                },
                dice,
            )
        }
    }
}

#[test]
fn no_day_causes_a_429_or_a_request_inside_a_penalty_and_the_snapshot_stays_fresh() {
    runner()
        .run(&Day::any(), |day| holds(&day, Mutation::None))
        .unwrap();
}

/// A broken budget must fail, and for what is broken in it.
fn is_found_out(mutation: Mutation, by: &[&str]) {
    let failure = runner()
        .run(&Day::any(), |day| holds(&day, mutation))
        .unwrap_err()
        .to_string();
    assert!(by.iter().any(|words| failure.contains(words)), "{failure}");
}

#[test]
fn a_budget_without_reserve_is_found_out() {
    is_found_out(Mutation::NoReserve, &["a 429"]);
}

#[test]
fn a_budget_that_counts_the_window_from_the_start_of_a_request_is_found_out() {
    is_found_out(
        Mutation::WindowFromStart,
        &["a 429", "sent inside a penalty"],
    );
}

#[test]
fn a_budget_that_tries_again_inside_the_penalty_is_found_out() {
    is_found_out(Mutation::DeafToPenalties, &["sent inside a penalty"]);
}
