//! The metric families of one account.

use std::collections::BTreeMap;
use std::sync::Arc;

use smol_str::SmolStr;

use crate::account::state::FetchReport;
use crate::calls::directory::DirectoryEntry;
use crate::calls::snapshot::RecordLabels;
use crate::calls::{Directory, ExtensionLabel, Snapshot};
use crate::clock::{Moment, unix_seconds};
use crate::config::{Metrics, Scrape};
use crate::exposition::AccountView;
use crate::text_format::{BlockWriter, FamilyTexts, SharedTexts, TextFormat, families};

families! {
    gauge ACTIVE_CALLS = "ringcentral_active_calls":
        "Records in RingCentral's active-calls list, which shows changes 3 to 10 s late. A call stays listed about 2 \
         minutes after it ended; live records have result \"In Progress\". A live queue call is Outbound and turns \
         Inbound when it ends.";
    gauge CALLS_IN_PROGRESS = "ringcentral_calls_in_progress":
        "Live records, ringing or connected. A call between two extensions has two records. A live queue call is \
         Outbound in RingCentral's list and turns Inbound when it ends.";
    gauge SESSIONS_IN_PROGRESS = "ringcentral_call_sessions_in_progress":
        "Calls in progress: distinct live telephony sessions, regardless of the number of their records.";
    gauge EXTENSIONS_IN_CALL = "ringcentral_extensions_in_call":
        "Distinct extensions with a live record.";
    gauge OLDEST_START = "ringcentral_oldest_call_in_progress_start_timestamp_seconds":
        "Start of the longest-running live call; absent if there is none.";
    gauge FOLDED = "ringcentral_folded_records":
        "Records of the snapshot whose extension or result was aggregated under \"other\" (--metrics.max-extensions; \
         64 results outside RingCentral's documented list).";
    gauge EXTENSION_INFO = "ringcentral_extension_info":
        "An extension of the account; its label extension joins with that of other families. Names are personal data.";
    gauge DIRECTORY_TIMESTAMP = "ringcentral_extension_directory_timestamp_seconds":
        "Time at which the list of extensions was last read; absent until then. It is read hourly, and sooner if a \
         call names an unknown extension.";
    gauge UP = "ringcentral_up":
        "Whether the latest finished fetch from RingCentral succeeded and its snapshot is younger than \
         --scrape.max-age (1) or not (0).";
    gauge SNAPSHOT_TIMESTAMP = "ringcentral_snapshot_timestamp_seconds":
        "Time of the last successful fetch. Scrapes more frequent than the API's limit allows share one fetch.";
    gauge FETCH_DURATION = "ringcentral_fetch_duration_seconds":
        "Duration of the latest finished fetch, including a login; 0 before the first.";
    gauge FETCH_PAGES = "ringcentral_fetch_pages":
        "Pages read by the latest finished fetch; 0 before the first.";
    gauge NEXT_FETCH = "ringcentral_next_fetch_timestamp_seconds":
        "Earliest time at which the budget allows the next fetch, penalties and back-offs included; in the past if it \
         allows one now.";
    gauge CONCURRENT_CALLS_LIMIT = "ringcentral_concurrent_calls_limit":
        "Concurrent calls that the account allows, as configured. Utilization is sessions in progress divided by this.";
    gauge ACCOUNT_INFO = "ringcentral_account_info":
        "The account: its id from an API response (empty until known), the level of its call list, and its server.";
    gauge RATE_LIMIT = "ringcentral_api_rate_limit_requests":
        "Requests that the API allows in a window, from the group's last response.";
    gauge RATE_LIMIT_REMAINING = "ringcentral_api_rate_limit_remaining":
        "Requests remaining in the window, from the group's last response; may be outdated.";
    gauge RATE_LIMIT_WINDOW = "ringcentral_api_rate_limit_window_seconds":
        "Length of the rate-limit window, from the group's last response.";
    gauge BLOCKED_UNTIL = "ringcentral_api_blocked_until_timestamp_seconds":
        "End of the API's current penalty or of the current back-off after refused logins; 0 if there is none.";
    gauge TOKEN_EXPIRY = "ringcentral_auth_token_expiry_timestamp_seconds":
        "Expiry of the current access token; 0 if there is none. The token is renewed before it expires.";
    gauge JWT_EXPIRY = "ringcentral_auth_jwt_expiry_timestamp_seconds":
        "Expiry of the JWT, from its exp claim; absent if it has none. Logins fail after this time: create a new JWT \
         before.";
}

