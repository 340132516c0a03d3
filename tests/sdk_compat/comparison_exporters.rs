//! The exporters of `benches/comparison`, which must be correct for the comparison to be fair.

use std::time::Duration;

use ringcentral_exporter::simulator::limiter::{Limit, Window};
use ringcentral_exporter::simulator::scenario::Limits;
use ringcentral_exporter::simulator::{Operation, Scenario};

use crate::common::http;
use crate::harness::{TestAccount, start_simulator, summary};
use crate::parsed_metrics::Shown;
use crate::program::{Program, is_up};

/// Asserts that the exporter shows the calls of all pages.
pub async fn assert_shows_listed_calls(program: Program) {
    let heavy = Limit::per_minute(1_000);
    let limits = Limits {
        heavy,
        ..Limits::default()
    };
    let account = TestAccount::start(Scenario {
        calls_per_minute: 40.0,
        max_per_page: 20,
        limits,
        ..Scenario::normal()
    })
    .await;

    let text = program
        .start(&account.simulator)
        .first_scrape(&http())
        .await;

    let listed = account.simulator.listed_at(account.simulator.now());
    assert!(listed.len() > 20, "the list must have several pages");
    assert_eq!(Shown::of_text(&text), Some(Shown::of_list(&listed)));
}

/// Asserts that the exporter shows no calls and sends no request during a penalty, and recovers
/// after it.
pub async fn assert_waits_out_penalty(program: Program) {
    let heavy = Limit {
        requests: 1,
        window: Duration::from_secs(600),
        kind: Window::Sliding,
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
    let (exporter, http) = (program.start(&account), http());
    exporter.first_scrape(&http).await;

    for _ in 0..3 {
        let text = exporter.scrape(&http).await.unwrap();
        assert!(!is_up(&text) && Shown::of_text(&text).is_none(), "{text}");
    }
    exporter.first_scrape(&http).await;

    let journal = account.journal();
    let expected = [
        (Operation::Token, 200),
        (Operation::ActiveCalls, 200),
        (Operation::ActiveCalls, 429),
        (Operation::ActiveCalls, 200),
    ];
    assert_eq!(summary(&journal), expected);
    assert!(
        journal.iter().all(|entry| !entry.in_penalty),
        "{journal:#?}"
    );
}
