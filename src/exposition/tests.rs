//! One golden file shows a whole exposition.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use super::*;
use crate::account::state::{FetchReport, TimedDirectory, TimedSnapshot};
use crate::calls::directory::DirectoryEntry;
use crate::calls::tracker::{CallEvents, EndedCall};
use crate::calls::{
    CallResult, Direction, Directory, Extension, ExtensionLabel, LabelLimiter, Outcome, Snapshot,
};
use crate::config::Level;
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

/// A fetch of two published payloads at ten o'clock, and a penalty that it earned.
fn observation(now: Moment) -> AccountState {
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
            blocked_until: vec![
                (Operation::Token, None),
                (
                    Operation::ActiveCalls,
                    Some(now.after(Duration::from_secs(30))),
                ),
            ],
            token_expiry: Some(now.after(Duration::from_secs(3600))),
            jwt_expiry: Some(1_798_078_634.0),
            same_user_account: None,
        },
        directory: Some(TimedDirectory {
            directory: Arc::new(directory()),
            fetched_at: now,
        }),
        directory_failure: None,
    }
}

fn labels() -> LabelLimiter {
    LabelLimiter::new(METRICS.extension_label, METRICS.max_extensions)
}

/// A directory in which two extensions have one number, and one has none.
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

/// One call that ended, as the ledger tells it.
fn news() -> CallEvents {
    let ended = EndedCall {
        direction: Direction::Inbound,
        result: CallResult::parse("Voicemail").unwrap(),
        duration: Some(25.5),
        extension: Extension::new(Some("234567".into()), None),
    };
    CallEvents {
        ended: vec![ended],
        sessions_started: 2,
        sessions_ended: vec![Outcome::Voicemail],
        lost: 1,
        gap: true,
    }
}

fn rendered(names: &[&str], observe: impl Fn(Moment) -> AccountState, later: Duration) -> String {
    let start = moment("2026-11-24T10:00:00Z");
    let accounts: Vec<_> = names
        .iter()
        .map(|name| (account(name), AccountMetrics::new(name, true).unwrap()))
        .collect();
    for (_, instruments) in &accounts {
        instruments.api.record_request(Operation::ActiveCalls);
        instruments
            .api
            .observe_duration(Operation::ActiveCalls, Duration::from_millis(240));
        instruments
            .api
            .record_failure(Operation::Token, Reason::Timeout);
        instruments.calls.record(&news(), &mut labels());
    }
    let kept: Vec<_> = names.iter().map(|_| Kept::default()).collect();
    let views = accounts
        .iter()
        .zip(&kept)
        .map(|((account, instruments), kept)| AccountView {
            account,
            state: Arc::new(observe(start)),
            counters: instruments,
            kept,
        });
    render(views, None, &SCRAPE, &METRICS, start.after(later)).unwrap()
}

/// Rewrite it with `UPDATE_GOLDEN=1 cargo test golden`, and read the difference.
#[test]
fn the_golden_file_is_a_whole_exposition() {
    let text = rendered(&["default"], observation, Duration::from_secs(5));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/exposition.prom");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(path).unwrap());
}

#[test]
fn past_max_age_the_families_about_calls_are_absent_and_up_is_0() {
    let fresh = rendered(&["default"], observation, Duration::from_millis(119_999));
    assert!(
        fresh.contains("ringcentral_call_sessions_in_progress{")
            && fresh.contains("ringcentral_up{account=\"default\"} 1")
    );
    let stale = rendered(&["default"], observation, Duration::from_secs(120));
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
fn before_the_first_fetch_nothing_is_claimed() {
    let text = rendered(&["default"], |_| AccountState::default(), Duration::ZERO);
    assert!(text.contains("ringcentral_up{account=\"default\"} 0"));
    assert!(!text.contains("ringcentral_snapshot_timestamp_seconds{"));
    assert!(!text.contains("ringcentral_call_sessions_in_progress{"));
}

#[test]
fn a_penalty_that_is_over_reads_0() {
    let series = "ringcentral_api_blocked_until_timestamp_seconds{account=\"default\",operation=\"active_calls\"}";
    let during = rendered(&["default"], observation, Duration::from_secs(29));
    assert!(during.contains(&format!("{series} 1795514430\n")));
    let after = rendered(&["default"], observation, Duration::from_secs(30));
    assert!(after.contains(&format!("{series} 0\n")));
}

#[test]
fn the_families_of_several_accounts_are_merged() {
    let text = rendered(&["acme", "globex"], observation, Duration::ZERO);
    let types: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("# TYPE"))
        .collect();
    let mut distinct = types.clone();
    distinct.dedup();
    assert_eq!(types, distinct, "no family stands twice");
    for account in ["acme", "globex"] {
        assert!(text.contains(&format!("ringcentral_up{{account=\"{account}\"}} 1")));
        assert!(text.contains(&format!(
            "ringcentral_api_requests_total{{account=\"{account}\",operation=\"active_calls\"}} 1"
        )));
    }
}

