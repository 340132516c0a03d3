//! A simulated day: the truth of all extensions, and what a client receives of it.
//!
//! The truth is the switchboard's. The network is this file's: connections that end, some unnoticed for a while,
//! renewals with an overlap, events that are lost, repeated or late, and reads of the list that take their time.

use std::collections::{HashMap, HashSet};

use fastrand::Rng;
use ringcentral_exporter::simulator::Switchboard;
use ringcentral_exporter::simulator::company::Company;
use ringcentral_exporter::simulator::load_profile::LoadProfile;
use ringcentral_exporter::simulator::presence::{Presence, PresenceChange};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
/// 2026-11-24, a Tuesday, in UTC.
const FROM_MS: i64 = 20_781 * DAY_MS;
const UNTIL_MS: i64 = FROM_MS + DAY_MS;
/// A login is renewed once an hour, and with it the connection.
const RENEWAL_MS: i64 = 55 * MINUTE_MS;
const OVERLAP_MS: i64 = 3_000;
const AUDIT_MS: i64 = 15 * MINUTE_MS;
/// When sequences start again although no connection ends.
const RESTART_MS: i64 = FROM_MS + 14 * HOUR_MS;

/// The account and its network.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub seed: u64,
    /// Whether events have only the changed fields.
    pub only_changed: bool,
    /// Shares of events.
    lost: f64,
    duplicated: f64,
    late: f64,
    /// Mean time between two ends of a connection; none without this.
    mean_connection_ms: Option<i64>,
    /// Whether an extension is created and another one deleted.
    staff_changes: bool,
    /// Whether sequences start again at [`RESTART_MS`].
    sequences_restart: bool,
}

impl Settings {
    /// Returns a day with all faults.
    pub fn faulty(seed: u64, only_changed: bool) -> Self {
        Self {
            seed,
            only_changed,
            lost: 0.01,
            duplicated: 0.02,
            late: 0.02,
            mean_connection_ms: Some(40 * MINUTE_MS),
            staff_changes: true,
            sequences_restart: true,
        }
    }

    /// Returns a day whose events all arrive once and in their order.
    pub fn reliable(seed: u64) -> Self {
        Self {
            seed,
            only_changed: true,
            lost: 0.0,
            duplicated: 0.0,
            late: 0.0,
            mean_connection_ms: None,
            staff_changes: false,
            sequences_restart: false,
        }
    }
}

/// An event as it arrives.
#[derive(Clone, Debug)]
pub struct Event {
    pub uuid: String,
    pub sequence: u64,
    pub change: PresenceChange,
    /// The position of the change among those of its extension.
    pub index: usize,
}

/// What happens to a client.
#[derive(Clone, Debug)]
pub enum Input {
    /// The list is requested.
    StartRead,
    /// The list has arrived: each row with the time of which it is true.
    FinishRead(Vec<(u64, Presence, i64)>),
    Event(Event),
    /// The client notices that events may have been lost.
    Gap,
}

/// A day.
pub struct Recording {
    pub only_changed: bool,
    /// In the order of their times, Unix milliseconds.
    pub inputs: Vec<(i64, Input)>,
    /// The changes of each extension.
    pub changes: HashMap<u64, Vec<PresenceChange>>,
    /// The statuses of each extension at the start.
    pub initial: HashMap<u64, Presence>,
    joiner: Joiner,
    /// An extension that is deleted, and when.
    leaver: (u64, i64),
}

/// An extension that is created during the day.
#[derive(Clone, Copy, Debug)]
struct Joiner {
    extension: u64,
    created_ms: i64,
    /// The time from which on the directory knows it.
    known_ms: i64,
}

/// A time in which a subscription receives events.
#[derive(Clone, Copy, Debug)]
struct Connection {
    from: i64,
    until: i64,
    /// When the client notices the end, and a new connection must be made; absent for a renewal.
    gap: Option<i64>,
    /// The number of times that sequences have started again.
    epoch: usize,
}

