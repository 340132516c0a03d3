//! One bad record never spoils the page: a property over published payloads in which something is broken.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail"
)]

use proptest::prelude::*;
use proptest::sample::Index;
use ringcentral_exporter::calls::Call;
use ringcentral_exporter::ringcentral::wire::{CallPage, parse_page};
use serde_json::{Value, json};

const SAMPLES: [&str; 3] = [
    include_str!("fixtures/active-calls-account-simple.json"),
    include_str!("fixtures/active-calls-direct-ended-detailed.json"),
    include_str!("fixtures/call-log-page-with-next.json"),
];

/// All published records on one page, the fax left out.
fn page() -> Value {
    let records = SAMPLES.iter().flat_map(|sample| {
        let page: Value = serde_json::from_str(sample).unwrap();
        page["records"].as_array().unwrap().clone()
    });
    json!({ "records": records.filter(|record| record["type"] != "Fax").collect::<Vec<_>>() })
}

fn parse(page: &Value) -> CallPage {
    parse_page(page.to_string().as_bytes(), 1).unwrap()
}

/// Any JSON, a few levels deep.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(json!("In Progress")),
        Just(json!("2026-99-99T99:99:99Z")),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let fields = prop::collection::btree_map(".{0,8}", inner.clone(), 0..4);
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::from),
            fields.prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Places inside a record: its fields, and theirs.
fn places(value: &Value, path: &str, places: &mut Vec<String>) {
    if let Some(fields) = value.as_object() {
        for (name, field) in fields {
            let path = format!("{path}/{name}");
            places.push(path.clone());
            self::places(field, &path, places);
        }
    }
}

/// The calls other than the one at `place`.
fn others(calls: &[Call], place: usize) -> Vec<Call> {
    calls
        .iter()
        .enumerate()
        .filter(|(index, _)| *index != place)
        .map(|(_, call)| call.clone())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn malformed_field_affects_only_its_record(
        record in any::<Index>(),
        place in any::<Index>(),
        value in anything(),
    ) {
        let mut page = page();
        let whole = parse(&page);
        let record = record.index(whole.calls.len());
        let mut all = Vec::new();
        places(&page["records"][record], "", &mut all);
        let place = place.get(&all).clone();
        prop_assume!(!(place == "/type" && value.as_str().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("fax"))));
        *page["records"][record].pointer_mut(&place).unwrap() = value;
        let broken = parse(&page);
        prop_assert_eq!(broken.skipped, 0);
        prop_assert_eq!(broken.calls.len(), whole.calls.len());
        prop_assert_eq!(others(&broken.calls, record), others(&whole.calls, record));
        page["records"].as_array_mut().unwrap().push(Value::Null);
        prop_assert_eq!(parse(&page), CallPage { skipped: 1, ..broken.clone() }, "read at one go or one by one");
        let call = &broken.calls[record];
        prop_assert!(call.result.as_str().chars().count() <= 64 && !call.result.as_str().contains(char::is_control));
        if let Some(extension) = &call.extension {
            prop_assert!(extension.number_or_id().bytes().all(|byte| byte.is_ascii_digit()));
        }
    }

    #[test]
    fn non_object_record_is_skipped(record in any::<Index>(), value in anything()) {
        let mut page = page();
        let whole = parse(&page);
        let record = record.index(whole.calls.len());
        let is_object = value.is_object();
        page["records"][record] = value;
        let broken = parse(&page);
        prop_assert_eq!(broken.skipped, usize::from(!is_object));
        let rest = if is_object { others(&broken.calls, record) } else { broken.calls };
        prop_assert_eq!(rest, others(&whole.calls, record));
    }

    #[test]
    fn corrupted_bytes_do_not_panic(at in any::<Index>(), byte in any::<u8>(), cut in any::<Index>()) {
        let mut bytes = page().to_string().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = parse_page(&bytes, 1);
        bytes.truncate(cut.index(bytes.len()));
        prop_assert!(parse_page(&bytes, 1).is_err(), "a list that is cut short is refused");
    }
}
