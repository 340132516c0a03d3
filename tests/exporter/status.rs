//! Tests of `/status`: its text, its JSON, and that both agree with the landing page and the metrics.

use std::collections::BTreeSet;
use std::time::Duration;

use ringcentral_exporter::config::{Config, PresenceMode};
use ringcentral_exporter::secret::SecretSource;
use ringcentral_exporter::simulator::{Fault, Operation, Scenario, SimResponse, Simulator};
use secrecy::SecretString;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::common::exporter_process::{ExporterProcess, command_for_simulator};
use crate::common::get;
use crate::harness::{TestExporter, bind_loopback};
use crate::status_presence::{exporter_with, wait_for_status, warning_names};

/// Returns the text of `/status`, whose lines must fit a terminal and whose words must contain no secret.
async fn status_text(exporter: &TestExporter) -> String {
    let response = exporter.get("/status", &[]).await;
    assert_eq!(response.status, 200);
    assert_eq!(
        response.headers["content-type"],
        "text/plain; charset=utf-8"
    );
    assert_eq!(response.headers["cache-control"], "no-store");
    for line in response.text.lines() {
        assert!(line.len() <= 80 && line == line.trim_end(), "{line:?}");
    }
    assert_no_secret(exporter, &response.text);
    response.text
}

/// Returns the JSON of `/status`, which must contain no secret.
async fn status_json(exporter: &TestExporter) -> Value {
    let response = exporter.get("/status?format=json", &[]).await;
    assert_eq!(response.headers["content-type"], "application/json");
    assert_no_secret(exporter, &response.text);
    serde_json::from_str(&response.text).unwrap()
}

fn assert_no_secret(exporter: &TestExporter, text: &str) {
    let secret = exporter.simulator.client_secret();
    for secret in [&secret, &exporter.simulator.jwt(), "U0pDMTFQ"] {
        assert!(!text.contains(secret), "{text}");
    }
}

/// Returns the text with one space between words, as before it was wrapped.
fn unwrapped(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    words.join(" ")
}

/// Returns the names of the rows of the page's tables, without that of the link to the metrics.
fn page_rows(page: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for piece in page.split("<th scope=\"row\">").skip(1) {
        let name = piece.split('<').next().unwrap();
        if name != "Metrics" {
            names.insert(name.to_lowercase());
        }
    }
    names
}

/// Returns the names of the indented lines of the text.
fn text_rows(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for line in text.lines() {
        if line.starts_with("  ") && !line.starts_with("   ") {
            names.insert(line[2..14].trim().to_lowercase());
        }
    }
    names
}

#[tokio::test]
async fn status_has_facts_of_page_without_api_requests() {
    let exporter = TestExporter::start(Scenario::normal()).await;
    let text = status_text(&exporter).await;
    assert!(text.contains("\nAccount default: Pending\n"), "{text}");
    assert!(
        text.contains("\n  next fetch    possible at the next scrape\n"),
        "{text}"
    );
    let json = status_json(&exporter).await;
    assert_eq!(json["accounts"][0]["state"], "pending");
    assert_eq!(json["accounts"][0]["next_fetch_in_seconds"], 0.0);
    assert!(exporter.simulator.journal().is_empty());

    let scrape = exporter.scrape().await;
    let requests = exporter.simulator.journal().len();
    let text = status_text(&exporter).await;
    let page = exporter.get("/", &[]).await.text;
    assert!(text.contains("\nAccount default: OK\n"), "{text}");
    assert_eq!(text_rows(&text), page_rows(&page));
    let account = &status_json(&exporter).await["accounts"][0];
    assert_eq!(account["state"], "ok");
    for (key, series) in [
        (
            "calls_in_progress",
            "ringcentral_call_sessions_in_progress{account=\"default\"}",
        ),
        (
            "fetch_pages",
            "ringcentral_fetch_pages{account=\"default\"}",
        ),
        (
            "jwt_expiry_timestamp_seconds",
            "ringcentral_auth_jwt_expiry_timestamp_seconds{account=\"default\"}",
        ),
    ] {
        assert_eq!(account[key].as_f64(), Some(scrape.value(series)), "{key}");
    }
    assert_eq!(exporter.simulator.journal().len(), requests);
}

