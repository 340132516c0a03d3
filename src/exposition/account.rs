//! The families of one account.
//!
//! **Where does a new metric go?** Here if an observation tells it at scrape time; into `instruments` if it is counted
//! as it happens.

use crate::calls::directory::DirectoryEntry;
use crate::calls::{Directory, ExtensionLabel, Snapshot};
use crate::clock::{Moment, unix_seconds};
use crate::config::{Account, Metrics, Scrape};
use crate::exposition::AccountView;
use crate::exposition::text::{Exposition, FamilyDesc, FamilyTexts};
use crate::ringcentral::status::{ApiStatus, ReportedLimit};

const ACTIVE_CALLS: FamilyDesc = FamilyDesc::gauge(
    "ringcentral_active_calls",
    "Records in RingCentral's active-calls list, seen 3 to 10 s late. A call stays listed about 2 minutes after it \
     ended: live ones have result \"In Progress\". A live queue call is Outbound and turns Inbound when it ends.",
);
const CALLS_IN_PROGRESS: FamilyDesc = FamilyDesc::gauge(
    "ringcentral_calls_in_progress",
    "Live records, ringing or talking. A call between two extensions is two records. A live queue call is Outbound in \
     RingCentral's list and turns Inbound when it ends.",
);
const SESSIONS_IN_PROGRESS: FamilyDesc = FamilyDesc::gauge(
    "ringcentral_call_sessions_in_progress",
    "Calls in progress: distinct live telephony sessions, however many records each has.",
);
const EXTENSIONS_IN_CALL: FamilyDesc = FamilyDesc::gauge(
    "ringcentral_extensions_in_call",
    "Distinct extensions with a live record.",
);
const OLDEST_START: FamilyDesc = FamilyDesc::gauge(
    "ringcentral_oldest_call_in_progress_start_timestamp_seconds",
    "Start of the longest-running live call; absent when there is none.",
);
const FOLDED: FamilyDesc = FamilyDesc::gauge(
    "ringcentral_folded_records",
    "Records of the snapshot whose extension or result was folded into \"other\" (--metrics.max-extensions; 64 results \
     outside RingCentral's documented list).",
);
const EXTENSION_INFO: FamilyDesc = FamilyDesc::gauge(
    "ringcentral_extension_info",
    "An extension of the account, by the value that the label extension has elsewhere. Names are personal data.",
);
const DIRECTORY_TIMESTAMP: FamilyDesc = FamilyDesc::gauge(
    "ringcentral_extension_directory_timestamp_seconds",
    "When the list of extensions was last read; absent until then. Read hourly, and sooner when a call names an \
     extension that it lacks.",
);
const UP: FamilyDesc = FamilyDesc::gauge(
    "ringcentral_up",
    "1 if the latest finished fetch from RingCentral succeeded and its snapshot is not past --scrape.max-age, else 0.",
);
const SNAPSHOT_TIMESTAMP: FamilyDesc = FamilyDesc::gauge(
    "ringcentral_snapshot_timestamp_seconds",
    "When the last successful fetch was made. Scrapes that come faster than the API's limit allows share it.",
);
const FETCH_DURATION: FamilyDesc = FamilyDesc::gauge(
    "ringcentral_fetch_duration_seconds",
    "Duration of the latest finished fetch, a login included; 0 before the first.",
);
const FETCH_PAGES: FamilyDesc = FamilyDesc::gauge(
    "ringcentral_fetch_pages",
    "Pages that the latest finished fetch read; 0 before the first.",
);
const CONCURRENT_CALLS_LIMIT: FamilyDesc = FamilyDesc::gauge(
    "ringcentral_concurrent_calls_limit",
    "Calls that the account can hold at once, as configured. Utilisation is sessions in progress by this.",
);
const ACCOUNT_INFO: FamilyDesc = FamilyDesc::gauge(
    "ringcentral_account_info",
    "The account: its id as a reply told it (empty until then), whose calls are listed, and the server.",
);
const RATE_LIMIT: FamilyDesc = FamilyDesc::gauge(
    "ringcentral_api_rate_limit_requests",
    "Requests that the API allows in a window, as the group's last answer said.",
);
const RATE_LIMIT_REMAINING: FamilyDesc = FamilyDesc::gauge(
    "ringcentral_api_rate_limit_remaining",
    "Requests left in the window, as the group's last answer said; may be long past.",
);
const RATE_LIMIT_WINDOW: FamilyDesc = FamilyDesc::gauge(
    "ringcentral_api_rate_limit_window_seconds",
    "Length of the window, as the group's last answer said.",
);
const BLOCKED_UNTIL: FamilyDesc = FamilyDesc::gauge(
    "ringcentral_api_blocked_until_timestamp_seconds",
    "End of the present penalty of the API, or of the present back-off after refused logins; 0 if there is none.",
);
const TOKEN_EXPIRY: FamilyDesc = FamilyDesc::gauge(
    "ringcentral_auth_token_expiry_timestamp_seconds",
    "When the present access token ends; 0 if there is none. It is renewed before.",
);
const JWT_EXPIRY: FamilyDesc = FamilyDesc::gauge(
    "ringcentral_auth_jwt_expiry_timestamp_seconds",
    "When the JWT ends, from its exp; absent if it has none. After that a login is refused: make a new JWT before.",
);

