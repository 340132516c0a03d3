//! The cost of presence: memory with 10,000 extensions, and processor time per event, each against an exporter of the same
//! account without presence.

use std::time::Duration;

use ringcentral_exporter::simulator::limiter::Limit;
use ringcentral_exporter::simulator::scenario::Limits;
use ringcentral_exporter::simulator::{Scenario, Simulator};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

use crate::exporter::{Exporter, get, get_encoded, http, value};

/// Calls per minute that result in about 35 events a second.
const CALLS_PER_MINUTE: f64 = 1_000.0;
const MEASURED: Duration = Duration::from_secs(60);
const SCRAPE_INTERVAL: Duration = Duration::from_secs(15);
/// The rate of events for which the share of a processor is shown.
const EVENTS_PER_SECOND: f64 = 85.0;

/// The scrapes whose cost is measured, with some events between two of them.
const SCRAPES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(300);
const STATE_SETS: &str = "--metrics.extension-presence";

/// What an exporter has used after [`MEASURED`].
struct Usage {
    resident_mib: f64,
    maximum_mib: f64,
    cpu_seconds: f64,
    events: f64,
    cpu_of_scrape: f64,
}

pub async fn table() {
    println!(
        "\n| 10,000 extensions | resident | maximum | CPU in {} s | events | CPU an event | of a core at 85 a second | CPU a scrape |",
        MEASURED.as_secs()
    );
    println!("|---|---|---|---|---|---|---|---|");
    let off = measure("off", &[]).await;
    row("off", &off, &off);
    row("poll", &measure("poll", &[]).await, &off);
    row("events", &measure("events", &[]).await, &off);
    let state_sets = measure("events", &[STATE_SETS]).await;
    row(&format!("events, `{STATE_SETS}`"), &state_sets, &off);
}

fn row(name: &str, usage: &Usage, off: &Usage) {
    let added = usage.cpu_seconds - off.cpu_seconds;
    let (mut per_event, mut share) = ("–".to_owned(), "–".to_owned());
    if usage.events > 0.0 {
        let cpu = added / usage.events;
        per_event = format!("{:.0} µs", cpu * 1e6);
        share = format!("{:.2} %", cpu * EVENTS_PER_SECOND * 100.0);
    }
    println!(
        "| {name} | {:.1} MiB ({:+.1}) | {:.1} MiB | {:.2} s ({added:+.2}) | {:.0} | {per_event} | {share} | {:.1} ms |",
        usage.resident_mib,
        usage.resident_mib - off.resident_mib,
        usage.maximum_mib,
        usage.cpu_seconds,
        usage.events,
        usage.cpu_of_scrape * 1e3,
    );
}

/// Runs an exporter with scrapes every 15 s. CPU is counted from the time at which presence is up.
async fn measure(mode: &str, flags: &[&str]) -> Usage {
    let simulator = simulator().await;
    let flag = format!("--ringcentral.presence={mode}");
    let exporter = Exporter::with_flags(&simulator, &[flags, &[&flag]].concat());
    let metrics = || get(http(), format!("{}/metrics", exporter.url));
    let up = "ringcentral_presence_up{account=\"default\"} 1";
    while mode != "off" && !metrics().await.contains(up) {
        sleep(Duration::from_secs(1)).await;
    }
    metrics().await;
    let cpu = exporter.cpu_seconds(&http()).await;
    let events_before = events(&metrics().await);
    let started = Instant::now();
    let mut text = String::new();
    while started.elapsed() < MEASURED {
        sleep(SCRAPE_INTERVAL).await;
        text = metrics().await;
    }
    let cpu_seconds = exporter.cpu_seconds(&http()).await - cpu;
    let (resident_mib, maximum_mib) = (exporter.memory_mib("VmRSS"), exporter.memory_mib("VmHWM"));
    Usage {
        resident_mib,
        maximum_mib,
        cpu_seconds,
        events: events(&text) - events_before,
        cpu_of_scrape: cpu_of_scrape(&exporter).await,
    }
}

/// Measures the processor time of a scrape, which also fetches the calls.
async fn cpu_of_scrape(exporter: &Exporter) -> f64 {
    let before = exporter.cpu_seconds(&http()).await;
    for _ in 0..SCRAPES {
        sleep(PAUSE).await;
        get_encoded(http(), format!("{}/metrics", exporter.url), "gzip").await;
    }
    (exporter.cpu_seconds(&http()).await - before) / f64::from(SCRAPES)
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