#[tokio::test]
async fn status_format_follows_query_then_accept() {
    let exporter = TestExporter::start(Scenario::normal()).await;
    for (path, accept, expected) in [
        ("/status", "*/*", "text/plain; charset=utf-8"),
        ("/status", "application/json", "application/json"),
        (
            "/status",
            "text/html, Application/JSON;q=0.9",
            "application/json",
        ),
        (
            "/status",
            "application/json;q=0",
            "text/plain; charset=utf-8",
        ),
        ("/status?format=json", "text/plain", "application/json"),
        (
            "/status?format=text",
            "application/json",
            "text/plain; charset=utf-8",
        ),
    ] {
        let response = exporter.get(path, &[("Accept", accept)]).await;
        assert_eq!(
            response.headers["content-type"], expected,
            "{path} {accept}"
        );
    }
    let request = "HEAD /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let (head, body) = exporter.send_raw(request).await;
    assert!(
        head.starts_with("HTTP/1.1 200 OK") && body.is_empty(),
        "{head}"
    );
    let request = exporter.http.post(format!("{}/status", exporter.url));
    let response = request.send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["allow"]),
        (405, &"GET, HEAD".parse().unwrap())
    );
}

#[tokio::test]
async fn status_lists_worst_account_first_or_named_ones() {
    let exporter = TestExporter::start_with(Scenario::normal(), |config: &mut Config| {
        let first = config.accounts[0].clone();
        for name in ["acme", "broken"] {
            let mut account = first.clone();
            account.name = name.to_owned();
            config.accounts.push(account);
        }
        config.accounts[2].client_secret = SecretSource::Value(SecretString::from("sesame"));
    })
    .await;
    exporter.scrape().await;
    let text = status_text(&exporter).await;
    let summary = "3 accounts: 1 failing, 2 ok. ";
    assert!(text.contains(&format!("\n\n{summary}")), "{text}");
    let headings: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("Account "))
        .collect();
    assert_eq!(
        headings,
        [
            "Account broken: Failing",
            "Account acme: OK",
            "Account default: OK"
        ]
    );
    assert!(!text.contains("sesame"), "{text}");
    let some = exporter.get("/status?account=default&account=acme", &[]);
    let some = some.await.text;
    assert!(
        some.contains("Account acme: OK")
            && some.contains("2 accounts: 2 ok.")
            && !some.contains("broken: "),
        "{some}"
    );
    let unknown = exporter.get("/status?account=x&format=json", &[]).await;
    assert_eq!(
        (unknown.status, unknown.text.as_str()),
        (404, "not found: unknown account \"x\"\n")
    );
}

/// Returns the seconds until the next fetch.
fn next_fetch_seconds(text: &str) -> u64 {
    let (_, rest) = text.split_once("\n  next fetch    possible in ").unwrap();
    rest.split(" s\n").next().unwrap().parse().unwrap()
}

/// The status has whole milliseconds.
const TOLERANCE: Duration = Duration::from_millis(2);

/// A fetch before the stated time would exceed the budget, one at that time must be possible.
#[tokio::test]
async fn next_fetch_is_possible_when_status_says() {
    let exporter = TestExporter::start(Scenario::normal()).await;
    exporter.scrape().await;
    let text = status_text(&exporter).await;
    let seconds = next_fetch_seconds(&text);
    assert!((1..=8).contains(&seconds), "{text}");
    let asked = Instant::now();
    let wait = status_json(&exporter).await["accounts"][0]["next_fetch_in_seconds"]
        .as_f64()
        .unwrap();
    let answered = Instant::now();
    assert!(wait > 0.0 && wait <= 7.5, "{wait}");
    assert!(wait <= seconds as f64, "{wait} s later than {text}");
    let page = exporter.get("/", &[]).await.text;
    assert!(page.contains("Next fetch possible in "), "{page}");
    let wait = Duration::from_secs_f64(wait);
    loop {
        let began = Instant::now();
        exporter.scrape().await;
        if exporter.count_requests(Operation::ActiveCalls) == 2 {
            assert!(asked.elapsed() >= wait, "the fetch was too early");
            return;
        }
        assert!(
            began < answered + wait + TOLERANCE,
            "no fetch after {wait:?}"
        );
        sleep(Duration::from_millis(20)).await;
    }
}

