//! Accounts of one user in several processes that share a state directory, and are killed and
//! started again. They fetch calls, read presence, log in, request event tokens and revoke.
//!
//! Each request is sent, arrives and is answered at its own time, so that those of all accounts
//! interleave as they do in reality. The budgets and the files are the real ones.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use ringcentral_exporter::clock::Moment;
use ringcentral_exporter::ringcentral::Operation;
use ringcentral_exporter::ringcentral::rate_limit::budget::{Budget, PageCount};
use ringcentral_exporter::ringcentral::rate_limit::registry::UsageRegistry;
use ringcentral_exporter::simulator::limiter::{Decision, Limiter};
use ringcentral_exporter::state_directory::StateDirectory;

use crate::account_model::{Account, Group, Plan, Task};
use crate::shared_conditions::Conditions;

/// Long enough for several windows and penalties; each request reads and writes a real file.
const END_MS: i64 = 20 * 60 * 1000;
/// The client's timeout of a request.
const REQUEST_TIMEOUT_MS: i64 = 10_000;
/// For how long after a fetch a scrape ends no request of presence.
const FRESH_MS: i64 = 1000;
/// How often a stream requests a token or a read.
const POKE_MS: i64 = 5_000;

/// A defect of the exporter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    None,
    /// A process starts without a state directory.
    ForgetsAtRestart,
    /// Each account has a budget of its own.
    SharesNothing,
    /// Pages of presence count as calls.
    PresenceIgnoresShare,
    /// The files do not say which requests were pages of presence.
    SharesNoPresence,
    /// An event token needs no more room than a login.
    EventTokenIgnoresLogin,
}

/// What happens to an account, or to all accounts of a process.
#[derive(Clone, Copy, Debug)]
enum Event {
    Start,
    Scrape,
    /// The stream of events requests what it needs.
    Poke,
    /// The event connection ends.
    Gap,
    /// A request arrives at RingCentral. Its response arrives at `answered_at`, unless that is too
    /// late.
    Arrive {
        operation: Operation,
        request: u64,
        sent: i64,
        answered_at: Option<i64>,
    },
    /// The response arrives; `None` is a timeout.
    Answer {
        operation: Operation,
        request: u64,
        decision: Option<Decision>,
    },
    End,
}

/// An event of an account. Those of a former life of the process are ignored, except that a request
/// that was sent arrives.
#[derive(Clone, Copy, Debug)]
struct Scheduled {
    at: At,
    life: u32,
    event: Event,
}

/// The place of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct At {
    process: usize,
    account: usize,
}

struct Process {
    life: u32,
    budgets: Vec<Budget>,
    accounts: Vec<Account>,
}

/// One group, as RingCentral counts it.
struct GroupState {
    limiter: Limiter,
    /// The last penalty, from when a process got its 429 on.
    known_penalty: Range<i64>,
    refused: u32,
    inside_penalty: u32,
}

/// The simulated hours.
pub struct Simulation<'a> {
    conditions: &'a Conditions,
    defect: Defect,
    directory: &'a Path,
    midnight: Moment,
    heavy: GroupState,
    auth: GroupState,
    /// When pages of presence arrived, as far as they are in the window.
    presence: VecDeque<i64>,
    /// The lives of processes that have ended gracefully. They count a request in flight as answered
    /// at their end, so a page of presence that arrives later is not in their count.
    abandoned: Vec<(usize, u32)>,
    /// The account that received the last event token, if no other request of the group followed.
    login_fits: Option<At>,
    rng: fastrand::Rng,
    events: BTreeMap<(i64, u64), Scheduled>,
    sequence: u64,
    processes: Vec<Process>,
    /// Complete fetches, by process and account.
    fetches: Vec<Vec<u32>>,
}

impl GroupState {
    fn new(conditions: &Conditions, group: Group) -> Self {
        Self {
            limiter: conditions.limiter(group),
            known_penalty: 0..0,
            refused: 0,
            inside_penalty: 0,
        }
    }

    /// Decides on a request that arrives.
    fn admit(&mut self, sent: i64, now: i64) -> Decision {
        let is_known = self.known_penalty.contains(&sent);
        self.inside_penalty += u32::from(is_known && self.limiter.in_penalty(now));
        let decision = self.limiter.admit(now);
        self.refused += u32::from(matches!(decision, Decision::Refused { .. }));
        decision
    }
}

