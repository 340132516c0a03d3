//! Floods of wrong passwords.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::stage::{Stage, TLS, users};

const CONNECTIONS: u32 = 50;
const COST: u32 = 10;

/// Wrong passwords, each another one, on many connections, until it is ended.
struct Flood {
    ended: Arc<AtomicBool>,
    statuses: Arc<Mutex<BTreeMap<u16, u32>>>,
}

impl Flood {
    fn start(stage: &Stage) -> Self {
        let flood = Self {
            ended: Arc::default(),
            statuses: Arc::default(),
        };
        let guesses = Arc::new(AtomicU32::new(0));
        let ca = std::fs::read(stage.pki.path("ca.crt")).unwrap();
        for _ in 0..CONNECTIONS {
            let http = ringcentral_exporter::ringcentral::transport::http_client(
                &"https://127.0.0.1".parse().unwrap(),
                Some(&ca),
            );
            let (http, url) = (
                http.unwrap(),
                stage.url("/metrics").replace("localhost", "127.0.0.1"),
            );
            let (ended, statuses, guesses) =
                (flood.ended.clone(), flood.statuses.clone(), guesses.clone());
            tokio::spawn(async move {
                while !ended.load(Ordering::Relaxed) {
                    let guess = guesses.fetch_add(1, Ordering::Relaxed).to_string();
                    let reply = http.get(&url).basic_auth("alice", Some(guess)).send().await;
                    let status = reply.map_or(0, |reply| reply.status().as_u16());
                    *statuses.lock().unwrap().entry(status).or_default() += 1;
                }
            });
        }
        flood
    }

    fn end(&self) -> BTreeMap<u16, u32> {
        self.ended.store(true, Ordering::Relaxed);
        self.statuses.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn an_honest_scrape_is_answered_within_a_second_and_memory_stays_bounded() {
    let stage = Stage::start(&(TLS.to_owned() + &users("alice", "sesame", COST)), &[]).await;
    let honest: &[&str] = &["--user", "alice:sesame"];
    let before = stage
        .curl("/metrics", honest)
        .await
        .value("process_resident_memory_bytes");
    let flood = Flood::start(&stage);
    sleep(Duration::from_millis(500)).await;
    let mut slowest: f64 = 0.0;
    let mut memory = 0.0;
    let end = Instant::now() + Duration::from_secs(5);
    while Instant::now() < end {
        let scraped = stage.curl("/metrics", honest).await;
        assert_eq!(scraped.status, 200, "{scraped:?}");
        slowest = slowest.max(scraped.seconds);
        memory = scraped.value("process_resident_memory_bytes");
        sleep(Duration::from_millis(100)).await;
    }
    let statuses = flood.end();
    println!("slowest honest scrape {slowest} s; flood {statuses:?}; memory {before} to {memory}");
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
async fn a_change_of_other_users_under_a_flood_keeps_no_scrape_out() {
    let alice = TLS.to_owned() + &users("alice", "sesame", COST);
    let mut stage = Stage::start(&alice, &[]).await;
    let honest: &[&str] = &["--user", "alice:sesame"];
    assert_eq!(stage.curl("/metrics", honest).await.status, 200);
    let flood = Flood::start(&stage);
    let bob = users("bob", "open", COST);
    stage.web(&(alice + bob.split_once('\n').unwrap().1));
    stage.program.logs("configuration reloaded").await;
    for _ in 0..20 {
        let scraped = stage.curl("/metrics", honest).await;
        assert_eq!(scraped.status, 200, "{scraped:?}");
    }
    flood.end();
}

#[tokio::test]
async fn a_newcomer_from_elsewhere_finds_a_place_in_the_queue() {
    let stage = Stage::start(&(TLS.to_owned() + &users("alice", "sesame", COST)), &[]).await;
    let flood = Flood::start(&stage);
    sleep(Duration::from_millis(500)).await;
    let newcomer = stage
        .curl(
            "/metrics",
            &["--user", "alice:sesame", "--interface", "127.0.0.2"],
        )
        .await;
    let statuses = flood.end();
    println!("newcomer {} s; flood {statuses:?}", newcomer.seconds);
    assert!(
        newcomer.status == 200 && newcomer.seconds < 5.0,
        "{newcomer:?} {statuses:?}"
    );
}
