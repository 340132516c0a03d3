//! Judges the scrapes: each is answered, each shows the truth of one instant or nothing, and calls that ended are
//! counted exactly wherever the exporter declares no gap.
//!
//! The truth comes from the simulated company, by the rules of `common::oracle`; which instant a snapshot shows is told
//! by the journal of the API.

use std::collections::BTreeMap;
use std::time::Duration;

use ringcentral_exporter::simulator::{JournalEntry, Operation, Simulator};

use crate::common::oracle::{self, CALL_FAMILIES};
use crate::diary::Diary;
use crate::scrapes::Scrape;
use crate::stage::INTERVAL;

type Samples = BTreeMap<String, f64>;

const ACCOUNT: &str = "default";
const MAX_AGE_MS: i64 = 120_000;
/// A fetch takes so long at the most: a login and a walk.
const FETCH_MS: i64 = 40_000;
/// Two readings of one clock in milliseconds.
const GRAIN_MS: i64 = 2;
/// So long after a storm, or after what it left blocked, the exporter has to be well again: a request that hangs, and a
/// window that the other tool has emptied.
const RECOVERY_MS: i64 = 90_000;

/// What was seen of the numbers so far.
#[derive(Default)]
pub struct Numbers {
    pub scrapes: u64,
    pub slowest_ms: i64,
    /// Scrapes that showed a snapshot, that showed none since it was too old, and that said that the fetch had failed.
    pub shown: u64,
    pub absent: u64,
    pub down: u64,
    /// Scrapes of which a recovery was demanded.
    pub recovered: u64,
    pub snapshots: u64,
    pub oldest_shown_ms: i64,
    pub ended: f64,
    pub ended_truly: f64,
    pub ended_outside_gaps: f64,
    pub gaps: f64,
    pub lost: f64,
    /// The longest stretch without a gap.
    pub longest_stretch_ms: i64,
    stretch_from: i64,
    last_at: BTreeMap<usize, i64>,
    known: BTreeMap<i64, Known>,
}

/// A snapshot whose truth is known.
#[derive(Clone)]
struct Known {
    listed_at: i64,
    calls: Samples,
    counters: Samples,
    gaps: f64,
}

/// What the judge may look at.
pub struct Evidence<'a> {
    pub simulator: &'a Simulator,
    pub journal: &'a [JournalEntry],
    pub diary: &'a Diary,
}

impl Numbers {
    /// Looks at one scrape; gives what is wrong with it.
    pub async fn look_at(&mut self, scrape: &Scrape, evidence: &Evidence<'_>) -> Vec<String> {
        let mut wrong = Vec::new();
        self.scrapes += 1;
        wrong.extend(self.is_answered(scrape));
        wrong.extend(self.is_recovered(scrape, evidence.diary));
        let shows = scrape.family(CALL_FAMILIES[2]).next().is_some();
        let taken = scrape.value("ringcentral_snapshot_timestamp_seconds");
        let taken = taken.map(|seconds| (seconds * 1000.0).round() as i64);
        match (taken, shows) {
            (Some(taken), true) => wrong.extend(self.is_true(scrape, taken, evidence).await),
            (None, true) => wrong.push("calls are shown, and no snapshot".to_owned()),
            (taken, false) => wrong.extend(self.is_rightly_absent(scrape, taken)),
        }
        wrong
            .into_iter()
            .map(|what| format!("server {} at {}: {what}", scrape.server, scrape.at_ms))
            .collect()
    }

    fn is_answered(&mut self, scrape: &Scrape) -> Option<String> {
        let took = scrape.answered_ms() - scrape.at_ms;
        self.slowest_ms = self.slowest_ms.max(took);
        let before = self.last_at.insert(scrape.server, scrape.at_ms);
        let interval = INTERVAL.as_millis() as i64;
        if before.is_some_and(|before| scrape.at_ms - before > interval * 3 / 2) {
            return Some(format!(
                "{} ms after the scrape before",
                scrape.at_ms - before.unwrap()
            ));
        }
        let is_well = scrape.value("up") == Some(1.0) && took <= interval;
        (!is_well).then(|| format!("no answer: up {:?} after {took} ms", scrape.value("up")))
    }