impl<'a> Simulation<'a> {
    /// Creates a simulation whose processes share `directory`.
    pub fn new(conditions: &'a Conditions, defect: Defect, directory: &'a Path) -> Self {
        let counts = conditions.processes.iter();
        let mut simulation = Self {
            conditions,
            defect,
            directory,
            midnight: Moment::now(),
            heavy: GroupState::new(conditions, Group::Heavy),
            auth: GroupState::new(conditions, Group::Auth),
            presence: VecDeque::new(),
            abandoned: Vec::new(),
            login_fits: None,
            rng: fastrand::Rng::with_seed(conditions.seed),
            events: BTreeMap::new(),
            sequence: 0,
            processes: Vec::new(),
            fetches: counts.map(|accounts| vec![0; accounts.len()]).collect(),
        };
        for process in 0..conditions.processes.len() {
            simulation.processes.push(Process {
                life: 0,
                budgets: Vec::new(),
                accounts: Vec::new(),
            });
            let at = At {
                process,
                account: 0,
            };
            simulation.schedule(process as i64 * 20_000, at, Event::Start);
        }
        simulation
    }

    /// Runs to the end, and checks the properties after each event.
    pub fn run(mut self) -> Result<(), TestCaseError> {
        while let Some(((time, _), scheduled)) = self.events.pop_first() {
            if time > END_MS {
                break;
            }
            self.handle(scheduled, time);
            self.check_limits(time)?;
            self.check_presence(time)?;
            self.check_login(time)?;
        }
        if self.conditions.should_all_fetch(END_MS) {
            let starved = self.fetches.iter().flatten().any(|fetches| *fetches == 0);
            prop_assert!(!starved, "an account never fetched: {:?}", self.fetches);
        }
        Ok(())
    }

    /// Checks that no request caused a 429 or was sent inside a known penalty.
    fn check_limits(&self, time: i64) -> Result<(), TestCaseError> {
        for group in [Group::Heavy, Group::Auth] {
            let state = match group {
                Group::Heavy => &self.heavy,
                Group::Auth => &self.auth,
            };
            prop_assert!(
                state.inside_penalty == 0,
                "request inside a penalty before {time} ms"
            );
            prop_assert!(
                self.conditions.may_refuse(group) || state.refused == 0,
                "429 at {time} ms in {group:?}"
            );
        }
        Ok(())
    }

    /// Checks that presence takes at most half of the usable limit of a window, over all accounts.
    fn check_presence(&self, time: i64) -> Result<(), TestCaseError> {
        let half = self.conditions.limit(Group::Heavy).usable() / 2;
        let pages = self.presence.len();
        prop_assert!(
            pages <= half as usize,
            "{pages} presence pages in a window at {time} ms, expected at most {half}"
        );
        Ok(())
    }

    /// Checks that a login is allowed after an event token, until the next login or revocation.
    fn check_login(&self, time: i64) -> Result<(), TestCaseError> {
        let Some(At { process, account }) = self.login_fits else {
            return Ok(());
        };
        let now = self.moment(time);
        let budget = &self.processes[process].budgets[account];
        let login_at = budget.next_request_at(Operation::Token, now);
        prop_assert!(
            login_at.is_past(now),
            "no login after an event token at {time} ms"
        );
        Ok(())
    }

    fn handle(&mut self, scheduled: Scheduled, now: i64) {
        let Scheduled { at, life, event } = scheduled;
        let is_alive = self.processes[at.process].life == life;
        match event {
            Event::Start => self.start(at.process, now),
            Event::Scrape if is_alive => self.scrape(at, now),
            Event::Poke if is_alive => self.poke(at, now),
            Event::Gap if is_alive => self.lose_connection(at, now),
            Event::Arrive {
                operation,
                request,
                sent,
                answered_at,
            } => {
                if !self.abandoned.contains(&(at.process, life)) {
                    self.count_presence(operation, now);
                }
                let decision = Some(self.group(operation).admit(sent, now));
                if let Some(answered_at) = answered_at
                    && is_alive
                {
                    let answer = Event::Answer {
                        operation,
                        request,
                        decision,
                    };
                    self.schedule(answered_at, at, answer);
                }
            }
            Event::Answer {
                operation,
                request,
                decision,
            } if is_alive && self.account(at).request == request => {
                self.answer(at, operation, decision, now);
            }
            Event::End if is_alive => self.end(at.process, now),
            _ => {}
        }
    }

