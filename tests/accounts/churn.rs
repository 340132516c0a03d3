//! A property: reloads at any moment lose no ended call of an account that stays, and count none twice.
//!
//! The file changes again and again, between fetches and within them, while the companies' clocks are moved by hand.
//! What must have been counted is asked of each company's own switchboard.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use ringcentral_exporter::simulator::{Fault, FaultKind, Operation, Scenario};
use tokio::time::sleep;

use crate::common::clock::ManualClock;
use crate::common::oracle;
use crate::common::scrape_response::ScrapeResponse;
use crate::fleet::{Fleet, Member, are_up, company};

const STEPS: usize = 40;
const SEEDS: [u64; 6] = [1, 2, 3, 4, 5, 6];
/// A call stays listed for two minutes after its end, so that one list may fail.
const STEP_MS: std::ops::Range<i64> = 1_000..50_000;
/// A fetch takes so long, and a reload comes within it or after it.
const FETCH_MS: u64 = 150;
/// Those that stay: one that is let alone, one whose JWT is rotated, one whose limit changes.
const STEADY: [&str; 3] = ["alone", "rotated", "limited"];
const GUESTS: [&str; 4] = ["guest-1", "guest-2", "guest-3", "guest-4"];

/// A fleet whose file changes.
struct Churn {
    dice: Rng,
    clock: ManualClock,
    fleet: Fleet,
    away: Vec<Member>,
    rotations: usize,
}

impl Churn {
    async fn start(seed: u64) -> Self {
        let clock = ManualClock::new();
        let busy = |place| Scenario {
            calls_per_minute: 15.0,
            ..company(place)
        };
        let names = [STEADY.as_slice(), &GUESTS].concat();
        let mut members =
            Member::several(&names, |place| clock.attach_to(busy(place + seed as usize))).await;
        let away = members.split_off(STEADY.len() + 2);
        Self {
            dice: Rng::with_seed(seed),
            clock,
            fleet: Fleet::start(members).await,
            away,
            rotations: 0,
        }
    }

    /// The clocks move, a scrape begins, and the file changes some time into it.
    async fn step(&mut self) {
        self.clock
            .advance(Duration::from_millis(self.dice.i64(STEP_MS) as u64));
        for member in &self.fleet.members {
            let delay = Duration::from_millis(self.dice.u64(0..FETCH_MS));
            member.simulator.clear_faults();
            member.inject(Fault::once(Operation::ActiveCalls, FaultKind::Delay(delay)));
        }
        let scrape = self.fleet.scraping("/metrics", 15);
        for _ in 0..self.dice.usize(0..3) {
            sleep(Duration::from_millis(self.dice.u64(0..FETCH_MS))).await;
            self.change().await;
        }
        let scraped = scrape.await.unwrap();
        are_up(&scraped, &STEADY);
    }

    /// Changes something, and reloads.
    async fn change(&mut self) {
        match self.dice.u32(0..7) {
            0 => self.arrives(),
            1 => self.leaves(),
            2 => self.changes_level(),
            3 => self.rotates(),
            4 => {
                self.fleet.member_mut("limited").more =
                    format!(", concurrent_calls_limit: {}", self.dice.u32(1..100))
            }
            5 => self.dice.shuffle(&mut self.fleet.members),
            _ => drop(self.fleet.refuses("accounts: [").await),
        }
        self.fleet.reload().await;
    }

    fn arrives(&mut self) {
        if let Some(guest) = self.away.pop() {
            self.fleet
                .members
                .insert(self.dice.usize(0..=self.fleet.members.len()), guest);
        }
    }

    fn leaves(&mut self) {
        if let Some(name) = self.guest() {
            self.away.insert(0, self.fleet.remove(&name));
        }
    }

    fn changes_level(&mut self) {
        let Some(name) = self.guest() else { return };
        let member = self.fleet.member_mut(&name);
        member.more = if member.more.is_empty() {
            ", level: extension".to_owned()
        } else {
            String::new()
        };
    }

    fn rotates(&mut self) {
        self.rotations += 1;
        let member = self.fleet.member_mut("rotated");
        member.jwt = member.simulator.issue_jwt();
    }

    /// One of the guests that are there.
    fn guest(&mut self) -> Option<String> {
        let there = self.fleet.members.iter().map(|member| member.name.clone());
        let there: Vec<_> = there
            .filter(|name| GUESTS.contains(&name.as_str()))
            .collect();
        self.dice.choice(there)
    }

    /// Nothing was lost and nothing counted twice.
    async fn is_true(&self, seed: u64) {
        let scraped = self.fleet.scrape().await;
        for member in &self.fleet.members {
            let (truth, counted) = (ended(member), counted(&scraped, &member.name));
            if STEADY.contains(&member.name.as_str()) {
                assert!(
                    truth.values().sum::<f64>() > 50.0,
                    "hardly anything ended: {truth:?}"
                );
                assert_eq!(counted, truth, "seed {seed}, {}", member.name);
            } else {
                let within = |(series, count): (&String, &f64)| {
                    truth.get(series).is_some_and(|truth| count <= truth)
                };
                assert!(
                    counted.iter().all(within),
                    "seed {seed}, {}: {counted:?} of {truth:?}",
                    member.name
                );
            }
        }
        let logins = STEADY.map(|name| self.fleet.member(name).count(Operation::Token));
        assert!(
            logins[0] == 1 && logins[1] <= self.rotations + 1 && logins[2] == 1,
            "seed {seed}: {logins:?}"
        );
    }
}

/// What ended from the first list that was answered to the last.
fn ended(member: &Member) -> BTreeMap<String, f64> {
    let lists: Vec<_> = member
        .requests(Operation::ActiveCalls)
        .iter()
        .filter_map(|entry| entry.listed_at_ms)
        .collect();
    let (first, last) = (lists[0], lists[lists.len() - 1]);
    oracle::ended_counters(
        &member.name,
        &member.simulator.switchboard().ended_between(first, last),
    )
}

/// The counts above zero.
fn counted(scraped: &ScrapeResponse, name: &str) -> BTreeMap<String, f64> {
    let mut samples = scraped.account_samples(name);
    samples.retain(|series, value| {
        series.starts_with("ringcentral_calls_ended_total{") && *value > 0.0
    });
    samples
}

async fn loses_nothing(seed: u64) {
    let mut churn = Churn::start(seed).await;
    for _ in 0..STEPS {
        churn.step().await;
    }
    churn.is_true(seed).await;
}

#[tokio::test]
async fn reloads_at_any_moment_lose_no_call_and_count_none_twice() {
    for trial in SEEDS.map(|seed| tokio::spawn(loses_nothing(seed))) {
        trial.await.unwrap();
    }
}
