//! Tests of the `demo` command.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::{Instant, sleep, timeout};

use crate::common::MAX_WAIT;
use crate::common::demo::start;
use crate::common::exporter_process::{ExporterProcess, command, output};
use crate::common::http;
use crate::harness::full_pipe;

async fn scrape(url: &str) -> String {
    let response = http().get(format!("{url}/metrics")).send().await.unwrap();
    response.text().await.unwrap()
}

/// Scrapes until a fetch has succeeded: the longest lists take seconds in a debug build.
async fn scrape_until_up(url: &str) -> String {
    let deadline = Instant::now() + 2 * MAX_WAIT;
    loop {
        let text = scrape(url).await;
        if text.contains("ringcentral_up{account=\"default\"} 1") {
            return text;
        }
        assert!(Instant::now() < deadline, "{text}");
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn every_demo_scenario_has_calls() {
    for scenario in [
        "normal",
        "surge",
        "outage",
        "throttled",
        "huge",
        "sequential",
        "lossy",
    ] {
        let (mut program, url, _) = start(&["--demo.scenario", scenario]).await;
        let text = scrape_until_up(&url).await;
        let series = text
            .lines()
            .filter(|line| line.starts_with("ringcentral_active_calls{"))
            .count();
        assert!(series > 10, "{scenario}: {series} series");
        program.signal("TERM").await;
        assert_eq!(program.wait_for_exit().await.code(), Some(0), "{scenario}");
    }
}

#[tokio::test]
async fn demo_ignores_proxy_variables() {
    let mut command = command(&["demo", "--web.listen-address", "127.0.0.1:0"]);
    command
        .env("ALL_PROXY", "socks5h://127.0.0.1:9")
        .env("HTTP_PROXY", "ftp://127.0.0.1:9")
        .env("NO_PROXY", "..");
    let mut program = ExporterProcess::start(command);
    let url = program.wait_for_url().await;
    scrape_until_up(&url).await;
    program.signal("TERM").await;
    assert_eq!(program.wait_for_exit().await.code(), Some(0));
}

#[tokio::test]
async fn printed_credentials_work_for_second_exporter() {
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
    let mut command = command(&["--web.listen-address", "127.0.0.1:0"]);
    command.envs(&variables);
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
async fn demo_serves_several_accounts() {
    let (_demo, url, _) = start(&["--demo.accounts", "3"]).await;
    let text = scrape(&url).await;
    for account in ["demo-1", "demo-2", "demo-3"] {
        assert!(text.contains(&format!("ringcentral_up{{account=\"{account}\"}} 1")));
    }
    let limit = "ringcentral_concurrent_calls_limit{account=\"demo-3\"} 140";
    assert!(text.contains(limit), "{text}");
    let mut sessions: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("ringcentral_oldest_call_in_progress"))
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(_, value)| value)
        .collect();
    sessions.sort_unstable();
    sessions.dedup();
    assert_eq!(sessions.len(), 3, "the accounts must differ: {text}");
}

#[tokio::test]
async fn throttled_demo_causes_429_after_30_s() {
    let (_demo, url, _) = start(&["--demo.scenario", "throttled"]).await;
    let failures = "ringcentral_api_request_failures_total{account=\"default\",\
                    operation=\"active_calls\",reason=\"rate_limited\"} ";
    assert!(scrape(&url).await.contains(&format!("{failures}0\n")));
    sleep(Duration::from_secs(32)).await;
    let text = scrape(&url).await;
    assert!(text.contains(&format!("{failures}1\n")), "{text}");
    assert!(text.contains("ringcentral_up{account=\"default\"} 0"));
}

#[tokio::test]
async fn demo_ignores_account_variables() {
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
async fn invalid_demo_flag_is_named_in_error() {
    let cases = [
        (
            ["--demo.scenario", "calm"],
            "--demo.scenario: unknown scenario \"calm\": expected one of normal, surge, outage, throttled, huge, sequential, lossy, forbidden",
        ),
        (
            ["--demo.seed", "-1"],
            "--demo.seed: invalid value \"-1\": expected a whole number from 0 to 18446744073709551615",
        ),
        (
            ["--demo.listen-address", "x"],
            "--demo.listen-address: invalid value \"x\": expected HOST:PORT or :PORT, with an IPv6 host in brackets",
        ),
        (
            ["--demo.accounts", "0"],
            "--demo.accounts: invalid value \"0\": expected a whole number from 1 to 100",
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

#[tokio::test]
async fn ports_beyond_65535_are_an_error() {
    let flags = ["demo", "--demo.listen-address=:65535", "--demo.accounts=2"];
    let (code, _, error) = output(command(&flags)).await;
    let line = "--demo.listen-address: no ports for 2 accounts from 65535 on\n";
    assert_eq!(
        (code, error),
        (Some(2), format!("ringcentral-exporter: {line}"))
    );
}

#[tokio::test]
async fn demo_starts_although_its_output_is_not_read() {
    for is_nonblocking in [true, false] {
        let (_reader, writer) = full_pipe();
        if is_nonblocking {
            let flags = rustix::fs::fcntl_getfl(&writer).unwrap();
            rustix::fs::fcntl_setfl(&writer, flags | rustix::fs::OFlags::NONBLOCK).unwrap();
        }
        let mut command = command(&["demo", "--web.listen-address", "127.0.0.1:0"]);
        command.stdout(writer).stderr(Stdio::piped());
        let mut demo = command.spawn().unwrap();
        let mut log = BufReader::new(demo.stderr.take().unwrap()).lines();
        let mut lines = String::new();
        while !lines.contains("msg=listening") {
            let line = timeout(MAX_WAIT, log.next_line()).await.unwrap().unwrap();
            lines += &line.unwrap_or_else(|| panic!("exited: {lines}"));
        }
    }
}
