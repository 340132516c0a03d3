//! Tests of reloads of unchanged and invalid files, by SIGHUP, by request and by the file watch.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{advance_until_calls_end, assert_kept_running, start_and_scrape};
use crate::common::clock::ManualClock;
use crate::harness::{TestAccount, TestExporter, company};

const RELOAD_SUCCESSFUL: &str = "ringcentral_exporter_config_last_reload_successful";

#[tokio::test]
async fn unchanged_file_keeps_accounts_running() {
    let clock = ManualClock::new();
    let mut exporter = start_and_scrape(&["a", "b"], &clock).await;
    let before = advance_until_calls_end(&exporter, &clock).await;
    exporter.reload().await;
    exporter.accounts.reverse();
    exporter.reload().await;
    for name in ["a", "b"] {
        assert_kept_running(&exporter, name, &before).await;
    }
    let scraped = exporter.scrape().await;
    let offsets = ["b", "a"].map(|name| {
        scraped
            .text
            .find(&format!("ringcentral_up{{account=\"{name}\""))
            .unwrap()
    });
    assert_eq!(scraped.value(RELOAD_SUCCESSFUL), 1.0);
    let order: Vec<_> = discovered_names(&exporter).await;
    assert_eq!(
        order,
        ["b", "a"],
        "`/sd` must follow the file; offsets in the exposition: {offsets:?}"
    );
}

