//! Scenarios for the clients: the expected results of the client and the expected requests.

use std::time::Duration;

use ringcentral_exporter::simulator::limiter::{Limit, Window};
use ringcentral_exporter::simulator::scenario::Limits;
use ringcentral_exporter::simulator::{JournalEntry, Operation, Record, Scenario, Simulator};
use serde_json::{Value, json};

use crate::client::Language;
use crate::common::oracle;
use crate::harness::{TestAccount, start_simulator, summary};

const PER_PAGE: usize = 5;
const HOUR: i64 = 3_600;

/// Asserts that a client reads each page of the account's calls, its own calls and the extensions
/// once.
pub async fn assert_reads_every_page(language: Language) {
    let test_account = busy_account().await;
    let account = &test_account.simulator;

    let results = language
        .run("lists", account, || {
            unreachable!("the scenario does not wait")
        })
        .await;

    let mut account_calls = Vec::new();
    for call in oracle::fetch_listed(&account.url(), account.now()).await {
        account_calls.push(json!([call["id"], call["direction"], call["result"]]));
    }
    assert_eq!(results["account"], in_pages(account_calls));
    let mut own_calls = Vec::new();
    for call in calls_of_owner(account) {
        own_calls.push(json!([call.id, call.direction.name(), call.result]));
    }
    assert_eq!(results["own"], in_pages(own_calls));
    let mut extensions = Vec::new();
    for extension in account.switchboard().extensions() {
        extensions.push(json!([extension.id, extension.number, extension.name]));
    }
    let page_count = extensions.len().div_ceil(PER_PAGE);
    let totals = json!([page_count, extensions.len()]);
    assert_eq!(results["totals"], json!(vec![totals; page_count]));
    assert_eq!(results["extensions"], in_pages(extensions));
    assert_eq!(results["refusals"], json!([]));
    let [account_pages, own_pages, extension_pages] =
        ["account", "own", "extensions"].map(|name| results[name].as_array().unwrap().len());
    let expected = [
        vec![(Operation::Token, 200)],
        vec![(Operation::ActiveCalls, 200); account_pages + own_pages],
        vec![(Operation::Extensions, 200); extension_pages],
        vec![(Operation::Revoke, 200)],
    ];
    let journal = account.journal();
    assert_eq!(summary(&journal), expected.concat());
    assert_targets_match(&journal[1..], account_pages, account_pages + own_pages);
}

/// Starts a small account at a time at which its owner has more calls than a page.
async fn busy_account() -> TestAccount {
    let limits = Limits {
        heavy: Limit::per_minute(1_000),
        medium: Limit::per_minute(1_000),
        ..Limits::default()
    };
    let small = Scenario {
        extensions: 24,
        calls_per_minute: 40.0,
        max_per_page: PER_PAGE,
        limits,
        ..Scenario::normal()
    };
    let account = TestAccount::start(small).await;
    for _ in 0..HOUR {
        if calls_of_owner(&account.simulator).len() > PER_PAGE {
            return account;
        }
        account.advance_seconds(10);
    }
    panic!("the owner never has more than {PER_PAGE} calls");
}

/// Asserts the targets of the first requests, which the client builds, and of the following ones,
/// which are the URLs of the next pages and must repeat the query.
fn assert_targets_match(requests: &[JournalEntry], first_own: usize, first_extensions: usize) {
    let target = |index: usize| requests[index].target.as_str();
    let simple = format!("/active-calls?view=Simple&page=2&perPage={PER_PAGE}");
    let detailed = format!(
        "/active-calls?view=Detailed&direction=Inbound&direction=Outbound&page=2&perPage={PER_PAGE}"
    );
    let extensions = format!("/extension?page=2&perPage={PER_PAGE}");
    assert!(
        target(0).ends_with("/account/~/active-calls?view=Simple&perPage=1000"),
        "{requests:#?}"
    );
    assert!(target(1).ends_with(&simple), "{requests:#?}");
    assert!(
        target(first_own).contains("/account/~/extension/~/active-calls?view=Detailed&"),
        "{requests:#?}"
    );
    assert!(target(first_own + 1).ends_with(&detailed), "{requests:#?}");
    assert!(
        target(first_extensions + 1).ends_with(&extensions),
        "{requests:#?}"
    );
}

fn calls_of_owner(account: &Simulator) -> Vec<Record> {
    account
        .switchboard()
        .listed_for(account.owner_id(), account.now())
}

fn in_pages(records: Vec<Value>) -> Value {
    records.chunks(PER_PAGE).collect::<Vec<_>>().into()
}

/// Asserts that a client waits for the `Retry-After` of a 429 and then gets a response.
pub async fn assert_waits_for_retry_after(language: Language) {
    let heavy = Limit {
        requests: 1,
        window: Duration::from_secs(600),
        kind: Window::Sliding,
        // Retry-After has whole seconds, so that a client that obeys it never sends inside the
        // penalty.
        penalty: Duration::from_millis(1_500),
    };
    let limits = Limits {
        heavy,
        ..Limits::default()
    };
    let account = start_simulator(Scenario {
        limits,
        ..Scenario::normal()
    })
    .await;

    let results = language
        .run("limit", &account, || {
            unreachable!("the scenario does not wait")
        })
        .await;

    assert_eq!(results["limit_headers"], json!(["heavy", "1", "0", "600"]));
    assert_eq!(results["waits"], json!([2]));
    assert_eq!(results["refusals"], json!([[429, "CMN-301"]]));
    let journal = account.journal();
    let expected = [
        (Operation::Token, 200),
        (Operation::ActiveCalls, 200),
        (Operation::ActiveCalls, 429),
        (Operation::ActiveCalls, 200),
        (Operation::Revoke, 200),
    ];
    assert_eq!(summary(&journal), expected);
    assert!(
        journal.iter().all(|entry| !entry.in_penalty),
        "{journal:#?}"
    );
}

/// Asserts that a client recognises the 401 for an expired and for a revoked token.
pub async fn assert_logs_in_after_token_expiry(language: Language) {
    let account = TestAccount::start(Scenario {
        token_lifetime: Duration::from_secs(HOUR as u64),
        ..Scenario::normal()
    })
    .await;

    let results = language
        .run("expiry", &account.simulator, || {
            account.advance_seconds(HOUR)
        })
        .await;

    assert_eq!(results["expires_in"], HOUR);
    assert_eq!(
        results["refusals"],
        json!([[401, "OAU-128"], [401, "OAU-213"]])
    );
    let expected = [
        (Operation::Token, 200),
        (Operation::ActiveCalls, 200),
        (Operation::ActiveCalls, 401),
        (Operation::Token, 200),
        (Operation::ActiveCalls, 200),
        (Operation::Revoke, 200),
        (Operation::ActiveCalls, 401),
    ];
    assert_eq!(summary(&account.simulator.journal()), expected);
}
