//! Tests of `check` runs that succeed, of `--print-metrics` and of shutdown.

use std::collections::BTreeMap;
use std::time::Duration;

use ringcentral_exporter::simulator::scenario::Limits;
use ringcentral_exporter::simulator::{
    Fault, FaultKind, Operation, Scenario, SimResponse, Simulator,
};

use crate::check::{
    assert_matches_golden, assert_output, check_command, frozen_scenario, mask, start_simulator,
};
use crate::common::exporter_process::{ExporterProcess, output};
use crate::common::{MAX_WAIT, oracle};
use crate::harness::{full_pipe, wait_for_requests};

/// Returns the statuses of the responses to an operation.
fn statuses(simulator: &Simulator, operation: Operation) -> Vec<Option<u16>> {
    let journal = simulator.journal().into_iter();
    journal
        .filter(|entry| entry.operation == Some(operation))
        .map(|entry| entry.status)
        .collect()
}

#[tokio::test]
async fn successful_check_revokes_its_token() {
    let simulator = start_simulator(frozen_scenario()).await;
    assert_output(check_command(&simulator, &[]), 0, "ok").await;
    for operation in [
        Operation::Token,
        Operation::ActiveCalls,
        Operation::Extensions,
        Operation::Revoke,
    ] {
        assert_eq!(
            statuses(&simulator, operation),
            [Some(200)],
            "{operation:?}"
        );
    }
}

#[tokio::test]
async fn repeated_checks_warn_and_keep_the_last_login() {
    let simulator = start_simulator(frozen_scenario()).await;
    assert_output(check_command(&simulator, &[]), 0, "ok").await;
    assert_output(check_command(&simulator, &[]), 0, "few_requests_left").await;
    assert_output(check_command(&simulator, &[]), 0, "few_requests_left_none").await;
    assert_eq!(statuses(&simulator, Operation::Token), [Some(200); 3]);
    assert_eq!(statuses(&simulator, Operation::Revoke), [Some(200); 2]);
}

#[tokio::test]
async fn revocation_spares_the_last_login_request() {
    let mut limits = Limits::default();
    limits.auth.requests = 2;
    let simulator = start_simulator(Scenario {
        limits,
        ..frozen_scenario()
    })
    .await;
    assert_output(check_command(&simulator, &[]), 0, "few_requests_left_kept").await;
    assert!(statuses(&simulator, Operation::Revoke).is_empty());
}

#[tokio::test]
async fn level_extension_needs_no_extension_list() {
    let simulator = start_simulator(Scenario {
        admin: false,
        read_accounts: false,
        ..frozen_scenario()
    })
    .await;
    assert_output(
        check_command(&simulator, &["--ringcentral.level=extension"]),
        0,
        "ok_extension",
    )
    .await;
    assert!(statuses(&simulator, Operation::Extensions).is_empty());
}

#[tokio::test]
async fn disabled_label_needs_no_extension_list() {
    let simulator = start_simulator(frozen_scenario()).await;
    assert_output(
        check_command(&simulator, &["--metrics.extension-label=off"]),
        0,
        "ok_label_off",
    )
    .await;
    assert!(statuses(&simulator, Operation::Extensions).is_empty());
}

#[tokio::test]
async fn every_page_is_fetched_once() {
    let simulator = start_simulator(Scenario {
        max_per_page: 20,
        ..frozen_scenario()
    })
    .await;
    assert_output(check_command(&simulator, &[]), 0, "ok_pages").await;
    assert_eq!(statuses(&simulator, Operation::ActiveCalls).len(), 4);
}

#[tokio::test]
async fn missing_limit_headers_use_documented_limit() {
    let simulator = start_simulator(Scenario {
        rate_limit_headers: false,
        ..frozen_scenario()
    })
    .await;
    assert_output(check_command(&simulator, &[]), 0, "ok_unannounced").await;
}

#[tokio::test]
async fn forbidden_extension_list_is_a_warning() {
    let simulator = start_simulator(Scenario {
        read_accounts: false,
        ..frozen_scenario()
    })
    .await;
    assert_output(check_command(&simulator, &[]), 0, "extensions_unread").await;
}

#[tokio::test]
async fn penalty_of_extension_list_is_a_warning() {
    let simulator = start_simulator(frozen_scenario()).await;
    let refusal = SimResponse::too_many_requests(Some(17)).with("X-Rate-Limit-Group", "medium");
    simulator.inject(Fault::always(Operation::Extensions, refusal));
    assert_output(check_command(&simulator, &[]), 0, "extensions_unread_429").await;
}

#[tokio::test]
async fn extension_list_over_limit_is_no_warning() {
    let mut limits = Limits::default();
    limits.medium.requests = 3;
    let simulator = start_simulator(Scenario {
        limits,
        max_per_page: 100,
        extensions: 400,
        ..frozen_scenario()
    })
    .await;
    assert_output(check_command(&simulator, &[]), 0, "ok_extensions_in_part").await;
}

#[tokio::test]
async fn jwt_expiring_soon_is_a_warning() {
    let five_days = Duration::from_secs(5 * 24 * 3600);
    let simulator = start_simulator(Scenario {
        jwt_lifetime: Some(five_days),
        ..Scenario::normal()
    })
    .await;
    let (code, words, _) = output(check_command(&simulator, &[])).await;
    assert_eq!(code, Some(0), "{words}");
    assert_matches_golden(
        &format!("WARNING: {}", words.split_once("WARNING: ").unwrap().1),
        "jwt_ends_soon",
    );
    assert!(
        words.contains("  JWT           expires in 4 days ("),
        "{words}"
    );
}

