//! Tests of reloads by `POST /-/reload` and SIGHUP.

use std::time::Duration;

use ringcentral_exporter::simulator::Simulator;
use tokio::time::{Instant, sleep};

use crate::common::MAX_WAIT;
use crate::common::exporter_process::{ExporterProcess, command_for_simulator};
use crate::curl::CurlResponse;
use crate::harness::{TLS, TestExporter, basic_auth_config, start_simulator};
use crate::pki::Pki;

const RELOAD_SUCCESSFUL: &str = "ringcentral_exporter_config_last_reload_successful";
const LIFECYCLE: &[&str] = &["--web.enable-lifecycle"];
const POST: &[&str] = &["--request", "POST"];

#[tokio::test]
async fn reload_without_lifecycle_flag_is_403() {
    let exporter = TestExporter::start("", &[]).await;
    let response = exporter.curl("/-/reload", POST).await;
    assert_eq!(response.status, 403);
    let body = "forbidden: requires --web.enable-lifecycle; SIGHUP reloads without it\n";
    assert!(
        response.text.ends_with(&format!("\n\n{body}")),
        "{response:?}"
    );
}

#[tokio::test]
async fn reload_rejects_other_methods_with_allow_header() {
    for flags in [LIFECYCLE, &[]] {
        let exporter = TestExporter::start("", flags).await;
        for method in ["GET", "PUT", "DELETE"] {
            let response = exporter.curl("/-/reload", &["--request", method]).await;
            assert!(
                response.status == 405 && response.has_header("Allow: POST"),
                "{response:?}"
            );
        }
    }
}

