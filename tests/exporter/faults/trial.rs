//! The course that all faults of the table take.

use std::collections::BTreeMap;
use std::time::Duration;

use ringcentral_exporter::simulator::limiter::Limit;
use ringcentral_exporter::simulator::scenario::Limits;
use ringcentral_exporter::simulator::{Fault, FaultKind, JournalEntry, Operation, Scenario};
use tokio::time::{Instant, sleep, sleep_until};

use super::log;
use super::table::{Row, Stage};
use crate::rig::{Rig, ScrapeResponse};
use crate::scrapes::unlimited;

/// Long enough for all rows at once on a slow machine to scrape while the snapshot is fresh.
const MAX_AGE: Duration = Duration::from_secs(15);
/// Until a fetch is tried again and succeeds: the documented pace of 7.5 s where no answer has told another, a penalty
/// of 2 s, a back-off of half a second; with a margin for a slow machine.
const RECOVERY: Duration = Duration::from_secs(20);

pub async fn trial(row: Row) {
    log::listen();
    let name = row.name;
    let account = name.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    let rig = rig(&account, row.stage).await;
    let started = Instant::now();
    let silences = row.silences;
    let stage = row.stage;
    fails(&rig, &account, row).await;
    goes_stale(&rig, &account, name, started, silences).await;
    rig.simulator.clear_faults();
    let recovered = recovery(&rig, &account).await;
    assert!(!recovered.call_samples().is_empty(), "{name}");
    let wanted = if stage == Stage::Login {
        "first fetch succeeded"
    } else {
        "fetch succeeded again"
    };
    assert!(
        log::about(&account)
            .iter()
            .any(|line| line.contains(wanted)),
        "{name}"
    );
    if silences {
        nothing_left_in_the_penalty(&rig, name);
    }
}

/// The fault meets one scrape.
async fn fails(rig: &Rig, account: &str, row: Row) {
    let name = row.name;
    let known = if row.stage == Stage::Login {
        BTreeMap::new()
    } else {
        rig.scrape().await.call_samples()
    };
    let operation = if row.stage == Stage::Login {
        Operation::Token
    } else {
        Operation::ActiveCalls
    };
    if row.stage == Stage::SecondPage {
        rig.simulator
            .inject(Fault::once(operation, FaultKind::Delay(Duration::ZERO)));
    }
    rig.simulator.inject(Fault::always(operation, row.fault));
    let before = rig.count(operation);
    let failed = rig.scrape().await;
    assert_eq!((failed.status, up(&failed, account)), (200, 0.0), "{name}");
    assert!(
        failed.elapsed < Duration::from_secs(9),
        "{name}: {:?}",
        failed.elapsed
    );
    assert_eq!(
        failed.call_samples(),
        known,
        "{name}: what is known is kept, and nothing is made up"
    );
    assert_eq!(
        failures(&failed, account, operation, row.reason),
        1.0,
        "{name}:\n{}",
        failed.text
    );
    assert_eq!(rig.count(operation), before + row.requests, "{name}");
    if row.silences {
        let end =
            ["active_calls", "token"].map(|operation| blocked_until(&failed, account, operation));
        assert!(
            end.into_iter().any(|end| end > 0.0),
            "{name}: it is told how long nothing is sent"
        );
    }
    let lines = log::about(account);
    let told = lines
        .iter()
        .filter(|line| line.contains("fetch failed"))
        .collect::<Vec<_>>();
    assert!(
        told.len() == 1 && told[0].contains(row.log) && told[0].contains(row.reason),
        "{name}: {lines:#?}"
    );
}

/// While the fault lasts the families about calls go, once they are too old. Where nothing may be sent for a while, there
/// are many scrapes meanwhile.
async fn goes_stale(rig: &Rig, account: &str, name: &str, started: Instant, silences: bool) {
    while silences && started.elapsed() < MAX_AGE {
        rig.scrape().await;
        sleep(Duration::from_millis(100)).await;
    }
    sleep_until(started + MAX_AGE + Duration::from_millis(500)).await;
    let stale = rig.scrape().await;
    assert_eq!(
        (up(&stale, account), stale.call_samples().len()),
        (0.0, 0),
        "{name}: absent past max-age"
    );
}

/// Between a refusal and the next request lies what it asked for: two seconds, or at least one of a date.
fn nothing_left_in_the_penalty(rig: &Rig, name: &str) {
    let least = if name.contains("date") { 1000 } else { 2000 };
    let journal = rig.simulator.journal();
    let refused = |entry: &&JournalEntry| matches!(entry.status, Some(429 | 503));
    for refusal in journal.iter().filter(refused) {
        let next = journal
            .iter()
            .find(|entry| entry.sequence > refusal.sequence)
            .unwrap();
        let gap = next.arrived_ms - refusal.arrived_ms;
        assert!(gap >= least, "{name}: {gap} ms");
    }
}

async fn rig(account: &str, stage: Stage) -> Rig {
    let max_per_page = if stage == Stage::SecondPage { 25 } else { 1000 };
    // The short back-off of the tests takes more logins than an account allows.
    let auth = Limit {
        requests: 100,
        ..Limits::default().auth
    };
    let scenario = Scenario {
        limits: Limits {
            auth,
            ..unlimited()
        },
        max_per_page,
        ..Scenario::normal()
    };
    let account = account.to_owned();
    Rig::configured(scenario, |config| {
        config.accounts[0].name = account;
        config.settings.scrape.max_age = MAX_AGE;
    })
    .await
}

async fn recovery(rig: &Rig, account: &str) -> ScrapeResponse {
    let deadline = Instant::now() + RECOVERY;
    loop {
        let scraped = rig.scrape().await;
        if up(&scraped, account) == 1.0 {
            return scraped;
        }
        assert!(
            Instant::now() < deadline,
            "{account}: no recovery\n{}",
            scraped.text
        );
        sleep(Duration::from_millis(200)).await;
    }
}

fn up(scraped: &ScrapeResponse, account: &str) -> f64 {
    scraped.value(&format!("ringcentral_up{{account=\"{account}\"}}"))
}

fn blocked_until(scraped: &ScrapeResponse, account: &str, operation: &str) -> f64 {
    let labels = format!("account=\"{account}\",operation=\"{operation}\"");
    scraped.value(&format!(
        "ringcentral_api_blocked_until_timestamp_seconds{{{labels}}}"
    ))
}

fn failures(scraped: &ScrapeResponse, account: &str, operation: Operation, reason: &str) -> f64 {
    let operation = if operation == Operation::Token {
        "token"
    } else {
        "active_calls"
    };
    let labels = format!("account=\"{account}\",operation=\"{operation}\",reason=\"{reason}\"");
    scraped.value(&format!(
        "ringcentral_api_request_failures_total{{{labels}}}"
    ))
}