    fn registry(&self) -> UsageRegistry {
        let directory = match self.defect {
            Defect::ForgetsAtRestart => None,
            _ => Some(Arc::new(StateDirectory::open(self.directory).unwrap())),
        };
        UsageRegistry::new(directory)
    }

    fn start(&mut self, process: usize, now: i64) {
        let moment = self.moment(now);
        let registry = self.registry();
        let plans = self.conditions.processes[process].clone();
        for (account, plan) in plans.into_iter().enumerate() {
            let at = At { process, account };
            let mut budget = Budget::new(Duration::ZERO);
            if self.defect != Defect::SharesNothing {
                budget.join(registry.usage("user", moment), moment);
            }
            let first = now + self.rng.i64(0..plan.scrape_interval_ms);
            self.schedule(first, at, Event::Scrape);
            self.schedule(first, at, Event::Poke);
            let gap = self.rng.i64(0..2 * plan.gap_ms);
            self.schedule(now + gap, at, Event::Gap);
            let started = &mut self.processes[process];
            started.budgets.push(budget);
            started.accounts.push(Account::new(plan, now));
        }
        let life = self.rng.i64(0..=2 * self.conditions.mean_life_ms);
        let first = At {
            process,
            account: 0,
        };
        self.schedule(now + life, first, Event::End);
    }

    fn end(&mut self, process: usize, now: i64) {
        let is_graceful = self.rng.bool();
        if is_graceful {
            let life = self.processes[process].life;
            self.abandoned.push((process, life));
        }
        for account in 0..self.processes[process].budgets.len() {
            let at = At { process, account };
            if is_graceful {
                let moment = self.moment(now);
                self.budget(at).abandon(moment);
                if self.account(at).has_token(now) {
                    self.send(at, Operation::Revoke, now);
                }
            }
        }
        if self.login_fits.is_some_and(|at| at.process == process) {
            self.login_fits = None;
        }
        let ended = &mut self.processes[process];
        ended.budgets.clear();
        ended.accounts.clear();
        ended.life += 1;
        let pause = self.rng.i64(0..=10_000);
        let first = At {
            process,
            account: 0,
        };
        self.schedule(now + pause, first, Event::Start);
    }

    fn scrape(&mut self, at: At, now: i64) {
        let interval = self.plan(at).scrape_interval_ms;
        self.schedule(now + interval, at, Event::Scrape);
        self.interrupt(at, now);
        if self.account(at).task.is_some() {
            return;
        }
        self.update_pace(at, now);
        if !self.start_fetch(at, now) {
            self.maintain(at, now);
        }
    }

    /// Abandons a request of presence that must not hold a fetch.
    fn interrupt(&mut self, at: At, now: i64) {
        let fetch_at = match self.account(at).task {
            Some(Task::Read { fetch_at } | Task::EventToken { fetch_at }) => fetch_at,
            _ => return,
        };
        if now < fetch_at {
            return;
        }
        let moment = self.moment(now);
        self.budget(at).abandon_request(moment);
        self.account(at).task = None;
        self.account(at).request = 0;
    }

    /// Returns from when on a scrape ends a request of presence.
    fn interruption(&mut self, at: At, now: i64) -> i64 {
        let moment = self.moment(now);
        let next = self.budget(at).next_fetch_at(moment);
        let wait = next.saturating_duration_since(moment).as_millis() as i64;
        let soon = self.account(at).last_fetch_end.saturating_add(FRESH_MS);
        soon.max(now + wait)
    }

    fn poke(&mut self, at: At, now: i64) {
        self.schedule(now + POKE_MS, at, Event::Poke);
        if self.account(at).task.is_none() && self.account(at).has_token(now) {
            self.maintain(at, now);
        }
    }

    fn lose_connection(&mut self, at: At, now: i64) {
        let gap = self.rng.i64(0..2 * self.plan(at).gap_ms);
        self.schedule(now + gap, at, Event::Gap);
        if !matches!(self.account(at).task, Some(Task::Read { .. })) {
            self.account(at).lose_connection();
        }
    }

