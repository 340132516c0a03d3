//! What a list amounts to, by the rules of the contract, from the records that the simulated account shows at
//! `/simulator/listed`.

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

/// The list of an instant, from a simulated account.
pub async fn listed(simulator: &str, unix_ms: i64) -> Vec<Value> {
    let text = super::get(&format!("{simulator}/simulator/listed?at={unix_ms}")).await;
    serde_json::from_str(&text).unwrap()
}

/// The account's numbers by id.
pub type Numbers = BTreeMap<String, String>;

/// The samples that an exposition must hold for this list of an account, with the label `extension` showing numbers.
pub fn samples(account: &str, records: &[Value], numbers: &Numbers) -> BTreeMap<String, f64> {
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
        let (direction, result) = (
            text(record, "direction"),
            text(record, "result").replace("Hang up", "Hang Up"),
        );
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
    if let Some(oldest) = live.iter().map(|record| start(record)).min() {
        add(CALL_FAMILIES[4], "", oldest as f64 / 1000.0);
    }
    samples
}

fn text<'a>(record: &'a Value, field: &str) -> &'a str {
    record[field].as_str().unwrap()
}

fn session(record: &Value) -> &str {
    record["telephonySessionId"]
        .as_str()
        .unwrap_or_else(|| text(record, "sessionId"))
}

fn start(record: &Value) -> i64 {
    text(record, "startTime")
        .parse::<jiff::Timestamp>()
        .unwrap()
        .as_millisecond()
}

/// The number that the account's list has for the record's extension; else the own side's number; else its id. The
/// address is looked at last.
fn extension(record: &Value, numbers: &Numbers) -> String {
    let own_side = if record["direction"] == "Inbound" {
        &record["to"]
    } else {
        &record["from"]
    };
    let own_number = own_side["extensionNumber"].as_str().map(str::to_owned);
    let named = record["extension"]["id"].as_u64().map(|id| id.to_string());
    let id = named.or_else(|| own_side["extensionId"].as_str().map(str::to_owned));
    let (_, address) = text(record, "uri").split_once("/extension/").unwrap();
    let address = || address.split('/').next().unwrap().to_owned();
    match (id, own_number) {
        (Some(id), own_number) => numbers.get(&id).cloned().or(own_number).unwrap_or(id),
        (None, Some(number)) => number,
        (None, None) => numbers.get(&address()).cloned().unwrap_or_else(address),
    }
}

/// The samples that an exposition must hold for what an account lists now.
pub async fn of(simulator: &Simulator, account: &str) -> BTreeMap<String, f64> {
    samples(
        account,
        &listed(&simulator.url(), simulator.now()).await,
        &numbers_of(simulator),
    )
}

/// The numbers of an account of this process.
pub fn numbers_of(simulator: &Simulator) -> Numbers {
    let extensions = simulator.switchboard().extensions().iter();
    extensions
        .filter_map(|extension| Some((extension.id.to_string(), extension.number.clone()?)))
        .collect()
}

/// The account's numbers, asked of a simulated account with the variables that the demo prints.
pub async fn numbers(variables: &BTreeMap<String, String>) -> Numbers {
    let server = &variables["RC_SERVER_URL"];
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
        ("assertion", &variables["RC_JWT"]),
    ];
    let login = super::http()
        .post(format!("{server}/restapi/oauth/token"))
        .form(&form);
    let login = login.basic_auth(
        &variables["RC_CLIENT_ID"],
        Some(&variables["RC_CLIENT_SECRET"]),
    );
    let token: Value =
        serde_json::from_str(&login.send().await.unwrap().text().await.unwrap()).unwrap();
    let list = super::http().get(format!(
        "{server}/restapi/v1.0/account/~/extension?perPage=1000"
    ));
    let list = list
        .bearer_auth(token["access_token"].as_str().unwrap())
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let list: Value = serde_json::from_str(&list).unwrap();
    let records = list["records"].as_array().unwrap().iter();
    records
        .filter_map(|record| {
            Some((
                record["id"].to_string(),
                record["extensionNumber"].as_str()?.to_owned(),
            ))
        })
        .collect()
}

/// What must have been counted once these records have ended.
pub fn ended(account: &str, records: &[Record]) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    for record in records.iter().filter(|record| record.kind != "Fax") {
        let (direction, result) = (
            record.direction.name(),
            record.result.replace("Hang up", "Hang Up"),
        );
        let labels = format!("account=\"{account}\",direction=\"{direction}\",result=\"{result}\"");
        *samples
            .entry(format!("ringcentral_calls_ended_total{{{labels}}}"))
            .or_insert(0.0) += 1.0;
    }
    samples
}
