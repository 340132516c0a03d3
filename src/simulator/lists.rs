//! The answers that are lists: which records belong on the page that was asked for.
//!
//! Pure. Comes after the gate: whoever gets here may see the account.

use super::ask::Ask;
use super::query::Query;
use super::record::Record;
use super::reply::Reply;
use super::scenario::{Envelope, Scenario};
use super::switchboard::Switchboard;
use super::wire::{Links, Paging, View, WireExtension, WirePage, WireRecord};

const USUAL_PER_PAGE: usize = 100;

/// An answer, and what the journal wants to know of it.
pub(super) struct Answer {
    pub(super) reply: Reply,
    pub(super) records: Option<usize>,
    pub(super) listed_at_ms: Option<i64>,
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Answer {
        Answer { reply, records: None, listed_at_ms: None }
    }
}

/// Which page was asked for.
#[derive(Clone, Copy)]
struct Cut {
    page: usize,
    per_page: usize,
}

impl Cut {
    fn read(query: &Query, scenario: &Scenario) -> Result<Cut, Reply> {
        let page = at_least_one(query, "page", 1)?;
        let most = scenario.max_per_page.max(1);
        let per_page = match query.get("perPage") {
            _ if !scenario.obeys_query => USUAL_PER_PAGE,
            Some("max") => most,
            _ => at_least_one(query, "perPage", USUAL_PER_PAGE)?,
        };
        Ok(Cut { page, per_page: per_page.min(most) })
    }

    fn of<T>(self, items: Vec<T>) -> Vec<T> {
        let start = (self.page - 1).saturating_mul(self.per_page);
        items.into_iter().skip(start).take(self.per_page).collect()
    }

    fn pages(self, total: usize) -> usize {
        total.div_ceil(self.per_page)
    }

    fn next(self, total: usize) -> Option<usize> {
        (self.page < self.pages(total)).then_some(self.page + 1)
    }

    /// Without totals, and of an empty page without the places of its ends.
    fn paging(self, on_page: usize) -> Paging {
        let start = (self.page - 1).saturating_mul(self.per_page);
        Paging {
            page: self.page,
            per_page: self.per_page,
            page_start: (on_page > 0).then_some(start),
            page_end: (on_page > 0).then(|| start + on_page - 1),
            total_pages: None,
            total_elements: None,
        }
    }
}

fn at_least_one(query: &Query, name: &str, usual: usize) -> Result<usize, Reply> {
    let Some(text) = query.get(name) else {
        return Ok(usual);
    };
    let number = text.parse().ok().filter(|number| *number >= 1);
    number.ok_or_else(|| Reply::bad_parameter(name, text))
}

/// Whether `value` is among the values of a repeatable parameter; without any, everything is.
fn is_wanted(query: &Query, name: &str, value: &str) -> bool {
    let mut wanted = query.all(name).peekable();
    wanted.peek().is_none() || wanted.any(|wanted| wanted.eq_ignore_ascii_case(value))
}

/// A page of the active calls of the company or of one extension, as they are at `now`.
pub(super) fn active_calls(
    ask: &Ask,
    scenario: &Scenario,
    switchboard: &Switchboard,
    extension: Option<u64>,
    now: i64,
) -> Result<Answer, Reply> {
    let links = Links { host: ask.host.clone(), account_id: switchboard.company().account_id };
    let cut = Cut::read(&ask.query, scenario)?;
    let mut list = extension.map_or_else(|| switchboard.listed_at(now), |id| switchboard.listed_for(id, now));
    if scenario.obeys_query {
        list.retain(|record| passes(&ask.query, record));
    }
    let view = View {
        detailed: scenario.obeys_query && ask.query.get("view") == Some("Detailed"),
        finished_field: scenario.finished_field,
    };
    let total = list.len();
    let page = cut.of(list);
    let records: Vec<_> = page.iter().map(|record| WireRecord::new(record, &links, view)).collect();
    let owner = extension.map_or_else(|| links.account(), |id| links.extension(id));
    let address = address(format!("{owner}/active-calls"), &ask.query, cut);
    let count = records.len();
    let body = match scenario.envelope {
        Envelope::Bare => WirePage::bare(address(cut.page), records),
        Envelope::Full => WirePage::full(records, cut.paging(count), address, cut.next(total), None),
    };
    Ok(Answer { reply: Reply::json(200, &body), records: Some(count), listed_at_ms: Some(now) })
}

fn passes(query: &Query, record: &Record) -> bool {
    let direction = format!("{:?}", record.direction);
    is_wanted(query, "direction", &direction) && is_wanted(query, "type", record.kind)
}

/// A page of the account's extensions, with totals.
pub(super) fn extensions(ask: &Ask, scenario: &Scenario, switchboard: &Switchboard) -> Result<Answer, Reply> {
    let links = Links { host: ask.host.clone(), account_id: switchboard.company().account_id };
    let cut = Cut::read(&ask.query, scenario)?;
    let wanted = switchboard.extensions().iter().filter(|extension| {
        let status = extension.status.unwrap_or("Enabled");
        is_wanted(&ask.query, "type", extension.kind) && is_wanted(&ask.query, "status", status)
    });
    let list: Vec<_> = wanted.collect();
    let total = list.len();
    let page = cut.of(list);
    let records: Vec<_> = page.into_iter().map(|e| WireExtension::new(e, &links)).collect();
    let count = records.len();
    let totals = Paging { total_pages: Some(cut.pages(total)), total_elements: Some(total), ..cut.paging(count) };
    let address = address(format!("{}/extension", links.account()), &ask.query, cut);
    let last = Some(cut.pages(total).max(1));
    let body = WirePage::full(records, totals, address, cut.next(total), last);
    Ok(Answer { records: Some(count), ..Answer::from(Reply::json(200, &body)) })
}

/// Writes addresses of pages: what was asked is repeated, page and size are put last.
fn address(list: String, query: &Query, cut: Cut) -> impl Fn(usize) -> String {
    let others = query.written_without(&["page", "perPage", "access_token"]);
    move |page| format!("{list}?{others}page={page}&perPage={}", cut.per_page)
}

/// The whole list of an instant, for people and tests.
pub(super) fn listed(ask: &Ask, scenario: &Scenario, switchboard: &Switchboard, now: i64) -> Reply {
    let at = ask.query.get("at").map_or(Ok(now), str::parse);
    let Ok(at) = at else {
        return Reply::bad_parameter("at", ask.query.get("at").unwrap_or_default());
    };
    let links = Links { host: ask.host.clone(), account_id: switchboard.company().account_id };
    let view = View { detailed: false, finished_field: scenario.finished_field };
    let list = switchboard.listed_at(at);
    let records: Vec<_> = list.iter().map(|record| WireRecord::new(record, &links, view)).collect();
    Reply::json(200, &records)
}
