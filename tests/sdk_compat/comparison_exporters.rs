//! The exporters that this one is compared with, in `benches/comparison`: a comparison is worth what they are.

use std::time::Duration;

use ringcentral_exporter::simulator::limiter::{Limit, Window};
use ringcentral_exporter::simulator::scenario::Limits;
use ringcentral_exporter::simulator::{Operation, Scenario};

use crate::common::http;
use crate::harness::{self, Rig, visit};
use crate::parsed_metrics::Shown;
use crate::program::{Program, is_up};

/// All of several pages, and calls of each kind.
pub async fn shows_what_is_listed(peer: Program) {
    let heavy = Limit::per_minute(1_000);
    let limits = Limits {
        heavy,
        ..Limits::default()
    };
    let rig = Rig::start(Scenario {
        calls_per_minute: 40.0,
        max_per_page: 20,
        limits,
        ..Scenario::normal()
    })
    .await;

    let text = peer.start(&rig.simulator).first_scrape(&http()).await;

    let listed = rig.simulator.listed_at(rig.simulator.now());
    assert!(listed.len() > 20, "more than a page");
    assert_eq!(Shown::of_text(&text), Some(Shown::of_list(&listed)));
}

/// Refused, it shows no calls, asks nothing as long as it was told to, and goes on.
pub async fn waits_out_a_penalty(peer: Program) {
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
    let (exporter, http) = (peer.start(&account), http());
    exporter.first_scrape(&http).await;

    for _ in 0..3 {
        let text = exporter.scrape(&http).await.unwrap();
        assert!(!is_up(&text) && Shown::of_text(&text).is_none(), "{text}");
    }
    exporter.first_scrape(&http).await;

    let calls = [200, 429, 200].map(|status| (Operation::ActiveCalls, status));
    let journal = account.journal();
    assert_eq!(
        visit(&journal),
        [&[(Operation::Token, 200)], &calls[..]].concat()
    );
    assert!(
        journal.iter().all(|entry| !entry.in_penalty),
        "{journal:#?}"
    );
}