#[test]
fn a_wall_clock_that_jumps_changes_neither_age_nor_penalty() {
    let start = moment("2026-11-24T10:00:00Z");
    let (account, instruments) = (
        account("default"),
        AccountMetrics::new("default", true).unwrap(),
    );
    for wall in ["2026-11-23T10:00:00Z", "2026-11-25T10:00:00Z"] {
        let observation = Arc::new(observation(start));
        let view = AccountView {
            account: &account,
            state: observation,
            counters: &instruments,
            kept: &Kept::default(),
        };
        let now = Moment {
            wall: wall.parse().unwrap(),
            ..start.after(Duration::from_secs(29))
        };
        let text = render([view], None, &SCRAPE, &METRICS, now).unwrap();
        assert!(
            text.contains("ringcentral_up{account=\"default\"} 1")
                && text.contains("ringcentral_active_calls{")
        );
        assert!(
            text.contains("operation=\"active_calls\"} 1795514430"),
            "the penalty goes on"
        );
    }
}

#[test]
fn what_is_kept_reads_as_if_it_were_written_anew_whatever_is_counted_or_fetched_between() {
    let start = moment("2026-11-24T10:00:00Z");
    let (account, instruments) = (
        account("default"),
        AccountMetrics::new("default", true).unwrap(),
    );
    let full = Arc::new(observation(start));
    let listing = TimedSnapshot {
        snapshot: Arc::new(Snapshot::from_calls(&[], &mut labels())),
        fetched_at: start,
    };
    let empty = Arc::new(AccountState {
        snapshot: Some(listing),
        ..observation(start)
    });
    let kept = Kept::default();
    let written = |observation: &Arc<AccountState>, kept: &Kept, later: u64| {
        let observation = observation.clone();
        let view = AccountView {
            account: &account,
            state: observation,
            counters: &instruments,
            kept,
        };
        render(
            [view],
            None,
            &SCRAPE,
            &METRICS,
            start.after(Duration::from_secs(later)),
        )
        .unwrap()
    };
    let steps: [&dyn Fn(); 6] = [
        &|| {},
        &|| instruments.api.record_request(Operation::ActiveCalls),
        &|| {
            instruments
                .api
                .observe_duration(Operation::ActiveCalls, Duration::from_secs(1))
        },
        &|| {
            instruments
                .api
                .record_failure(Operation::Token, Reason::Timeout)
        },
        &|| instruments.calls.record(&news(), &mut labels()),
        &|| instruments.calls.init_extensions(["777"].into_iter()),
    ];
    for step in steps {
        step();
        for (observation, later) in [
            (&full, 0),
            (&full, 31),
            (&full, 121),
            (&empty, 0),
            (&full, 1),
        ] {
            assert_eq!(
                written(observation, &kept, later),
                written(observation, &Kept::default(), later)
            );
        }
    }
}

/// An id may look like another extension's number, since nothing says how long either is.
#[test]
fn by_id_each_extension_has_its_series_whatever_numbers_there_are() {
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
    let observation = Arc::new(AccountState {
        directory,
        ..AccountState::default()
    });
    let (account, instruments) = (account("a"), AccountMetrics::new("a", false).unwrap());
    let view = AccountView {
        account: &account,
        state: observation,
        counters: &instruments,
        kept: &Kept::default(),
    };
    let text = render([view], None, &SCRAPE, &metrics, now).unwrap();
    assert!(
        ["7", "101"]
            .iter()
            .all(|id| text.contains(&format!("extension=\"{id}\""))),
        "{text}"
    );
}
