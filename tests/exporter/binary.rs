//! The program itself: its exit codes, its signals, its log.

use std::time::Duration;

use ringcentral_exporter::simulator::{
    Fault, FaultKind, Operation, Scenario, SimResponse, Simulator,
};
use tokio::time::{Instant, sleep};

use crate::common::exporter_process::{ExporterProcess, command, command_for_simulator, output};
use crate::common::http;
use crate::rig::loopback;

async fn simulator() -> Simulator {
    Simulator::start(loopback().await, Scenario::normal(), 1).unwrap()
}

#[tokio::test]
async fn an_address_in_use_is_a_clear_error_and_exit_1() {
    let simulator = simulator().await;
    let taken = loopback().await;
    let address = taken.local_addr().unwrap().to_string();
    let (code, _, log) = output(command_for_simulator(
        &simulator,
        &["--web.listen-address", &address],
    ))
    .await;
    assert_eq!(code, Some(1));
    assert!(
        log.contains(&format!(
            "--web.listen-address: cannot listen on {address}: Address already in use"
        )),
        "{log}"
    );
}

#[tokio::test]
async fn four_variables_are_enough_and_sigterm_ends_well_and_gives_the_token_back() {
    let simulator = simulator().await;
    let mut program = ExporterProcess::start(command_for_simulator(
        &simulator,
        &["--web.listen-address", "127.0.0.1:0"],
    ));
    let url = program.wait_for_url().await;
    let text = http()
        .get(format!("{url}/metrics"))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        text.contains("\nringcentral_up{account=\"default\"} 1\n"),
        "{text}"
    );
    program.signal("TERM").await;
    assert_eq!(program.wait_for_exit().await.code(), Some(0));
    let revoked = simulator
        .journal()
        .into_iter()
        .filter(|entry| entry.operation == Some(Operation::Revoke));
    assert_eq!(
        revoked.map(|entry| entry.status).collect::<Vec<_>>(),
        [Some(200)]
    );
}

#[tokio::test]
async fn it_listens_on_all_interfaces_and_both_families_unless_told_otherwise() {
    let simulator = simulator().await;
    let mut program = ExporterProcess::start(command_for_simulator(
        &simulator,
        &["--web.listen-address", ":0"],
    ));
    let url = program.wait_for_url().await;
    let port = url.rsplit_once(':').unwrap().1;
    for host in ["127.0.0.1", "[::1]"] {
        let reply = http()
            .get(format!("http://{host}:{port}/-/healthy"))
            .send()
            .await
            .unwrap();
        assert_eq!(reply.status(), 200, "{host}");
    }
}

#[tokio::test]
async fn a_stop_answers_the_scrape_in_flight() {
    let simulator = simulator().await;
    let slow = FaultKind::Delay(Duration::from_millis(800));
    simulator.inject(Fault::always(Operation::ActiveCalls, slow));
    let mut program = ExporterProcess::start(command_for_simulator(
        &simulator,
        &["--web.listen-address", "127.0.0.1:0"],
    ));
    let url = program.wait_for_url().await;
    let scrape = tokio::spawn(http().get(format!("{url}/metrics")).send());
    sleep(Duration::from_millis(300)).await;
    program.signal("INT").await;
    program.wait_for_log("stopping").await;
    sleep(Duration::from_millis(100)).await;
    http()
        .get(format!("{url}/-/healthy"))
        .send()
        .await
        .expect_err("it accepts nobody any more");
    let text = scrape.await.unwrap().unwrap().text().await.unwrap();
    assert!(
        text.contains("ringcentral_up{account=\"default\"} 1"),
        "{text}"
    );
    assert_eq!(program.wait_for_exit().await.code(), Some(0));
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let simulator = simulator().await;
    simulator.inject(Fault::always(Operation::Token, FaultKind::Hang));
    let mut program = ExporterProcess::start(command_for_simulator(
        &simulator,
        &["--web.listen-address", "127.0.0.1:0"],
    ));
    let url = program.wait_for_url().await;
    let scrape = tokio::spawn(http().get(format!("{url}/metrics")).send());
    sleep(Duration::from_millis(300)).await;
    let started = Instant::now();
    program.signal("TERM").await;
    program.wait_for_log("stopping").await;
    program.signal("TERM").await;
    assert_eq!(program.wait_for_exit().await.code(), Some(1));
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
    scrape.await.unwrap().expect_err("nobody waited for it");
}