    /// Starts a fetch, with a login if there is no token. Returns whether a request was sent.
    fn start_fetch(&mut self, at: At, now: i64) -> bool {
        let moment = self.moment(now);
        let has_token = self.account(at).has_token(now);
        let login_at = self.budget(at).next_request_at(Operation::Token, moment);
        if !has_token && !login_at.is_past(moment) || !self.budget(at).try_start_fetch(moment) {
            return false;
        }
        let first = match has_token {
            true => Operation::ActiveCalls,
            false => Operation::Token,
        };
        self.account(at).task = Some(Task::Fetch { pages: 0 });
        if self.send(at, first, now) {
            return true;
        }
        self.finish_fetch(at, None, now);
        false
    }

    fn finish_fetch(&mut self, at: At, pages: Option<PageCount>, now: i64) {
        let moment = self.moment(now);
        self.budget(at).finish_fetch(pages, moment);
        self.account(at).task = None;
        self.account(at).last_fetch_end = now;
    }

    fn update_pace(&mut self, at: At, now: i64) {
        let is_due = self.account(at).is_read_due(now);
        let moment = self.moment(now);
        self.budget(at).set_presence_due(is_due, moment);
    }

    /// Renews the token, reads presence or requests an event token, whichever is due first.
    fn maintain(&mut self, at: At, now: i64) {
        if self.account(at).is_renewal_due(now) && self.try_task(at, Task::Renewal, now) {
            return;
        }
        self.update_pace(at, now);
        let fetch_at = self.interruption(at, now);
        if self.can_read(at, now) {
            self.account(at).start_read(now);
            if self.try_task(at, Task::Read { fetch_at }, now) {
                return;
            }
        }
        if self.account(at).wants_event_token && self.account(at).has_token(now) {
            self.try_task(at, Task::EventToken { fetch_at }, now);
        }
    }

    fn can_read(&mut self, at: At, now: i64) -> bool {
        let moment = self.moment(now);
        if !self.account(at).has_token(now) || !self.account(at).is_read_due(now) {
            return false;
        }
        match self.defect {
            Defect::PresenceIgnoresShare => {
                let calls = Operation::ActiveCalls;
                let next = self.budget(at).next_request_at(calls, moment);
                next.is_past(moment)
            }
            _ => self.budget(at).can_request_presence(moment),
        }
    }

    /// Starts a task of one request, if the budget allows it.
    fn try_task(&mut self, at: At, task: Task, now: i64) -> bool {
        let operation = match task {
            Task::Renewal => Operation::Token,
            Task::Read { .. } => Operation::Presence,
            Task::EventToken { .. } => Operation::EventToken,
            Task::Fetch { .. } => Operation::ActiveCalls,
        };
        let is_sent = self.send(at, operation, now);
        self.account(at).task = is_sent.then_some(task);
        is_sent
    }

    /// Returns the operation that the budget records for a request.
    fn counted_as(&self, operation: Operation) -> Operation {
        match (self.defect, operation) {
            (Defect::PresenceIgnoresShare, Operation::Presence) => Operation::ActiveCalls,
            (Defect::EventTokenIgnoresLogin, Operation::EventToken) => Operation::Token,
            _ => operation,
        }
    }

    /// Sends a request, if the budget allows it.
    fn send(&mut self, at: At, operation: Operation, now: i64) -> bool {
        let moment = self.moment(now);
        let counted = self.counted_as(operation);
        if !self.budget(at).try_request(counted, moment) {
            return false;
        }
        self.forget_presence();
        match operation {
            Operation::EventToken => self.login_fits = Some(at),
            Operation::Token | Operation::Revoke => self.login_fits = None,
            _ => {}
        }
        self.sequence += 1;
        let request = self.sequence;
        self.account(at).request = request;
        let latency = self.rng.i64(0..=self.conditions.max_latency_ms);
        let arrived = now + self.rng.i64(0..=latency);
        let is_answered = latency <= REQUEST_TIMEOUT_MS;
        let arrive = Event::Arrive {
            operation,
            request,
            sent: now,
            answered_at: is_answered.then_some(now + latency),
        };
        self.schedule(arrived, at, arrive);
        if !is_answered {
            let timeout = Event::Answer {
                operation,
                request,
                decision: None,
            };
            self.schedule(now + REQUEST_TIMEOUT_MS, at, timeout);
        }
        true
    }

