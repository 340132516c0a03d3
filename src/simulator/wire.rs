//! The JSON of lists, in RingCentral's format.
//!
//! Shares no type with `ringcentral::wire`, so that one mistake cannot cancel out in tests.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::simulator::company::Extension;
use crate::simulator::record::{Party, Record};

/// The parts of absolute URLs of the account.
pub(super) struct Links {
    pub(super) host: String,
    pub(super) account_id: u64,
}

impl Links {
    /// Returns the URL of the account.
    pub(super) fn account(&self) -> String {
        format!(
            "http://{}/restapi/v1.0/account/{}",
            self.host, self.account_id
        )
    }

    /// Returns the URL of an extension.
    pub(super) fn extension(&self, id: u64) -> String {
        format!("{}/extension/{id}", self.account())
    }
}

/// The optional fields of a record.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RecordFormat {
    /// Whether to add `legs`.
    pub(super) detailed: bool,
    /// Whether to add the new field `finished`.
    pub(super) finished_field: bool,
}

/// Returns the JSON of a record of the list of active calls.
pub(super) fn record(record: &Record, links: &Links, format: RecordFormat) -> Value {
    // A company-level call belongs to the system extension, whose id is the account's.
    let owner = links.extension(record.extension_id.unwrap_or(links.account_id));
    let view = if format.detailed {
        "Detailed"
    } else {
        "Simple"
    };
    let mut fields = common(record, links);
    fields.insert(
        "uri".into(),
        format!("{owner}/call-log/{}?view={view}", record.id).into(),
    );
    fields.insert("id".into(), record.id.as_str().into());
    fields.insert("sessionId".into(), record.session_id.as_str().into());
    if format.finished_field {
        fields.insert("finished".into(), (!record.is_live()).into());
    }
    if record.kind == "Fax" {
        fields.insert("message".into(), fax_message(record, &owner));
    }
    if format.detailed {
        let mut leg = common(record, links);
        leg.extend([
            ("legType".into(), "Accept".into()),
            ("master".into(), true.into()),
        ]);
        fields.insert("legs".into(), json!([leg]));
    }
    fields.into()
}

/// Returns the fields that a record shares with each of its legs.
fn common(record: &Record, links: &Links) -> Map<String, Value> {
    let description = "The call connected to and was accepted by this number.";
    let extension = |id| json!({"uri": links.extension(id), "id": id});
    without_nulls(json!({
        "startTime": Timestamp::from_millisecond(record.start_ms).map(|at| format!("{at:.3}")).ok(),
        "duration": record.duration_ms.map(|ms| ms / 1000),
        "durationMs": record.duration_ms.filter(|_| record.shows_duration_ms),
        "type": record.kind,
        "direction": record.direction,
        "action": record.action,
        "result": record.result,
        "to": party(&record.to),
        "from": party(&record.from),
        "extension": record.extension_id.map(extension),
        "reason": record.reason,
        "reasonDescription": record.reason.map(|_| description),
        "telephonySessionId": record.telephony_session_id,
    }))
}

fn party(party: &Party) -> Map<String, Value> {
    without_nulls(json!({
        "name": party.name,
        "phoneNumber": party.phone_number,
        "extensionNumber": party.extension_number,
        "extensionId": party.extension_id.map(|id| id.to_string()),
        "location": party.location,
    }))
}

fn fax_message(record: &Record, owner: &str) -> Value {
    let id = &record.session_id;
    json!({"uri": format!("{owner}/message-store/{id}"), "id": id, "type": "Fax"})
}

/// Returns the JSON of an extension of the account's list.
pub(super) fn extension(extension: &Extension, links: &Links) -> Value {
    let fields = without_nulls(json!({
        "uri": links.extension(extension.id),
        "id": extension.id,
        "extensionNumber": extension.number,
        "name": extension.name,
        "type": extension.kind,
        "status": extension.status,
        "hidden": false,
    }));
    fields.into()
}

/// The position of a page in its list.
#[derive(Clone, Copy)]
pub(super) struct Page {
    /// Number of the page, from 1.
    pub(super) number: usize,
    pub(super) per_page: usize,
    /// Number of records in the whole list.
    pub(super) total: usize,
    /// Whether the page shows the number of pages and records of the list.
    pub(super) with_totals: bool,
}

impl Page {
    /// Returns the part of `list` that belongs on the page.
    pub(super) fn select<'a, T>(&self, list: &'a [T]) -> &'a [T] {
        let start = self.start().min(list.len());
        let end = start.saturating_add(self.per_page).min(list.len());
        list.get(start..end).unwrap_or_default()
    }

    fn start(&self) -> usize {
        (self.number - 1).saturating_mul(self.per_page)
    }

    fn count(&self) -> usize {
        self.total.div_ceil(self.per_page)
    }
}

