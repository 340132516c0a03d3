//! Tests of whole expositions; `tests/golden/exposition.prom`, `exposition.om` and `presence.prom` are three.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use super::*;
use crate::account::presence::tests::{apply_event, presence_with, read_rows};
use crate::account::state::{FetchReport, TimedDirectory, TimedSnapshot};
use crate::calls::directory::DirectoryEntry;
use crate::calls::{
    Call, CallEvents, CallResult, CallState, Direction, Directory, Extension, ExtensionLabel,
    LabelLimiter, Outcome, SessionIds, Snapshot,
};
use crate::config::{Level, PresenceMode};
use crate::presence::TelephonyStatus::{NoCall, Ringing, Unknown};
use crate::ringcentral::status::{ApiStatus, ReportedLimit};
use crate::ringcentral::wire::parse_page;
use crate::ringcentral::{Operation, Reason};
use crate::secret::SecretSource;

const SCRAPE: Scrape = Scrape {
    min_interval: Duration::ZERO,
    timeout_offset: Duration::from_millis(500),
    max_age: Duration::from_secs(120),
};
const METRICS: Metrics = Metrics {
    extension_label: ExtensionLabel::Number,
    extension_info: true,
    extension_calls: true,
    extension_presence: false,
    max_extensions: 3,
};

fn account(name: &str) -> Account {
    let secret = SecretSource::Value(SecretString::from("sesame"));
    Account {
        name: name.to_owned(),
        server: "https://platform.ringcentral.com".parse().unwrap(),
        client_id: "id".to_owned(),
        client_secret: secret.clone(),
        jwt: secret,
        account_id: "~".to_owned(),
        level: Level::Account,
        presence: PresenceMode::Off,
        concurrent_calls_limit: Some(50),
        ca: None,
    }
}

fn moment(wall: &str) -> Moment {
    Moment {
        wall: wall.parse().unwrap(),
        ..Moment::now()
    }
}

/// Returns the state after a fetch of two published payloads, which started a penalty.
fn state(now: Moment) -> AccountState {
    let bodies = [
        include_str!("../../tests/fixtures/active-calls-direct-ringing-detailed.json"),
        include_str!("../../tests/fixtures/active-calls-account-simple.json"),
    ];
    let calls: Vec<_> = bodies
        .iter()
        .flat_map(|body| parse_page(body.as_bytes(), 1).unwrap().calls)
        .collect();
    let snapshot = Arc::new(Snapshot::from_calls(&calls, &mut labels()));
    let limit = ReportedLimit {
        group: "heavy".to_owned(),
        limit: 10,
        remaining: Some(7),
        window: Duration::from_secs(60),
        blocked_until: None,
    };
    AccountState {
        snapshot: Some(TimedSnapshot {
            snapshot,
            fetched_at: now,
        }),
        last_fetch: Some(FetchReport {
            failure: None,
            duration: Duration::from_millis(250),
            pages: 1,
        }),
        api: ApiStatus {
            account_id: Some("123456".to_owned()),
            rate_limits: vec![limit],
            min_fetch_interval: Duration::from_millis(7500),
            presence_read_interval: Duration::ZERO,
            next_fetch_at: Some(now.after(Duration::from_secs(30))),
            next_event_token_at: None,
            blocked_until: vec![
                (Operation::Token, None),
                (
                    Operation::ActiveCalls,
                    Some(now.after(Duration::from_secs(30))),
                ),
            ],
            requests_left: Vec::new(),
            keeps_token: false,
            penalty_until: None,
            token_expiry: Some(now.after(Duration::from_secs(3600))),
            jwt_expiry: Some(1_798_078_634.0),
            jwt_malformed: false,
            same_user_account: None,
        },
        directory: Some(TimedDirectory {
            directory: Arc::new(directory()),
            fetched_at: now,
        }),
        ..AccountState::default()
    }
}

fn labels() -> LabelLimiter {
    LabelLimiter::new(METRICS.extension_label, METRICS.max_extensions)
}

