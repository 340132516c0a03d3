//! What the company's phone system shows at an instant: a function of seed and time.
//!
//! Pure but for a cache of minutes, which saves time and changes no answer. Knows no HTTP, no
//! limits and no clock: time comes in as unix milliseconds.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::simulator::calls::{self, LONGEST_LIFE_MINUTES};
use crate::simulator::company::{Company, Extension};
use crate::simulator::load_profile::LoadProfile;
use crate::simulator::record::Record;
use crate::simulator::timeline::CallTimeline;

const MINUTE_MS: i64 = 60_000;
/// Minutes kept: two look-backs, so that two clients at different instants do not fight.
const KEPT_MINUTES: usize = 2 * (LONGEST_LIFE_MINUTES as usize + 2);

/// The phone system.
pub struct Switchboard {
    company: Company,
    curve: LoadProfile,
    seed: u64,
    /// A std mutex: it is held for a look-up or the making of one minute, never across an await.
    minutes: Mutex<BTreeMap<i64, Arc<[CallTimeline]>>>,
}

impl Switchboard {
    /// The phone system of `company`, with calls arriving by `curve`.
    pub fn new(company: Company, curve: LoadProfile, seed: u64) -> Switchboard {
        Switchboard {
            company,
            curve,
            seed,
            minutes: Mutex::default(),
        }
    }

    /// Whose phone system it is.
    pub fn company(&self) -> &Company {
        &self.company
    }

    /// All extensions of the account.
    pub fn extensions(&self) -> &[Extension] {
        &self.company.extensions
    }

    /// What a full list holds at `at`, newest start first.
    pub fn listed_at(&self, at: i64) -> Vec<Record> {
        self.listed_where(at, |_| true)
    }

    /// What the list of one extension holds at `at`.
    pub fn listed_for(&self, extension_id: u64, at: i64) -> Vec<Record> {
        self.listed_where(at, |life| {
            life.owner_id(&self.company) == Some(extension_id)
        })
    }

    /// The records whose end the list first tells of after `after` and not after `until`, in the
    /// order in which it does, each as it looks then.
    pub fn ended_between(&self, after: i64, until: i64) -> Vec<Record> {
        let mut ended: Vec<(i64, Record)> = Vec::new();
        for minute in self.relevant_timelines(after, until) {
            for life in minute.iter() {
                let visible = life.end_first_visible();
                if after < visible && visible <= until {
                    ended.push((visible, life.at(visible, &self.company)));
                }
            }
        }
        ended.sort_by(|(at, record), (other_at, other)| {
            (at, &record.id).cmp(&(other_at, &other.id))
        });
        ended.into_iter().map(|(_, record)| record).collect()
    }

    fn listed_where(&self, at: i64, wanted: impl Fn(&CallTimeline) -> bool) -> Vec<Record> {
        let mut records = Vec::new();
        for minute in self.relevant_timelines(at, at) {
            let listed = minute
                .iter()
                .filter(|life| life.is_listed(at) && wanted(life));
            records.extend(listed.map(|life| life.at(at, &self.company)));
        }
        records.sort_by(|one: &Record, other| {
            (Reverse(one.start_ms), &one.id).cmp(&(Reverse(other.start_ms), &other.id))
        });
        records
    }

    /// The minutes whose calls may be listed at some instant between the two.
    fn relevant_timelines(
        &self,
        from: i64,
        until: i64,
    ) -> impl Iterator<Item = Arc<[CallTimeline]>> {
        let first = from.div_euclid(MINUTE_MS) - LONGEST_LIFE_MINUTES;
        (first..=until.div_euclid(MINUTE_MS)).map(|minute| self.minute(minute))
    }

    fn minute(&self, minute: i64) -> Arc<[CallTimeline]> {
        let mut minutes = self.minutes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = minutes.get(&minute) {
            return Arc::clone(known);
        }
        let made: Arc<[CallTimeline]> =
            calls::of_minute(&self.company, &self.curve, self.seed, minute).into();
        minutes.insert(minute, Arc::clone(&made));
        if minutes.len() > KEPT_MINUTES {
            evict_farthest(&mut minutes, minute);
        }
        made
    }
}

fn evict_farthest(minutes: &mut BTreeMap<i64, Arc<[CallTimeline]>>, from: i64) {
    let distance = |minute: Option<&i64>| minute.map_or(0, |minute| minute.abs_diff(from));
    let first = distance(minutes.keys().next());
    let last = distance(minutes.keys().next_back());
    if first >= last {
        minutes.pop_first();
    } else {
        minutes.pop_last();
    }
}

#[cfg(test)]
mod tests;
