//! Property tests with malformed records: an invalid record must not affect the rest of its page.

#![allow(
    unreachable_pub,
    reason = "nothing outside this program can use its items"
)]
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

/// Returns one page with the records of all samples, except faxes.
fn sample_page() -> Value {
    let mut records = Vec::new();
    for sample in SAMPLES {
        let page: Value = serde_json::from_str(sample).unwrap();
        records.extend(page["records"].as_array().unwrap().clone());
    }
    records.retain(|record| record["type"] != "Fax");
    json!({ "records": records })
}

/// Parses a page.
fn parse(page: &Value) -> CallPage {
    parse_page(page.to_string().as_bytes(), 1).unwrap()
}

/// Returns a strategy for any JSON value, a few levels deep.
fn any_json() -> impl Strategy<Value = Value> {
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

/// Collects the JSON pointers of all fields of a record, including nested fields.
fn collect_fields(value: &Value, parent: &str, pointers: &mut Vec<String>) {
    if let Some(fields) = value.as_object() {
        for (name, field) in fields {
            let pointer = format!("{parent}/{name}");
            pointers.push(pointer.clone());
            collect_fields(field, &pointer, pointers);
        }
    }
}

/// Returns the calls except the one at `index`.
fn without(calls: &[Call], index: usize) -> Vec<Call> {
    let mut calls = calls.to_vec();
    calls.remove(index);
    calls
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn malformed_field_affects_only_its_record(
        record in any::<Index>(),
        field in any::<Index>(),
        value in any_json(),
    ) {
        let mut page = sample_page();
        let valid = parse(&page);
        let record = record.index(valid.calls.len());
        let mut fields = Vec::new();
        collect_fields(&page["records"][record], "", &mut fields);
        let field = field.get(&fields).clone();
        let is_fax = value.as_str().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("fax"));
        prop_assume!(!(field == "/type" && is_fax));
        *page["records"][record].pointer_mut(&field).unwrap() = value;
        let malformed = parse(&page);
        prop_assert_eq!(malformed.skipped, 0);
        prop_assert_eq!(malformed.calls.len(), valid.calls.len());
        prop_assert_eq!(without(&malformed.calls, record), without(&valid.calls, record));
        page["records"].as_array_mut().unwrap().push(Value::Null);
        prop_assert_eq!(
            parse(&page),
            CallPage { skipped: 1, ..malformed.clone() },
            "the lenient parser must give the same calls"
        );
        let call = &malformed.calls[record];
        let result = call.result.as_str();
        prop_assert!(result.chars().count() <= 64 && !result.contains(char::is_control));
        if let Some(extension) = &call.extension {
            for text in extension.number.iter().chain(&extension.id) {
                prop_assert!(text.bytes().all(|byte| byte.is_ascii_digit()));
            }
        }
    }

    #[test]
    fn non_object_record_is_skipped(record in any::<Index>(), value in any_json()) {
        let mut page = sample_page();
        let valid = parse(&page);
        let record = record.index(valid.calls.len());
        let is_object = value.is_object();
        page["records"][record] = value;
        let malformed = parse(&page);
        prop_assert_eq!(malformed.skipped, usize::from(!is_object));
        let rest = if is_object { without(&malformed.calls, record) } else { malformed.calls };
        prop_assert_eq!(rest, without(&valid.calls, record));
    }

    #[test]
    fn corrupted_bytes_do_not_panic(
        index in any::<Index>(),
        byte in any::<u8>(),
        length in any::<Index>(),
    ) {
        let mut bytes = sample_page().to_string().into_bytes();
        let index = index.index(bytes.len());
        bytes[index] = byte;
        let _ = parse_page(&bytes, 1);
        bytes.truncate(length.index(bytes.len()));
        prop_assert!(parse_page(&bytes, 1).is_err(), "a truncated page must be rejected");
    }
}
