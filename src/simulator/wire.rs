//! The JSON of lists, as RingCentral writes it.
//!
//! Pure, and the simulator's own: it shares no type with the client, so that no mistake can agree
//! with itself. Knows how records and pages look; not which records belong on them.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::simulator::company::Extension;
use crate::simulator::record::{Party, Record};

/// Where absolute addresses of the account begin.
pub(super) struct Links {
    pub(super) host: String,
    pub(super) account_id: u64,
}

impl Links {
    pub(super) fn account(&self) -> String {
        format!(
            "http://{}/restapi/v1.0/account/{}",
            self.host, self.account_id
        )
    }

    pub(super) fn extension(&self, id: u64) -> String {
        format!("{}/extension/{id}", self.account())
    }
}

/// What of a record is shown, besides what it is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct View {
    /// With `legs`.
    pub(super) detailed: bool,
    /// With the new field `finished`.
    pub(super) finished_field: bool,
}

/// One record of the list of active calls.
pub(super) fn record(record: &Record, links: &Links, view: View) -> Value {
    // A company-level call belongs to the system extension, whose id is the account's.
    let owner = links.extension(record.extension_id.unwrap_or(links.account_id));
    let name = if view.detailed { "Detailed" } else { "Simple" };
    let mut whole = common(record, links);
    whole.insert(
        "uri".into(),
        format!("{owner}/call-log/{}?view={name}", record.id).into(),
    );
    whole.insert("id".into(), record.id.as_str().into());
    whole.insert("sessionId".into(), record.session_id.as_str().into());
    if view.finished_field {
        whole.insert("finished".into(), (!record.is_live()).into());
    }
    if record.kind == "Fax" {
        whole.insert("message".into(), fax_message(record, &owner));
    }
    if view.detailed {
        let mut leg = common(record, links);
        leg.extend([
            ("legType".into(), "Accept".into()),
            ("master".into(), true.into()),
        ]);
        whole.insert("legs".into(), json!([leg]));
    }
    whole.into()
}

/// What a record and each of its legs have in common.
fn common(record: &Record, links: &Links) -> Map<String, Value> {
    let described = "The call connected to and was accepted by this number.";
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
        "reasonDescription": record.reason.map(|_| described),
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

/// One extension of the account's list.
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

/// Where a page lies in its list, and whether the account tells the list's size.
pub(super) struct Place {
    pub(super) page: usize,
    pub(super) per_page: usize,
    pub(super) total: usize,
    pub(super) tells_total: bool,
}

impl Place {
    fn pages(&self) -> usize {
        self.total.div_ceil(self.per_page)
    }
}

/// A page; `address` writes the address of any page of its list.
pub(super) fn page(records: Vec<Value>, place: &Place, address: impl Fn(usize) -> String) -> Value {
    let link = |page: usize| json!({"uri": address(page)});
    let start = (place.page - 1).saturating_mul(place.per_page);
    // An empty page has no ends.
    let end = (start + records.len())
        .checked_sub(1)
        .filter(|_| !records.is_empty());
    let paging = without_nulls(json!({
        "page": place.page,
        "perPage": place.per_page,
        "pageStart": end.map(|_| start),
        "pageEnd": end,
        "totalPages": place.tells_total.then(|| place.pages()),
        "totalElements": place.tells_total.then_some(place.total),
    }));
    let navigation = without_nulls(json!({
        "nextPage": (place.page < place.pages()).then(|| link(place.page + 1)),
        "firstPage": link(1),
        "lastPage": place.tells_total.then(|| link(place.pages().max(1))),
    }));
    json!({"uri": address(place.page), "records": records, "paging": paging, "navigation": navigation})
}

/// RingCentral leaves out what there is not.
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

    /// The ended direct call of the published samples, but for its device and second leg.
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
    fn an_ended_call_reads_as_published() {
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
            let mut whole = fields.as_object().cloned().unwrap_or_default();
            whole.extend(more.as_object().cloned().unwrap_or_default());
            Value::from(whole)
        };
        let detailed = View {
            detailed: true,
            finished_field: false,
        };
        let leg = with(json!({"legType": "Accept", "master": true}));
        let uri = format!("{HERE}/extension/234567/call-log/LIef14l8Nt_1zUA?view=Detailed");
        let whole = with(json!({
            "uri": uri, "id": "LIef14l8Nt_1zUA", "sessionId": "538332041016", "legs": [leg],
        }));
        assert_eq!(record(&ended(), &links(), detailed), whole);
    }

    #[test]
    fn a_live_call_has_no_duration_and_a_company_level_call_no_extension() {
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
            View {
                finished_field: true,
                ..View::default()
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
    fn a_fax_has_a_message_and_exact_milliseconds_where_told() {
        let fax = Record {
            kind: "Fax",
            shows_duration_ms: true,
            ..ended()
        };
        let shown = record(&fax, &links(), View::default());
        assert_eq!(shown.pointer("/message/type"), Some(&json!("Fax")));
        assert_eq!(shown.get("durationMs"), Some(&json!(10_400)));
    }
}