#[tokio::test]
async fn interval_from_100_s_on_is_a_warning() {
    let simulator = start_simulator(frozen_scenario()).await;
    let interval = ["--scrape.min-interval=100s"];
    assert_output(check_command(&simulator, &interval), 0, "rare_fetches").await;
    let simulator = start_simulator(frozen_scenario()).await;
    let (_, words, _) = output(check_command(&simulator, &["--scrape.min-interval=99s"])).await;
    assert!(!words.contains("WARNING"), "{words}");
}

#[tokio::test]
async fn unknown_account_name_is_rejected() {
    let simulator = start_simulator(frozen_scenario()).await;
    let named = ["--ringcentral.account-name=berlin", "--account=berlin"];
    assert_output(check_command(&simulator, &named), 0, "ok_named").await;
    let (code, words, error) = output(check_command(&simulator, &["--account", "paris"])).await;
    let expected =
        "ringcentral-exporter: --account: unknown account \"paris\": expected one of default\n";
    assert_eq!(
        (code, words.as_str(), error.as_str()),
        (Some(2), "", expected)
    );
}

#[tokio::test]
async fn print_metrics_moves_report_to_stderr() {
    let simulator = start_simulator(frozen_scenario()).await;
    let (code, metrics, words) = output(check_command(&simulator, &["--print-metrics"])).await;
    assert_eq!(code, Some(0));
    assert_matches_golden(&mask(&words), "ok");
    assert!(metrics.starts_with("# HELP "), "{metrics}");
    let mut samples = BTreeMap::<_, f64>::new();
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        samples.insert(series.to_owned(), value.parse().unwrap());
    }
    let expected = oracle::expected_samples(&simulator, "default").await;
    assert!(expected.len() > 10);
    for (series, value) in expected {
        assert_eq!(samples.get(&series), Some(&value), "{series}");
    }
    assert_eq!(samples["ringcentral_up{account=\"default\"}"], 1.0);
    assert!(metrics.contains("\nringcentral_exporter_build_info{"));
}

#[tokio::test]
async fn print_metrics_shows_failed_fetch() {
    let simulator = start_simulator(Scenario {
        admin: false,
        ..frozen_scenario()
    })
    .await;
    let (code, metrics, words) = output(check_command(&simulator, &["--print-metrics"])).await;
    assert_eq!(code, Some(1));
    assert!(
        metrics.contains("\nringcentral_up{account=\"default\"} 0\n")
            && words.contains("FAILED: not_admin")
    );
}

#[tokio::test]
async fn sigterm_during_check_revokes_token() {
    let simulator = start_simulator(frozen_scenario()).await;
    simulator.inject(Fault::always(Operation::ActiveCalls, FaultKind::Hang));
    let mut program = ExporterProcess::start(check_command(&simulator, &[]));
    while statuses(&simulator, Operation::ActiveCalls).is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    program.signal("TERM").await;
    assert_eq!(program.wait_for_exit().await.code(), Some(1));
    assert_eq!(statuses(&simulator, Operation::Revoke), [Some(200)]);
}

#[tokio::test]
async fn sighup_does_not_end_check() {
    let simulator = start_simulator(frozen_scenario()).await;
    let delay = FaultKind::Delay(Duration::from_secs(1));
    simulator.inject(Fault::once(Operation::ActiveCalls, delay));
    let mut program = ExporterProcess::start(check_command(&simulator, &[]));
    while simulator.journal().len() < 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    program.signal("HUP").await;
    assert_eq!(program.wait_for_exit().await.code(), Some(0));
    assert_eq!(statuses(&simulator, Operation::Revoke), [Some(200)]);
}

#[tokio::test]
async fn trace_log_of_check_has_no_secret() {
    let simulator = start_simulator(frozen_scenario()).await;
    let (code, _, log) = output(check_command(&simulator, &["--log.level=trace"])).await;
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

/// The output does not fit into the pipe, so the check waits at its end; the token is revoked before.
#[tokio::test]
async fn signal_ends_check_whose_output_is_not_read() {
    for hangs in [false, true] {
        let simulator = start_simulator(frozen_scenario()).await;
        if hangs {
            simulator.inject(Fault::always(Operation::ActiveCalls, FaultKind::Hang));
        }
        let (_reader, writer) = full_pipe();
        let mut command = check_command(&simulator, &[]);
        let mut check = command.stdout(writer).spawn().unwrap();
        let last_request = if hangs {
            Operation::ActiveCalls
        } else {
            Operation::Revoke
        };
        wait_for_requests(&simulator, last_request, 1).await;
        let pid = check.id().unwrap().to_string();
        let kill = std::process::Command::new("kill").arg(pid).status();
        assert!(kill.unwrap().success());
        let status = tokio::time::timeout(MAX_WAIT, check.wait()).await.unwrap();
        assert_eq!(status.unwrap().code(), Some(1));
        assert_eq!(statuses(&simulator, Operation::Revoke), [Some(200)]);
    }
}
