//! The cost of a state directory, by turns with an exporter that has none.

use tokio::time::sleep;

use crate::LEAST_INTERVAL;
use crate::exporter::{Exporter, http};
use crate::simulated::{Size, simulator};

pub async fn table(size: &Size) {
    let directory = tempfile::tempdir().unwrap();
    let flag = format!("--state.directory={}", directory.path().display());
    // Each has its own account: two exporters of one account share its state.
    let mut exporters = Vec::new();
    for flags in [&[][..], &[flag.as_str()]] {
        let simulator = simulator(size).await;
        let exporter = Exporter::with_flags(&simulator, flags);
        exporters.push((simulator, exporter, 0.0));
    }
    let http = http();
    for round in 0..=size.scrapes {
        for (_, exporter, cpu) in &mut exporters {
            sleep(LEAST_INTERVAL).await;
            exporter.scrape(&http).await;
            if round == 0 {
                *cpu = exporter.cpu_seconds(&http).await;
            }
        }
    }
    println!("\n| state directory | CPU a scrape | resident |\n|---|---|---|");
    for (name, (_, exporter, before)) in ["none", "one"].iter().zip(&exporters) {
        let cpu = exporter.cpu_seconds(&http).await - before;
        let cpu_ms = cpu * 1000.0 / size.scrapes as f64;
        let resident = exporter.resident_mib(&http).await;
        println!("| {name} | {cpu_ms:.2} ms | {resident:.1} MiB |");
    }
}
