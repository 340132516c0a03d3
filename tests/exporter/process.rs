//! Tests of the exporter as a process: exit codes, signals and log.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use ringcentral_exporter::simulator::{
    Fault, FaultKind, Operation, Scenario, SimResponse, Simulator,
};
use tokio::time::{Instant, sleep};

use crate::common::exporter_process::{
    ExporterProcess, binary, command, command_for_simulator, output,
};
use crate::common::http;
use crate::harness::{bind_loopback, wait_for_requests};

/// Starts a simulated account on loopback.
async fn start_simulator() -> Simulator {
    Simulator::start(bind_loopback().await, Scenario::normal(), 1).unwrap()
}

/// The exit status says whether the system would have written a core file, with a limit that allows it.
#[tokio::test]
async fn crash_writes_no_core_dump() {
    let folder = tempfile::tempdir().unwrap();
    let control = std::process::Command::new("sh")
        .args(["-c", "ulimit -c unlimited && kill -ABRT $$"])
        .current_dir(folder.path())
        .status()
        .unwrap();
    assert!(
        control.core_dumped(),
        "this system writes no core dump of any program, so the test proves nothing: {control}"
    );
    let mut shell = tokio::process::Command::new("sh");
    shell
        .args(["-c", "ulimit -c unlimited && exec \"$0\" \"$@\""])
        .arg(binary())
        .args(["demo", "--web.listen-address=127.0.0.1:0"])
        .current_dir(folder.path())
        .kill_on_drop(true);
    let mut program = ExporterProcess::start(shell);
    let url = program.wait_for_url().await;
    let metrics = http().get(format!("{url}/metrics")).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    for name in [
        "process_cpu_seconds_total",
        "process_open_fds",
        "process_resident_memory_bytes",
    ] {
        assert!(
            metrics.contains(&format!("\n{name} ")),
            "{name} in {metrics}"
        );
    }
    program.signal("ABRT").await;
    let status = program.wait_for_exit().await;
    assert_eq!((status.signal(), status.core_dumped()), (Some(6), false));
}

/// A JWT in quotes, or cut off, is reported before the first login.
#[tokio::test]
async fn malformed_jwt_is_a_warning_at_start_and_reload() {
    let simulator = start_simulator().await;
    let folder = tempfile::tempdir().unwrap();
    let jwt = folder.path().join("jwt");
    std::fs::write(&jwt, format!("\"{}\"", simulator.jwt())).unwrap();
    let mut command = command_for_simulator(&simulator, &["--web.listen-address", "127.0.0.1:0"]);
    command.env("RC_JWT", "").env("RC_JWT_FILE", &jwt);
    let mut program = ExporterProcess::start(command);
    let url = program.wait_for_url().await;
    let line = program.wait_for_log("malformed JWT").await;
    assert!(
        line.contains("level=warn") && line.contains("account=default"),
        "{line}"
    );
    std::fs::write(&jwt, "cut-off").unwrap();
    program.signal("HUP").await;
    program.wait_for_log("configuration reloaded").await;
    // The next scrape uses the new JWT.
    http().get(format!("{url}/metrics")).send().await.unwrap();
    program.wait_for_log("malformed JWT").await;
    program.signal("TERM").await;
    program.wait_for_exit().await;
    assert_eq!(program.log.matches("malformed JWT").count(), 2);
    assert!(!program.log.contains("cut-off") && !program.log.contains(&simulator.jwt()));
}

#[tokio::test]
async fn address_in_use_exits_1() {
    let simulator = start_simulator().await;
    let listener = bind_loopback().await;
    let address = listener.local_addr().unwrap().to_string();
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
async fn sigterm_revokes_token_with_exit_code_0() {
    let simulator = start_simulator().await;
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
    let mut journal = simulator.journal();
    journal.retain(|entry| entry.operation == Some(Operation::Revoke));
    assert_eq!(journal.len(), 1);
    assert_eq!(journal[0].status, Some(200));
}

#[tokio::test]
async fn empty_host_listens_on_both_ip_versions() {
    let simulator = start_simulator().await;
    let mut program = ExporterProcess::start(command_for_simulator(
        &simulator,
        &["--web.listen-address", ":0"],
    ));
    let url = program.wait_for_url().await;
    let port = url.rsplit_once(':').unwrap().1;
    for host in ["127.0.0.1", "[::1]"] {
        let response = http()
            .get(format!("http://{host}:{port}/-/healthy"))
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 200, "{host}");
    }
}

