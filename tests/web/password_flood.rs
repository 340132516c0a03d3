//! Tests of floods of wrong passwords.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::harness::{TLS, TestExporter, basic_auth_config};

/// The number of clients of the flood.
const CONNECTIONS: u32 = 50;
/// The bcrypt cost of the password.
const COST: u32 = 10;

/// Clients that send different wrong passwords, until [`stop`](Self::stop).
struct Flood {
    stopped: Arc<AtomicBool>,
    statuses: Arc<Mutex<BTreeMap<u16, u32>>>,
}

impl Flood {
    /// Starts the clients.
    fn start(exporter: &TestExporter) -> Self {
        let flood = Self {
            stopped: Arc::default(),
            statuses: Arc::default(),
        };
        let guesses = Arc::new(AtomicU32::new(0));
        let ca = std::fs::read(exporter.pki.path("ca.crt")).unwrap();
        for _ in 0..CONNECTIONS {
            let http = ringcentral_exporter::ringcentral::transport::http_client(
                &"https://127.0.0.1".parse().unwrap(),
                Some(&ca),
            );
            let (http, url) = (
                http.unwrap(),
                exporter.url("/metrics").replace("localhost", "127.0.0.1"),
            );
            let (stopped, statuses, guesses) = (
                flood.stopped.clone(),
                flood.statuses.clone(),
                guesses.clone(),
            );
            tokio::spawn(async move {
                while !stopped.load(Ordering::Relaxed) {
                    let guess = guesses.fetch_add(1, Ordering::Relaxed).to_string();
                    let response = http.get(&url).basic_auth("alice", Some(guess)).send().await;
                    let status = response.map_or(0, |response| response.status().as_u16());
                    *statuses.lock().unwrap().entry(status).or_default() += 1;
                }
            });
        }
        flood
    }

    /// Stops the clients and returns the number of responses by status; 0 stands for a failed
    /// request.
    fn stop(&self) -> BTreeMap<u16, u32> {
        self.stopped.store(true, Ordering::Relaxed);
        self.statuses.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn password_flood_does_not_delay_valid_scrape() {
    let exporter = TestExporter::start(
        &(TLS.to_owned() + &basic_auth_config("alice", "sesame", COST)),
        &[],
    )
    .await;
    let valid: &[&str] = &["--user", "alice:sesame"];
    let before = exporter
        .curl("/metrics", valid)
        .await
        .value("process_resident_memory_bytes");
    let flood = Flood::start(&exporter);
    sleep(Duration::from_millis(500)).await;
    let mut slowest: f64 = 0.0;
    let mut memory = 0.0;
    let end = Instant::now() + Duration::from_secs(5);
    while Instant::now() < end {
        let scraped = exporter.curl("/metrics", valid).await;
        assert_eq!(scraped.status, 200, "{scraped:?}");
        slowest = slowest.max(scraped.seconds);
        memory = scraped.value("process_resident_memory_bytes");
        sleep(Duration::from_millis(100)).await;
    }
    let statuses = flood.stop();
    println!("slowest valid scrape {slowest} s; flood {statuses:?}; memory {before} to {memory}");
    assert!(slowest < 1.0, "{slowest}");
    assert!(
        memory < before + 32.0 * 1024.0 * 1024.0,
        "{before} to {memory}"
    );
    assert!(
        statuses.get(&503) > statuses.get(&401) && statuses.contains_key(&401),
        "{statuses:?}"
    );
    assert!(!statuses.contains_key(&200), "{statuses:?}");
}

#[tokio::test]
async fn user_change_during_flood_keeps_scrapes_working() {
    let alice = TLS.to_owned() + &basic_auth_config("alice", "sesame", COST);
    let mut exporter = TestExporter::start(&alice, &[]).await;
    let valid: &[&str] = &["--user", "alice:sesame"];
    assert_eq!(exporter.curl("/metrics", valid).await.status, 200);
    let flood = Flood::start(&exporter);
    let bob = basic_auth_config("bob", "open", COST);
    exporter.write_web_config(&(alice + bob.split_once('\n').unwrap().1));
    exporter
        .process
        .wait_for_log("configuration reloaded")
        .await;
    for _ in 0..20 {
        let scraped = exporter.curl("/metrics", valid).await;
        assert_eq!(scraped.status, 200, "{scraped:?}");
    }
    flood.stop();
}

#[tokio::test]
async fn new_client_is_verified_during_flood() {
    let exporter = TestExporter::start(
        &(TLS.to_owned() + &basic_auth_config("alice", "sesame", COST)),
        &[],
    )
    .await;
    let flood = Flood::start(&exporter);
    sleep(Duration::from_millis(500)).await;
    let new_client = exporter
        .curl(
            "/metrics",
            &["--user", "alice:sesame", "--interface", "127.0.0.2"],
        )
        .await;
    let statuses = flood.stop();
    println!("new client {} s; flood {statuses:?}", new_client.seconds);
    assert!(
        new_client.status == 200 && new_client.seconds < 5.0,
        "{new_client:?} {statuses:?}"
    );
}
