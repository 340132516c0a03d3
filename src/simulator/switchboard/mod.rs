//! The company's phone system: the list of active calls as a function of seed and time.
//!
//! Times are Unix milliseconds. A cache of minutes saves time and does not affect the results.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use fastrand::Rng;

use crate::simulator::calls::{self, MAX_LISTED_MINUTES};
use crate::simulator::company::{Company, Extension};
use crate::simulator::load_profile::LoadProfile;
use crate::simulator::random::hash_seed;
use crate::simulator::record::Record;
use crate::simulator::timeline::CallTimeline;

const MINUTE_MS: i64 = 60_000;
/// Enough for lists at two different instants, so that neither evicts the minutes of the other.
const MAX_CACHED_MINUTES: usize = 2 * (MAX_LISTED_MINUTES as usize + 2);

/// The phone system.
pub struct Switchboard {
    company: Company,
    load_profile: LoadProfile,
    pub(super) seed: u64,
    missing_live_records: f64,
    /// A std mutex, because it is never held across an await.
    minutes: Mutex<BTreeMap<i64, Arc<[CallTimeline]>>>,
}

impl Switchboard {
    /// Creates the phone system of `company`; calls arrive at the rate of `load_profile`.
    pub fn new(company: Company, load_profile: LoadProfile, seed: u64) -> Switchboard {
        Switchboard {
            company,
            load_profile,
            seed,
            missing_live_records: 0.0,
            minutes: Mutex::default(),
        }
    }

    /// Sets the share of live records, 0 to 1, that each list lacks although others before and after it have them.
    #[must_use]
    pub fn with_missing_live_records(mut self, share: f64) -> Switchboard {
        self.missing_live_records = share;
        self
    }

    /// Returns the company.
    pub fn company(&self) -> &Company {
        &self.company
    }

    /// Returns all extensions of the account.
    pub fn extensions(&self) -> &[Extension] {
        &self.company.extensions
    }

    /// Returns the full list at `at`, latest start first.
    pub fn listed_at(&self, at: i64) -> Vec<Record> {
        self.listed_where(at, |_| true)
    }

    /// Returns the list of one extension at `at`.
    pub fn listed_for(&self, extension_id: u64, at: i64) -> Vec<Record> {
        self.listed_where(at, |timeline| {
            timeline.owner_id(&self.company) == Some(extension_id)
        })
    }

    /// Returns the records whose end the list first shows after `after` and up to `until`, in that
    /// order and as they are listed then.
    pub fn ended_between(&self, after: i64, until: i64) -> Vec<Record> {
        let mut ended: Vec<(i64, Record)> = Vec::new();
        for minute in self.relevant_timelines(after, until) {
            for timeline in minute.iter() {
                let visible = timeline.end_first_visible();
                if after < visible && visible <= until {
                    ended.push((visible, timeline.at(visible, &self.company)));
                }
            }
        }
        ended.sort_by(|(at, record), (other_at, other)| {
            (at, &record.id).cmp(&(other_at, &other.id))
        });
        ended.into_iter().map(|(_, record)| record).collect()
    }

    fn listed_where(&self, at: i64, is_wanted: impl Fn(&CallTimeline) -> bool) -> Vec<Record> {
        let mut records = Vec::new();
        for minute in self.relevant_timelines(at, at) {
            for timeline in minute.iter() {
                if timeline.is_listed(at) && is_wanted(timeline) && !self.is_missing(timeline, at) {
                    records.push(timeline.at(at, &self.company));
                }
            }
        }
        records.sort_by(|a: &Record, b| {
            (Reverse(a.start_ms), &a.id).cmp(&(Reverse(b.start_ms), &b.id))
        });
        records
    }

    /// Returns whether the list of this instant lacks a live record. Other instants are independent of it.
    fn is_missing(&self, timeline: &CallTimeline, at: i64) -> bool {
        if self.missing_live_records == 0.0 || at >= timeline.end_visible_from {
            return false;
        }
        let seed = hash_seed(hash_seed(self.seed, timeline.id), at.unsigned_abs());
        Rng::with_seed(seed).f64() < self.missing_live_records
    }

    /// Returns the minutes whose calls can be listed between `from` and `until`.
    pub(super) fn relevant_timelines(
        &self,
        from: i64,
        until: i64,
    ) -> impl Iterator<Item = Arc<[CallTimeline]>> {
        let first = from.div_euclid(MINUTE_MS) - MAX_LISTED_MINUTES;
        (first..=until.div_euclid(MINUTE_MS)).map(|minute| self.minute(minute))
    }

    fn minute(&self, minute: i64) -> Arc<[CallTimeline]> {
        let mut minutes = self.minutes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cached) = minutes.get(&minute) {
            return Arc::clone(cached);
        }
        let timelines: Arc<[CallTimeline]> =
            calls::for_minute(&self.company, &self.load_profile, self.seed, minute).into();
        minutes.insert(minute, Arc::clone(&timelines));
        if minutes.len() > MAX_CACHED_MINUTES {
            evict_farthest(&mut minutes, minute);
        }
        timelines
    }
}

fn evict_farthest(minutes: &mut BTreeMap<i64, Arc<[CallTimeline]>>, from: i64) {
    let (Some(first), Some(last)) = (minutes.keys().next(), minutes.keys().next_back()) else {
        return;
    };
    if first.abs_diff(from) >= last.abs_diff(from) {
        minutes.pop_first();
    } else {
        minutes.pop_last();
    }
}

#[cfg(test)]
mod tests;