/// Returns a directory in which two extensions have the same number and one has none.
fn directory() -> Directory {
    let entry = |id, number: &str, name: &str, status: &str| DirectoryEntry {
        id,
        number: (!number.is_empty()).then(|| number.into()),
        name: name.into(),
        kind: "User".into(),
        status: status.into(),
    };
    Directory::new(vec![
        entry(62_264_425_016, "101", "Alex \"A\" Example", "Enabled"),
        entry(7, "101", "Gone", "Disabled"),
        entry(234_567, "", "", "Unassigned"),
    ])
}

/// Returns the events of one call that ended.
fn events() -> CallEvents {
    let ended = Call {
        id: "a".into(),
        session: SessionIds::default(),
        direction: Direction::Inbound,
        state: CallState::Ended,
        result: CallResult::parse("Voicemail").unwrap(),
        extension: Extension::new(Some("234567".into()), None),
        start: None,
        duration: Some(25.5),
    };
    CallEvents {
        ended: vec![ended],
        sessions_started: 2,
        sessions_ended: vec![Outcome::Voicemail],
        lost: 1,
        gap: true,
    }
}

/// Returns an account with counters of its own and one request, failure and ended call.
fn counted_account(name: &str) -> (Account, AccountMetrics) {
    let counters = AccountMetrics::new(name, true, created()).unwrap();
    let (api, operation) = (&counters.api, Operation::ActiveCalls);
    api.record_request(operation);
    api.observe_duration(operation, Duration::from_millis(240));
    api.record_failure(Operation::Token, Reason::Timeout);
    let fetched_at = moment("2026-11-24T09:59:50Z");
    counters.record_events(&events(), &mut labels(), fetched_at);
    (account(name), counters)
}

/// Returns when all counters are 0.
fn created() -> Moment {
    moment("2026-11-24T09:00:00Z")
}

fn render_one(
    (account, counters): &(Account, AccountMetrics),
    state: &Arc<AccountState>,
    now: Moment,
) -> String {
    let view = AccountView {
        account,
        state: state.clone(),
        counters,
        presence: None,
    };
    render([view], None, &SCRAPE, &METRICS, TextFormat::Prometheus, now)
}

/// Renders accounts with the state that `state` gives for 10 o'clock, `later` than that.
fn rendered(names: &[&str], state: impl Fn(Moment) -> AccountState, later: Duration) -> String {
    rendered_in(TextFormat::Prometheus, names, state, later)
}

fn rendered_in(
    format: TextFormat,
    names: &[&str],
    state: impl Fn(Moment) -> AccountState,
    later: Duration,
) -> String {
    let start = moment("2026-11-24T10:00:00Z");
    let accounts: Vec<_> = names.iter().map(|name| counted_account(name)).collect();
    let views = accounts.iter().map(|(account, counters)| AccountView {
        account,
        state: Arc::new(state(start)),
        counters,
        presence: None,
    });
    let now = start.after(later);
    render(views, None, &SCRAPE, &METRICS, format, now)
}

