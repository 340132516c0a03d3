//! Checks that go well, and what they leave behind.

use std::collections::BTreeMap;
use std::time::Duration;

use ringcentral_exporter::simulator::{Fault, FaultKind, Operation, Scenario, Simulator};

use super::{check, masked, pinned, says, simulator, still};
use crate::common::exporter_process::{ExporterProcess, output};
use crate::common::oracle;

fn requests(simulator: &Simulator, operation: Operation) -> Vec<Option<u16>> {
    let journal = simulator.journal().into_iter();
    journal
        .filter(|entry| entry.operation == Some(operation))
        .map(|entry| entry.status)
        .collect()
}

#[tokio::test]
async fn an_account_that_can_be_read_is_told_in_full_and_its_token_given_back() {
    let simulator = simulator(still()).await;
    says(check(&simulator, &[]), 0, "ok").await;
    for operation in [
        Operation::Token,
        Operation::ActiveCalls,
        Operation::Extensions,
        Operation::Revoke,
    ] {
        assert_eq!(
            requests(&simulator, operation),
            [Some(200)],
            "{operation:?}"
        );
    }
}

#[tokio::test]
async fn one_users_calls_need_no_list_of_extensions() {
    let simulator = simulator(Scenario {
        admin: false,
        read_accounts: false,
        ..still()
    })
    .await;
    says(
        check(&simulator, &["--ringcentral.level=extension"]),
        0,
        "ok_extension",
    )
    .await;
    assert!(requests(&simulator, Operation::Extensions).is_empty());
}

#[tokio::test]
async fn where_no_label_shows_extensions_their_list_is_not_asked_for() {
    let simulator = simulator(still()).await;
    says(
        check(&simulator, &["--metrics.extension-label=off"]),
        0,
        "ok_label_off",
    )
    .await;
    assert!(requests(&simulator, Operation::Extensions).is_empty());
}

#[tokio::test]
async fn a_list_of_several_pages_is_walked_once() {
    let simulator = simulator(Scenario {
        max_per_page: 20,
        ..still()
    })
    .await;
    says(check(&simulator, &[]), 0, "ok_pages").await;
    assert_eq!(requests(&simulator, Operation::ActiveCalls).len(), 4);
}

#[tokio::test]
async fn an_account_that_announces_no_limit_is_kept_to_the_documented_one() {
    let simulator = simulator(Scenario {
        rate_limit_headers: false,
        ..still()
    })
    .await;
    says(check(&simulator, &[]), 0, "ok_unannounced").await;
}

#[tokio::test]
async fn a_list_of_extensions_that_may_not_be_read_is_a_warning() {
    let simulator = simulator(Scenario {
        read_accounts: false,
        ..still()
    })
    .await;
    says(check(&simulator, &[]), 0, "extensions_unread").await;
}

#[tokio::test]
async fn a_jwt_that_ends_soon_is_a_warning() {
    let soon = Some(Duration::from_secs(5 * 24 * 3600));
    let simulator = simulator(Scenario {
        jwt_lifetime: soon,
        ..Scenario::normal()
    })
    .await;
    let (code, words, _) = output(check(&simulator, &[])).await;
    assert_eq!(code, Some(0), "{words}");
    pinned(
        &format!("WARNING: {}", words.split_once("WARNING: ").unwrap().1),
        "jwt_ends_soon",
    );
    assert!(
        words.contains("  JWT           expires in 4 days ("),
        "{words}"
    );
}

#[tokio::test]
async fn the_account_may_be_named_and_an_unknown_name_is_told_which_there_are() {
    let simulator = simulator(still()).await;
    let named = ["--ringcentral.account-name=berlin", "--account=berlin"];
    says(check(&simulator, &named), 0, "ok_named").await;
    let (code, words, error) = output(check(&simulator, &["--account", "paris"])).await;
    let expected =
        "ringcentral-exporter: --account: unknown account \"paris\": expected one of default\n";
    assert_eq!(
        (code, words.as_str(), error.as_str()),
        (Some(2), "", expected)
    );
}

#[tokio::test]
async fn what_a_scrape_would_get_can_be_printed_and_the_words_then_go_to_standard_error() {
    let simulator = simulator(still()).await;
    let (code, metrics, words) = output(check(&simulator, &["--print-metrics"])).await;
    assert_eq!(code, Some(0));
    pinned(&masked(&words), "ok");
    assert!(metrics.starts_with("# HELP "), "{metrics}");
    let lines = metrics.lines().filter(|line| !line.starts_with('#'));
    let samples: BTreeMap<_, f64> = lines
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
        .collect();
    let truth = oracle::expected_samples(&simulator, "default").await;
    assert!(truth.len() > 10);
    for (series, value) in truth {
        assert_eq!(samples.get(&series), Some(&value), "{series}");
    }
    assert_eq!(samples["ringcentral_up{account=\"default\"}"], 1.0);
    assert!(metrics.contains("\nringcentral_exporter_build_info{"));
}

#[tokio::test]
async fn a_failure_can_be_printed_as_a_scrape_would_show_it() {
    let simulator = simulator(Scenario {
        admin: false,
        ..still()
    })
    .await;
    let (code, metrics, words) = output(check(&simulator, &["--print-metrics"])).await;
    assert_eq!(code, Some(1));
    assert!(
        metrics.contains("\nringcentral_up{account=\"default\"} 0\n")
            && words.contains("FAILED: not_admin")
    );
}

#[tokio::test]
async fn a_signal_ends_it_and_the_token_is_given_back() {
    let simulator = simulator(still()).await;
    simulator.inject(Fault::always(Operation::ActiveCalls, FaultKind::Hang));
    let mut program = ExporterProcess::start(check(&simulator, &[]));
    while requests(&simulator, Operation::ActiveCalls).is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    program.signal("TERM").await;
    assert_eq!(program.wait_for_exit().await.code(), Some(1));
    assert_eq!(requests(&simulator, Operation::Revoke), [Some(200)]);
}

#[tokio::test]
async fn the_log_can_be_had_and_holds_no_secret() {
    let simulator = simulator(still()).await;
    let (code, _, log) = output(check(&simulator, &["--log.level=trace"])).await;
    assert_eq!(code, Some(0));
    assert!(log.contains("first fetch succeeded"), "{log}");
    for secret in [
        &simulator.client_secret(),
        &simulator.jwt(),
        "U0pDMTFQ",
        "Basic ",
    ] {
        assert!(!log.contains(secret), "{log}");
    }
}
