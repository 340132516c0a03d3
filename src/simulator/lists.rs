//! The answers that are lists: which records belong on the page that was asked for.
//!
//! Pure. Comes after the gate: whoever gets here may see the account.

use serde_json::{Value, json};

use crate::simulator::query::Query;
use crate::simulator::record::Record;
use crate::simulator::request::ApiRequest;
use crate::simulator::response::SimResponse;
use crate::simulator::scenario::{Envelope, Scenario};
use crate::simulator::switchboard::Switchboard;
use crate::simulator::wire::{self, Links, Place, View};

const USUAL_PER_PAGE: usize = 100;

/// An answer, and what the journal wants to know of it.
pub(super) struct ListResponse {
    pub(super) reply: SimResponse,
    pub(super) records: Option<usize>,
    pub(super) listed_at_ms: Option<i64>,
}

impl From<SimResponse> for ListResponse {
    fn from(reply: SimResponse) -> ListResponse {
        ListResponse {
            reply,
            records: None,
            listed_at_ms: None,
        }
    }
}

/// A page of the active calls of the company or of one extension, as they are at `now`.
pub(super) fn active_calls(
    ask: &ApiRequest,
    scenario: &Scenario,
    switchboard: &Switchboard,
    extension: Option<u64>,
    now: i64,
) -> Result<ListResponse, SimResponse> {
    let (obeys, links) = (scenario.honors_query, links(ask, switchboard));
    let place = place(&ask.query, scenario)?;
    let mut list = match extension {
        Some(id) => switchboard.listed_for(id, now),
        None => switchboard.listed_at(now),
    };
    list.retain(|record| !obeys || passes(&ask.query, record));
    let view = View {
        detailed: obeys && ask.query.get("view") == Some("Detailed"),
        finished_field: scenario.finished_field,
    };
    let place = Place {
        total: list.len(),
        ..place
    };
    let owner = extension.map_or_else(|| links.account(), |id| links.extension(id));
    let address = address(format!("{owner}/active-calls"), &ask.query, place.per_page);
    let records = cut(&list, &place)
        .map(|record| wire::record(record, &links, view))
        .collect();
    let answer = paged(records, &place, address, scenario.envelope);
    Ok(ListResponse {
        listed_at_ms: Some(now),
        ..answer
    })
}

/// A page of the account's extensions, with totals.
pub(super) fn extensions(
    ask: &ApiRequest,
    scenario: &Scenario,
    switchboard: &Switchboard,
) -> Result<ListResponse, SimResponse> {
    let links = links(ask, switchboard);
    let wanted = switchboard.extensions().iter().filter(|extension| {
        let status = extension.status.unwrap_or("Enabled");
        is_wanted(&ask.query, "type", extension.kind) && is_wanted(&ask.query, "status", status)
    });
    let list: Vec<_> = wanted.collect();
    let place = place(&ask.query, scenario)?;
    let place = Place {
        total: list.len(),
        tells_total: true,
        ..place
    };
    let address = address(
        format!("{}/extension", links.account()),
        &ask.query,
        place.per_page,
    );
    let records = cut(&list, &place)
        .map(|extension| wire::extension(extension, &links))
        .collect();
    Ok(paged(records, &place, address, Envelope::Full))
}

/// The whole list of an instant, for people and tests.
pub(super) fn listed(
    ask: &ApiRequest,
    scenario: &Scenario,
    switchboard: &Switchboard,
    now: i64,
) -> SimResponse {
    let given = ask.query.get("at");
    let Ok(at) = given.map_or(Ok(now), str::parse) else {
        return SimResponse::bad_parameter("at", given.unwrap_or_default());
    };
    let links = links(ask, switchboard);
    let view = View {
        detailed: false,
        finished_field: scenario.finished_field,
    };
    let list = switchboard.listed_at(at);
    let records: Vec<Value> = list
        .iter()
        .map(|record| wire::record(record, &links, view))
        .collect();
    SimResponse::json(200, &records)
}

fn links(ask: &ApiRequest, switchboard: &Switchboard) -> Links {
    Links {
        host: ask.host.clone(),
        account_id: switchboard.company().account_id,
    }
}

/// Which page was asked for, of a list yet to be counted.
fn place(query: &Query, scenario: &Scenario) -> Result<Place, SimResponse> {
    let most = scenario.max_per_page.max(1);
    let per_page = match query.get("perPage") {
        _ if !scenario.honors_query => USUAL_PER_PAGE,
        Some("max") => most,
        _ => at_least_one(query, "perPage", USUAL_PER_PAGE)?,
    };
    let page = at_least_one(query, "page", 1)?;
    Ok(Place {
        page,
        per_page: per_page.min(most),
        total: 0,
        tells_total: false,
    })
}

fn at_least_one(query: &Query, name: &str, usual: usize) -> Result<usize, SimResponse> {
    let Some(text) = query.get(name) else {
        return Ok(usual);
    };
    let number = text.parse().ok().filter(|number| *number >= 1);
    number.ok_or_else(|| SimResponse::bad_parameter(name, text))
}

fn passes(query: &Query, record: &Record) -> bool {
    is_wanted(query, "direction", record.direction.name()) && is_wanted(query, "type", record.kind)
}

/// Whether `value` is among the values of a repeatable parameter; without any, everything is.
fn is_wanted(query: &Query, name: &str, value: &str) -> bool {
    let mut wanted = query.all(name).peekable();
    wanted.peek().is_none() || wanted.any(|wanted| wanted.eq_ignore_ascii_case(value))
}

fn cut<'a, T>(list: &'a [T], place: &Place) -> impl Iterator<Item = &'a T> + use<'a, T> {
    let start = (place.page - 1).saturating_mul(place.per_page);
    list.iter().skip(start).take(place.per_page)
}

/// Writes addresses of pages: what was asked is repeated, page and size are put last.
fn address(list: String, query: &Query, per_page: usize) -> impl Fn(usize) -> String + use<> {
    let others = query.written_without(&["page", "perPage", "access_token"]);
    move |page| format!("{list}?{others}page={page}&perPage={per_page}")
}

fn paged(
    records: Vec<Value>,
    place: &Place,
    address: impl Fn(usize) -> String,
    envelope: Envelope,
) -> ListResponse {
    let count = records.len();
    let body = match envelope {
        Envelope::Minimal => json!({"uri": address(place.page), "records": records}),
        Envelope::Full => wire::page(records, place, address),
    };
    ListResponse {
        records: Some(count),
        ..SimResponse::json(200, &body).into()
    }
}