/// Asserts that a text equals a golden file, which is rewritten if `UPDATE_GOLDEN` is set:
/// `UPDATE_GOLDEN=1 cargo test golden`.
fn assert_golden(text: &str, file: &str) {
    let path = format!("{}/tests/golden/{file}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(path).unwrap());
}

#[test]
fn exposition_equals_golden_file() {
    let text = rendered(&["default"], state, Duration::from_secs(5));
    assert_golden(&text, "exposition.prom");
}

#[test]
fn openmetrics_equals_golden_file() {
    let format = TextFormat::OpenMetrics;
    let text = rendered_in(format, &["default"], state, Duration::from_secs(5));
    assert_golden(&text, "exposition.om");
}

#[test]
fn snapshot_past_max_age_is_absent_with_up_0() {
    let fresh = rendered(&["default"], state, Duration::from_millis(119_999));
    assert!(
        fresh.contains("ringcentral_call_sessions_in_progress{")
            && fresh.contains("ringcentral_up{account=\"default\"} 1")
    );
    let stale = rendered(&["default"], state, Duration::from_secs(120));
    for family in [
        "active_calls{",
        "calls_in_progress{",
        "call_sessions_in_progress",
        "extensions_in_call",
        "oldest_call",
        "folded",
    ] {
        assert!(
            !stale.contains(&format!("\nringcentral_{family}")),
            "{family}"
        );
    }
    assert!(stale.contains("ringcentral_up{account=\"default\"} 0"));
    assert!(
        stale.contains("ringcentral_snapshot_timestamp_seconds{account=\"default\"} 1795514400")
    );
}

#[test]
fn state_before_first_fetch_has_no_snapshot_families() {
    let text = rendered(&["default"], |_| AccountState::default(), Duration::ZERO);
    assert!(text.contains("ringcentral_up{account=\"default\"} 0"));
    assert!(!text.contains("ringcentral_snapshot_timestamp_seconds{"));
    assert!(!text.contains("ringcentral_call_sessions_in_progress{"));
}

#[test]
fn blocked_until_after_penalty_is_0() {
    let series = "ringcentral_api_blocked_until_timestamp_seconds{account=\"default\",operation=\"active_calls\"}";
    let during = rendered(&["default"], state, Duration::from_secs(29));
    assert!(during.contains(&format!("{series} 1795514430\n")));
    let after = rendered(&["default"], state, Duration::from_secs(30));
    assert!(after.contains(&format!("{series} 0\n")));
}

#[test]
fn families_of_several_accounts_are_merged() {
    let text = rendered(&["acme", "globex"], state, Duration::ZERO);
    let types: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("# TYPE"))
        .collect();
    let mut distinct = types.clone();
    distinct.dedup();
    assert_eq!(types, distinct, "a family appears twice");
    for account in ["acme", "globex"] {
        assert!(text.contains(&format!("ringcentral_up{{account=\"{account}\"}} 1")));
        assert!(text.contains(&format!(
            "ringcentral_api_requests_total{{account=\"{account}\",operation=\"active_calls\"}} 1"
        )));
    }
}

/// Returns the exposition 29 s after the fetch of [`state`], when the wall clock shows `wall`.
fn rendered_at_wall(wall: &str) -> String {
    let start = moment("2026-11-24T10:00:00Z");
    let now = Moment {
        wall: wall.parse().unwrap(),
        ..start.after(Duration::from_secs(29))
    };
    render_one(&counted_account("default"), &Arc::new(state(start)), now)
}

#[test]
fn wall_clock_set_back_changes_no_age() {
    let text = rendered_at_wall("2026-11-23T10:00:00Z");
    assert!(text.contains("ringcentral_up{account=\"default\"} 1"));
    assert!(text.contains("ringcentral_active_calls{"));
}

#[test]
fn nothing_is_shown_after_a_suspend() {
    let text = rendered_at_wall("2026-11-24T10:02:00Z");
    assert!(text.contains("ringcentral_up{account=\"default\"} 0"));
    assert!(!text.contains("ringcentral_active_calls{"));
}

#[test]
fn times_ahead_follow_the_wall_clock() {
    for (wall, seconds) in [
        ("2026-11-23T10:00:00Z", 1_795_428_000),
        ("2026-11-25T10:00:00Z", 1_795_600_800),
    ] {
        let text = rendered_at_wall(wall);
        let end = seconds + 1;
        for series in [
            "api_blocked_until_timestamp_seconds{account=\"default\",operation=\"active_calls\"}",
            "next_fetch_timestamp_seconds{account=\"default\"}",
        ] {
            let line = format!("\nringcentral_{series} {end}\n");
            assert!(text.contains(&line), "{line}: {text}");
        }
        let expiry = seconds + 3600 - 29;
        let series = "ringcentral_auth_token_expiry_timestamp_seconds{account=\"default\"}";
        assert!(text.contains(&format!("\n{series} {expiry}\n")), "{text}");
    }
}