impl Recording {
    pub fn new(settings: Settings) -> Self {
        let load = LoadProfile {
            calls_per_minute: 17.0,
            day_shift_ms: 0,
            surge: None,
        };
        let company = Company::new(120, settings.seed);
        let switchboard = Switchboard::new(company, load, settings.seed);
        let mut rng = Rng::with_seed(settings.seed);
        let mut initial = HashMap::new();
        for row in switchboard.presence_at(FROM_MS) {
            initial.extend(row.status.map(|status| (row.extension_id, status)));
        }
        let mut ids: Vec<u64> = initial.keys().copied().collect();
        ids.sort_unstable();
        let created_ms = if settings.staff_changes {
            FROM_MS + 11 * HOUR_MS
        } else {
            i64::MIN / 2
        };
        let joiner = Joiner {
            extension: ids[ids.len() / 3],
            created_ms,
            known_ms: created_ms + 40 * MINUTE_MS,
        };
        let deleted_ms = if settings.staff_changes {
            FROM_MS + 15 * HOUR_MS
        } else {
            i64::MAX
        };
        let leaver = (ids[ids.len() / 2], deleted_ms);
        let mut recording = Self {
            only_changed: settings.only_changed,
            inputs: Vec::new(),
            changes: HashMap::new(),
            initial,
            joiner,
            leaver,
        };
        let changes = switchboard.presence_changes(FROM_MS, UNTIL_MS);
        let connections = connections(&settings, &mut rng);
        recording.add_events(&settings, &changes, &connections, &mut rng);
        recording.add_reads(&switchboard, &connections, &mut rng);
        for connection in &connections {
            let gap = connection.gap.map(|at| (at, Input::Gap));
            recording.inputs.extend(gap);
        }
        recording.inputs.retain(|(at, _)| *at < UNTIL_MS);
        recording.inputs.sort_by_key(|(at, _)| *at);
        recording
    }

    /// Returns whether the directory knows the extension.
    pub fn knows(&self, extension: u64, at: i64) -> bool {
        if extension == self.joiner.extension {
            return self.joiner.known_ms <= at;
        }
        self.exists(extension, at)
    }

    /// Returns the statuses of an extension after this number of its changes.
    pub fn truth(&self, extension: u64, changes: usize) -> Presence {
        match changes.checked_sub(1) {
            None => self.initial[&extension],
            Some(last) => self.changes[&extension][last].to,
        }
    }

    /// Returns the number of changes of an extension until `at`.
    pub fn changes_until(&self, extension: u64, at: i64) -> usize {
        let changes = self.changes.get(&extension).map_or(&[][..], Vec::as_slice);
        changes.partition_point(|change| change.at_ms <= at)
    }

    /// Returns the number of changes of telephony status that arrive, and of states whose begin and end are among them.
    pub fn telephony_changes(&self) -> (u64, u64) {
        let (mut changes, mut began) = (HashSet::new(), HashSet::new());
        for (_, input) in &self.inputs {
            if let Input::Event(event) = input
                && changes_telephony(&event.change)
            {
                changes.insert((event.change.extension_id, event.index));
                began.insert(event.change.extension_id);
            }
        }
        let count = changes.len() as u64;
        (count, count - began.len() as u64)
    }

    fn exists(&self, extension: u64, at: i64) -> bool {
        let (left, left_at) = self.leaver;
        let is_gone = extension == left && left_at <= at;
        let is_future = extension == self.joiner.extension && at < self.joiner.created_ms;
        !is_gone && !is_future
    }

    fn add_events(
        &mut self,
        settings: &Settings,
        changes: &[PresenceChange],
        connections: &[Connection],
        rng: &mut Rng,
    ) {
        let mut sequences: HashMap<(usize, bool, u64), u64> = HashMap::new();
        let mut last_due = vec![0; connections.len()];
        for change in changes {
            let extension = change.extension_id;
            let of_extension = self.changes.entry(extension).or_default();
            let index = of_extension.len();
            of_extension.push(*change);
            let epoch = epoch_at(connections, change.at_ms);
            let has_restarted = settings.sequences_restart && RESTART_MS <= change.at_ms;
            let first = if has_restarted { 0 } else { 1_000 >> epoch };
            let sequence = sequences
                .entry((epoch, has_restarted, extension))
                .or_insert(first);
            *sequence += 1;
            if !self.exists(extension, change.at_ms) {
                continue;
            }
            for (connection, last_due) in connections.iter().zip(&mut last_due) {
                if !(connection.from..connection.until).contains(&change.at_ms) {
                    continue;
                }
                let event = Event {
                    uuid: rng.u64(..).to_string(),
                    sequence: *sequence,
                    change: *change,
                    index,
                };
                for due in arrivals(settings, change.at_ms, last_due, rng) {
                    if due < connection.until {
                        self.inputs.push((due, Input::Event(event.clone())));
                    }
                }
            }
        }
    }