/// Adds all families of one account but those of its instruments.
pub fn add(
    whole: &mut Exposition,
    view: &AccountView<'_>,
    scrape: &Scrape,
    metrics: &Metrics,
    now: Moment,
) {
    let observation = &view.state;
    let account = ("account", view.account.name.as_str());
    if let Some(listing) = observation.fresh(now, scrape.max_age) {
        let snapshot = &listing.snapshot;
        whole.append(view.kept.of_snapshot(snapshot, |families| {
            add_snapshot(families, account, snapshot)
        }));
    }
    let families = &mut whole.own;
    families.add(
        &UP,
        &[account],
        f64::from(observation.is_up(now, scrape.max_age)),
    );
    if let Some(listing) = &observation.snapshot {
        families.add(
            &SNAPSHOT_TIMESTAMP,
            &[account],
            unix_seconds(listing.fetched_at.wall),
        );
    }
    let (took, pages) = observation.last_fetch.as_ref().map_or((0.0, 0), |fetch| {
        (fetch.duration.as_secs_f64(), fetch.pages)
    });
    families.add(&FETCH_DURATION, &[account], took);
    families.add(&FETCH_PAGES, &[account], f64::from(pages));
    add_configured(
        families,
        account,
        view.account,
        observation.api.account_id.as_deref(),
    );
    add_standing(families, account, &observation.api, now);
    if let Some(listed) = &observation.directory {
        families.add(
            &DIRECTORY_TIMESTAMP,
            &[account],
            unix_seconds(listed.fetched_at.wall),
        );
        if metrics.extension_info {
            add_directory(families, account, &listed.directory, metrics);
        }
    }
}

/// Absent where there is no fresh snapshot: zero would be a lie, and old-as-new another.
fn add_snapshot(families: &mut FamilyTexts, account: (&str, &str), snapshot: &Snapshot) {
    for (labels, count) in &snapshot.records {
        let direction = ("direction", labels.direction.as_str());
        let result = ("result", labels.result.as_str());
        match &labels.extension {
            Some(extension) => {
                families.add(
                    &ACTIVE_CALLS,
                    &[account, direction, result, ("extension", extension)],
                    *count as f64,
                );
            }
            None => families.add(&ACTIVE_CALLS, &[account, direction, result], *count as f64),
        }
    }
    for (direction, count) in &snapshot.in_progress {
        families.add(
            &CALLS_IN_PROGRESS,
            &[account, ("direction", direction.as_str())],
            *count as f64,
        );
    }
    families.add(
        &SESSIONS_IN_PROGRESS,
        &[account],
        snapshot.sessions_in_progress as f64,
    );
    families.add(
        &EXTENSIONS_IN_CALL,
        &[account],
        snapshot.extensions_in_call as f64,
    );
    if let Some(start) = snapshot.oldest_start {
        families.add(&OLDEST_START, &[account], unix_seconds(start));
    }
    let folded = [
        ("extension", snapshot.folded_extensions),
        ("result", snapshot.folded_results),
    ];
    for (label, count) in folded {
        families.add(&FOLDED, &[account, ("label", label)], count as f64);
    }
}

/// Exactly one series for each value of `extension`, so that a join by it is never many-to-many.
fn add_directory(
    families: &mut FamilyTexts,
    account: (&str, &str),
    directory: &Directory,
    metrics: &Metrics,
) {
    let by_number = metrics.extension_label == ExtensionLabel::Number;
    let stands = |entry: &&DirectoryEntry| match entry.number.as_deref() {
        _ if !by_number => true,
        Some(number) => directory
            .by_number(number)
            .is_some_and(|standing| standing.id == entry.id),
        None => directory.by_number(&entry.id.to_string()).is_none(),
    };
    for entry in directory
        .entries()
        .iter()
        .filter(stands)
        .take(metrics.max_extensions)
    {
        let id = entry.id.to_string();
        let shown = entry.number.as_deref().filter(|_| by_number).unwrap_or(&id);
        let labels = [
            account,
            ("extension", shown),
            ("extension_id", &id),
            ("extension_name", &entry.name),
            ("extension_type", &entry.kind),
            ("extension_status", &entry.status),
        ];
        families.add(&EXTENSION_INFO, &labels, 1.0);
    }
}

fn add_configured(
    families: &mut FamilyTexts,
    account: (&str, &str),
    config: &Account,
    id: Option<&str>,
) {
    if let Some(limit) = config.concurrent_calls_limit {
        families.add(&CONCURRENT_CALLS_LIMIT, &[account], limit as f64);
    }
    let id = ("account_id", id.unwrap_or_default());
    let level = ("level", config.level.as_str());
    let origin = config.server.origin().ascii_serialization();
    families.add(
        &ACCOUNT_INFO,
        &[account, id, level, ("server", &origin)],
        1.0,
    );
}

fn add_standing(families: &mut FamilyTexts, account: (&str, &str), api: &ApiStatus, now: Moment) {
    for limit in &api.rate_limits {
        add_rate_limit(families, account, limit);
    }
    for (operation, until) in &api.blocked_until {
        let present = until.filter(|until| !until.is_past(now));
        let end = present.map_or(0.0, |until| unix_seconds(until.wall));
        families.add(
            &BLOCKED_UNTIL,
            &[account, ("operation", operation.as_str())],
            end,
        );
    }
    let token_expiry = api
        .token_expiry
        .map_or(0.0, |expiry| unix_seconds(expiry.wall));
    families.add(&TOKEN_EXPIRY, &[account], token_expiry);
    if let Some(expiry) = api.jwt_expiry {
        families.add(&JWT_EXPIRY, &[account], expiry);
    }
}

fn add_rate_limit(families: &mut FamilyTexts, account: (&str, &str), limit: &ReportedLimit) {
    let labels = [account, ("group", limit.group.as_str())];
    families.add(&RATE_LIMIT, &labels, f64::from(limit.limit));
    families.add(&RATE_LIMIT_WINDOW, &labels, limit.window.as_secs_f64());
    if let Some(remaining) = limit.remaining {
        families.add(&RATE_LIMIT_REMAINING, &labels, f64::from(remaining));
    }
}
