//! What a list amounts to, by the rules of the contract and from the simulator's own records.

use std::collections::{BTreeMap, BTreeSet};

use ringcentral_exporter::simulator::Record;
use ringcentral_exporter::simulator::record::Direction;

/// The samples that an exposition must hold for this list at the default label `number`.
pub fn samples(records: &[Record], account_id: u64) -> BTreeMap<String, f64> {
    let calls: Vec<_> = records.iter().filter(|record| record.kind != "Fax").collect();
    let live: Vec<_> = calls.iter().filter(|record| record.is_live()).collect();
    let mut samples = BTreeMap::new();
    let mut add = |series: String, count: f64| *samples.entry(series).or_insert(0.0) += count;
    for record in &calls {
        let (direction, result) = (direction(record), result(record));
        let extension = extension(record, account_id);
        add(
            format!(
                "ringcentral_active_calls{{account=\"default\",direction=\"{direction}\",result=\"{result}\",extension=\"{extension}\"}}"
            ),
            1.0,
        );
    }
    for way in ["Inbound", "Outbound"] {
        let count = live.iter().filter(|record| direction(record) == way).count();
        add(format!("ringcentral_calls_in_progress{{account=\"default\",direction=\"{way}\"}}"), count as f64);
    }
    let sessions: BTreeSet<_> = live.iter().map(|record| session(record)).collect();
    add("ringcentral_call_sessions_in_progress{account=\"default\"}".to_owned(), sessions.len() as f64);
    let extensions: BTreeSet<_> = live.iter().map(|record| extension(record, account_id)).collect();
    add("ringcentral_extensions_in_call{account=\"default\"}".to_owned(), extensions.len() as f64);
    if let Some(oldest) = live.iter().map(|record| record.start_ms).min() {
        let series = "ringcentral_oldest_call_in_progress_start_timestamp_seconds{account=\"default\"}";
        add(series.to_owned(), oldest as f64 / 1000.0);
    }
    samples
}

fn direction(record: &Record) -> &'static str {
    match record.direction {
        Direction::Inbound => "Inbound",
        Direction::Outbound => "Outbound",
    }
}

fn result(record: &Record) -> &'static str {
    match record.result {
        "Hang up" => "Hang Up",
        other => other,
    }
}

fn session(record: &Record) -> String {
    record.telephony_session_id.clone().unwrap_or_else(|| record.session_id.clone())
}

/// The own side's number, else the id; a company-level record has its account in its address.
fn extension(record: &Record, account_id: u64) -> String {
    let own_side = match record.direction {
        Direction::Inbound => &record.to,
        Direction::Outbound => &record.from,
    };
    let id = record.extension_id.or(own_side.extension_id).unwrap_or(account_id);
    own_side.extension_number.clone().unwrap_or_else(|| id.to_string())
}
