//! The CPU time of a scrape, from the body of a response to the exposition: `cargo bench --bench scrape`.

#![allow(
    unreachable_pub,
    reason = "nothing outside this program can use its items"
)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench may fail")]

use std::sync::Arc;
use std::time::Duration;

use divan::Bencher;
use ringcentral_exporter::account::metrics::AccountMetrics;
use ringcentral_exporter::account::state::{AccountState, FetchReport, TimedSnapshot};
use ringcentral_exporter::calls::directory::DirectoryEntry;
use ringcentral_exporter::calls::{Directory, ExtensionLabel, LabelLimiter, Snapshot};
use ringcentral_exporter::clock::Moment;
use ringcentral_exporter::config::{Account, Level, Metrics, PresenceMode, Scrape};
use ringcentral_exporter::exposition::{AccountView, TextFormat, render};
use ringcentral_exporter::ringcentral::wire::parse_page;
use ringcentral_exporter::secret::SecretSource;
use secrecy::SecretString;

const RECORDS: [usize; 4] = [10, 100, 1000, 10_000];
const SCRAPE: Scrape = Scrape {
    min_interval: Duration::ZERO,
    timeout_offset: Duration::from_millis(500),
    max_age: Duration::from_secs(120),
};
const METRICS: Metrics = Metrics {
    extension_label: ExtensionLabel::Number,
    extension_info: false,
    extension_calls: false,
    extension_presence: false,
    max_extensions: 10_000,
};

fn main() {
    divan::main();
}

/// Returns a page of records on half as many extensions, in the form of the published samples.
fn body(records: usize) -> Vec<u8> {
    let server = "https://platform.ringcentral.com/restapi/v1.0/account/123456";
    let records: Vec<_> = (0..records)
        .map(|n| {
            let (id, number) = (62_264_425_016 + n / 2, 1000 + n / 2);
            let result = if n % 3 == 0 { "In Progress" } else { "Call connected" };
            format!(
                r#"{{"uri":"{server}/extension/{id}/call-log/LIef14l8Nt_{n}?view=Simple","id":"LIef14l8Nt_{n}",
                "sessionId":"{}","telephonySessionId":"s-8f8125f1aeb944f486531c351a{n:06}","duration":{n},
                "startTime":"2026-11-24T09:58:57.000Z","type":"Voice","direction":"Outbound","action":"VoIP Call",
                "result":"{result}","to":{{"phoneNumber":"+16505550101","location":"San Mateo, CA"}},
                "from":{{"name":"Alex Example","extensionNumber":"{number}"}},
                "extension":{{"uri":"{server}/extension/{id}","id":{id}}}}}"#,
                538_332_041_016 + n
            )
        })
        .collect();
    format!(
        r#"{{"uri":"{server}/active-calls?page=1","records":[{}],"navigation":{{}}}}"#,
        records.join(",")
    )
    .into()
}

fn account() -> Account {
    let secret = SecretSource::Value(SecretString::from("sesame"));
    Account {
        name: "default".to_owned(),
        server: "https://platform.ringcentral.com".parse().unwrap(),
        client_id: "id".to_owned(),
        client_secret: secret.clone(),
        jwt: secret,
        account_id: "~".to_owned(),
        level: Level::Account,
        presence: PresenceMode::Off,
        concurrent_calls_limit: None,
        ca: None,
    }
}

fn labels() -> LabelLimiter {
    LabelLimiter::new(METRICS.extension_label, METRICS.max_extensions)
}

fn state(snapshot: Arc<Snapshot>) -> Arc<AccountState> {
    Arc::new(AccountState {
        snapshot: Some(TimedSnapshot {
            snapshot,
            fetched_at: Moment::now(),
        }),
        last_fetch: Some(FetchReport {
            failure: None,
            duration: Duration::from_millis(200),
            pages: 1,
        }),
        ..AccountState::default()
    })
}

fn render_text(state: Arc<AccountState>, account: &Account, counters: &AccountMetrics) -> String {
    let view = AccountView {
        account,
        state,
        counters,
        presence: None,
    };
    render(
        [view],
        None,
        &SCRAPE,
        &METRICS,
        TextFormat::Prometheus,
        Moment::now(),
    )
}

/// Measures parsing, counting and rendering.
#[divan::bench(args = RECORDS)]
fn body_to_exposition(bencher: Bencher<'_, '_>, records: usize) {
    let (body, account, counters) = (
        body(records),
        account(),
        AccountMetrics::new("default", false, Moment::now()).unwrap(),
    );
    bencher.bench(|| {
        let page = parse_page(&body, 1).unwrap();
        let snapshot = Arc::new(Snapshot::from_calls(&page.calls, &mut labels()));
        render_text(state(snapshot), &account, &counters)
    });
}

/// Measures parsing.
#[divan::bench(args = RECORDS)]
fn json_to_calls(bencher: Bencher<'_, '_>, records: usize) {
    let body = body(records);
    bencher.bench(|| parse_page(&body, 1).unwrap());
}

/// Measures counting.
#[divan::bench(args = RECORDS)]
fn calls_to_snapshot(bencher: Bencher<'_, '_>, records: usize) {
    let calls = parse_page(&body(records), 1).unwrap().calls;
    let mut labels = labels();
    bencher.bench_local(|| Snapshot::from_calls(&calls, &mut labels));
}

/// Measures counting with a directory of 10,000 extensions. The difference is what the directory adds to a scrape.
#[divan::bench(args = RECORDS)]
fn calls_to_snapshot_by_directory(bencher: Bencher<'_, '_>, records: usize) {
    let calls = parse_page(&body(records), 1).unwrap().calls;
    let entries = (0..10_000_u64).map(|n| DirectoryEntry {
        id: 62_264_425_016 + n,
        number: Some((1000 + n).to_string().into()),
        name: format!("Extension {n}").into(),
        kind: "User".into(),
        status: "Enabled".into(),
    });
    let mut labels = labels();
    labels.set_directory(Arc::new(Directory::new(entries.collect())));
    bencher.bench_local(|| Snapshot::from_calls(&calls, &mut labels));
}

/// Measures the first scrape after a fetch.
#[divan::bench(args = RECORDS)]
fn snapshot_to_text(bencher: Bencher<'_, '_>, records: usize) {
    let (snapshot, account, counters) = fixture(records);
    bencher.bench(|| render_text(state(snapshot.clone()), &account, &counters));
}

/// Measures each further scrape until the next fetch.
#[divan::bench(args = RECORDS)]
fn snapshot_to_text_again(bencher: Bencher<'_, '_>, records: usize) {
    let (snapshot, account, counters) = fixture(records);
    let state = state(snapshot);
    bencher.bench(|| render_text(state.clone(), &account, &counters));
}

fn fixture(records: usize) -> (Arc<Snapshot>, Account, AccountMetrics) {
    let calls = parse_page(&body(records), 1).unwrap().calls;
    (
        Arc::new(Snapshot::from_calls(&calls, &mut labels())),
        account(),
        AccountMetrics::new("default", false, Moment::now()).unwrap(),
    )
}
