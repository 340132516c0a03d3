//! Tests of floods of wrong passwords.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::common::MAX_WAIT;
use crate::harness::{TLS, TestExporter, basic_auth_config};

/// The number of clients of the flood.
const CONNECTIONS: u32 = 50;
/// The bcrypt cost of the password.
const COST: u32 = 10;
/// The bcrypt cost of a password whose verification takes many times longer than a scrape.
const HIGH_COST: u32 = 14;

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

    /// Returns the number of responses with this status so far.
    fn count(&self, status: u16) -> u32 {
        let statuses = self.statuses.lock().unwrap();
        statuses.get(&status).copied().unwrap_or(0)
    }

    /// Waits until the clients have received this number of further responses.
    async fn wait_for_responses(&self, status: u16, further: u32) {
        let wanted = self.count(status) + further;
        let poll = async {
            while self.count(status) < wanted {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(MAX_WAIT, poll).await.expect("the flood is served");
    }

    /// Stops the clients and returns the number of responses by status; 0 stands for a failed
    /// request.
    fn stop(&self) -> BTreeMap<u16, u32> {
        self.stopped.store(true, Ordering::Relaxed);
        self.statuses.lock().unwrap().clone()
    }
}

/// The speed of a scrape depends on the machine. Whether it waits for verifications of the flood shows
/// in their number from its start to its end.
#[tokio::test]
async fn password_flood_does_not_delay_valid_scrape() {
    let exporter = TestExporter::start(
        &(TLS.to_owned() + &basic_auth_config("alice", "sesame", HIGH_COST)),
        &[],
    )
    .await;
    let valid: &[&str] = &["--user", "alice:sesame"];
    let before = exporter
        .curl("/metrics", valid)
        .await
        .value("process_resident_memory_bytes");
    let flood = Flood::start(&exporter);
    flood.wait_for_responses(503, CONNECTIONS).await;
    let mut verified = Vec::new();
    let mut memory = 0.0;
    while verified.len() < 20 || flood.count(401) < 2 {
        let verified_before = flood.count(401);
        let scraped = exporter.curl("/metrics", valid).await;
        verified.push(flood.count(401) - verified_before);
        assert_eq!(scraped.status, 200, "{scraped:?}");
        memory = scraped.value("process_resident_memory_bytes");
        sleep(Duration::from_millis(100)).await;
    }
    let statuses = flood.stop();
    println!("verified per scrape {verified:?}; flood {statuses:?}; memory {before} to {memory}");
    assert!(verified.contains(&0), "{verified:?}");
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
    flood.wait_for_responses(503, CONNECTIONS).await;
    let new_client = exporter
        .curl(
            "/metrics",
            &["--user", "alice:sesame", "--interface", "127.0.0.2"],
        )
        .await;
    assert_eq!(new_client.status, 200, "{new_client:?}");
    flood.wait_for_responses(503, CONNECTIONS).await;
    println!(
        "new client {} s; flood {:?}",
        new_client.seconds,
        flood.stop()
    );
}
