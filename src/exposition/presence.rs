//! The metric families of the presence of one account.
//!
//! Presence changes between fetches and often between scrapes. Its text is kept with the version that it shows, so that
//! scrapes without a change in between share it.

use std::sync::Arc;

use smol_str::SmolStr;

use crate::account::presence::{Presence, PresenceText};
use crate::clock::{Moment, unix_seconds};
use crate::config::Metrics;
use crate::exposition::AccountView;
use crate::exposition::account::{AccountLabel, account_label, labelled_entries};
use crate::presence::{ExtensionStatus, TelephonyStatus};
use crate::text_format::{BlockWriter, FamilyTexts, SharedTexts, TextFormat, families};

families! {
    gauge EXTENSIONS = "ringcentral_extensions":
        "Extensions in that state now. Absent until the list of presence was read, and while it is too old or events \
         may be missing.";
    gauge TELEPHONY_STATUS = "ringcentral_extension_telephony_status":
        "Whether the extension is in that telephony status (1) or not (0). Personal data.";
    gauge TIMESTAMP = "ringcentral_presence_timestamp_seconds":
        "Start of the last complete read of the list of presence; absent until there is one.";
    gauge UP = "ringcentral_presence_up":
        "Whether presence is whole and current (1) or not (0).";
}

/// Adds the families of an account's presence, if it has any, in the format of `current`.
pub(crate) fn add(
    parts: &mut Vec<Arc<SharedTexts>>,
    current: &mut FamilyTexts,
    view: &AccountView<'_>,
    metrics: &Metrics,
    now: Moment,
) {
    let Some(presence) = view.presence else {
        return;
    };
    let format = current.format();
    let account = account_label(view);
    let status = presence.view(now);
    current.add_sample(&UP, &[account], f64::from(status.is_up));
    if let Some(last_read) = status.last_read {
        current.add_sample(&TIMESTAMP, &[account], unix_seconds(last_read.wall));
    }
    let mut text = presence.text();
    let text = text.of_version(status.version).get_mut(format);
    let PresenceText { state, counters } = text;
    if let Some(counts) = &status.counts {
        let families = FamilyTexts::new(format);
        let render = || state_families(families, account, counts, presence, metrics, now).share();
        parts.push(state.get_or_insert_with(render).clone());
    }
    let render = || counter_families(presence, format).share();
    parts.push(counters.get_or_insert_with(render).clone());
}

fn counter_families(presence: &Presence, format: TextFormat) -> FamilyTexts {
    let mut families = FamilyTexts::new(format);
    presence.add_counters_to(&mut families);
    families
}

fn state_families(
    mut families: FamilyTexts,
    account: AccountLabel<'_>,
    counts: &[(ExtensionStatus, u64)],
    presence: &Presence,
    metrics: &Metrics,
    now: Moment,
) -> FamilyTexts {
    add_counts(&mut families, account, counts);
    if metrics.extension_presence
        && let Some(statuses) = presence.statuses(now)
    {
        add_state_sets(&mut families, account, presence, &statuses, metrics);
    }
    families
}

/// Adds the counts of all documented states, and of the other ones that occur.
fn add_counts(
    families: &mut FamilyTexts,
    account: AccountLabel<'_>,
    counts: &[(ExtensionStatus, u64)],
) {
    for status in ExtensionStatus::all() {
        let count = counts.iter().find(|(counted, _)| *counted == status);
        if count.is_none() && !status.is_documented() {
            continue;
        }
        let labels = [
            account,
            ("telephony_status", status.telephony.as_str()),
            ("presence_status", status.presence.as_str()),
            ("dnd_status", status.dnd.as_str()),
        ];
        let count = count.map_or(0, |(_, count)| *count);
        families.add_sample(&EXTENSIONS, &labels, count as f64);
    }
}

/// Adds a state set for each value of `extension`, with the values that the other families have.
fn add_state_sets(
    families: &mut FamilyTexts,
    account: AccountLabel<'_>,
    presence: &Presence,
    statuses: &[(u64, ExtensionStatus)],
    metrics: &Metrics,
) {
    let mut samples = BlockWriter::new(families.format());
    if let Some(directory) = presence.directory() {
        for (extension, entry) in labelled_entries(&directory, metrics) {
            if let Ok(index) = statuses.binary_search_by_key(&entry.id, |(id, _)| *id)
                && let Some((_, status)) = statuses.get(index)
            {
                add_state_set(&mut samples, account, &extension, status.telephony);
            }
        }
    } else {
        for (id, status) in statuses.iter().take(metrics.max_extensions) {
            let extension = SmolStr::from(id.to_string());
            add_state_set(&mut samples, account, &extension, status.telephony);
        }
    }
    families.add_blocks(&TELEPHONY_STATUS, samples.finish());
}

/// Adds the samples of an extension: one for each documented status, and for another one that it is in.
fn add_state_set(
    samples: &mut BlockWriter,
    account: AccountLabel<'_>,
    extension: &str,
    telephony: TelephonyStatus,
) {
    for status in TelephonyStatus::ALL {
        let is_present = status == telephony;
        if is_present || status != TelephonyStatus::Unknown {
            let labels = [
                account,
                ("extension", extension),
                ("telephony_status", status.as_str()),
            ];
            samples.add_sample(&TELEPHONY_STATUS, &labels, f64::from(is_present));
        }
    }
}