/// Returns the JSON of a page; `url` returns the URL of a page of the list by its number.
pub(super) fn page(records: Vec<Value>, page: &Page, url: impl Fn(usize) -> String) -> Value {
    let link = |number: usize| json!({"uri": url(number)});
    // RingCentral leaves start and end out of an empty page.
    let (start, end) = if records.is_empty() {
        (None, None)
    } else {
        let start = page.start();
        (Some(start), Some(start + records.len() - 1))
    };
    let paging = without_nulls(json!({
        "page": page.number,
        "perPage": page.per_page,
        "pageStart": start,
        "pageEnd": end,
        "totalPages": page.with_totals.then(|| page.count()),
        "totalElements": page.with_totals.then_some(page.total),
    }));
    let navigation = without_nulls(json!({
        "nextPage": (page.number < page.count()).then(|| link(page.number + 1)),
        "firstPage": link(1),
        "lastPage": page.with_totals.then(|| link(page.count().max(1))),
    }));
    json!({"uri": url(page.number), "records": records, "paging": paging, "navigation": navigation})
}

/// Removes fields that are null, which RingCentral leaves out.
fn without_nulls(value: Value) -> Map<String, Value> {
    let Value::Object(mut fields) = value else {
        return Map::new();
    };
    fields.retain(|_, value| !value.is_null());
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::record::Direction;

    const HERE: &str = "http://127.0.0.1:1/restapi/v1.0/account/123456";

    fn links() -> Links {
        Links {
            host: "127.0.0.1:1".into(),
            account_id: 123_456,
        }
    }

    /// Returns the ended direct call of RingCentral's samples without its device and second leg.
    fn ended() -> Record {
        Record {
            id: "LIef14l8Nt_1zUA".into(),
            session_id: "538332041016".into(),
            telephony_session_id: Some("s-8f8125f1aeb944f486531c351a2f520e".into()),
            start_ms: 1_611_100_737_000,
            duration_ms: Some(10_400),
            shows_duration_ms: false,
            kind: "Voice",
            direction: Direction::Inbound,
            action: "Phone Call",
            result: "Accepted",
            reason: Some("Accepted"),
            from: Party {
                name: Some("WIRELESS CALLER".into()),
                ..Party::default()
            },
            to: Party {
                extension_number: Some("11115".into()),
                ..Party::default()
            },
            extension_id: Some(234_567),
        }
    }

    #[test]
    fn ended_call_equals_the_published_sample() {
        let fields = json!({
            "startTime": "2021-01-19T23:58:57.000Z",
            "duration": 10,
            "type": "Voice",
            "direction": "Inbound",
            "action": "Phone Call",
            "result": "Accepted",
            "to": {"extensionNumber": "11115"},
            "from": {"name": "WIRELESS CALLER"},
            "extension": {"uri": format!("{HERE}/extension/234567"), "id": 234_567},
            "reason": "Accepted",
            "reasonDescription": "The call connected to and was accepted by this number.",
            "telephonySessionId": "s-8f8125f1aeb944f486531c351a2f520e",
        });
        let with = |more: Value| {
            let mut merged = fields.as_object().cloned().unwrap_or_default();
            merged.extend(more.as_object().cloned().unwrap_or_default());
            Value::from(merged)
        };
        let detailed = RecordFormat {
            detailed: true,
            finished_field: false,
        };
        let leg = with(json!({"legType": "Accept", "master": true}));
        let uri = format!("{HERE}/extension/234567/call-log/LIef14l8Nt_1zUA?view=Detailed");
        let expected = with(json!({
            "uri": uri, "id": "LIef14l8Nt_1zUA", "sessionId": "538332041016", "legs": [leg],
        }));
        assert_eq!(record(&ended(), &links(), detailed), expected);
    }

    #[test]
    fn live_company_call_has_no_duration_or_extension() {
        let live = Record {
            duration_ms: None,
            result: "In Progress",
            shows_duration_ms: true,
            extension_id: None,
            ..ended()
        };
        let shown = record(
            &live,
            &links(),
            RecordFormat {
                finished_field: true,
                ..RecordFormat::default()
            },
        );
        for absent in ["duration", "durationMs", "extension", "legs"] {
            assert!(shown.get(absent).is_none(), "{absent}");
        }
        assert_eq!(shown.get("finished"), Some(&json!(false)));
        let uri = format!("{HERE}/extension/123456/call-log/LIef14l8Nt_1zUA?view=Simple");
        assert_eq!(shown.get("uri"), Some(&json!(uri)));
    }

    #[test]
    fn fax_has_a_message_and_duration_in_milliseconds() {
        let fax = Record {
            kind: "Fax",
            shows_duration_ms: true,
            ..ended()
        };
        let shown = record(&fax, &links(), RecordFormat::default());
        assert_eq!(shown.pointer("/message/type"), Some(&json!("Fax")));
        assert_eq!(shown.get("durationMs"), Some(&json!(10_400)));
    }
}
