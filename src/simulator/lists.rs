//! Responses with lists: selects the records of the requested page.
//!
//! The caller has checked the permissions.

use form_urlencoded::Serializer;
use serde_json::{Value, json};

use crate::simulator::presence;
use crate::simulator::query::Query;
use crate::simulator::record::Record;
use crate::simulator::request::ApiRequest;
use crate::simulator::response::SimResponse;
use crate::simulator::scenario::{Envelope, Scenario};
use crate::simulator::switchboard::Switchboard;
use crate::simulator::wire::{self, Links, Page, RecordFormat};

const DEFAULT_PER_PAGE: usize = 100;

/// A response with the facts that the journal records about it.
pub(super) struct ListResponse {
    pub(super) response: SimResponse,
    pub(super) records: Option<usize>,
    pub(super) listed_at_ms: Option<i64>,
}

impl From<SimResponse> for ListResponse {
    fn from(response: SimResponse) -> ListResponse {
        ListResponse {
            response,
            records: None,
            listed_at_ms: None,
        }
    }
}

/// Returns a page of the active calls of the company or of one extension at `now`.
pub(super) fn active_calls(
    request: &ApiRequest,
    scenario: &Scenario,
    switchboard: &Switchboard,
    extension: Option<u64>,
    now: i64,
) -> Result<ListResponse, SimResponse> {
    let links = links(request, switchboard);
    let mut page = requested_page(&request.query, scenario)?;
    let mut list = match extension {
        Some(id) => switchboard.listed_for(id, now),
        None => switchboard.listed_at(now),
    };
    if scenario.honors_query {
        list.retain(|record| matches_filters(&request.query, record));
    }
    page.total = list.len();
    let detailed = scenario.honors_query && request.query.get("view") == Some("Detailed");
    let format = RecordFormat {
        detailed,
        finished_field: scenario.finished_field,
    };
    let owner = match extension {
        Some(id) => links.extension(id),
        None => links.account(),
    };
    let mut records = Vec::new();
    for record in page.select(&list) {
        records.push(wire::record(record, &links, format));
    }
    let url = page_url(format!("{owner}/active-calls"), &request.query, &page);
    let response = wrap(records, &page, url, scenario.envelope);
    Ok(ListResponse {
        listed_at_ms: Some(now),
        ..response
    })
}

/// Returns a page of the account's extensions, with totals.
pub(super) fn extensions(
    request: &ApiRequest,
    scenario: &Scenario,
    switchboard: &Switchboard,
) -> Result<ListResponse, SimResponse> {
    let links = links(request, switchboard);
    let query = &request.query;
    let mut list = Vec::new();
    for extension in switchboard.extensions() {
        let status = extension.status.unwrap_or("Enabled");
        if matches(query, "type", extension.kind) && matches(query, "status", status) {
            list.push(extension);
        }
    }
    let mut page = requested_page(query, scenario)?;
    page.total = list.len();
    page.with_totals = true;
    let mut records = Vec::new();
    for extension in page.select(&list) {
        records.push(wire::extension(extension, &links));
    }
    let url = page_url(format!("{}/extension", links.account()), query, &page);
    Ok(wrap(records, &page, url, Envelope::Full))
}

/// Returns a page of the account's presence at `now`, with totals.
pub(super) fn presence(
    request: &ApiRequest,
    scenario: &Scenario,
    switchboard: &Switchboard,
    now: i64,
) -> Result<ListResponse, SimResponse> {
    let links = links(request, switchboard);
    let list = switchboard.presence_at(now);
    let mut page = requested_page(&request.query, scenario)?;
    page.total = list.len();
    page.with_totals = true;
    let mut records = Vec::new();
    for row in page.select(&list) {
        if let Some(extension) = switchboard.extensions().get(row.position) {
            records.push(presence::wire::row(extension, row.status, &links));
        }
    }
    let url = page_url(
        format!("{}/presence", links.account()),
        &request.query,
        &page,
    );
    Ok(ListResponse {
        listed_at_ms: Some(now),
        ..wrap(records, &page, url, Envelope::Full)
    })
}

/// Returns the whole list of the instant `at`, by default `now`, without a login.
pub(super) fn listed(
    request: &ApiRequest,
    scenario: &Scenario,
    switchboard: &Switchboard,
    now: i64,
) -> SimResponse {
    let at = match request.query.get("at") {
        None => now,
        Some(text) => match text.parse() {
            Ok(at) => at,
            Err(_) => return SimResponse::bad_parameter("at", text),
        },
    };
    let links = links(request, switchboard);
    let format = RecordFormat {
        detailed: false,
        finished_field: scenario.finished_field,
    };
    let mut records = Vec::new();
    for record in switchboard.listed_at(at) {
        records.push(wire::record(&record, &links, format));
    }
    SimResponse::json(200, &records)
}

fn links(request: &ApiRequest, switchboard: &Switchboard) -> Links {
    Links {
        host: request.host.clone(),
        account_id: switchboard.company().account_id,
    }
}

/// Returns the page that the query selects; the caller sets its `total`.
fn requested_page(query: &Query, scenario: &Scenario) -> Result<Page, SimResponse> {
    let max = scenario.max_per_page.max(1);
    let per_page = match query.get("perPage") {
        _ if !scenario.honors_query => DEFAULT_PER_PAGE,
        Some("max") => max,
        _ => positive(query, "perPage", DEFAULT_PER_PAGE)?,
    };
    Ok(Page {
        number: positive(query, "page", 1)?,
        per_page: per_page.min(max),
        total: 0,
        with_totals: false,
    })
}

fn positive(query: &Query, name: &str, default: usize) -> Result<usize, SimResponse> {
    let Some(text) = query.get(name) else {
        return Ok(default);
    };
    match text.parse() {
        Ok(number) if number >= 1 => Ok(number),
        _ => Err(SimResponse::bad_parameter(name, text)),
    }
}

fn matches_filters(query: &Query, record: &Record) -> bool {
    matches(query, "direction", record.direction.name()) && matches(query, "type", record.kind)
}

/// Returns whether `value` is among the values of a repeatable parameter, or there are none.
fn matches(query: &Query, name: &str, value: &str) -> bool {
    if query.get(name).is_none() {
        return true;
    }
    let mut values = query.get_all(name);
    values.any(|accepted| accepted.eq_ignore_ascii_case(value))
}

/// Returns a function from page number to URL: the other parameters of the request come first.
fn page_url(list: String, query: &Query, page: &Page) -> impl Fn(usize) -> String + use<> {
    let others = query.without(&["page", "perPage", "access_token"]);
    let per_page = page.per_page.to_string();
    move |number| {
        Serializer::for_suffix(format!("{list}?{others}"), list.len() + 1)
            .append_pair("page", &number.to_string())
            .append_pair("perPage", &per_page)
            .finish()
    }
}

fn wrap(
    records: Vec<Value>,
    page: &Page,
    url: impl Fn(usize) -> String,
    envelope: Envelope,
) -> ListResponse {
    let count = records.len();
    let body = match envelope {
        Envelope::Minimal => json!({"uri": url(page.number), "records": records}),
        Envelope::Full => wire::page(records, page, url),
    };
    ListResponse {
        records: Some(count),
        ..SimResponse::json(200, &body).into()
    }
}
