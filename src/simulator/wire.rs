//! The JSON of lists, as RingCentral writes it.
//!
//! Pure, and the simulator's own: it shares no type with the client, so that no mistake can agree
//! with itself. Knows how records and pages look; not which records belong on them.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::company::Extension;
use super::record::{Direction, Party, Record};

/// Where absolute addresses of the account begin.
pub(super) struct Links {
    pub(super) host: String,
    pub(super) account_id: u64,
}

impl Links {
    pub(super) fn account(&self) -> String {
        format!("http://{}/restapi/v1.0/account/{}", self.host, self.account_id)
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

#[derive(Serialize)]
struct Uri {
    uri: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WireParty<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone_number: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extension_number: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extension_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<&'a str>,
}

impl<'a> WireParty<'a> {
    fn new(party: &'a Party) -> WireParty<'a> {
        WireParty {
            name: party.name.as_deref(),
            phone_number: party.phone_number.as_deref(),
            extension_number: party.extension_number.as_deref(),
            extension_id: party.extension_id.map(|id| id.to_string()),
            location: party.location,
        }
    }
}

#[derive(Serialize)]
struct WireOwner {
    uri: String,
    id: u64,
}

/// What a record and each of its legs have in common.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Common<'a> {
    start_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<i64>,
    r#type: &'a str,
    direction: Direction,
    action: &'a str,
    result: &'a str,
    to: WireParty<'a>,
    from: WireParty<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extension: Option<WireOwner>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason_description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    telephony_session_id: Option<&'a str>,
}

impl<'a> Common<'a> {
    fn new(record: &'a Record, links: &Links) -> Common<'a> {
        let described = "The call connected to and was accepted by this number.";
        Common {
            start_time: iso(record.start_ms),
            duration: record.duration_ms.map(|ms| ms / 1000),
            duration_ms: record.duration_ms.filter(|_| record.shows_duration_ms),
            r#type: record.kind,
            direction: record.direction,
            action: record.action,
            result: record.result,
            to: WireParty::new(&record.to),
            from: WireParty::new(&record.from),
            extension: record.extension_id.map(|id| WireOwner { uri: links.extension(id), id }),
            reason: record.reason,
            reason_description: record.reason.map(|_| described),
            telephony_session_id: record.telephony_session_id.as_deref(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Leg<'a> {
    #[serde(flatten)]
    common: Common<'a>,
    leg_type: &'static str,
    master: bool,
}

/// One record on the wire.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireRecord<'a> {
    uri: String,
    id: &'a str,
    session_id: &'a str,
    #[serde(flatten)]
    common: Common<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    legs: Option<[Leg<'a>; 1]>,
}

impl<'a> WireRecord<'a> {
    pub(super) fn new(record: &'a Record, links: &Links, view: View) -> WireRecord<'a> {
        // A company-level call belongs to the system extension, whose id is the account's.
        let owner = links.extension(record.extension_id.unwrap_or(links.account_id));
        let name = if view.detailed { "Detailed" } else { "Simple" };
        let leg = || Leg { common: Common::new(record, links), leg_type: "Accept", master: true };
        WireRecord {
            uri: format!("{owner}/call-log/{}?view={name}", record.id),
            id: &record.id,
            session_id: &record.session_id,
            common: Common::new(record, links),
            finished: view.finished_field.then_some(!record.is_live()),
            message: (record.kind == "Fax").then(|| fax_message(record, &owner)),
            legs: view.detailed.then(|| [leg()]),
        }
    }
}

fn fax_message(record: &Record, owner: &str) -> Value {
    let id = &record.session_id;
    json!({"uri": format!("{owner}/message-store/{id}"), "id": id, "type": "Fax"})
}

/// One extension on the wire.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireExtension<'a> {
    uri: String,
    id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    extension_number: Option<&'a str>,
    name: &'a str,
    r#type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'a str>,
    hidden: bool,
}

impl<'a> WireExtension<'a> {
    pub(super) fn new(extension: &'a Extension, links: &Links) -> WireExtension<'a> {
        WireExtension {
            uri: links.extension(extension.id),
            id: extension.id,
            extension_number: extension.number.as_deref(),
            name: &extension.name,
            r#type: extension.kind,
            status: extension.status,
            hidden: false,
        }
    }
}

fn iso(unix_ms: i64) -> String {
    Timestamp::from_millisecond(unix_ms).map(|time| format!("{time:.3}")).unwrap_or_default()
}

/// Where a page lies in its list.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Paging {
    pub(super) page: usize,
    pub(super) per_page: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) page_start: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) page_end: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) total_pages: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) total_elements: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Navigation {
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page: Option<Uri>,
    first_page: Uri,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_page: Option<Uri>,
}

/// A page of a list.
#[derive(Serialize)]
pub(super) struct WirePage<T> {
    uri: String,
    records: Vec<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    paging: Option<Paging>,
    #[serde(skip_serializing_if = "Option::is_none")]
    navigation: Option<Navigation>,
}

impl<T> WirePage<T> {
    pub(super) fn bare(uri: String, records: Vec<T>) -> WirePage<T> {
        WirePage { uri, records, paging: None, navigation: None }
    }

    /// `address` writes the address of a page of this list; `next` and `last` are page numbers.
    pub(super) fn full(
        records: Vec<T>,
        paging: Paging,
        address: impl Fn(usize) -> String,
        next: Option<usize>,
        last: Option<usize>,
    ) -> WirePage<T> {
        let link = |page: usize| Uri { uri: address(page) };
        let navigation = Navigation { next_page: next.map(link), first_page: link(1), last_page: last.map(link) };
        WirePage { uri: address(paging.page), records, paging: Some(paging), navigation: Some(navigation) }
    }
}