/// The label `account` of every series.
pub(super) type AccountLabel<'a> = (&'static str, &'a str);

/// Returns the text of the snapshot, rendered if this is the first scrape that needs it.
pub(crate) fn snapshot_text(
    view: &AccountView<'_>,
    snapshot: &Snapshot,
    format: TextFormat,
) -> Arc<SharedTexts> {
    let text = &view.state.text.get(format).snapshot;
    let render = || snapshot_families(account_label(view), snapshot, format).share();
    text.get_or_init(render).clone()
}

/// Returns the text of all that stays the same until the next state is published, rendered if this is the first scrape
/// that needs it. Counters are read at that time.
pub(crate) fn account_text(
    view: &AccountView<'_>,
    metrics: &Metrics,
    format: TextFormat,
) -> Arc<SharedTexts> {
    let text = &view.state.text.get(format).account;
    let render = || account_families(view, metrics, format).share();
    text.get_or_init(render).clone()
}

/// Adds the families that depend on the time or on the configuration, which a reload can change at any time.
pub(crate) fn add_current(
    families: &mut FamilyTexts,
    view: &AccountView<'_>,
    scrape: &Scrape,
    now: Moment,
) {
    let account = account_label(view);
    let up = view.state.is_up(now, scrape.max_age);
    families.add_sample(&UP, &[account], f64::from(up));
    let api = &view.state.api;
    for (operation, until) in &api.blocked_until {
        let end = match until {
            Some(until) if !until.is_past(now) => unix_seconds(until.wall_at(now)),
            _ => 0.0,
        };
        let labels = [account, ("operation", operation.as_str())];
        families.add_sample(&BLOCKED_UNTIL, &labels, end);
    }
    // Times that are ahead follow a wall clock that is set, so they are not part of the text of the state.
    let seconds = |time: Moment| unix_seconds(time.wall_at(now));
    let token_expiry = api.token_expiry.map(seconds).unwrap_or_default();
    families.add_sample(&TOKEN_EXPIRY, &[account], token_expiry);
    if let Some(next_fetch) = api.next_fetch_at {
        families.add_sample(&NEXT_FETCH, &[account], seconds(next_fetch));
    }
    if let Some(limit) = view.account.concurrent_calls_limit {
        families.add_sample(&CONCURRENT_CALLS_LIMIT, &[account], limit as f64);
    }
    let server = view.account.server.origin().ascii_serialization();
    let labels = [
        account,
        ("account_id", api.account_id.as_deref().unwrap_or_default()),
        ("level", view.account.level.as_str()),
        ("server", &server),
    ];
    families.add_sample(&ACCOUNT_INFO, &labels, 1.0);
}

pub(super) fn account_label<'a>(view: &'a AccountView<'_>) -> AccountLabel<'a> {
    ("account", &view.account.name)
}

fn snapshot_families(
    account: AccountLabel<'_>,
    snapshot: &Snapshot,
    format: TextFormat,
) -> FamilyTexts {
    let mut families = FamilyTexts::new(format);
    add_active_calls(&mut families, account, &snapshot.records);
    for (direction, count) in &snapshot.in_progress {
        let labels = [account, ("direction", direction.as_str())];
        families.add_sample(&CALLS_IN_PROGRESS, &labels, *count as f64);
    }
    let sessions = snapshot.sessions_in_progress as f64;
    families.add_sample(&SESSIONS_IN_PROGRESS, &[account], sessions);
    let extensions = snapshot.extensions_in_call as f64;
    families.add_sample(&EXTENSIONS_IN_CALL, &[account], extensions);
    if let Some(start) = snapshot.oldest_start {
        families.add_sample(&OLDEST_START, &[account], unix_seconds(start));
    }
    for (label, count) in [
        ("extension", snapshot.folded_extensions),
        ("result", snapshot.folded_results),
    ] {
        families.add_sample(&FOLDED, &[account, ("label", label)], count as f64);
    }
    families
}