    /// Whether all is well again where a calm has lasted, and nothing is blocked or was of late.
    fn is_recovered(&mut self, scrape: &Scrape, diary: &Diary) -> Option<String> {
        let up = scrape.value("ringcentral_up")?;
        self.down += u64::from(up == 0.0);
        let (from, phase) = diary.phase_at(scrape.at_ms)?;
        let blocked = scrape.family("ringcentral_api_blocked_until_timestamp_seconds");
        let blocked = blocked
            .map(|(_, until)| (until * 1000.0) as i64)
            .max()
            .unwrap_or(0);
        if !phase.is_calm()
            || scrape.at_ms < from.max(blocked) + RECOVERY_MS
            || self.other_tool_is_busy(scrape, diary)
        {
            return None;
        }
        self.recovered += 1;
        (up != 1.0).then(|| format!("not well after {} ms of calm", scrape.at_ms - from))
    }

    /// It strikes without a phase of its own.
    fn other_tool_is_busy(&self, scrape: &Scrape, diary: &Diary) -> bool {
        diary.other_tool_spent(scrape.at_ms, Duration::from_secs(150))
    }

    fn is_rightly_absent(&mut self, scrape: &Scrape, taken: Option<i64>) -> Option<String> {
        self.absent += 1;
        let age = scrape.answered_ms() - taken?;
        let is_up = scrape.value("ringcentral_up") == Some(1.0);
        (is_up || age < MAX_AGE_MS)
            .then(|| format!("calls are absent, though the snapshot is {age} ms old"))
    }

    async fn is_true(
        &mut self,
        scrape: &Scrape,
        taken: i64,
        evidence: &Evidence<'_>,
    ) -> Option<String> {
        self.shown += 1;
        let age = scrape.at_ms - taken;
        self.oldest_shown_ms = self.oldest_shown_ms.max(age);
        if age > MAX_AGE_MS + GRAIN_MS {
            return Some(format!("a snapshot of {age} ms ago is shown"));
        }
        let shown: Samples = CALL_FAMILIES
            .iter()
            .flat_map(|family| scrape.family(family))
            .map(owned)
            .collect();
        if let Some(known) = self.known.get(&taken) {
            return (known.calls != shown)
                .then(|| format!("the snapshot of {taken} is shown in two ways"));
        }
        self.is_new_and_true(scrape, taken, shown, evidence).await
    }

    /// A snapshot that was not seen before has to be what was listed when one of its requests came.
    async fn is_new_and_true(
        &mut self,
        scrape: &Scrape,
        taken: i64,
        shown: Samples,
        evidence: &Evidence<'_>,
    ) -> Option<String> {
        let numbers = oracle::extension_numbers(evidence.simulator);
        let until = scrape.answered_ms().min(taken + FETCH_MS);
        let mut nearest = None;
        for listed_at in lists_between(evidence.journal, taken - GRAIN_MS, until) {
            let listed = oracle::fetch_listed(&evidence.simulator.url(), listed_at).await;
            let calls = oracle::samples_for(ACCOUNT, &listed, &numbers);
            if calls == shown {
                return self.is_counted(
                    scrape,
                    taken,
                    Known::of(listed_at, calls, scrape),
                    evidence,
                );
            }
            nearest = Some((listed_at, calls));
        }
        Some(format!(
            "the snapshot of {taken} is no list's: {:?}",
            nearest.map(|(at, calls)| (at, difference(&calls, &shown)))
        ))
    }

