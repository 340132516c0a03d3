//! What a client must have seen, and what the account must have seen of it, in any language.

use std::time::Duration;

use ringcentral_exporter::simulator::limiter::{Limit, Window};
use ringcentral_exporter::simulator::scenario::Limits;
use ringcentral_exporter::simulator::{JournalEntry, Operation, Record, Scenario, Simulator};
use serde_json::{Value, json};

use crate::client::Language;
use crate::common::oracle;
use crate::harness::{self, Rig, visit};

const PER_PAGE: usize = 5;
const HOUR: i64 = 3_600;

/// Account level, extension level and the extensions: each page is asked for once, and together they are the truth.
pub async fn every_page(language: Language) {
    let rig = busy_company().await;
    let account = &rig.simulator;

    let seen = language
        .play("lists", account, || unreachable!("it waits for nothing"))
        .await;

    let listed = oracle::fetch_listed(&account.url(), account.now()).await;
    let listed = listed
        .iter()
        .map(|call| json!([call["id"], call["direction"], call["result"]]))
        .collect();
    assert_eq!(seen["account"], in_pages(listed));
    let own = own_calls(account)
        .iter()
        .map(|call| json!([call.id, call.direction.name(), call.result]))
        .collect();
    assert_eq!(seen["own"], in_pages(own));
    let extensions = account.switchboard().extensions();
    let total = [extensions.len().div_ceil(PER_PAGE), extensions.len()];
    assert_eq!(seen["totals"], json!(vec![total; total[0]]));
    let extensions = extensions
        .iter()
        .map(|one| json!([one.id, one.number, one.name]))
        .collect();
    assert_eq!(seen["extensions"], in_pages(extensions));
    assert_eq!(seen["refusals"], json!([]));
    let [account_pages, own_pages, extension_pages] =
        ["account", "own", "extensions"].map(|name| seen[name].as_array().unwrap().len());
    let expected = [
        vec![(Operation::Token, 200)],
        vec![(Operation::ActiveCalls, 200); account_pages + own_pages],
        vec![(Operation::Extensions, 200); extension_pages],
        vec![(Operation::Revoke, 200)],
    ];
    let journal = account.journal();
    assert_eq!(visit(&journal), expected.concat());
    asks_for_what_the_pages_name(&journal[1..], account_pages, account_pages + own_pages);
}

/// A small company at a moment at which one user alone fills more than a page.
async fn busy_company() -> Rig {
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
    let rig = Rig::start(small).await;
    for _ in 0..HOUR {
        if own_calls(&rig.simulator).len() > PER_PAGE {
            return rig;
        }
        rig.pass_seconds(10);
    }
    panic!("nobody is so busy");
}

/// The first requests are as the program writes them; those that follow are the addresses that the account gave, which
/// must repeat what was asked.
fn asks_for_what_the_pages_name(asked: &[JournalEntry], own_from: usize, extensions_from: usize) {
    let simple = format!("view=Simple&page=2&perPage={PER_PAGE}");
    let detailed =
        format!("view=Detailed&direction=Inbound&direction=Outbound&page=2&perPage={PER_PAGE}");
    assert!(
        asked[0]
            .target
            .ends_with("/account/~/active-calls?view=Simple&perPage=1000"),
        "{asked:#?}"
    );
    assert!(
        asked[1]
            .target
            .ends_with(&format!("/active-calls?{simple}")),
        "{asked:#?}"
    );
    assert!(
        asked[own_from]
            .target
            .contains("/account/~/extension/~/active-calls?view=Detailed&"),
        "{asked:#?}"
    );
    assert!(
        asked[own_from + 1]
            .target
            .ends_with(&format!("/active-calls?{detailed}")),
        "{asked:#?}"
    );
    let second = format!("/extension?page=2&perPage={PER_PAGE}");
    assert!(
        asked[extensions_from + 1].target.ends_with(&second),
        "{asked:#?}"
    );
}

fn own_calls(account: &Simulator) -> Vec<Record> {
    account
        .switchboard()
        .listed_for(account.owner_id(), account.now())
}

fn in_pages(records: Vec<Value>) -> Value {
    records.chunks(PER_PAGE).collect::<Vec<_>>().into()
}

/// A second request where one is allowed: a 429 that says how long to wait, and an answer to who waits that long.
pub async fn one_too_many(language: Language) {
    // Retry-After is in whole seconds, and so a little longer than the penalty: who obeys it is never too early.
    let penalty = Duration::from_millis(1_500);
    let heavy = Limit {
        requests: 1,
        window: Duration::from_secs(600),
        kind: Window::Sliding,
        penalty,
    };
    let limits = Limits {
        heavy,
        ..Limits::default()
    };
    let account = harness::start(Scenario {
        limits,
        ..Scenario::normal()
    })
    .await;

    let seen = language
        .play("limit", &account, || unreachable!("it waits for no one"))
        .await;

    assert_eq!(seen["told"], json!(["heavy", "1", "0", "600"]));
    assert_eq!(seen["waits"], json!([2]));
    assert_eq!(seen["refusals"], json!([[429, "CMN-301"]]));
    let journal = account.journal();
    let calls = [200, 429, 200].map(|status| (Operation::ActiveCalls, status));
    assert_eq!(
        visit(&journal),
        [
            &[(Operation::Token, 200)],
            &calls[..],
            &[(Operation::Revoke, 200)]
        ]
        .concat()
    );
    assert!(
        journal.iter().all(|entry| !entry.in_penalty),
        "{journal:#?}"
    );
}

/// A token whose time is over, and one that was given back: a 401 which the client takes for one.
pub async fn an_expired_token(language: Language) {
    let rig = Rig::start(Scenario {
        token_lifetime: Duration::from_secs(HOUR as u64),
        ..Scenario::normal()
    })
    .await;

    let seen = language
        .play("expiry", &rig.simulator, || rig.pass_seconds(HOUR))
        .await;

    assert_eq!(seen["life"], HOUR);
    assert_eq!(
        seen["refusals"],
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
    assert_eq!(visit(&rig.simulator.journal()), expected);
}
