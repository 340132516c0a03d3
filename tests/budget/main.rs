//! Property tests of the request budget over simulated days.
//!
//! Each day is simulated request by request against the limiter of the simulator: fixed and sliding
//! windows, responses after up to ten seconds or never, a list that grows and shrinks, another
//! client that uses the same limit, and headers in all forms that occur. The exporter fetches calls,
//! reads presence, logs in and requests event tokens. It must cause no 429, send nothing inside a
//! penalty, keep its snapshot as fresh as the limit allows, leave half of the limit to calls, and
//! leave room for a login. Budgets with a defect must fail: they test the test.

#![allow(
    unreachable_pub,
    reason = "nothing outside this program can use its items"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail"
)]

mod account_model;
mod api_model;
mod client_model;
mod odd_headers;
mod presence_pace;
mod shared_conditions;
mod shared_limit;

use api_model::{ApiModel, Scenario};
use client_model::{ClientModel, Mutation};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use shared_conditions::Conditions;
use shared_limit::{Defect, Simulation};

const RATE_LIMITED: &str = "429 at ";
const INSIDE_PENALTY: &str = "request inside a penalty";
const PRESENCE_SHARE: &str = "presence pages in a window";
const NO_LOGIN: &str = "no login after an event token";

/// Simulates a day and checks the properties after each scrape.
fn check_day(scenario: &Scenario, mutation: Mutation) -> Result<(), TestCaseError> {
    let mut api = ApiModel::new(scenario);
    let mut client = ClientModel::new(scenario, mutation);
    for time in scenario.scrape_times() {
        if !client.is_fetching(time) {
            client.scrape(&mut api, time);
        }
        prop_assert!(
            api.inside_penalty() == 0,
            "{INSIDE_PENALTY} before {time} ms"
        );
        prop_assert!(
            api.refused(scenario.other_is_greedy) == 0,
            "{RATE_LIMITED}{time} ms"
        );
        client.check_freshness(time)?;
        client.check_presence(&api, time)?;
    }
    prop_assert!(client.fetches > 0);
    Ok(())
}

/// Returns a runner with a fixed seed, so that only a change of the code can make a test fail.
/// `PROPTEST_CASES=5000` runs that many random cases instead.
fn runner(cases: u32) -> TestRunner {
    runner_of(cases, 200)
}

/// Returns a runner that stops at the first failure, which is the expected result.
fn detector() -> TestRunner {
    runner_of(96, 0)
}

fn runner_of(cases: u32, max_shrink_iters: u32) -> TestRunner {
    let config = Config {
        failure_persistence: None,
        max_shrink_iters,
        ..Config::default()
    };
    if std::env::var_os("PROPTEST_CASES").is_some() {
        return TestRunner::new(config);
    }
    let config = Config { cases, ..config };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    TestRunner::new_with_rng(config, rng)
}

#[test]
fn budget_keeps_limit_and_penalties_on_any_day() {
    runner(96)
        .run(&Scenario::any(), |scenario| {
            check_day(&scenario, Mutation::None)
        })
        .unwrap();
}

/// Asserts that a budget with this defect fails with one of the messages.
fn assert_detected(mutation: Mutation, messages: &[&str]) {
    let failure = detector()
        .run(&Scenario::any(), |scenario| check_day(&scenario, mutation))
        .unwrap_err()
        .to_string();
    assert!(
        messages.iter().any(|message| failure.contains(message)),
        "{failure}"
    );
}

#[test]
fn budget_without_reserve_is_detected() {
    assert_detected(Mutation::NoReserve, &[RATE_LIMITED]);
}

#[test]
fn budget_with_window_from_request_start_is_detected() {
    assert_detected(Mutation::WindowFromStart, &[RATE_LIMITED, INSIDE_PENALTY]);
}

#[test]
fn budget_that_ignores_penalties_is_detected() {
    assert_detected(Mutation::IgnoresPenalties, &[INSIDE_PENALTY]);
}

#[test]
fn presence_and_event_tokens_without_care_are_detected() {
    assert_detected(Mutation::PresenceIgnoresShare, &[PRESENCE_SHARE]);
    assert_detected(Mutation::EventTokenIgnoresLogin, &[NO_LOGIN]);
}

/// Simulates hours of accounts and processes that share a user.
fn check_shared_limit(conditions: &Conditions, defect: Defect) -> Result<(), TestCaseError> {
    let directory = tempfile::tempdir().unwrap();
    Simulation::new(conditions, defect, directory.path()).run()
}

#[test]
fn accounts_and_restarts_of_one_user_keep_the_limit() {
    runner(24)
        .run(&Conditions::any(), |conditions| {
            check_shared_limit(&conditions, Defect::None)
        })
        .unwrap();
}

/// Asserts that an exporter with this defect fails with one of the messages.
fn assert_defect_detected(defect: Defect, messages: &[&str]) {
    let failure = detector()
        .run(&Conditions::any(), |conditions| {
            check_shared_limit(&conditions, defect)
        })
        .unwrap_err()
        .to_string();
    assert!(
        messages.iter().any(|message| failure.contains(message)),
        "{failure}"
    );
}

#[test]
fn exporter_that_shares_or_saves_nothing_is_detected() {
    for defect in [Defect::ForgetsAtRestart, Defect::SharesNothing] {
        let messages = [RATE_LIMITED, INSIDE_PENALTY, PRESENCE_SHARE];
        assert_defect_detected(defect, &messages);
    }
}

#[test]
fn presence_that_ignores_its_share_is_detected() {
    assert_defect_detected(Defect::PresenceIgnoresShare, &[PRESENCE_SHARE]);
}

#[test]
fn presence_that_ignores_other_processes_is_detected() {
    assert_defect_detected(Defect::SharesNoPresence, &[PRESENCE_SHARE]);
}

#[test]
fn event_token_that_ignores_the_login_is_detected() {
    assert_defect_detected(Defect::EventTokenIgnoresLogin, &[NO_LOGIN]);
}

#[test]
fn budget_that_reads_only_plain_waits_is_detected() {
    assert_detected(Mutation::ReadsOnlyPlainWaits, &[INSIDE_PENALTY]);
}