    /// Since the snapshot before, as many calls must have been counted as ended; fewer are allowed where a gap is told.
    fn is_counted(
        &mut self,
        scrape: &Scrape,
        taken: i64,
        new: Known,
        evidence: &Evidence<'_>,
    ) -> Option<String> {
        self.snapshots += 1;
        self.lost = scrape.value("ringcentral_calls_lost_total").unwrap_or(0.0);
        let before = self
            .known
            .range(..taken)
            .next_back()
            .map(|(_, known)| known.clone());
        self.known.insert(taken, new.clone());
        let Some(before) = before else {
            self.stretch_from = new.listed_at;
            return new
                .counters
                .values()
                .any(|count| *count > 0.0)
                .then(|| "the baseline was counted".to_owned());
        };
        let switchboard = evidence.simulator.switchboard();
        let truth = oracle::ended_counters(
            ACCOUNT,
            &switchboard.ended_between(before.listed_at, new.listed_at),
        );
        let counted = minus(&new.counters, &before.counters);
        self.add_up(&before, &new, total(&counted), total(&truth));
        let is_gap = new.gaps > before.gaps;
        let is_well = if is_gap {
            is_within(&counted, &truth)
        } else {
            counted == truth
        };
        let (from, until) = (before.listed_at, new.listed_at);
        (!is_well).then(|| {
            format!(
                "from {from} to {until}, gap {is_gap}: {:?}",
                difference(&truth, &counted)
            )
        })
    }

    fn add_up(&mut self, before: &Known, new: &Known, counted: f64, truth: f64) {
        self.ended += counted;
        self.ended_truly += truth;
        self.gaps = new.gaps;
        if new.gaps > before.gaps {
            self.stretch_from = new.listed_at;
        } else {
            self.ended_outside_gaps += counted;
        }
        self.longest_stretch_ms = self
            .longest_stretch_ms
            .max(new.listed_at - self.stretch_from);
    }
}

impl Known {
    fn of(listed_at: i64, calls: Samples, scrape: &Scrape) -> Self {
        let counters = scrape
            .family("ringcentral_calls_ended_total")
            .filter(|(_, count)| *count > 0.0)
            .map(owned)
            .collect();
        let gaps = scrape
            .value("ringcentral_coverage_gaps_total")
            .unwrap_or(0.0);
        Self {
            listed_at,
            calls,
            counters,
            gaps,
        }
    }
}

fn owned((series, value): (&String, f64)) -> (String, f64) {
    (series.clone(), value)
}

/// The instants of the lists that were answered between the two.
fn lists_between(journal: &[JournalEntry], from: i64, until: i64) -> Vec<i64> {
    let lists = journal
        .iter()
        .filter(|entry| entry.operation == Some(Operation::ActiveCalls));
    lists
        .filter_map(|entry| entry.listed_at_ms)
        .filter(|at| (from..=until).contains(at))
        .collect()
}

fn minus(later: &Samples, earlier: &Samples) -> Samples {
    let grown = later
        .iter()
        .map(|(name, count)| (name.clone(), count - earlier.get(name).unwrap_or(&0.0)));
    grown.filter(|(_, count)| *count != 0.0).collect()
}

fn total(samples: &Samples) -> f64 {
    samples.values().sum()
}

fn is_within(counted: &Samples, truth: &Samples) -> bool {
    counted
        .iter()
        .all(|(name, count)| *count >= 0.0 && *count <= *truth.get(name).unwrap_or(&0.0))
}

/// Where the two differ: what it should be, and what it is.
fn difference(truth: &Samples, shown: &Samples) -> BTreeMap<String, (Option<f64>, Option<f64>)> {
    let names = truth.keys().chain(shown.keys());
    let pairs = names.map(|name| {
        (
            name.clone(),
            (truth.get(name).copied(), shown.get(name).copied()),
        )
    });
    pairs.filter(|(_, (truth, shown))| truth != shown).collect()
}

/// The judge is judged: scrapes that are wrong in one way each.
#[cfg(test)]
mod tests {
    use ringcentral_exporter::simulator::Scenario;
    use ringcentral_exporter::simulator::limiter::OtherClient;
    use tokio::net::TcpListener;

    use super::*;
    use crate::common::clock::ManualClock;

