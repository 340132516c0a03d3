//! A randomised test of reloads: each ended call of an account that stays in the file is counted
//! exactly once.
//!
//! The file changes between and during fetches, while the test moves the clock of the simulated
//! accounts. The expected counters come from the switchboard of each simulated account.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use ringcentral_exporter::simulator::{Fault, FaultKind, Operation, Scenario};
use tokio::time::sleep;

use crate::common::clock::ManualClock;
use crate::common::oracle;
use crate::common::scrape_response::ScrapeResponse;
use crate::harness::{TestAccount, TestExporter, assert_up, company};

const STEPS: usize = 40;
const SEEDS: [u64; 6] = [1, 2, 3, 4, 5, 6];
/// The range of clock steps. A call is listed for two minutes after its end, so one of two fetches
/// may fail.
const STEP_MS: std::ops::Range<i64> = 1_000..50_000;
/// The maximum duration of a fetch. Reloads happen during or after it.
const FETCH_MS: u64 = 150;
/// The accounts that stay in the file: one without changes, one whose JWT changes, one whose limit
/// changes.
const PERMANENT: [&str; 3] = ["unchanged", "rotated", "limited"];
/// The accounts that are added and removed.
const TEMPORARY: [&str; 4] = ["temporary-1", "temporary-2", "temporary-3", "temporary-4"];

/// An exporter whose configuration file changes at random.
struct Churn {
    rng: Rng,
    clock: ManualClock,
    exporter: TestExporter,
    /// The accounts that are not in the file.
    removed: Vec<TestAccount>,
    rotations: usize,
}

impl Churn {
    /// Starts the exporter with two of the temporary accounts.
    async fn start(seed: u64) -> Self {
        let clock = ManualClock::new();
        let busy = |index| Scenario {
            calls_per_minute: 15.0,
            ..company(index)
        };
        let names = [PERMANENT.as_slice(), &TEMPORARY].concat();
        let mut accounts =
            TestAccount::start_many(&names, |index| clock.attach_to(busy(index + seed as usize)))
                .await;
        let removed = accounts.split_off(PERMANENT.len() + 2);
        Self {
            rng: Rng::with_seed(seed),
            clock,
            exporter: TestExporter::start(accounts).await,
            removed,
            rotations: 0,
        }
    }

    /// Advances the clock, starts a scrape and changes the file during it.
    async fn step(&mut self) {
        self.clock
            .advance(Duration::from_millis(self.rng.i64(STEP_MS) as u64));
        for account in &self.exporter.accounts {
            let delay = Duration::from_millis(self.rng.u64(0..FETCH_MS));
            account.simulator.clear_faults();
            account.inject(Fault::once(Operation::ActiveCalls, FaultKind::Delay(delay)));
        }
        let scrape = self.exporter.spawn_scrape("/metrics", 60);
        for _ in 0..self.rng.usize(0..3) {
            sleep(Duration::from_millis(self.rng.u64(0..FETCH_MS))).await;
            self.change().await;
        }
        let scraped = scrape.await.unwrap();
        assert_up(&scraped, &PERMANENT);
    }

    /// Makes one random change and reloads.
    async fn change(&mut self) {
        match self.rng.u32(0..7) {
            0 => self.add_account(),
            1 => self.remove_account(),
            2 => self.toggle_level(),
            3 => self.replace_jwt(),
            4 => {
                self.exporter.account_mut("limited").extra_keys =
                    format!(", concurrent_calls_limit: {}", self.rng.u32(1..100))
            }
            5 => self.rng.shuffle(&mut self.exporter.accounts),
            _ => drop(self.exporter.reload_invalid("accounts: [").await),
        }
        self.exporter.reload().await;
    }

    /// Inserts a removed account at a random index.
    fn add_account(&mut self) {
        if let Some(account) = self.removed.pop() {
            self.exporter
                .accounts
                .insert(self.rng.usize(0..=self.exporter.accounts.len()), account);
        }
    }

    /// Removes a temporary account.
    fn remove_account(&mut self) {
        if let Some(name) = self.choose_temporary() {
            self.removed.insert(0, self.exporter.remove(&name));
        }
    }

    /// Changes the level of a temporary account.
    fn toggle_level(&mut self) {
        let Some(name) = self.choose_temporary() else {
            return;
        };
        let account = self.exporter.account_mut(&name);
        account.extra_keys = if account.extra_keys.is_empty() {
            ", level: extension".to_owned()
        } else {
            String::new()
        };
    }

    /// Replaces the JWT of the account `rotated`.
    fn replace_jwt(&mut self) {
        self.rotations += 1;
        let account = self.exporter.account_mut("rotated");
        account.jwt = account.simulator.issue_jwt();
    }

    /// Returns the name of a random temporary account in the file.
    fn choose_temporary(&mut self) -> Option<String> {
        let names = self.exporter.accounts.iter().map(|account| &account.name);
        let present: Vec<_> = names
            .filter(|name| TEMPORARY.contains(&name.as_str()))
            .collect();
        self.rng.choice(present).cloned()
    }

    /// Asserts that no ended call was lost or counted twice.
    async fn assert_counters(&self, seed: u64) {
        let scraped = self.exporter.scrape().await;
        for account in &self.exporter.accounts {
            let expected = ended_calls(account);
            let counted = counted_calls(&scraped, &account.name);
            if PERMANENT.contains(&account.name.as_str()) {
                assert!(
                    expected.values().sum::<f64>() > 50.0,
                    "too few ended calls: {expected:?}"
                );
                assert_eq!(counted, expected, "seed {seed}, {}", account.name);
            } else {
                let within = |(series, count): (&String, &f64)| {
                    expected
                        .get(series)
                        .is_some_and(|expected| count <= expected)
                };
                assert!(
                    counted.iter().all(within),
                    "seed {seed}, {}: {counted:?} of {expected:?}",
                    account.name
                );
            }
        }
        let logins =
            PERMANENT.map(|name| self.exporter.account(name).request_count(Operation::Token));
        assert!(
            logins[0] == 1 && logins[1] <= self.rotations + 1 && logins[2] == 1,
            "seed {seed}: {logins:?}"
        );
    }
}

/// Returns the calls that ended between the first and the last list that the account returned.
fn ended_calls(account: &TestAccount) -> BTreeMap<String, f64> {
    let lists: Vec<_> = account
        .requests(Operation::ActiveCalls)
        .iter()
        .filter_map(|entry| entry.listed_at_ms)
        .collect();
    let (first, last) = (lists[0], lists[lists.len() - 1]);
    oracle::ended_counters(
        &account.name,
        &account.simulator.switchboard().ended_between(first, last),
    )
}

/// Returns the counters of ended calls that are above zero.
fn counted_calls(scraped: &ScrapeResponse, name: &str) -> BTreeMap<String, f64> {
    let mut samples = scraped.account_samples(name);
    samples.retain(|series, value| {
        series.starts_with("ringcentral_calls_ended_total{") && *value > 0.0
    });
    samples
}

/// Runs the test with one seed.
async fn run(seed: u64) {
    let mut churn = Churn::start(seed).await;
    for _ in 0..STEPS {
        churn.step().await;
    }
    churn.assert_counters(seed).await;
}

#[tokio::test]
async fn random_reloads_count_each_ended_call_once() {
    for run in SEEDS.map(|seed| tokio::spawn(run(seed))) {
        run.await.unwrap();
    }
}