/// Returns an exporter in a penalty of 590 s that a 429 has started, with this group in its header.
async fn exporter_in_penalty(group: Option<&str>) -> TestExporter {
    let exporter = TestExporter::start(Scenario::normal()).await;
    exporter.scrape().await;
    let mut refusal = SimResponse::too_many_requests(Some(590));
    if let Some(group) = group {
        refusal = refusal.with("X-Rate-Limit-Group", group);
    }
    exporter
        .simulator
        .inject(Fault::always(Operation::ActiveCalls, refusal));
    sleep(Duration::from_millis(7600)).await;
    exporter.scrape().await;
    exporter
}

#[tokio::test]
async fn penalty_shows_wait_and_no_remaining_requests() {
    let exporter = exporter_in_penalty(Some("heavy")).await;
    let text = unwrapped(&status_text(&exporter).await);
    let page = exporter.get("/", &[]).await.text;
    for part in [
        "heavy: 10 in 60 s, none during the penalty; medium: 39 of 40 left in 60 s",
        "rate_limited",
    ] {
        assert!(text.contains(part), "{part} in {text}");
        assert!(page.contains(part), "{part} in {page}");
    }
    assert!(text.contains("Account default: Blocked"), "{text}");
    assert!(text.contains("FAILED: rate_limited: RingCentral's rate limit is exceeded error active_calls: HTTP status 429"), "{text}");
    assert!(text.contains("next fetch possible in 9 min"), "{text}");
    assert!(page.contains("Next fetch possible in 9 min"), "{page}");
    let account = &status_json(&exporter).await["accounts"][0];
    let heavy = &account["rate_limits"][0];
    assert_eq!(
        (&heavy["group"], &heavy["remaining"]),
        (&"heavy".into(), &Value::Null)
    );
    let waits = [
        &account["next_fetch_in_seconds"],
        &heavy["blocked_for_seconds"],
    ];
    for wait in waits.map(|wait| wait.as_f64().unwrap()) {
        assert!(wait > 580.0 && wait <= 590.0, "{account}");
    }
}

#[tokio::test]
async fn penalty_without_group_holds_every_limit() {
    let exporter = exporter_in_penalty(None).await;
    let text = unwrapped(&status_text(&exporter).await);
    assert_eq!(text.matches("none during the penalty").count(), 3, "{text}");
    assert!(!text.contains(" left in "), "{text}");
}

#[tokio::test]
async fn login_backoff_holds_next_fetch() {
    let rejected = |config: &mut Config| {
        config.settings.timeouts.login_backoff_min = Duration::from_secs(60);
        config.accounts[0].client_secret = SecretSource::Value(SecretString::from("sesame"));
    };
    let exporter = TestExporter::start_with(Scenario::normal(), rejected).await;
    exporter.scrape().await;
    let text = status_text(&exporter).await;
    assert!(text.contains("\nFAILED: bad_client: "), "{text}");
    assert!((50..=60).contains(&next_fetch_seconds(&text)), "{text}");
}

