//! Files that say the same, that are bad, and requests that have them read.

use std::time::Duration;

use tokio::time::sleep;

use super::{calls_end, is_undisturbed, scraped_once};
use crate::common::clock::ManualClock;
use crate::fleet::{Fleet, Member, company};

const SUCCESSFUL: &str = "ringcentral_exporter_config_last_reload_successful";

#[tokio::test]
async fn a_file_that_says_the_same_disturbs_nothing() {
    let clock = ManualClock::new();
    let mut fleet = scraped_once(&["a", "b"], &clock).await;
    let before = calls_end(&fleet, &clock).await;
    fleet.reload().await;
    fleet.members.reverse();
    fleet.reload().await;
    for name in ["a", "b"] {
        is_undisturbed(&fleet, name, &before).await;
    }
    let scraped = fleet.scrape().await;
    let places = ["b", "a"].map(|name| {
        scraped
            .text
            .find(&format!("ringcentral_up{{account=\"{name}\""))
            .unwrap()
    });
    assert_eq!(scraped.value(SUCCESSFUL), 1.0);
    let order: Vec<_> = sd_names(&fleet).await;
    assert_eq!(
        order,
        ["b", "a"],
        "the order is the file's; in the exposition at {places:?}"
    );
}

async fn sd_names(fleet: &Fleet) -> Vec<String> {
    let groups: serde_json::Value = serde_json::from_str(&fleet.get("/sd").await.text).unwrap();
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
async fn a_bad_file_changes_nothing_at_all() {
    let clock = ManualClock::new();
    let mut fleet = scraped_once(&["a", "b"], &clock).await;
    let before = calls_end(&fleet, &clock).await;
    let good = std::fs::read_to_string(fleet.file()).unwrap();
    let first = good.lines().take(2).collect::<Vec<_>>().join("\n");
    for bad in [
        "",
        "accounts: []\n",
        "accounts: [\n",
        &format!("{first}\n- {{name: c}}\n"),
        &good.replace("name: b", "name: a"),
    ] {
        let line = fleet.refuses(bad).await;
        assert!(
            line.contains("level=error") && line.contains("--config.file: "),
            "{bad:?}: {line}"
        );
        assert_eq!(fleet.get("/-/metrics").await.value(SUCCESSFUL), 0.0);
    }
    assert!(fleet.get("/").await.text.contains("The last reload failed"));
    for name in ["a", "b"] {
        is_undisturbed(&fleet, name, &before).await;
    }
    fleet.reload().await;
    assert_eq!(fleet.get("/-/metrics").await.value(SUCCESSFUL), 1.0);
    assert!(!fleet.get("/").await.text.contains("The last reload failed"));
}

/// Half a change would be worse than none.
#[tokio::test]
async fn a_secret_that_cannot_be_read_changes_nothing_at_all() {
    let clock = ManualClock::new();
    let mut fleet = scraped_once(&["a", "b"], &clock).await;
    let before = calls_end(&fleet, &clock).await;
    let good = std::fs::read_to_string(fleet.file()).unwrap();
    let line = fleet
        .refuses(
            &good
                .replace("name: a", "name: c")
                .replace("b/jwt", "b/missing"),
        )
        .await;
    assert!(line.contains("accounts[1].jwt_file"), "{line}");
    for name in ["a", "b"] {
        is_undisturbed(&fleet, name, &before).await;
    }
}

#[tokio::test]
async fn a_request_reloads_and_tells_how_it_went() {
    let clock = ManualClock::new();
    let members = Member::several(&["a", "b"], |place| clock.scenario(company(place))).await;
    let mut fleet = Fleet::with(members, &["--web.enable-lifecycle"]).await;
    fleet.remove("b");
    fleet.write();
    assert_eq!(
        fleet.request("POST", "/-/reload").await,
        (200, "reloaded\n".to_owned())
    );
    assert!(!fleet.scrape().await.text.contains("account=\"b\""));
    assert_eq!(fleet.request("POST", "/-/reload").await.0, 429);
    sleep(Duration::from_millis(1100)).await;
    std::fs::write(fleet.file(), "accounts: 5\n").unwrap();
    let (status, complaint) = fleet.request("POST", "/-/reload").await;
    let place = format!("--config.file: {} line 1: accounts", fleet.file().display());
    assert!(
        status == 500 && complaint.starts_with(&place) && complaint.lines().count() == 1,
        "{complaint}"
    );
    fleet.is_exact("a", &fleet.scrape().await).await;
}

/// What is read together is taken together.
#[tokio::test]
async fn a_bad_web_configuration_keeps_the_accounts_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let web = folder.path().join("web.yml");
    std::fs::write(&web, "").unwrap();
    let flags = ["--web.config.file", web.to_str().unwrap()];
    let mut fleet =
        Fleet::within(folder, Member::several(&["a", "b"], company).await, &flags).await;
    std::fs::write(&web, "colour: red\n").unwrap();
    fleet.members.remove(1);
    fleet.write();
    let text = std::fs::read_to_string(fleet.file()).unwrap();
    let line = fleet.refuses(&text).await;
    assert!(line.contains("--web.config.file: "), "{line}");
    assert_eq!(sd_names(&fleet).await, ["a", "b"]);
    std::fs::write(&web, "").unwrap();
    fleet.reload().await;
    assert_eq!(sd_names(&fleet).await, ["a"]);
}

/// Signals that come faster than they are heeded are one.
#[tokio::test]
async fn a_hundred_signals_at_once_disturb_nothing() {
    let clock = ManualClock::new();
    let mut fleet = scraped_once(&["a", "b"], &clock).await;
    let before = calls_end(&fleet, &clock).await;
    for _ in 0..100 {
        fleet.program.signal("HUP").await;
    }
    fleet.reload().await;
    for name in ["a", "b"] {
        is_undisturbed(&fleet, name, &before).await;
    }
}

fn header(value: &str) -> String {
    format!("http_server_config: {{headers: {{X-Frame-Options: {value}}}}}\n")
}

/// The web configuration is read when it changes; the accounts are not, and stay as bad as they were.
#[tokio::test]
async fn a_web_file_that_changes_makes_no_bad_accounts_good_and_is_not_lost_with_them() {
    let folder = tempfile::tempdir().unwrap();
    let web = folder.path().join("web.yml");
    std::fs::write(&web, header("sameorigin")).unwrap();
    let flag = format!("--web.config.file={}", web.display());
    let mut fleet = Fleet::with(Member::several(&["a"], company).await, &[&flag]).await;
    // Read at one time: the new header, and accounts that are none.
    std::fs::write(&web, header("deny")).unwrap();
    fleet.refuses("accounts: []\n").await;
    let line = fleet.program.logs("trigger=\"file change\"");
    let asks = async {
        loop {
            let scraped = fleet
                .http
                .get(format!("{}/-/metrics", fleet.url))
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
    let (line, text) = tokio::join!(line, asks);
    assert!(line.contains("level=info"), "{line}");
    assert!(text.contains(&format!("\n{SUCCESSFUL} 0\n")), "{text}");
    fleet.reload().await;
    assert_eq!(fleet.get("/-/metrics").await.value(SUCCESSFUL), 1.0);
}
