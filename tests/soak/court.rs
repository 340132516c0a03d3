//! All judges together, while the run goes on and at its end.
//!
//! Owns what has been looked at already. A scrape and a request are looked at once enough time has passed for all that
//! belongs to them to be known.

use std::time::Duration;

use tokio::time::sleep;

use crate::now_ms;
use crate::numbers::{Evidence, Numbers};
use crate::requests::Requests;
use crate::scrapes::{self, Scrape};
use crate::stage::Stage;
use crate::vitals::Vitals;

/// An exchange is over after that, whatever became of it.
const SETTLED_MS: i64 = 20_000;
const EVERY: Duration = Duration::from_secs(20);

/// The judges, and what they have found.
#[derive(Default)]
pub struct Court {
    pub numbers: Numbers,
    pub requests: Requests,
    pub vitals: Vitals,
    pub wrong: Vec<String>,
    pub failures: Vec<(String, f64)>,
    seen: [i64; 2],
}

impl Court {
    /// Judges that have seen nothing yet, of an API with this limit of the list.
    pub fn new(lists_a_minute: u32) -> Self {
        Self {
            requests: Requests::new(lists_a_minute),
            ..Self::default()
        }
    }

    /// Looks at what happens, for as long as it is let.
    pub async fn sit(&mut self, stage: &Stage) {
        loop {
            sleep(EVERY).await;
            self.look(stage, now_ms() - SETTLED_MS).await;
        }
    }

    /// Looks at all that is left, and at the whole.
    pub async fn close(&mut self, stage: &Stage) {
        self.look(stage, i64::MAX).await;
        let wrong = self.vitals.judge();
        self.find(wrong);
    }

    async fn look(&mut self, stage: &Stage, before_ms: i64) {
        let (journal, diary) = (stage.simulator.journal(), stage.diary().clone());
        let wrong = self
            .requests
            .look_at(&journal, before_ms, &stage.proxy.exchanges(), &diary);
        self.find(wrong);
        let evidence = Evidence {
            simulator: &stage.simulator,
            journal: &journal,
            diary: &diary,
        };
        let stopped = diary.stopped_ms.unwrap_or(i64::MAX).min(before_ms);
        for scrape in self.new_scrapes(stage, stopped).await {
            self.vitals.look_at(&scrape);
            let failures = scrape.family("ringcentral_api_request_failures_total");
            self.failures = failures
                .map(|(series, count)| (series.clone(), count))
                .collect();
            let wrong = self.numbers.look_at(&scrape, &evidence).await;
            self.find(wrong);
        }
    }

    /// The scrapes that were answered before this instant, of both servers, in order.
    async fn new_scrapes(&mut self, stage: &Stage, before_ms: i64) -> Vec<Scrape> {
        let mut new = Vec::new();
        for (server, seen) in self.seen.iter_mut().enumerate() {
            let scrapes = scrapes::of_late(&stage.pair, server, 120).await.into_iter();
            new.extend(
                scrapes.filter(|scrape| scrape.at_ms > *seen && scrape.answered_ms() < before_ms),
            );
            *seen = new
                .iter()
                .rev()
                .find(|scrape| scrape.server == server)
                .map_or(*seen, |scrape| scrape.at_ms);
        }
        new.sort_by_key(|scrape| scrape.at_ms);
        new
    }

    fn find(&mut self, wrong: Vec<String>) {
        wrong.iter().for_each(|what| println!("WRONG {what}"));
        self.wrong.extend(wrong);
    }
}