/// Adds the counts of records. Series are ordered by direction and result, which are written once for all extensions.
fn add_active_calls(
    families: &mut FamilyTexts,
    account: AccountLabel<'_>,
    records: &BTreeMap<RecordLabels, u64>,
) {
    let mut family = families.open_family(&ACTIVE_CALLS);
    let mut start = (None, String::new());
    for (series, count) in records {
        let RecordLabels {
            direction,
            result,
            extension,
        } = series;
        let labels = [
            account,
            ("direction", direction.as_str()),
            ("result", result.as_str()),
        ];
        let Some(extension) = extension else {
            family.add_sample(&labels, *count as f64);
            continue;
        };
        if start.0 != Some((direction, result)) {
            let text = family.series_start(&labels, "extension");
            start = (Some((direction, result)), text);
        }
        family.add_sample_after(&start.1, extension, *count as f64);
    }
}

fn account_families(view: &AccountView<'_>, metrics: &Metrics, format: TextFormat) -> FamilyTexts {
    let account = account_label(view);
    let state = &view.state;
    let api = &state.api;
    let mut families = FamilyTexts::new(format);
    view.counters.add_to(&mut families, account.1);
    for limit in &api.rate_limits {
        let labels = [account, ("group", limit.group.as_str())];
        families.add_sample(&RATE_LIMIT, &labels, f64::from(limit.limit));
        families.add_sample(&RATE_LIMIT_WINDOW, &labels, limit.window.as_secs_f64());
        if let Some(remaining) = limit.remaining {
            families.add_sample(&RATE_LIMIT_REMAINING, &labels, f64::from(remaining));
        }
    }
    if let Some(directory) = &state.directory
        && metrics.extension_info
    {
        add_extension_info(&mut families, account, &directory.directory, metrics);
    }
    let seconds = |time: Moment| unix_seconds(time.wall);
    let snapshot = state.snapshot.as_ref().map(|timed| timed.fetched_at);
    let directory = state.directory.as_ref().map(|timed| timed.fetched_at);
    let no_fetch = FetchReport::default();
    let fetch = state.last_fetch.as_ref().unwrap_or(&no_fetch);
    for (desc, value) in [
        (&SNAPSHOT_TIMESTAMP, snapshot.map(seconds)),
        (&FETCH_DURATION, Some(fetch.duration.as_secs_f64())),
        (&FETCH_PAGES, Some(f64::from(fetch.pages))),
        (&DIRECTORY_TIMESTAMP, directory.map(seconds)),
        (&JWT_EXPIRY, api.jwt_expiry),
    ] {
        if let Some(value) = value {
            families.add_sample(desc, &[account], value);
        }
    }
    families
}

/// Adds exactly one series for each value of `extension`, so that a join on it is never many-to-many.
fn add_extension_info(
    families: &mut FamilyTexts,
    account: AccountLabel<'_>,
    directory: &Directory,
    metrics: &Metrics,
) {
    let mut samples = BlockWriter::new(families.format());
    for (extension, entry) in labelled_entries(directory, metrics) {
        let id = entry.id.to_string();
        let labels = [
            account,
            ("extension", extension.as_str()),
            ("extension_id", &id),
            ("extension_name", &entry.name),
            ("extension_type", &entry.kind),
            ("extension_status", &entry.status),
        ];
        samples.add_sample(&EXTENSION_INFO, &labels, 1.0);
    }
    families.add_blocks(&EXTENSION_INFO, samples.finish());
}

/// Returns the extensions with their value of `extension`: one for each value, and none beyond the maximum number.
pub(super) fn labelled_entries<'a>(
    directory: &'a Directory,
    metrics: &Metrics,
) -> impl Iterator<Item = (SmolStr, &'a DirectoryEntry)> {
    let by_number = metrics.extension_label == ExtensionLabel::Number;
    let labelled = move |entry: &'a DirectoryEntry| {
        let id = SmolStr::from(entry.id.to_string());
        if !by_number {
            return Some((id, entry));
        }
        let extension = entry.number.clone().unwrap_or(id);
        let preferred = directory.by_number(&extension);
        let is_preferred = preferred.is_none_or(|preferred| preferred.id == entry.id);
        is_preferred.then_some((extension, entry))
    };
    let entries = directory.entries().iter().filter_map(labelled);
    entries.take(metrics.max_extensions)
}