#[test]
fn text_shared_by_scrapes_equals_new_text() {
    let start = moment("2026-11-24T10:00:00Z");
    let account = counted_account("default");
    let counters = &account.1;
    let api = &counters.api;
    let operation = Operation::ActiveCalls;
    let steps: [&dyn Fn(); 6] = [
        &|| {},
        &|| api.record_request(operation),
        &|| api.observe_duration(operation, Duration::from_secs(1)),
        &|| api.record_failure(Operation::Token, Reason::Timeout),
        &|| counters.record_events(&events(), &mut labels(), start),
        &|| counters.init_extensions(["777"].into_iter(), start),
    ];
    let without_calls = || AccountState {
        snapshot: Some(TimedSnapshot {
            snapshot: Arc::new(Snapshot::from_calls(&[], &mut labels())),
            fetched_at: start,
        }),
        ..state(start)
    };
    let published: [&dyn Fn() -> AccountState; 2] = [&|| state(start), &without_calls];
    let mut texts = BTreeSet::new();
    for step in steps {
        step();
        for publish in published {
            let shared = Arc::new(publish());
            for later in [0, 31, 121, 1] {
                let now = start.after(Duration::from_secs(later));
                let text = render_one(&account, &shared, now);
                assert_eq!(text, render_one(&account, &Arc::new(publish()), now));
                texts.insert(text);
            }
        }
    }
    // Both states look the same once their snapshots are too old, and nothing but the time changes at 1 s.
    assert_eq!(texts.len(), steps.len() * 5);
}

#[test]
fn text_keeps_counters_until_next_state() {
    let now = moment("2026-11-24T10:00:00Z");
    let account = counted_account("default");
    let shared = Arc::new(state(now));
    let before = render_one(&account, &shared, now);
    account.1.api.record_request(Operation::Token);
    assert_eq!(render_one(&account, &shared, now), before);
    assert_ne!(render_one(&account, &Arc::new(state(now)), now), before);
}

/// Ids and numbers have no fixed length, so that an id can equal the number of another extension.
#[test]
fn label_id_gives_each_extension_its_series() {
    let metrics = Metrics {
        extension_label: ExtensionLabel::Id,
        ..METRICS
    };
    let entry = |id, number: Option<&str>| DirectoryEntry {
        id,
        number: number.map(Into::into),
        name: "".into(),
        kind: "".into(),
        status: "".into(),
    };
    let directory = Directory::new(vec![entry(101, Some("500")), entry(7, Some("101"))]);
    let now = moment("2026-11-24T10:00:00Z");
    let directory = Some(TimedDirectory {
        directory: Arc::new(directory),
        fetched_at: now,
    });
    let state = AccountState {
        directory,
        ..AccountState::default()
    };
    let view = AccountView {
        account: &account("a"),
        state: Arc::new(state),
        counters: &AccountMetrics::new("a", false, created()).unwrap(),
        presence: None,
    };
    let text = render([view], None, &SCRAPE, &metrics, TextFormat::Prometheus, now);
    assert!(
        ["7", "101"]
            .iter()
            .all(|id| text.contains(&format!("extension=\"{id}\""))),
        "{text}"
    );
}

const PRESENCE_METRICS: Metrics = Metrics {
    extension_presence: true,
    ..METRICS
};

/// Renders only the families of presence.
fn render_presence(presence: &Presence, metrics: &Metrics, now: Moment) -> String {
    let view = AccountView {
        account: &account("a"),
        state: Arc::default(),
        counters: &AccountMetrics::new("a", false, created()).unwrap(),
        presence: Some(presence),
    };
    let format = TextFormat::Prometheus;
    let mut current = FamilyTexts::new(format);
    let mut parts = Vec::new();
    presence::add(&mut parts, &mut current, &view, metrics, now);
    parts.push(current.share());
    Exposition::new(format, parts).into_text()
}

/// Returns the extensions of the state sets, in their order.
fn state_sets(text: &str) -> Vec<String> {
    let mut extensions = Vec::new();
    for line in text.lines() {
        let labels = line.strip_prefix("ringcentral_extension_telephony_status{");
        if let Some((_, rest)) = labels.and_then(|labels| labels.split_once("extension=\"")) {
            extensions.push(rest.split('"').next().unwrap().to_owned());
        }
    }
    extensions.dedup();
    extensions
}

