//! Memory with the scenario `huge`: 10,000 extensions and nearly 5,000 records, over simulated hours.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use ringcentral_exporter::simulator::limiter::Limit;
use ringcentral_exporter::simulator::scenario::Limits;
use ringcentral_exporter::simulator::{Scenario, Simulator};
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::baseline::http;
use crate::process_stats::memory_mib;
use crate::program::{OURS, Program};
use crate::simulated::INSTANT_MS;

/// Ten minutes of calls: the exporter keeps the ids of ended calls for that long.
const SCRAPES: u32 = 40;
const STEP_MS: i64 = 15_000;

pub async fn line() {
    let clock = Arc::new(AtomicI64::new(INSTANT_MS));
    let account = huge(Arc::clone(&clock)).await;
    let eager = Program {
        arguments: &["--scrape.min-interval=1ms"],
        ..OURS
    };
    let (exporter, http) = (eager.start(&account), http());
    exporter.first_scrape(&http).await;
    for _ in 0..SCRAPES {
        clock.fetch_add(STEP_MS, Ordering::SeqCst);
        sleep(Duration::from_millis(2)).await;
        exporter.scrape(&http).await.unwrap();
    }
    let (resident, pss) = memory_mib(exporter.id());
    let (records, extensions) = (
        account.listed_at(account.now()).len(),
        account.switchboard().extensions().len(),
    );
    println!(
        "\nThe scenario `huge`, {records} records and {extensions} extensions, after {SCRAPES} scrapes of ten minutes: \
         {resident:.1} MiB resident, Pss {pss:.1} MiB."
    );
}

async fn huge(clock: Arc<AtomicI64>) -> Simulator {
    let heavy = Limit {
        requests: 1_000_000,
        ..Limits::default().heavy
    };
    let scenario = Scenario {
        limits: Limits {
            heavy,
            ..Limits::default()
        },
        clock: Some(Arc::new(move || clock.load(Ordering::SeqCst))),
        ..Scenario::huge()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Simulator::start(listener, scenario, 1).unwrap()
}
