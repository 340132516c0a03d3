//! A page of the extension list: from bytes to `ringcentral_extension_info`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ringcentral_exporter::account::state::{AccountState, TimedDirectory};
use ringcentral_exporter::calls::directory::DirectoryEntry;
use ringcentral_exporter::calls::{Directory, ExtensionLabel};
use ringcentral_exporter::config::Metrics;
use ringcentral_exporter::ringcentral::wire::parse_extensions;

use crate::exposition::Sample;
use crate::fixtures::{METRICS, counters, fixed_moment, parse_exposition, render_account};
use crate::json;

/// The maximum number of records of a page.
const MAX_RECORDS: usize = 10_000;

/// The last entry of each id.
type Latest<'a> = BTreeMap<u64, &'a DirectoryEntry>;

/// Checks that each extension is found by its id, and has at most one series, with its own name.
pub fn check(data: &[u8]) {
    let page = match parse_extensions(data) {
        Ok(page) => page,
        Err(error) => {
            let other = ["missing records", "missing address of the next page"];
            return crate::assert_known_error(&error, "page of extensions", &other);
        }
    };
    let mut records = json::items(json::member(data, "records").expect("list of records"));
    assert_eq!(page.records, records.len(), "all records count");
    assert!(page.records <= MAX_RECORDS, "more records than allowed");
    records.retain(|record| json::is_object(record));
    assert!(
        page.entries.len() <= records.len(),
        "more extensions than records"
    );
    let mut latest = Latest::new();
    for entry in &page.entries {
        assert_in_bounds(entry);
        latest.insert(entry.id, entry);
    }
    let directory = Arc::new(Directory::new(page.entries.clone()));
    assert_found(&directory, &latest);
    assert_exposed(&directory, &latest);
}

fn assert_in_bounds(entry: &DirectoryEntry) {
    assert!(entry.name.chars().count() <= 129);
    let texts = [
        (&*entry.name, 258),
        (&*entry.kind, 23),
        (&*entry.status, 23),
    ];
    for (text, max_len) in texts {
        assert!(text.len() <= max_len && !text.contains(char::is_control));
    }
    if let Some(number) = &entry.number {
        assert!((1..=8).contains(&number.len()));
        assert!(number.bytes().all(|byte| byte.is_ascii_digit()));
    }
}

fn assert_found(directory: &Directory, latest: &Latest) {
    assert!(
        directory.entries().iter().eq(latest.values().copied()),
        "not the last entry of each id"
    );
    for entry in latest.values() {
        assert_eq!(directory.by_id(&entry.id.to_string()), Some(*entry));
        if let Some(number) = &entry.number {
            assert_eq!(directory.by_number(number), preferred(number, latest));
        }
    }
}

/// Returns the extension that a number stands for: an enabled one, then the one with the lowest id.
fn preferred<'a>(number: &str, latest: &Latest<'a>) -> Option<&'a DirectoryEntry> {
    let mut entries: Vec<_> = latest.values().copied().collect();
    entries.retain(|entry| entry.number.as_deref() == Some(number));
    entries.sort_by_key(|entry| (&*entry.status != "Enabled", entry.id));
    entries.first().copied()
}

/// Asserts that each value of the label has one series: by number, by id, and up to the limit.
fn assert_exposed(directory: &Arc<Directory>, latest: &Latest) {
    let mut numbers = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for entry in latest.values() {
        let id = entry.id.to_string();
        numbers.insert(entry.number.as_deref().unwrap_or(&id).to_owned());
        ids.insert(id);
    }
    let exposed = |label, max_extensions| {
        exposed_values(
            directory,
            latest,
            Metrics {
                extension_label: label,
                max_extensions,
                ..METRICS
            },
        )
    };
    assert_eq!(exposed(ExtensionLabel::Number, usize::MAX), numbers);
    assert_eq!(exposed(ExtensionLabel::Id, usize::MAX), ids);
    assert!(exposed(ExtensionLabel::Number, 2).len() <= 2);
}

/// Returns the values of the label `extension`, which are distinct.
fn exposed_values(
    directory: &Arc<Directory>,
    latest: &Latest,
    metrics: Metrics,
) -> BTreeSet<String> {
    let now = fixed_moment();
    let state = AccountState {
        directory: Some(TimedDirectory {
            directory: directory.clone(),
            fetched_at: now,
        }),
        ..AccountState::default()
    };
    let exposition = parse_exposition(&render_account(state, &counters(), &metrics, now));
    let mut values = BTreeSet::new();
    for sample in exposition.named("ringcentral_extension_info") {
        assert_matches_entry(sample, latest);
        let value = sample.labels["extension"].clone();
        assert!(values.insert(value), "two series with one value");
    }
    values
}

fn assert_matches_entry(sample: &Sample, latest: &Latest) {
    let id = sample.labels["extension_id"].parse().expect("numeric id");
    let entry = latest.get(&id).expect("extension in the list");
    assert_eq!(sample.labels["extension_name"], *entry.name);
    assert_eq!(sample.labels["extension_type"], *entry.kind);
    assert_eq!(sample.labels["extension_status"], *entry.status);
}
