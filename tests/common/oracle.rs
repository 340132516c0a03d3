//! A second implementation of the contract's rules for calls: the samples that an exposition must
//! contain for the records at `/simulator/listed`.

use std::collections::{BTreeMap, BTreeSet};

use ringcentral_exporter::simulator::{Record, Simulator};
use serde_json::Value;

/// The families about calls.
pub const CALL_FAMILIES: [&str; 5] = [
    "ringcentral_active_calls",
    "ringcentral_calls_in_progress",
    "ringcentral_call_sessions_in_progress",
    "ringcentral_extensions_in_call",
    "ringcentral_oldest_call_in_progress_start_timestamp_seconds",
];

/// Fetches the records that a simulated account listed at an instant.
pub async fn fetch_listed(simulator: &str, unix_ms: i64) -> Vec<Value> {
    let text = super::get(&format!("{simulator}/simulator/listed?at={unix_ms}")).await;
    serde_json::from_str(&text).unwrap()
}

/// Extension numbers by extension id.
pub type ExtensionNumbers = BTreeMap<String, String>;

/// Returns the samples that an exposition must contain for these records, with numbers in the label
/// `extension`.
pub fn samples_for(
    account: &str,
    records: &[Value],
    numbers: &ExtensionNumbers,
) -> BTreeMap<String, f64> {
    let calls: Vec<_> = records
        .iter()
        .filter(|record| record["type"] != "Fax")
        .collect();
    let live: Vec<_> = calls
        .iter()
        .filter(|record| record["result"] == "In Progress")
        .collect();
    let mut samples = BTreeMap::new();
    let mut add = |family: &str, labels: &str, value: f64| {
        let series = format!("{family}{{account=\"{account}\"{labels}}}");
        *samples.entry(series).or_insert(0.0) += value;
    };
    for record in &calls {
        let direction = text(record, "direction");
        let result = text(record, "result").replace("Hang up", "Hang Up");
        let extension = extension(record, numbers);
        let labels =
            format!(",direction=\"{direction}\",result=\"{result}\",extension=\"{extension}\"");
        add(CALL_FAMILIES[0], &labels, 1.0);
    }
    for direction in ["Inbound", "Outbound"] {
        let count = live
            .iter()
            .filter(|record| record["direction"] == direction)
            .count();
        add(
            CALL_FAMILIES[1],
            &format!(",direction=\"{direction}\""),
            count as f64,
        );
    }
    let sessions: BTreeSet<_> = live.iter().map(|record| session(record)).collect();
    add(CALL_FAMILIES[2], "", sessions.len() as f64);
    let extensions: BTreeSet<_> = live
        .iter()
        .map(|record| extension(record, numbers))
        .collect();
    add(CALL_FAMILIES[3], "", extensions.len() as f64);
    if let Some(oldest) = live.iter().map(|record| start_ms(record)).min() {
        add(CALL_FAMILIES[4], "", oldest as f64 / 1000.0);
    }
    samples
}

fn text<'a>(record: &'a Value, field: &str) -> &'a str {
    record[field].as_str().unwrap()
}

/// Returns the id of the record's telephony session.
fn session(record: &Value) -> &str {
    record["telephonySessionId"]
        .as_str()
        .unwrap_or_else(|| text(record, "sessionId"))
}

/// Returns the start of the call in Unix milliseconds.
fn start_ms(record: &Value) -> i64 {
    text(record, "startTime")
        .parse::<jiff::Timestamp>()
        .unwrap()
        .as_millisecond()
}

/// Returns the label `extension` of a record: the number of its extension in `numbers`, else the
/// number of the account's side of the call, else the extension id. The id in `uri` is the last
/// resort.
fn extension(record: &Value, numbers: &ExtensionNumbers) -> String {
    let own_side = if record["direction"] == "Inbound" {
        &record["to"]
    } else {
        &record["from"]
    };
    let own_number = own_side["extensionNumber"].as_str().map(str::to_owned);
    let record_id = record["extension"]["id"].as_u64().map(|id| id.to_string());
    let id = record_id.or_else(|| own_side["extensionId"].as_str().map(str::to_owned));
    let (_, path) = text(record, "uri").split_once("/extension/").unwrap();
    let id_in_uri = || path.split('/').next().unwrap().to_owned();
    match (id, own_number) {
        (Some(id), own_number) => numbers.get(&id).cloned().or(own_number).unwrap_or(id),
        (None, Some(number)) => number,
        (None, None) => numbers.get(&id_in_uri()).cloned().unwrap_or_else(id_in_uri),
    }
}

/// Returns the samples that an exposition must contain for what a simulated account lists now.
pub async fn expected_samples(simulator: &Simulator, account: &str) -> BTreeMap<String, f64> {
    let listed = fetch_listed(&simulator.url(), simulator.now()).await;
    samples_for(account, &listed, &extension_numbers(simulator))
}

/// Returns the extension numbers of a simulated account in this process.
pub fn extension_numbers(simulator: &Simulator) -> ExtensionNumbers {
    let mut numbers = ExtensionNumbers::new();
    for extension in simulator.switchboard().extensions() {
        if let Some(number) = &extension.number {
            numbers.insert(extension.id.to_string(), number.clone());
        }
    }
    numbers
}

/// Fetches the extension numbers of a simulated account in another process, with the variables that
/// the demo prints.
pub async fn fetch_extension_numbers(variables: &BTreeMap<String, String>) -> ExtensionNumbers {
    let server = &variables["RC_SERVER_URL"];
    let http = super::http();
    let login = http
        .post(format!("{server}/restapi/oauth/token"))
        .form(&[
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", &variables["RC_JWT"]),
        ])
        .basic_auth(
            &variables["RC_CLIENT_ID"],
            Some(&variables["RC_CLIENT_SECRET"]),
        );
    let token = send(login).await;
    let list = http
        .get(format!(
            "{server}/restapi/v1.0/account/~/extension?perPage=1000"
        ))
        .bearer_auth(token["access_token"].as_str().unwrap());
    let list = send(list).await;
    let mut numbers = ExtensionNumbers::new();
    for record in list["records"].as_array().unwrap() {
        if let Some(number) = record["extensionNumber"].as_str() {
            numbers.insert(record["id"].to_string(), number.to_owned());
        }
    }
    numbers
}

/// Sends a request and returns the JSON of its response.
async fn send(request: reqwest::RequestBuilder) -> Value {
    let response = request.send().await.unwrap();
    serde_json::from_str(&response.text().await.unwrap()).unwrap()
}

/// Returns the counters of ended calls that an exposition must contain once these records have
/// ended.
pub fn ended_counters(account: &str, records: &[Record]) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    for record in records.iter().filter(|record| record.kind != "Fax") {
        let direction = record.direction.name();
        let result = record.result.replace("Hang up", "Hang Up");
        let labels = format!("account=\"{account}\",direction=\"{direction}\",result=\"{result}\"");
        *samples
            .entry(format!("ringcentral_calls_ended_total{{{labels}}}"))
            .or_insert(0.0) += 1.0;
    }
    samples
}
