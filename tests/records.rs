//! A malformed record costs only itself: properties of published payloads in which one thing is changed.

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

/// Returns all published records on one page, without faxes.
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

/// Generates any JSON value, a few levels deep.
fn any_value() -> impl Strategy<Value = Value> {
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

/// Collects the JSON pointers of all fields in a record, nested ones included.
fn collect_pointers(value: &Value, path: &str, pointers: &mut Vec<String>) {
    if let Some(fields) = value.as_object() {
        for (name, field) in fields {
            let path = format!("{path}/{name}");
            pointers.push(path.clone());
            collect_pointers(field, &path, pointers);
        }
    }
}

/// Returns the calls other than the one at `index`.
fn others(calls: &[Call], index: usize) -> Vec<Call> {
    calls
        .iter()
        .enumerate()
        .filter(|(other, _)| *other != index)
        .map(|(_, call)| call.clone())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn invalid_field_keeps_its_record_and_all_others(
        record in any::<Index>(),
        pointer in any::<Index>(),
        value in any_value(),
    ) {
        let mut page = page();
        let whole = parse(&page);
        let record = record.index(whole.calls.len());
        let mut all = Vec::new();
        collect_pointers(&page["records"][record], "", &mut all);
        let pointer = pointer.get(&all).clone();
        prop_assume!(!(pointer == "/type" && value.as_str().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("fax"))));
        *page["records"][record].pointer_mut(&pointer).unwrap() = value;
        let broken = parse(&page);
        prop_assert_eq!(broken.skipped, 0);
        prop_assert_eq!(broken.calls.len(), whole.calls.len());
        prop_assert_eq!(others(&broken.calls, record), others(&whole.calls, record));
        page["records"].as_array_mut().unwrap().push(Value::Null);
        prop_assert_eq!(parse(&page), CallPage { skipped: 1, ..broken.clone() }, "a skipped record changes no other");
        let call = &broken.calls[record];
        prop_assert!(call.result.as_str().chars().count() <= 64 && !call.result.as_str().contains(char::is_control));
        if let Some(extension) = &call.extension {
            prop_assert!(extension.number_or_id().bytes().all(|byte| byte.is_ascii_digit()));
        }
    }

    #[test]
    fn record_is_skipped_unless_it_is_an_object(record in any::<Index>(), value in any_value()) {
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
    fn changed_bytes_never_panic(at in any::<Index>(), byte in any::<u8>(), cut in any::<Index>()) {
        let mut bytes = page().to_string().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = parse_page(&bytes, 1);
        bytes.truncate(cut.index(bytes.len()));
        prop_assert!(parse_page(&bytes, 1).is_err(), "a truncated list is an error");
    }
}
