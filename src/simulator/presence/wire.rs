//! The JSON of presence, in RingCentral's format: rows of the list, and notifications.
//!
//! Shares no type with the exporter, so that one mistake cannot cancel out in tests.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::simulator::company::Extension;
use crate::simulator::presence::{Presence, PresenceChange, Reachability};
use crate::simulator::scenario::EventBody;
use crate::simulator::wire::Links;

/// Returns a row of the presence list.
pub(in crate::simulator) fn row(
    extension: &Extension,
    status: Option<Presence>,
    links: &Links,
) -> Value {
    let uri = links.extension(extension.id);
    let fields = match status {
        Some(status) => all(status),
        None => {
            json!({"presenceStatus": Reachability::Offline, "userStatus": Reachability::Offline})
        }
    };
    let number = match &extension.number {
        Some(number) => json!({"extensionNumber": number}),
        None => json!({}),
    };
    let itself = merge(json!({"uri": uri, "id": extension.id}), number);
    let links = json!({"uri": format!("{uri}/presence"), "extension": itself});
    merge(with_flags(fields), links)
}

/// The parts of a notification besides the change itself.
pub(in crate::simulator) struct Envelope<'a> {
    pub(in crate::simulator) uuid: &'a str,
    pub(in crate::simulator) sequence: u64,
    pub(in crate::simulator) account_id: u64,
    pub(in crate::simulator) owner_id: u64,
    pub(in crate::simulator) subscription_id: &'a str,
}

/// Returns the body of a notification about one extension.
pub(in crate::simulator) fn notification(
    change: &PresenceChange,
    envelope: &Envelope<'_>,
    format: EventBody,
) -> Value {
    let statuses = if format.only_changed {
        changed(change.from, change.to)
    } else {
        with_flags(all(change.to))
    };
    let id = if format.ids_as_text {
        json!(change.extension_id.to_string())
    } else {
        json!(change.extension_id)
    };
    let numbers = json!({"extensionId": id, "sequence": envelope.sequence});
    let (account, extension) = (envelope.account_id, change.extension_id);
    json!({
        "uuid": envelope.uuid,
        "event": format!("/restapi/v1.0/account/{account}/extension/{extension}/presence"),
        "timestamp": timestamp(change.at_ms),
        "subscriptionId": envelope.subscription_id,
        "ownerId": envelope.owner_id.to_string(),
        "body": merge(statuses, numbers),
    })
}

/// Returns an instant in RingCentral's format, with milliseconds.
pub(in crate::simulator) fn timestamp(unix_ms: i64) -> String {
    match Timestamp::from_millisecond(unix_ms) {
        Ok(at) => format!("{at:.3}"),
        Err(_) => String::new(),
    }
}

fn all(status: Presence) -> Value {
    json!({
        "telephonyStatus": status.telephony,
        "presenceStatus": status.presence,
        "userStatus": status.user,
        "dndStatus": status.dnd,
    })
}

/// Returns the statuses that differ.
fn changed(from: Presence, to: Presence) -> Value {
    let (Value::Object(before), Value::Object(mut fields)) = (all(from), all(to)) else {
        return Map::new().into();
    };
    fields.retain(|name, value| before.get(name) != Some(value));
    fields.into()
}

fn with_flags(fields: Value) -> Value {
    let flags = json!({
        "meetingStatus": "Disconnected",
        "allowSeeMyPresence": true,
        "ringOnMonitoredCall": false,
        "pickUpCallsOnHold": false,
    });
    merge(fields, flags)
}

/// Adds the fields of an object to those of another.
pub(in crate::simulator) fn merge(mut fields: Value, more: Value) -> Value {
    if let (Some(fields), Value::Object(more)) = (fields.as_object_mut(), more) {
        fields.extend(more);
    }
    fields
}
