//! The time from process start until a scrape shows calls, and the size on disk.

use crate::baseline::http;
use crate::program::{JAVASCRIPT, OURS, PYTHON};
use crate::simulated::{Size, simulator};
use crate::stats::Times;

const STARTS: usize = 20;

pub async fn table() {
    let size = Size {
        wanted: 100,
        calls_per_minute: 17.0,
        extensions: 200,
        scrapes: STARTS,
    };
    let mut rows = [OURS, PYTHON, JAVASCRIPT].map(|program| (program, Times::default()));
    for _ in 0..STARTS {
        for (program, times) in &mut rows {
            // A new account each time, since logins of one user are limited.
            let account = simulator(&size).await;
            let start = async {
                let exporter = program.start(&account);
                exporter.first_scrape(&http()).await;
                exporter
            };
            // Dropped, and so killed, after the time is taken.
            drop(times.measure(start).await);
        }
    }
    println!(
        "| exporter | start until calls are shown | the longest of {STARTS} | files |\n|---|---|---|---|"
    );
    for (program, times) in &mut rows {
        let (median, longest) = (times.median(), times.quantile(1.0));
        println!(
            "| {} | {median:.0} ms | {longest:.0} ms | {:.1} MiB |",
            program.name,
            program.mebibytes_on_disk()
        );
    }
}
