//! The demo, as a new user meets it.

use crate::common::demo::start;
use crate::common::exporter_process::{ExporterProcess, command, output};
use crate::common::http;

#[tokio::test]
async fn every_scenario_shows_calls() {
    for scenario in ["normal", "surge", "outage", "throttled", "huge"] {
        let (mut program, url, _) = start(&["--demo.scenario", scenario]).await;
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
            "{scenario}: {text}"
        );
        let records = text
            .lines()
            .filter(|line| line.starts_with("ringcentral_active_calls{"))
            .count();
        assert!(records > 10, "{scenario}: {records} series");
        program.signal("TERM").await;
        assert_eq!(program.wait_for_exit().await.code(), Some(0), "{scenario}");
    }
}

#[tokio::test]
async fn what_it_prints_lets_another_exporter_in() {
    let (_demo, _, variables) = start(&["--demo.seed", "7"]).await;
    let names = [
        "RC_CLIENT_ID",
        "RC_CLIENT_SECRET",
        "RC_JWT",
        "RC_SERVER_URL",
    ];
    assert_eq!(
        variables.keys().map(String::as_str).collect::<Vec<_>>(),
        names
    );
    let mut second = command(&["--web.listen-address", "127.0.0.1:0"]);
    second.envs(&variables);
    let mut program = ExporterProcess::start(second);
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
async fn variables_about_an_account_do_not_disturb_it() {
    let mut command = command(&["demo", "--web.listen-address", "127.0.0.1:0"]);
    command
        .env("RC_LEVEL", "nonsense")
        .env("RC_JWT", "x")
        .env("RC_JWT_FILE", "/nonexistent");
    let mut program = ExporterProcess::start(command);
    let url = program.wait_for_url().await;
    assert_eq!(
        http()
            .get(format!("{url}/-/ready"))
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
}

#[tokio::test]
async fn bad_flags_name_themselves() {
    let cases = [
        (
            ["--demo.scenario", "calm"],
            "--demo.scenario: unknown scenario \"calm\": expected one of normal, surge, outage, throttled, huge",
        ),
        (
            ["--demo.seed", "-1"],
            "--demo.seed: \"-1\" is not accepted; accepted is a whole number from 0 to 18446744073709551615",
        ),
        (
            ["--demo.listen-address", "x"],
            "--demo.listen-address: \"x\" is not accepted; accepted is HOST:PORT or :PORT, an IPv6 host in brackets",
        ),
    ];
    for ([flag, value], message) in cases {
        let (code, _, error) = output(command(&["demo", &format!("{flag}={value}")])).await;
        assert_eq!(
            (code, error),
            (Some(2), format!("ringcentral-exporter: {message}\n"))
        );
    }
}