#[test]
fn presence_equals_golden_file() {
    let now = moment("2026-11-24T10:00:00Z");
    let presence = presence_with(PresenceMode::Events, &[]);
    presence.set_directory(Arc::new(directory()));
    presence.record_subscribed(now);
    read_rows(
        &presence,
        &[(62_264_425_016, NoCall), (234_567, Unknown)],
        now,
    );
    apply_event(&presence, 62_264_425_016, Ringing, now);
    let text = render_presence(&presence, &PRESENCE_METRICS, now);
    assert_golden(&text, "presence.prom");
}

#[test]
fn presence_that_is_not_current_has_no_state() {
    let now = moment("2026-11-24T10:00:00Z");
    let presence = presence_with(PresenceMode::Poll, &[]);
    let text = render_presence(&presence, &PRESENCE_METRICS, now);
    assert_eq!(
        text.lines().skip(2).collect::<Vec<_>>(),
        ["ringcentral_presence_up{account=\"a\"} 0"]
    );
    read_rows(&presence, &[(7, NoCall)], now);
    let count = |text: String| text.lines().filter(|line| !line.starts_with('#')).count();
    let shown = render_presence(&presence, &METRICS, now);
    assert_eq!(count(shown), 60 + 2);
    let later = now.after(Duration::from_secs(3600));
    let too_old = render_presence(&presence, &PRESENCE_METRICS, later);
    assert_eq!(count(too_old), 2, "whether it is up, and when it was read");
}

#[test]
fn state_set_has_the_extensions_of_the_info() {
    let now = moment("2026-11-24T10:00:00Z");
    let presence = presence_with(PresenceMode::Poll, &[]);
    let rows = [
        (7, NoCall),
        (8, NoCall),
        (234_567, NoCall),
        (62_264_425_016, Ringing),
    ];
    read_rows(&presence, &rows, now);
    let by_id = Metrics {
        extension_label: ExtensionLabel::Id,
        ..PRESENCE_METRICS
    };
    let sets = |metrics| state_sets(&render_presence(&presence, metrics, now));
    assert_eq!(
        sets(&PRESENCE_METRICS),
        ["7", "8", "234567"],
        "without a directory by id, and at most three"
    );
    presence.set_directory(Arc::new(directory()));
    // Each call has other metrics, so the text is not that of another one.
    read_rows(&presence, &rows, now);
    assert_eq!(
        sets(&PRESENCE_METRICS),
        ["234567", "101"],
        "one of number 101, and none that the directory lacks"
    );
    read_rows(&presence, &rows, now);
    assert_eq!(sets(&by_id), ["7", "234567", "62264425016"]);
    let two = Metrics {
        max_extensions: 2,
        ..by_id
    };
    read_rows(&presence, &rows, now);
    assert_eq!(sets(&two), ["7", "234567"]);
}

#[test]
fn scrapes_share_the_text_of_a_version() {
    let now = moment("2026-11-24T10:00:00Z");
    let presence = presence_with(PresenceMode::Events, &[]);
    presence.record_subscribed(now);
    read_rows(&presence, &[(7, NoCall)], now);
    let shared = || {
        render_presence(&presence, &PRESENCE_METRICS, now);
        let mut text = presence.text();
        let text = text.of_version(presence.view(now).version);
        let text = text.get(TextFormat::Prometheus);
        (text.state.clone().unwrap(), text.counters.clone().unwrap())
    };
    let (state, counters) = shared();
    let (same_state, same_counters) = shared();
    assert!(Arc::ptr_eq(&state, &same_state) && Arc::ptr_eq(&counters, &same_counters));
    apply_event(&presence, 7, Ringing, now);
    let version = presence.view(now).version;
    for format in [TextFormat::Prometheus, TextFormat::OpenMetrics] {
        let mut text = presence.text();
        let text = text.of_version(version).get(format);
        assert!(text.state.is_none(), "no text outlives its version");
    }
    let text = render_presence(&presence, &PRESENCE_METRICS, now);
    assert!(!Arc::ptr_eq(&state, &shared().0));
    for line in [
        "extension=\"7\",telephony_status=\"Ringing\"} 1",
        "extension=\"7\",telephony_status=\"NoCall\"} 0",
        "from=\"NoCall\",to=\"Ringing\"} 1",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}
