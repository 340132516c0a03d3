//! A page of the list of extensions: from bytes to `ringcentral_extension_info`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ringcentral_exporter::account::metrics::Instruments;
use ringcentral_exporter::account::state::Listed;
use ringcentral_exporter::account::state::Observation;
use ringcentral_exporter::calls::directory::Entry;
use ringcentral_exporter::calls::{Directory, ExtensionLabel};
use ringcentral_exporter::config::Metrics;
use ringcentral_exporter::ringcentral::wire::parse_extensions;

use crate::exporter::{METRICS, exposed, noon, readable};
use crate::exposition::Sample;
use crate::json;

/// Each extension is found by its id, and has one series at most, which is its own.
pub fn check(data: &[u8]) {
    let page = match parse_extensions(data) {
        Ok(page) => page,
        Err(why) => return crate::assert_closed_words(&why, "a page of extensions"),
    };
    let records = json::parts(json::member(data, "records").expect("a list of records"));
    let objects = records
        .iter()
        .filter(|record| json::is_object(record))
        .count();
    assert!(
        page.entries.len() <= objects,
        "more extensions than records"
    );
    page.entries.iter().for_each(assert_safe);
    let latest: BTreeMap<_, _> = page.entries.iter().map(|entry| (entry.id, entry)).collect();
    let directory = Arc::new(Directory::new(page.entries.clone()));
    assert_found(&directory, &latest);
    assert_exposed(&directory, &latest);
}

fn assert_safe(entry: &Entry) {
    let texts = [(&entry.name, 129), (&entry.kind, 40), (&entry.status, 40)];
    assert!(
        texts
            .iter()
            .all(|(text, most)| text.chars().count() <= *most && !text.contains(char::is_control))
    );
    let number = entry.number.as_deref().unwrap_or("1");
    assert!((1..=8).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit()));
}

fn assert_found(directory: &Directory, latest: &BTreeMap<u64, &Entry>) {
    assert!(
        directory.entries().iter().eq(latest.values().copied()),
        "each id once, as it came last"
    );
    for entry in latest.values() {
        assert_eq!(directory.by_id(&entry.id.to_string()), Some(*entry));
        let Some(number) = entry.number.as_deref() else {
            continue;
        };
        let bearers = latest
            .values()
            .filter(|it| it.number.as_deref() == Some(number));
        let first = bearers.min_by_key(|it| (&*it.status != "Enabled", it.id));
        assert_eq!(directory.by_number(number), first.copied());
    }
}

/// Each value of the label has one series: by number, by id, and as far as there is room.
fn assert_exposed(directory: &Arc<Directory>, latest: &BTreeMap<u64, &Entry>) {
    let by_number = latest.values().map(|entry| {
        entry
            .number
            .as_deref()
            .map_or(entry.id.to_string(), str::to_owned)
    });
    let by_id = latest.keys().map(u64::to_string);
    assert_eq!(
        shown(directory, latest, ExtensionLabel::Number, usize::MAX),
        by_number.collect()
    );
    assert_eq!(
        shown(directory, latest, ExtensionLabel::Id, usize::MAX),
        by_id.collect()
    );
    assert!(shown(directory, latest, ExtensionLabel::Number, 2).len() <= 2);
}

fn shown(
    directory: &Arc<Directory>,
    latest: &BTreeMap<u64, &Entry>,
    extension_label: ExtensionLabel,
    max_extensions: usize,
) -> BTreeSet<String> {
    let now = noon();
    let listed = Listed {
        directory: directory.clone(),
        read: now,
    };
    let observation = Observation {
        directory: Some(listed),
        ..Observation::default()
    };
    let metrics = Metrics {
        extension_label,
        max_extensions,
        ..METRICS
    };
    let instruments = Instruments::new("fuzz", true).expect("instruments");
    let exposition = readable(&exposed(observation, &instruments, &metrics, now));
    let series: Vec<_> = exposition.named("ringcentral_extension_info").collect();
    series.iter().for_each(|sample| assert_own(sample, latest));
    let values: BTreeSet<_> = series
        .iter()
        .map(|sample| sample.labels["extension"].clone())
        .collect();
    assert_eq!(
        values.len(),
        series.len(),
        "a value of extension with two series"
    );
    values
}

fn assert_own(sample: &Sample, latest: &BTreeMap<u64, &Entry>) {
    let id = sample.labels["extension_id"].parse().expect("an id");
    let entry: &Entry = latest.get(&id).expect("an extension of the list");
    let shown = ["extension_name", "extension_type", "extension_status"]
        .map(|label| sample.labels[label].as_str());
    assert_eq!(shown, [&*entry.name, &*entry.kind, &*entry.status]);
}