#[tokio::test]
async fn shutdown_answers_scrape_in_flight() {
    let simulator = start_simulator().await;
    let slow = FaultKind::Delay(Duration::from_secs(4));
    simulator.inject(Fault::always(Operation::ActiveCalls, slow));
    let mut program = ExporterProcess::start(command_for_simulator(
        &simulator,
        &["--web.listen-address", "127.0.0.1:0"],
    ));
    let url = program.wait_for_url().await;
    let scrape = tokio::spawn(http().get(format!("{url}/metrics")).send());
    wait_for_requests(&simulator, Operation::ActiveCalls, 1).await;
    program.signal("INT").await;
    program.wait_for_log("stopping").await;
    let health = || http().get(format!("{url}/-/healthy")).send();
    while health().await.is_ok() {
        sleep(Duration::from_millis(10)).await;
    }
    assert!(
        !scrape.is_finished(),
        "connections were accepted during shutdown"
    );
    let text = scrape.await.unwrap().unwrap().text().await.unwrap();
    assert!(
        text.contains("ringcentral_up{account=\"default\"} 1"),
        "{text}"
    );
    assert_eq!(program.wait_for_exit().await.code(), Some(0));
}

#[tokio::test]
async fn second_signal_exits_immediately() {
    let simulator = start_simulator().await;
    simulator.inject(Fault::always(Operation::Token, FaultKind::Hang));
    let mut program = ExporterProcess::start(command_for_simulator(
        &simulator,
        &["--web.listen-address", "127.0.0.1:0"],
    ));
    let url = program.wait_for_url().await;
    let scrape = tokio::spawn(http().get(format!("{url}/metrics")).send());
    wait_for_requests(&simulator, Operation::Token, 1).await;
    let started = Instant::now();
    program.signal("TERM").await;
    program.wait_for_log("stopping").await;
    program.signal("TERM").await;
    assert_eq!(program.wait_for_exit().await.code(), Some(1));
    assert!(
        started.elapsed() < Duration::from_secs(8),
        "the scrape would be answered after 9.5 s: {:?}",
        started.elapsed()
    );
    scrape.await.unwrap().expect_err("the scrape was answered");
}

#[tokio::test]
async fn failed_fetch_is_logged_without_secrets() {
    let simulator = start_simulator().await;
    let id = "f3b0c1d2-1111-2222-3333-444455556666";
    let response = SimResponse::user_lacks("ReadCompanyCallLog").with("RCRequestId", id);
    simulator.inject(Fault::once(Operation::ActiveCalls, response));
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
        "retry_in_seconds=60",
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
    // The prefix of all simulated access tokens.
    assert!(
        !program.log.contains("U0pDMTFQ") && !program.log.contains("Basic "),
        "{}",
        program.log
    );
}

#[tokio::test]
async fn sighup_keeps_exporter_running() {
    let simulator = start_simulator().await;
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
async fn first_successful_fetch_is_logged() {
    let simulator = start_simulator().await;
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
async fn json_log_lines_are_valid_json() {
    let simulator = start_simulator().await;
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
        (line["level"].as_str(), line["msg"].as_str()),
        (Some("info"), Some("listening"))
    );
}

#[tokio::test]
async fn http_server_needs_no_root_certificates() {
    let simulator = start_simulator().await;
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
async fn https_server_without_root_certificates_exits_1() {
    let mut command = command(&["--web.listen-address", "127.0.0.1:0"]);
    command
        .env("RC_CLIENT_ID", "id")
        .env("RC_CLIENT_SECRET", "x")
        .env("RC_JWT", "x");
    command
        .env("SSL_CERT_FILE", "/nonexistent")
        .env("SSL_CERT_DIR", "/nonexistent");
    let (code, _, log) = output(command).await;
    assert_eq!(code, Some(1));
    assert!(log.contains("ca-certificates"), "{log}");
}

/// With so few files no runtime can be built, and the log has not started yet.
#[tokio::test]
async fn failed_start_before_the_log_prints_an_error() {
    for subcommand in ["serve", "demo", "check"] {
        let mut shell = tokio::process::Command::new("sh");
        shell
            .args(["-c", "ulimit -n 5 && exec \"$0\" \"$@\""])
            .arg(binary())
            .arg(subcommand)
            .env_clear();
        let (code, _, error) = output(shell).await;
        assert_eq!(code, Some(1), "{error}");
        assert!(error.starts_with("ringcentral-exporter: "), "{error:?}");
    }
}