#[tokio::test]
async fn a_failed_fetch_logs_reason_request_id_and_advice_and_no_secret() {
    let simulator = simulator().await;
    let id = "f3b0c1d2-1111-2222-3333-444455556666";
    let refusal = SimResponse::user_lacks("ReadCompanyCallLog").with("RCRequestId", id);
    simulator.inject(Fault::once(Operation::ActiveCalls, refusal));
    let mut program = ExporterProcess::start(command_for_simulator(
        &simulator,
        &[
            "--web.listen-address",
            "127.0.0.1:0",
            "--log.level",
            "trace",
        ],
    ));
    let url = program.wait_for_url().await;
    http().get(format!("{url}/metrics")).send().await.unwrap();
    let line = program.wait_for_log("fetch failed").await;
    for part in [
        "level=warn",
        "account=default",
        "reason=forbidden",
        "next_try_in_seconds=60",
        "CMN-408",
        id,
        "--ringcentral.level=extension",
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
    let page = http().get(&url).send().await.unwrap().text().await.unwrap();
    program.signal("TERM").await;
    program.wait_for_exit().await;
    for secret in [simulator.client_secret(), simulator.jwt()] {
        assert!(!program.log.contains(&secret) && !page.contains(&secret));
    }
    // Every simulated access token begins like this.
    assert!(
        !program.log.contains("U0pDMTFQ") && !program.log.contains("Basic "),
        "{}",
        program.log
    );
}

#[tokio::test]
async fn a_hangup_ends_nothing() {
    let simulator = simulator().await;
    let mut program = ExporterProcess::start(command_for_simulator(
        &simulator,
        &["--web.listen-address", "127.0.0.1:0"],
    ));
    let url = program.wait_for_url().await;
    program.signal("HUP").await;
    program.wait_for_log("configuration reloaded").await;
    assert_eq!(
        http()
            .get(format!("{url}/-/healthy"))
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
}

#[tokio::test]
async fn the_first_good_fetch_is_told() {
    let simulator = simulator().await;
    let mut program = ExporterProcess::start(command_for_simulator(
        &simulator,
        &["--web.listen-address", "127.0.0.1:0"],
    ));
    let url = program.wait_for_url().await;
    http().get(format!("{url}/metrics")).send().await.unwrap();
    let line = program.wait_for_log("first fetch succeeded").await;
    assert!(
        line.contains(&format!("account_id={}", simulator.account_id())),
        "{line}"
    );
}

#[tokio::test]
async fn json_lines_are_json() {
    let simulator = simulator().await;
    let arguments = [
        "--web.listen-address",
        "127.0.0.1:0",
        "--log.format",
        "json",
    ];
    let mut program = ExporterProcess::start(command_for_simulator(&simulator, &arguments));
    let line = program.wait_for_log("listening").await;
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (line["level"].as_str(), line["message"].as_str()),
        (Some("INFO"), Some("listening"))
    );
}

#[tokio::test]
async fn a_server_without_tls_needs_no_root_certificates() {
    let simulator = simulator().await;
    let mut command = command_for_simulator(&simulator, &["--web.listen-address", "127.0.0.1:0"]);
    command
        .env("SSL_CERT_FILE", "/nonexistent")
        .env("SSL_CERT_DIR", "/nonexistent");
    let mut program = ExporterProcess::start(command);
    let url = program.wait_for_url().await;
    let text = http()
        .get(format!("{url}/metrics"))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        text.contains("ringcentral_up{account=\"default\"} 1"),
        "{text}"
    );
}

#[tokio::test]
async fn a_server_with_tls_and_no_root_certificates_is_a_clear_error_and_exit_1() {
    let mut command = command(&["--web.listen-address", "127.0.0.1:0"]);
    command
        .env("RC_CLIENT_ID", "x")
        .env("RC_CLIENT_SECRET", "x")
        .env("RC_JWT", "x");
    command
        .env("SSL_CERT_FILE", "/nonexistent")
        .env("SSL_CERT_DIR", "/nonexistent");
    let (code, _, log) = output(command).await;
    assert_eq!(code, Some(1));
    assert!(log.contains("ca-certificates"), "{log}");
}
