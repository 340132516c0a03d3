//! The cost of presence: memory with 10,000 extensions, and processor time per event, each against an exporter of the same
//! account without presence.

use std::time::Duration;

use ringcentral_exporter::simulator::limiter::Limit;
use ringcentral_exporter::simulator::scenario::Limits;
use ringcentral_exporter::simulator::{Scenario, Simulator};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

use crate::exporter::{Exporter, get, http, value};

/// Calls per minute that result in about 85 events a second.
const CALLS_PER_MINUTE: f64 = 1_000.0;
const MEASURED: Duration = Duration::from_secs(60);
const SCRAPE_INTERVAL: Duration = Duration::from_secs(15);
/// The rate of events for which the share of a processor is shown.
const EVENTS_PER_SECOND: f64 = 85.0;

/// What an exporter has used after [`MEASURED`].
struct Usage {
    resident_mib: f64,
    maximum_mib: f64,
    cpu_seconds: f64,
    events: f64,
}

pub async fn table() {
    println!(
        "\n| 10,000 extensions | resident | maximum | CPU in {} s | events | CPU an event | of a core at 85 a second |",
        MEASURED.as_secs()
    );
    println!("|---|---|---|---|---|---|---|");
    let off = measure("off").await;
    for mode in ["off", "poll", "events"] {
        let usage = measure(mode).await;
        let added = usage.cpu_seconds - off.cpu_seconds;
        let (per_event, share) = if usage.events > 0.0 {
            let per_event = added / usage.events;
            (
                format!("{:.0} µs", per_event * 1e6),
                format!("{:.2} %", per_event * EVENTS_PER_SECOND * 100.0),
            )
        } else {
            ("–".to_owned(), "–".to_owned())
        };
        println!(
            "| {mode} | {:.1} MiB ({:+.1}) | {:.1} MiB | {:.2} s ({added:+.2}) | {:.0} | {per_event} | {share} |",
            usage.resident_mib,
            usage.resident_mib - off.resident_mib,
            usage.maximum_mib,
            usage.cpu_seconds,
            usage.events,
        );
    }
}

/// Runs an exporter with scrapes every 15 s. CPU is counted from the time at which presence is up.
async fn measure(mode: &str) -> Usage {
    let simulator = simulator().await;
    let flag = format!("--ringcentral.presence={mode}");
    let exporter = Exporter::with_flags(&simulator, &[&flag]);
    let metrics = || get(http(), format!("{}/metrics", exporter.url));
    let up = "ringcentral_presence_up{account=\"default\"} 1";
    while mode != "off" && !metrics().await.contains(up) {
        sleep(Duration::from_secs(1)).await;
    }
    metrics().await;
    let (cpu, events) = (
        exporter.cpu_seconds(&http()).await,
        events(&metrics().await),
    );
    let started = Instant::now();
    let mut text = String::new();
    while started.elapsed() < MEASURED {
        sleep(SCRAPE_INTERVAL).await;
        text = metrics().await;
    }
    Usage {
        resident_mib: exporter.memory_mib("VmRSS"),
        maximum_mib: exporter.memory_mib("VmHWM"),
        cpu_seconds: exporter.cpu_seconds(&http()).await - cpu,
        events: self::events(&text) - events,
    }
}

fn events(text: &str) -> f64 {
    let series = "ringcentral_events_total{";
    if text.contains(&format!("\n{series}")) {
        value(text, series)
    } else {
        0.0
    }
}

async fn simulator() -> Simulator {
    let heavy = Limit {
        requests: 1_000,
        ..Limits::default().heavy
    };
    let scenario = Scenario {
        calls_per_minute: CALLS_PER_MINUTE,
        limits: Limits {
            heavy,
            ..Limits::default()
        },
        ..Scenario::huge()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Simulator::start(listener, scenario, 1).unwrap()
}
