//! A test with a thousand concurrent scrapers.

use std::sync::Arc;

use ringcentral_exporter::simulator::Operation;
use tokio::task::JoinSet;

use crate::flood_client::limit_to_descriptors;
use crate::harness::{FLOOD_ADDRESS, TestExporter};

#[tokio::test]
async fn thousand_concurrent_scrapes_succeed() {
    let exporter = Arc::new(TestExporter::start_with_long_interval().await);
    let mut scrapes = JoinSet::new();
    for _ in 0..limit_to_descriptors(1_000) {
        let exporter = exporter.clone();
        scrapes.spawn(async move { exporter.scrape(FLOOD_ADDRESS).await });
    }
    let responses = scrapes.join_all().await;
    for response in &responses {
        response.assert_up();
    }
    let slowest = responses
        .iter()
        .map(|response| response.elapsed)
        .max()
        .unwrap();
    println!("{} scrapers, slowest {slowest:?}", responses.len());
    let journal = exporter.simulator.journal();
    let fetches = journal
        .iter()
        .filter(|entry| entry.operation == Some(Operation::ActiveCalls))
        .count();
    assert_eq!(fetches, 1, "concurrent scrapes must share one fetch");
}