    /// Two true scrapes of a simulated account, a minute apart; the second is changed first. Gives what is found in it.
    async fn findings(change: impl FnOnce(&mut Scrape)) -> Vec<String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let clock = ManualClock::new();
        let simulator = Simulator::start(listener, clock.attach_to(Scenario::normal()), 1).unwrap();
        let hours = Duration::from_secs(36_000);
        let diary = Diary::new(
            simulator.now(),
            OtherClient {
                requests: 10,
                first: hours,
                every: hours,
            },
        );
        let (first, started) = (
            true_scrape(0, &simulator, simulator.now()).await,
            simulator.now(),
        );
        clock.advance(Duration::from_secs(60));
        let mut second = true_scrape(1, &simulator, started).await;
        change(&mut second);
        let journal = [started, simulator.now()].map(list);
        let evidence = Evidence {
            simulator: &simulator,
            journal: &journal,
            diary: &diary,
        };
        let mut judge = Numbers::default();
        assert!(judge.look_at(&first, &evidence).await.is_empty());
        judge.look_at(&second, &evidence).await
    }

    async fn true_scrape(server: usize, simulator: &Simulator, started: i64) -> Scrape {
        let at_ms = simulator.now();
        let mut samples = oracle::expected_samples(simulator, ACCOUNT).await;
        samples.extend(oracle::ended_counters(
            ACCOUNT,
            &simulator.switchboard().ended_between(started, at_ms),
        ));
        let ours = [
            ("ringcentral_up", 1.0),
            (
                "ringcentral_snapshot_timestamp_seconds",
                at_ms as f64 / 1000.0,
            ),
        ];
        samples.extend(
            ours.map(|(family, value)| (format!("{family}{{account=\"{ACCOUNT}\"}}"), value)),
        );
        samples.extend([
            ("up{}".to_owned(), 1.0),
            ("scrape_duration_seconds{}".to_owned(), 0.1),
        ]);
        Scrape {
            server,
            at_ms,
            samples,
        }
    }

    fn list(at: i64) -> JournalEntry {
        JournalEntry {
            sequence: 1,
            arrived_ms: at,
            answered_ms: Some(at),
            operation: Some(Operation::ActiveCalls),
            target: String::new(),
            status: Some(200),
            in_penalty: false,
            records: None,
            listed_at_ms: Some(at),
        }
    }

    fn of<'a>(scrape: &'a mut Scrape, family: &str) -> &'a mut f64 {
        scrape
            .samples
            .iter_mut()
            .find(|(series, _)| series.split('{').next() == Some(family))
            .unwrap()
            .1
    }

    async fn is_found(what: &str, change: impl FnOnce(&mut Scrape)) {
        let found = findings(change).await;
        assert!(found.iter().any(|found| found.contains(what)), "{found:?}");
    }

    #[tokio::test]
    async fn the_truth_is_well_and_one_call_more_or_less_is_found() {
        assert!(findings(|_| {}).await.is_empty());
        is_found("is no list's", |scrape| {
            *of(scrape, CALL_FAMILIES[0]) += 1.0
        })
        .await;
        is_found("is no list's", |scrape| {
            *of(scrape, CALL_FAMILIES[2]) -= 1.0
        })
        .await;
        is_found("gap false", |scrape| {
            *of(scrape, "ringcentral_calls_ended_total") += 1.0
        })
        .await;
        is_found("gap false", |scrape| {
            *of(scrape, "ringcentral_calls_ended_total") -= 1.0
        })
        .await;
    }

    #[tokio::test]
    async fn calls_that_are_too_old_or_gone_without_reason_are_found() {
        is_found("is shown", |scrape| scrape.at_ms += 121_000).await;
        is_found("calls are absent", |scrape| {
            scrape.samples.retain(|series, _| !series.contains("_in_"))
        })
        .await;
    }

    #[tokio::test]
    async fn a_scrape_that_is_not_answered_is_found() {
        is_found("no answer", |scrape| *of(scrape, "up") = 0.0).await;
        is_found("no answer", |scrape| {
            *of(scrape, "scrape_duration_seconds") = 5.1
        })
        .await;
    }
}