    /// Adds a read after each gap and each [`AUDIT_MS`], while a connection is open as far as the client knows.
    fn add_reads(&mut self, switchboard: &Switchboard, connections: &[Connection], rng: &mut Rng) {
        let mut next = FROM_MS + 1_000;
        let mut is_first = true;
        let mut number = 0;
        for connection in connections {
            if std::mem::take(&mut is_first) {
                next = next.max(connection.from + rng.i64(50..2_000));
            }
            let known_until = connection.gap.unwrap_or(connection.until);
            while next < known_until {
                number += 1;
                // Now and then a list is read over several windows: so long that a short connection ends before.
                let takes_long = number % 7 == 3 || known_until - next < 70_000;
                let duration = if takes_long {
                    70_000
                } else {
                    rng.i64(400..3_000)
                };
                self.add_read(switchboard, next, next + duration, rng);
                next += duration + AUDIT_MS;
            }
            if connection.gap.is_some() {
                // A read that is still running ends before the next one begins.
                let last_end = next - AUDIT_MS;
                next = last_end + 10;
                is_first = true;
            }
        }
    }

    fn add_read(&mut self, switchboard: &Switchboard, from: i64, until: i64, rng: &mut Rng) {
        let pages = [rng.i64(from..until - 200), until - 150];
        let mut rows = Vec::new();
        for (page, at) in pages.into_iter().enumerate() {
            for (position, row) in switchboard.presence_at(at).into_iter().enumerate() {
                if let Some(status) = row.status
                    && position % 2 == page
                    && self.exists(row.extension_id, at)
                {
                    rows.push((row.extension_id, status, at));
                }
            }
        }
        // The directory knows the new extension before the list has it.
        let (joiner, known_ms) = (self.joiner.extension, self.joiner.known_ms);
        rows.retain(|(id, _, at)| *id != joiner || known_ms + HOUR_MS <= *at);
        self.inputs.push((from, Input::StartRead));
        self.inputs.push((until, Input::FinishRead(rows)));
    }
}

pub fn changes_telephony(change: &PresenceChange) -> bool {
    change.from.telephony != change.to.telephony
}

/// Returns the connections of a day, one after another.
fn connections(settings: &Settings, rng: &mut Rng) -> Vec<Connection> {
    let mut connections = Vec::new();
    let (mut from, mut epoch) = (FROM_MS, 0);
    let mut gap_at = next_gap(settings, from, rng);
    while from < UNTIL_MS {
        let renewal = from + RENEWAL_MS;
        if renewal < gap_at {
            connections.push(Connection {
                from,
                until: renewal + OVERLAP_MS,
                gap: None,
                epoch,
            });
            from = renewal;
            continue;
        }
        let unnoticed = if rng.bool() { 0 } else { rng.i64(1..90_000) };
        connections.push(Connection {
            from,
            until: gap_at,
            gap: Some(gap_at + unnoticed),
            epoch,
        });
        from = gap_at + unnoticed + rng.i64(1_000..60_000);
        // Nothing says that sequences continue in another session.
        epoch += usize::from(rng.bool());
        gap_at = next_gap(settings, from, rng);
        if connections.len() % 6 == 5 {
            gap_at = gap_at.min(from + rng.i64(10_000..60_000));
        }
    }
    connections
}

fn next_gap(settings: &Settings, from: i64, rng: &mut Rng) -> i64 {
    match settings.mean_connection_ms {
        None => i64::MAX,
        Some(mean) => from + rng.i64(10_000..2 * mean),
    }
}

fn epoch_at(connections: &[Connection], at: i64) -> usize {
    let after = connections
        .iter()
        .rev()
        .find(|connection| connection.from <= at);
    after.map_or(0, |connection| connection.epoch)
}

/// Returns the times at which the copies of an event arrive.
fn arrivals(settings: &Settings, at: i64, last_due: &mut i64, rng: &mut Rng) -> Vec<i64> {
    let due = at + rng.i64(14..=113);
    let roll = rng.f64();
    if roll < settings.lost {
        return Vec::new();
    }
    if roll < settings.lost + settings.late {
        return vec![due + rng.i64(1_000..20_000)];
    }
    *last_due = due.max(*last_due);
    if roll < settings.lost + settings.late + settings.duplicated {
        return vec![*last_due, *last_due + rng.i64(0..2_000)];
    }
    vec![*last_due]
}