    /// Removes from the files which requests were pages of presence, with that defect.
    fn forget_presence(&self) {
        if self.defect != Defect::SharesNoPresence {
            return;
        }
        for file in std::fs::read_dir(self.directory).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|it| it == "json") {
                let text = std::fs::read_to_string(&path).unwrap();
                let text = text.replace("\"presence\"", "\"other\"");
                std::fs::write(&path, text).unwrap();
            }
        }
    }

    /// Counts a page of presence that arrives.
    fn count_presence(&mut self, operation: Operation, now: i64) {
        let window_ms = self.conditions.limit(Group::Heavy).window_s as i64 * 1000;
        while self
            .presence
            .front()
            .is_some_and(|at| at + window_ms <= now)
        {
            self.presence.pop_front();
        }
        if operation == Operation::Presence {
            self.presence.push_back(now);
        }
    }

    fn answer(&mut self, at: At, operation: Operation, decision: Option<Decision>, now: i64) {
        let moment = self.moment(now);
        let group = Group::of(operation);
        let headers = decision.map(|decision| self.conditions.headers(group, decision));
        let counted = self.counted_as(operation);
        self.budget(at)
            .record_response(counted, headers.as_ref(), moment);
        if let Some(Decision::Refused {
            retry_after_seconds,
        }) = decision
        {
            let penalty = now..now + retry_after_seconds as i64 * 1000;
            self.group(operation).known_penalty = penalty;
        }
        let is_admitted = matches!(decision, Some(Decision::Admitted { .. }));
        if is_admitted && operation == Operation::Token {
            self.account(at).log_in(now);
        }
        match self.account(at).task.unwrap() {
            Task::Fetch { pages } => self.continue_fetch(at, operation, pages, is_admitted, now),
            Task::Read { fetch_at } => self.continue_read(at, fetch_at, is_admitted, now),
            Task::EventToken { .. } if is_admitted => {
                self.account(at).connect();
                self.account(at).task = None;
            }
            Task::EventToken { .. } | Task::Renewal => self.account(at).task = None,
        }
    }

    fn continue_fetch(
        &mut self,
        at: At,
        operation: Operation,
        mut pages: u32,
        is_admitted: bool,
        now: i64,
    ) {
        let is_login = operation == Operation::Token;
        pages += u32::from(!is_login);
        let mut page_count = match is_login {
            true => None,
            false => Some(PageCount::AtLeast(pages)),
        };
        if is_admitted && pages < self.conditions.pages {
            if self.try_task(at, Task::Fetch { pages }, now) {
                return;
            }
            page_count = Some(PageCount::Unknown);
        } else if is_admitted {
            page_count = Some(PageCount::Exact(pages));
            self.fetches[at.process][at.account] += 1;
        }
        self.finish_fetch(at, page_count, now);
        self.maintain(at, now);
    }

    fn continue_read(&mut self, at: At, fetch_at: i64, is_admitted: bool, now: i64) {
        let moment = self.moment(now);
        self.account(at).task = None;
        if is_admitted {
            let (known, is_complete) = self.account(at).record_page();
            self.budget(at)
                .record_presence_pages(known, is_complete, moment);
            if !is_complete && self.can_read(at, now) {
                self.try_task(at, Task::Read { fetch_at }, now);
                return;
            }
        }
        self.update_pace(at, now);
    }

    fn schedule(&mut self, time: i64, at: At, event: Event) {
        self.sequence += 1;
        let life = self.processes[at.process].life;
        self.events
            .insert((time, self.sequence), Scheduled { at, life, event });
    }

    fn budget(&mut self, at: At) -> &mut Budget {
        &mut self.processes[at.process].budgets[at.account]
    }

    fn account(&mut self, at: At) -> &mut Account {
        &mut self.processes[at.process].accounts[at.account]
    }

    fn plan(&self, at: At) -> &'a Plan {
        &self.conditions.processes[at.process][at.account]
    }

    fn group(&mut self, operation: Operation) -> &mut GroupState {
        match Group::of(operation) {
            Group::Heavy => &mut self.heavy,
            Group::Auth => &mut self.auth,
        }
    }

    fn moment(&self, now: i64) -> Moment {
        self.midnight.after(Duration::from_millis(now as u64))
    }
}