#[tokio::test]
async fn failed_reload_is_shown_in_full() {
    let folder = tempfile::tempdir().unwrap();
    let jwt = folder.path().join("jwt");
    let simulator = Simulator::start(bind_loopback().await, Scenario::normal(), 1).unwrap();
    std::fs::write(&jwt, simulator.jwt()).unwrap();
    let mut command = command_for_simulator(&simulator, &["--web.listen-address=127.0.0.1:0"]);
    command.env_remove("RC_JWT").env("RC_JWT_FILE", &jwt);
    let mut program = ExporterProcess::start(command);
    let url = program.wait_for_url().await;
    std::fs::remove_file(&jwt).unwrap();
    program.signal("HUP").await;
    program.wait_for_log("configuration reload failed").await;
    let error = format!(
        "account default: JWT: cannot read {}: No such file or directory (os error 2)",
        jwt.display()
    );
    let json: Value =
        serde_json::from_str(&get(&format!("{url}/status?format=json")).await).unwrap();
    let exporter = &json["exporter"];
    assert_eq!(exporter["failure"]["error"], error);
    assert_eq!(exporter["last_reload_successful"], false);
    let text = unwrapped(&get(&format!("{url}/status")).await);
    assert!(
        text.contains(&format!(" error {error} fix correct")),
        "{text}"
    );
    let page = get(&url).await;
    assert!(page.contains(&format!("Error: {error}<")), "{page}");

    std::fs::write(&jwt, simulator.jwt()).unwrap();
    program.signal("HUP").await;
    program.wait_for_log("configuration reloaded").await;
    let text = get(&format!("{url}/status")).await;
    assert!(
        text.contains("\n  last reload   successful, ") && !text.contains("FAILED"),
        "{text}"
    );
}

/// Adds the paths of all keys in `value`, like `accounts[].failure.name`.
fn add_keys(value: &Value, path: &str, keys: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = format!("{path}{name}");
                keys.insert(path.clone());
                add_keys(value, &format!("{path}."), keys);
            }
        }
        Value::Array(values) => {
            let path = format!("{}[].", path.trim_end_matches('.'));
            for value in values {
                add_keys(value, &path, keys);
            }
        }
        _ => {}
    }
}

/// The keys that are documented and those of exporters in several states must be the same.
#[tokio::test]
async fn status_keys_match_documentation() {
    let mut keys = BTreeSet::new();
    let penalty = exporter_in_penalty(Some("heavy")).await;
    add_keys(&status_json(&penalty).await, "", &mut keys);
    let unread = TestExporter::start_with(
        Scenario {
            read_accounts: false,
            ..Scenario::normal()
        },
        |config: &mut Config| {
            config.settings.web.enable_lifecycle = true;
            let mut same_user = config.accounts[0].clone();
            same_user.name = "same-user".to_owned();
            let mut unreadable = same_user.clone();
            unreadable.name = "unreadable".to_owned();
            unreadable.jwt = SecretSource::File("/nonexistent".into());
            config.accounts.extend([same_user, unreadable]);
        },
    )
    .await;
    unread.scrape().await;
    let reload = unread.http.post(format!("{}/-/reload", unread.url));
    assert_eq!(reload.send().await.unwrap().status(), 500);
    add_keys(&status_json(&unread).await, "", &mut keys);
    let events = exporter_with(PresenceMode::Events, Scenario::normal()).await;
    let status = wait_for_status(&events, |status| status["presence_up"] == true).await;
    add_keys(&status, "accounts[].", &mut keys);
    let no_permission = Scenario {
        read_presence: false,
        ..Scenario::normal()
    };
    let no_subscription = Scenario {
        max_subscriptions: 0,
        ..Scenario::normal()
    };
    for (mode, scenario) in [
        (PresenceMode::Poll, no_permission),
        (PresenceMode::Events, no_subscription),
    ] {
        let exporter = exporter_with(mode, scenario).await;
        let has_warning = |status: &Value| !warning_names(status).is_empty();
        add_keys(
            &wait_for_status(&exporter, has_warning).await,
            "accounts[].",
            &mut keys,
        );
    }
    let mut documented = BTreeSet::new();
    let (_, table) = include_str!("../../docs/STATUS.md")
        .split_once("| key |")
        .unwrap();
    for line in table.lines() {
        if let Some(row) = line.strip_prefix("| `") {
            documented.insert(row.split('`').next().unwrap().to_owned());
        }
    }
    assert_eq!(keys, documented);
}