/// Returns the account names in `/sd`.
async fn discovered_names(exporter: &TestExporter) -> Vec<String> {
    let groups: serde_json::Value = serde_json::from_str(&exporter.get("/sd").await.text).unwrap();
    let groups = groups.as_array().unwrap().iter();
    groups
        .map(|group| {
            group["labels"]["__param_account"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect()
}

#[tokio::test]
async fn invalid_file_keeps_previous_config() {
    let clock = ManualClock::new();
    let mut exporter = start_and_scrape(&["a", "b"], &clock).await;
    let before = advance_until_calls_end(&exporter, &clock).await;
    let valid = std::fs::read_to_string(exporter.config_file()).unwrap();
    let first = valid.lines().take(2).collect::<Vec<_>>().join("\n");
    for invalid in [
        "",
        "accounts: []\n",
        "accounts: [\n",
        &format!("{first}\n- {{name: c}}\n"),
        &valid.replace("name: b", "name: a"),
    ] {
        let line = exporter.reload_invalid(invalid).await;
        assert!(
            line.contains("level=error") && line.contains("--config.file: "),
            "{invalid:?}: {line}"
        );
        assert_eq!(
            exporter.get("/-/metrics").await.value(RELOAD_SUCCESSFUL),
            0.0
        );
    }
    assert!(
        exporter
            .get("/")
            .await
            .text
            .contains("The last reload failed")
    );
    for name in ["a", "b"] {
        assert_kept_running(&exporter, name, &before).await;
    }
    exporter.reload().await;
    assert_eq!(
        exporter.get("/-/metrics").await.value(RELOAD_SUCCESSFUL),
        1.0
    );
    assert!(
        !exporter
            .get("/")
            .await
            .text
            .contains("The last reload failed")
    );
}

/// A reload applies all changes or none.
#[tokio::test]
async fn unreadable_secret_keeps_previous_config() {
    let clock = ManualClock::new();
    let mut exporter = start_and_scrape(&["a", "b"], &clock).await;
    let before = advance_until_calls_end(&exporter, &clock).await;
    let valid = std::fs::read_to_string(exporter.config_file()).unwrap();
    let line = exporter
        .reload_invalid(
            &valid
                .replace("name: a", "name: c")
                .replace("b/jwt", "b/missing"),
        )
        .await;
    assert!(line.contains("accounts[1].jwt_file"), "{line}");
    for name in ["a", "b"] {
        assert_kept_running(&exporter, name, &before).await;
    }
}

#[tokio::test]
async fn reload_request_reports_result() {
    let clock = ManualClock::new();
    let accounts =
        TestAccount::start_many(&["a", "b"], |index| clock.attach_to(company(index))).await;
    let mut exporter = TestExporter::start_with_flags(accounts, &["--web.enable-lifecycle"]).await;
    exporter.remove("b");
    exporter.write_config();
    let started = Instant::now();
    assert_eq!(
        exporter.request("POST", "/-/reload").await,
        (200, "reloaded\n".to_owned())
    );
    let second = exporter.request("POST", "/-/reload").await.0;
    assert!(second == 429 || started.elapsed() >= Duration::from_secs(1));
    assert!(!exporter.scrape().await.text.contains("account=\"b\""));
    sleep(Duration::from_millis(1100)).await;
    std::fs::write(exporter.config_file(), "accounts: 5\n").unwrap();
    let (status, error) = exporter.request("POST", "/-/reload").await;
    let prefix = format!(
        "--config.file: {} line 1: accounts",
        exporter.config_file().display()
    );
    assert!(
        status == 500 && error.starts_with(&prefix) && error.lines().count() == 1,
        "{error}"
    );
    exporter.assert_exact("a", &exporter.scrape().await).await;
}

/// A reload applies both configuration files or neither.
#[tokio::test]
async fn invalid_web_config_keeps_accounts() {
    let folder = tempfile::tempdir().unwrap();
    let web = folder.path().join("web.yml");
    std::fs::write(&web, "").unwrap();
    let flags = ["--web.config.file", web.to_str().unwrap()];
    let mut exporter = TestExporter::start_in(
        folder,
        TestAccount::start_many(&["a", "b"], company).await,
        &flags,
    )
    .await;
    std::fs::write(&web, "colour: red\n").unwrap();
    exporter.accounts.remove(1);
    exporter.write_config();
    let text = std::fs::read_to_string(exporter.config_file()).unwrap();
    let line = exporter.reload_invalid(&text).await;
    assert!(line.contains("--web.config.file: "), "{line}");
    assert_eq!(discovered_names(&exporter).await, ["a", "b"]);
    std::fs::write(&web, "").unwrap();
    exporter.reload().await;
    assert_eq!(discovered_names(&exporter).await, ["a"]);
}

/// Signals that arrive during a reload are merged into one.
#[tokio::test]
async fn hundred_sighups_keep_accounts_running() {
    let clock = ManualClock::new();
    let mut exporter = start_and_scrape(&["a", "b"], &clock).await;
    let before = advance_until_calls_end(&exporter, &clock).await;
    for _ in 0..100 {
        exporter.process.signal("HUP").await;
    }
    exporter.reload().await;
    for name in ["a", "b"] {
        assert_kept_running(&exporter, name, &before).await;
    }
}

/// Returns a web configuration with one response header.
fn header_config(value: &str) -> String {
    format!("http_server_config: {{headers: {{X-Frame-Options: {value}}}}}\n")
}

/// The file watch reloads only the web configuration, so the accounts file stays invalid.
#[tokio::test]
async fn web_change_applies_while_accounts_are_invalid() {
    let folder = tempfile::tempdir().unwrap();
    let web = folder.path().join("web.yml");
    std::fs::write(&web, header_config("sameorigin")).unwrap();
    let flag = format!("--web.config.file={}", web.display());
    let mut exporter =
        TestExporter::start_with_flags(TestAccount::start_many(&["a"], company).await, &[&flag])
            .await;
    // One reload reads the new header and an invalid list of accounts.
    std::fs::write(&web, header_config("deny")).unwrap();
    exporter.reload_invalid("accounts: []\n").await;
    let line = exporter.process.wait_for_log("trigger=\"file change\"");
    let poll = async {
        loop {
            let scraped = exporter
                .http
                .get(format!("{}/-/metrics", exporter.url))
                .send()
                .await
                .unwrap();
            if scraped
                .headers()
                .get("x-frame-options")
                .is_some_and(|value| value == "deny")
            {
                return scraped.text().await.unwrap();
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    let (line, text) = tokio::join!(line, poll);
    assert!(line.contains("level=info"), "{line}");
    assert!(
        text.contains(&format!("\n{RELOAD_SUCCESSFUL} 0\n")),
        "{text}"
    );
    exporter.reload().await;
    assert_eq!(
        exporter.get("/-/metrics").await.value(RELOAD_SUCCESSFUL),
        1.0
    );
}