#[tokio::test]
async fn reload_applies_new_users_immediately() {
    let mut exporter =
        TestExporter::start(&basic_auth_config("alice", "sesame", 4), LIFECYCLE).await;
    exporter.write_web_config(&basic_auth_config("alice", "open", 4));
    let response = exporter
        .curl("/-/reload", &[&["--user", "alice:sesame"], POST].concat())
        .await;
    assert_eq!(
        (response.status, response.text.ends_with("\n\nreloaded\n")),
        (200, true),
        "{response:?}"
    );
    assert_eq!(
        exporter.curl("/", &["--user", "alice:open"]).await.status,
        200
    );
    assert_eq!(
        exporter.curl("/", &["--user", "alice:sesame"]).await.status,
        401
    );
    let line = exporter
        .process
        .wait_for_log("configuration reloaded")
        .await;
    assert!(line.contains(r#"trigger="POST /-/reload""#), "{line}");
}

#[tokio::test]
async fn invalid_file_reload_is_500_with_reason() {
    let exporter = TestExporter::start(TLS, LIFECYCLE).await;
    exporter.write_web_config(&format!("{TLS}  min_version: TLS11\n"));
    let response = exporter.curl("/-/reload", POST).await;
    let reason = format!(
        "--web.config.file: {} line 4: tls_server_config.min_version: rustls does not support \"TLS11\": expected TLS12 or TLS13\n",
        exporter.pki.arg("web.yml")
    );
    assert!(
        response.status == 500 && response.text.ends_with(&format!("\n\n{reason}")),
        "{response:?}"
    );
    assert_eq!(
        exporter
            .curl("/metrics", &[])
            .await
            .value(RELOAD_SUCCESSFUL),
        0.0
    );
    exporter.write_web_config(TLS);
    sleep(Duration::from_millis(1100)).await;
    assert_eq!(exporter.curl("/-/reload", POST).await.status, 200);
    assert_eq!(
        exporter
            .curl("/metrics", &[])
            .await
            .value(RELOAD_SUCCESSFUL),
        1.0
    );
}

#[tokio::test]
async fn inline_key_is_not_in_response_or_log() {
    let mut exporter = TestExporter::start(TLS, LIFECYCLE).await;
    let key = std::fs::read_to_string(exporter.pki.path("server.key")).unwrap();
    let secret = key.lines().nth(1).unwrap();
    let text = key.replace('\n', "\n    ");
    exporter.write_web_config(&format!(
        "tls_server_config:\n  cert_file: server.crt\n  key_file: |\n    {text}\n"
    ));
    let response = exporter.curl("/-/reload", POST).await;
    assert!(
        response.status == 500 && response.text.contains("PEM text instead of a path"),
        "{response:?}"
    );
    assert!(!response.text.contains(secret), "{response:?}");
    exporter
        .process
        .wait_for_log("configuration reload failed")
        .await;
    assert!(!exporter.process.log.contains(secret));
}

#[tokio::test]
async fn second_reload_within_a_second_is_429() {
    let exporter = TestExporter::start("", LIFECYCLE).await;
    let response = loop {
        let started = Instant::now();
        assert_eq!(exporter.curl("/-/reload", POST).await.status, 200);
        let response = exporter.curl("/-/reload", POST).await;
        if response.status != 200 {
            break response;
        }
        assert!(
            started.elapsed() >= Duration::from_secs(1),
            "two reloads within a second"
        );
        sleep(Duration::from_millis(1100)).await;
    };
    assert!(
        response.status == 429 && response.has_header("Retry-After: 1"),
        "{response:?}"
    );
    sleep(Duration::from_millis(1100)).await;
    assert_eq!(exporter.curl("/-/reload", POST).await.status, 200);
}

#[tokio::test]
async fn sighup_reloads_without_lifecycle_flag() {
    let mut exporter = TestExporter::start(&basic_auth_config("alice", "sesame", 4), &[]).await;
    exporter.write_web_config(&basic_auth_config("alice", "open", 4));
    exporter.process.signal("HUP").await;
    exporter.process.wait_for_log("trigger=SIGHUP").await;
    assert_eq!(
        exporter.curl("/", &["--user", "alice:open"]).await.status,
        200
    );
    exporter.write_web_config("basic_auth_users: [\n");
    exporter.process.signal("HUP").await;
    let line = exporter
        .process
        .wait_for_log("configuration reload failed, keeping the previous one")
        .await;
    assert!(
        line.contains("level=error") && line.contains("basic_auth_users: expected a mapping"),
        "{line}"
    );
    let scraped = exporter.curl("/metrics", &["--user", "alice:open"]).await;
    assert_eq!(scraped.value(RELOAD_SUCCESSFUL), 0.0);
}

#[tokio::test]
async fn reload_without_web_config_checks_secrets() {
    let simulator = start_simulator().await;
    let folder = tempfile::tempdir().unwrap();
    let jwt = folder.path().join("jwt");
    std::fs::write(&jwt, simulator.jwt()).unwrap();
    let mut command = command_for_simulator(
        &simulator,
        &[
            "--web.listen-address",
            "127.0.0.1:0",
            "--web.enable-lifecycle",
        ],
    );
    command.env_remove("RC_JWT").env("RC_JWT_FILE", &jwt);
    let mut exporter = ExporterProcess::start(command);
    let url = exporter.wait_for_url().await;
    std::fs::remove_file(&jwt).unwrap();
    let response = crate::curl::curl(&["--request", "POST", &format!("{url}/-/reload")]).await;
    let reason = format!(
        "account default: JWT: cannot read {}: No such file or directory (os error 2)\n",
        jwt.display()
    );
    assert!(
        response.status == 500 && response.text.ends_with(&format!("\n\n{reason}")),
        "{response:?}"
    );
    let scraped = crate::curl::curl(&[&format!("{url}/metrics")]).await;
    assert_eq!(
        (scraped.status, scraped.value(RELOAD_SUCCESSFUL)),
        (200, 0.0)
    );
    std::fs::write(&jwt, simulator.jwt()).unwrap();
    exporter.signal("HUP").await;
    exporter.wait_for_log("configuration reloaded").await;
    let scraped = crate::curl::curl(&[&format!("{url}/metrics")]).await;
    assert_eq!(scraped.value(RELOAD_SUCCESSFUL), 1.0);
}

/// Starts an exporter with basic auth and a JWT file in `pki`, and returns it and the URL of its metrics.
async fn start_with_jwt_file(pki: &Pki, simulator: &Simulator) -> (ExporterProcess, String) {
    pki.write("jwt", "not-asked-for");
    pki.write("web.yml", &basic_auth_config("alice", "sesame", 4));
    let web = pki.arg("web.yml");
    let flags = [
        "--web.listen-address",
        "127.0.0.1:0",
        "--web.config.file",
        &web,
    ];
    let mut command = command_for_simulator(simulator, &flags);
    command
        .env_remove("RC_JWT")
        .env("RC_JWT_FILE", pki.arg("jwt"));
    let mut exporter = ExporterProcess::start(command);
    let metrics = format!("{}/metrics", exporter.wait_for_url().await);
    (exporter, metrics)
}

/// Waits until the file watch has applied a user and returns the response.
async fn wait_until_accepted(user: &str, url: &str) -> CurlResponse {
    let deadline = Instant::now() + MAX_WAIT;
    while Instant::now() < deadline {
        let response = crate::curl::curl(&["--user", user, url]).await;
        if response.status == 200 {
            return response;
        }
        sleep(Duration::from_millis(200)).await;
    }
    panic!("the new users were not applied");
}

#[tokio::test]
async fn missing_secret_blocks_reload_but_not_file_watch() {
    let pki = Pki::new();
    let simulator = start_simulator().await;
    let (mut exporter, metrics) = start_with_jwt_file(&pki, &simulator).await;
    let jwt = pki.arg("jwt");

    std::fs::remove_file(&jwt).unwrap();
    pki.write("web.yml", &basic_auth_config("alice", "open", 4));
    exporter.signal("HUP").await;
    let line = exporter.wait_for_log("configuration reload failed").await;
    assert!(line.contains(&format!("JWT: cannot read {jwt}")), "{line}");
    let old = crate::curl::curl(&["--user", "alice:sesame", &metrics]).await;
    assert_eq!((old.status, old.value(RELOAD_SUCCESSFUL)), (200, 0.0));
    assert_eq!(
        crate::curl::curl(&["--user", "alice:open", &metrics])
            .await
            .status,
        401
    );

    pki.write("web.yml", &basic_auth_config("alice", "third time", 4));
    let new = wait_until_accepted("alice:third time", &metrics).await;
    assert_eq!(
        new.value(RELOAD_SUCCESSFUL),
        0.0,
        "the JWT file is still missing"
    );
}

/// The reload ends at the web configuration. When that is correct again, the accounts follow.
#[tokio::test]
async fn corrected_web_config_completes_failed_reload() {
    let pki = Pki::new();
    let simulator = start_simulator().await;
    let (mut exporter, metrics) = start_with_jwt_file(&pki, &simulator).await;
    let jwt = pki.arg("jwt");

    std::fs::remove_file(&jwt).unwrap();
    pki.write("web.yml", "no: such key\n");
    exporter.signal("HUP").await;
    exporter.wait_for_log("trigger=SIGHUP").await;
    pki.write("web.yml", &basic_auth_config("alice", "open", 4));
    let new = wait_until_accepted("alice:open", &metrics).await;
    assert_eq!(
        new.value(RELOAD_SUCCESSFUL),
        0.0,
        "the JWT file is missing, which only a reload of the accounts notices"
    );
}
