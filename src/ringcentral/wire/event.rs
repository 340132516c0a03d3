//! The messages of the event gateway: an array of `meta` and, often, a body.
//!
//! What is not understood is never guessed: a message or notification that lacks a part, or has it in another form, is
//! unreadable. Only fields that RingCentral documents as optional may be missing.

use std::borrow::Cow;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::presence::{DndStatus, EventId, PresenceEvent, PresenceStatus, TelephonyStatus};
use crate::ringcentral::wire::api_error::{identifier, long_identifier};
use crate::ringcentral::wire::json::{
    JsonObject, JsonReader, JsonResult, JsonString, JsonValue, read_document,
};
use crate::ringcentral::wire::lenient::{Field, ReadValue, json_object};
use crate::ringcentral::wire::token::seconds;
use crate::ringcentral::wire::{ApiError, ParseError, parse_api_error};

/// What stands in place of a body that is not JSON.
const MULTIPART: &[u8] = b"--";
/// How far a timestamp may be from the time of arrival: as far as a clock without a correct date is wrong.
const MAX_CLOCK_DIFFERENCE: SignedDuration = SignedDuration::from_hours(24);

/// A message of the gateway.
#[derive(Debug)]
pub(crate) enum Frame {
    /// The first message of a connection.
    ConnectionDetails(ConnectionDetails),
    /// The response to a request.
    Response(Response),
    /// A notification, `None` if it is unreadable or not about the presence of an extension.
    Notification(Option<PresenceEvent>),
    /// A failure of the connection.
    Error(ApiError),
    /// The answer to a heartbeat, or any other message.
    Other,
}

/// The limits of a connection.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ConnectionDetails {
    /// The time without traffic after which the gateway closes the connection.
    pub(crate) idle_timeout: Option<Duration>,
    /// The time after which the gateway closes the connection in any case.
    pub(crate) absolute_timeout: Option<Duration>,
}

/// The response to a request over the connection.
#[derive(Debug)]
pub(crate) struct Response {
    /// The id of the request.
    pub(crate) message_id: String,
    /// The HTTP status.
    pub(crate) status: u16,
    /// The header `RCRequestId`.
    pub(crate) request_id: Option<String>,
    body: Vec<u8>,
}

/// The subscription in a response.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct SubscriptionReply {
    /// The id, which its deletion needs.
    pub(crate) id: Option<String>,
    /// The reason why a filter is disabled, empty if it is not known; `None` if all filters are active.
    pub(crate) disabled: Option<String>,
}

json_object! {
    struct Meta<'a> {
        kind: Cow<'a, str> = "type",
        message_id: Cow<'a, str> = "messageId",
        status: Cow<'a, str> = "status",
        headers: Headers<'a> = "headers",
    }
}

json_object! {
    struct Headers<'a> {
        request_id: Cow<'a, str> = "RCRequestId",
    }
}

json_object! {
    struct DetailsBody<'a> {
        idle: JsonValue<'a> = "idleTimeout",
        absolute: JsonValue<'a> = "absoluteTimeout",
    }
}

json_object! {
    struct SubscriptionBody<'a> {
        id: Cow<'a, str> = "id",
        status: Cow<'a, str> = "status",
        filters: Filters = "eventFilters",
        disabled: Filters = "disabledFilters",
    }
}

json_object! {
    struct DisabledFilter<'a> {
        reason: Cow<'a, str> = "reason",
    }
}

/// A notification, in the form of 2018 inside a part for mobile devices.
#[derive(Default)]
struct Envelope<'a> {
    notification: Notification<'a>,
    push: Field<Notification<'a>>,
}

json_object! {
    struct Notification<'a> {
        uuid: Cow<'a, str> = "uuid",
        event: Cow<'a, str> = "event",
        timestamp: Cow<'a, str> = "timestamp",
        body: StatusBody<'a> = "body",
    }
}

json_object! {
    struct StatusBody<'a> {
        extension: Cow<'a, str> = "extensionId",
        sequence: Cow<'a, str> = "sequence",
        telephony: StatusText<'a> = "telephonyStatus",
        presence: StatusText<'a> = "presenceStatus",
        dnd: StatusText<'a> = "dndStatus",
    }
}

/// A status, empty if it is not text.
struct StatusText<'a>(Cow<'a, str>);

/// The entries of a list of filters.
#[derive(Default)]
struct Filters {
    count: usize,
    reason: Option<String>,
}

/// Parses a message that arrived at this time.
///
/// # Errors
/// Returns an error if the message is unreadable.
pub(crate) fn parse_frame(text: &str, arrived: Timestamp) -> Result<Frame, ParseError> {
    let unreadable = |_| ParseError("cannot parse message: not an array of JSON".to_owned());
    let (meta_text, body) = split_frame(text.as_bytes()).map_err(unreadable)?;
    let mut meta = Meta::default();
    read_document("message", meta_text, &mut meta)?;
    let body = body.unwrap_or_default();
    Ok(match meta.kind.text() {
        Some("ConnectionDetails") => Frame::ConnectionDetails(parse_details(body)),
        Some("ClientRequest") => Frame::Response(Response::new(&meta, body)?),
        Some("ServerNotification") => Frame::Notification(parse_notification(body, arrived)),
        Some("Error") => Frame::Error(parse_api_error(body)),
        Some(_) => Frame::Other,
        None => return Err(ParseError("cannot parse message: no type".to_owned())),
    })
}

/// Returns the texts of the meta and of the body, if there is one that is JSON. A part that is not JSON is multipart:
/// it is in place of the body or after it.
fn split_frame(text: &[u8]) -> JsonResult<(&[u8], Option<&[u8]>)> {
    let mut json = JsonReader::new(text);
    json.expect(b'[')?;
    let meta = json.read_raw_value()?;
    let mut body = None;
    if json.skip_byte(b',') && !json.is_followed_by(MULTIPART) {
        body = Some(json.read_raw_value()?);
        json.skip_byte(b',');
    }
    if json.is_followed_by(MULTIPART) {
        return Ok((meta, body));
    }
    json.expect(b']')?;
    if !(json.skip_byte(b',') && json.is_followed_by(MULTIPART)) {
        json.expect_end()?;
    }
    Ok((meta, body))
}

/// Parses the body of the first message. A limit that is missing or unreadable is not known.
fn parse_details(body: &[u8]) -> ConnectionDetails {
    let mut details = DetailsBody::default();
    if read_document("details", body, &mut details).is_err() {
        return ConnectionDetails::default();
    }
    ConnectionDetails {
        idle_timeout: seconds(&details.idle).map(Duration::from_secs),
        absolute_timeout: seconds(&details.absolute).map(Duration::from_secs),
    }
}

/// Parses the body of a notification, `None` if it is unreadable or not about the presence of an extension.
fn parse_notification(body: &[u8], arrived: Timestamp) -> Option<PresenceEvent> {
    let mut envelope = Envelope::default();
    read_document("notification", body, &mut envelope).ok()?;
    let notification = envelope.into_notification()?;
    if !is_presence_event(notification.event.text()?) {
        return None;
    }
    let status = notification.body.value?;
    Some(PresenceEvent {
        id: notification.uuid.text().map(EventId::new),
        extension: status.extension.text()?.parse().ok()?,
        sequence: parse_sequence(&status.sequence).ok()?,
        timestamp: parse_timestamp(&notification.timestamp, arrived),
        arrived,
        telephony: status.telephony.parse_with(TelephonyStatus::parse),
        presence: status.presence.parse_with(PresenceStatus::parse),
        dnd: status.dnd.parse_with(DndStatus::parse),
    })
}

/// Parses a timestamp, which may be missing or unreadable. One that is far from the time of arrival is not used.
fn parse_timestamp(field: &Field<Cow<'_, str>>, arrived: Timestamp) -> Option<Timestamp> {
    let timestamp: Timestamp = field.text()?.parse().ok()?;
    let distance = timestamp.duration_since(arrived).abs();
    (distance <= MAX_CLOCK_DIFFERENCE).then_some(timestamp)
}

/// Parses the sequence, which may be missing.
fn parse_sequence(field: &Field<Cow<'_, str>>) -> Result<Option<u64>, std::num::ParseIntError> {
    field.text().map(str::parse).transpose()
}

/// Returns whether a notification is about the presence of an extension, and not about that of a queue's members or
/// about another subject.
fn is_presence_event(event: &str) -> bool {
    let path = event.split('?').next().unwrap_or_default();
    let Some(path) = path.strip_prefix("/restapi/") else {
        return false;
    };
    let segments: Vec<_> = path.split('/').collect();
    matches!(
        segments.as_slice(),
        [_, "account", _, "presence"] | [_, "account", _, "extension", _, "presence"]
    )
}

// === impl Envelope ===

impl<'a> JsonObject<'a> for Envelope<'a> {
    fn read_field(&mut self, key: &str, json: &mut JsonReader<'a>) -> JsonResult {
        match key {
            "pn_apns" => self.push.read(json),
            _ => self.notification.read_field(key, json),
        }
    }
}

impl<'a> Envelope<'a> {
    fn into_notification(self) -> Option<Notification<'a>> {
        match self.notification.event.value {
            Some(_) => Some(self.notification),
            None => self.push.value,
        }
    }
}

// === impl Response ===

impl Response {
    fn new(meta: &Meta<'_>, body: &[u8]) -> Result<Self, ParseError> {
        let missing = |name| ParseError(format!("cannot parse response: no valid {name}"));
        let id = meta.message_id.text();
        let status = meta.status.text().and_then(|status| status.parse().ok());
        let headers = meta.headers.value.as_ref();
        Ok(Self {
            message_id: id.ok_or_else(|| missing("messageId"))?.to_owned(),
            status: status.ok_or_else(|| missing("status"))?,
            request_id: headers.and_then(|headers| identifier(&headers.request_id)),
            body: body.to_owned(),
        })
    }

    /// Returns the subscription that was created.
    pub(crate) fn subscription(&self) -> SubscriptionReply {
        let mut body = SubscriptionBody::default();
        if read_document("subscription", &self.body, &mut body).is_err() {
            return SubscriptionReply::default();
        }
        let filters = body.filters.value;
        let is_empty = filters.is_some_and(|filters| filters.count == 0);
        let is_inactive = body.status.text().is_some_and(|status| status != "Active");
        let disabled = body.disabled.value.filter(|filters| filters.count > 0);
        let reason = disabled.map(|filters| filters.reason.unwrap_or_default());
        SubscriptionReply {
            id: long_identifier(&body.id),
            disabled: reason.or_else(|| (is_empty || is_inactive).then(String::new)),
        }
    }

    /// Returns the error of a request that was rejected.
    pub(crate) fn error(&self) -> ApiError {
        parse_api_error(&self.body)
    }
}

// === impl StatusText ===

impl<'a> ReadValue<'a> for StatusText<'a> {
    fn read_value(json: &mut JsonReader<'a>) -> JsonResult<Option<Self>> {
        Ok(match json.read_value()? {
            JsonValue::String(JsonString::Text(text)) => Some(Self(text)),
            JsonValue::Scalar("null") => None,
            _ => Some(Self("".into())),
        })
    }
}

impl Field<StatusText<'_>> {
    /// Returns the parsed status, that of no text if it is unreadable. A field that is missing has not changed.
    fn parse_with<T>(&self, parse: fn(Option<&str>) -> T) -> Option<T> {
        if self.is_repeated {
            return Some(parse(None));
        }
        let text = self.value.as_ref()?.0.trim();
        Some(parse(Some(text)))
    }
}

// === impl Filters ===

impl<'a> ReadValue<'a> for Filters {
    fn read_value(json: &mut JsonReader<'a>) -> JsonResult<Option<Self>> {
        if json.peek() != Some(b'[') {
            json.skip_value()?;
            return Ok(None);
        }
        let mut filters = Self::default();
        json.read_array(|json| {
            filters.count += 1;
            let filter = DisabledFilter::read_value(json)?;
            let reason = filter.and_then(|filter| identifier(&filter.reason));
            filters.reason = filters.reason.take().or(reason);
            Ok(())
        })?;
        Ok(Some(filters))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrived() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    fn parse(text: &str) -> Frame {
        parse_frame(text, arrived()).unwrap()
    }

    /// Returns the event of a notification with this body.
    fn event(notification: &str) -> Option<PresenceEvent> {
        match parse(&format!(
            r#"[{{"type":"ServerNotification"}},{notification}]"#
        )) {
            Frame::Notification(event) => event,
            other => panic!("{other:?}"),
        }
    }

    /// Returns the event of a notification about an extension with these fields.
    fn event_with(fields: &str) -> Option<PresenceEvent> {
        let event_path = "/restapi/v1.0/account/1/extension/7/presence";
        event(&format!(
            r#"{{"event":"{event_path}","body":{{{fields}}}}}"#
        ))
    }

    fn response(text: &str) -> Response {
        match parse(text) {
            Frame::Response(response) => response,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn recorded_presence_notifications_are_read() {
        let ringing = include_str!(
            "../../../tests/fixtures/events/ws-notification-presence-ringing-2022.json"
        );
        let arrived = "2022-02-10T08:43:42.9Z".parse().unwrap();
        let Ok(Frame::Notification(Some(ringing))) = parse_frame(ringing, arrived) else {
            panic!("{ringing}");
        };
        assert_eq!(ringing.arrived, arrived);
        assert_eq!(ringing.id, Some(EventId::new("5745390252954738247")));
        assert_eq!((ringing.extension, ringing.sequence), (908199004, Some(10)));
        let timestamp = "2022-02-10T08:43:42.805Z".parse().ok();
        assert_eq!(ringing.timestamp, timestamp);
        assert_eq!(ringing.telephony, Some(TelephonyStatus::Ringing));
        assert_eq!(ringing.presence, Some(PresenceStatus::Available));
        assert_eq!(ringing.dnd, Some(DndStatus::TakeAllCalls));
        // Of the account, with the id as text.
        let connected =
            include_str!("../../../tests/fixtures/events/presence-account-event-2016.json");
        let connected = event(connected).unwrap();
        assert_eq!(
            (connected.extension, connected.sequence),
            (6610372004, Some(2698))
        );
        assert_eq!(connected.telephony, Some(TelephonyStatus::CallConnected));
        assert_eq!(connected.presence, Some(PresenceStatus::Busy));
    }

    #[test]
    fn notifications_of_other_subjects_are_unreadable() {
        let store =
            include_str!("../../../tests/fixtures/events/ws-notification-message-store-2023.json");
        assert!(matches!(parse(store), Frame::Notification(None)));
        let queue =
            include_str!("../../../tests/fixtures/events/presence-queue-members-event-2019.json");
        assert!(event(queue).is_none());
        let session = include_str!(
            "../../../tests/fixtures/events/tsn-extension-proceeding-pn-apns-2018.json"
        );
        assert!(event(session).is_none());
        // The same form about presence is read.
        let presence = session.replace("/telephony/sessions", "/presence");
        let arrived = "2018-06-05T00:14:50.3Z".parse().unwrap();
        let presence = parse_notification(presence.as_bytes(), arrived).unwrap();
        assert_eq!(presence.id, Some(EventId::new("837270960869181944")));
        assert_eq!(
            (presence.extension, presence.sequence),
            (400144455008, Some(5))
        );
        let timestamp = "2018-06-05T00:14:50.181Z".parse().ok();
        assert_eq!(presence.timestamp, timestamp);
        assert_eq!(presence.telephony, None);
    }

    #[test]
    fn recorded_details_have_limits() {
        let details =
            include_str!("../../../tests/fixtures/events/ws-connection-details-2020.json");
        let Frame::ConnectionDetails(details) = parse(details) else {
            panic!("{details}");
        };
        assert_eq!(details.idle_timeout, Some(Duration::from_secs(1800)));
        assert_eq!(details.absolute_timeout, Some(Duration::from_secs(86400)));
        for body in [
            "",
            ",{}",
            ",null",
            ",[]",
            r#",{"idleTimeout":"soon"}"#,
            ",--Boundary",
        ] {
            let text = format!(r#"[{{"type":"ConnectionDetails"}}{body}]"#);
            let Frame::ConnectionDetails(details) = parse(&text) else {
                panic!("{text}");
            };
            assert_eq!(details, ConnectionDetails::default(), "{text}");
        }
    }

    #[test]
    fn recorded_responses_are_read() {
        let text =
            include_str!("../../../tests/fixtures/events/ws-subscription-response-2021.json");
        let subscribed = response(text);
        assert_eq!(subscribed.message_id, "oMtcBl8rQ9mvrPHdP4TYxA/0");
        assert_eq!(subscribed.status, 200);
        let id = "e724579e-db35-11eb-9df5-005056bea08c-0";
        assert_eq!(subscribed.request_id.as_deref(), Some(id));
        let subscription = subscribed.subscription();
        let id = "9c5bf39a-2c66-43e4-a927-737de24097b1";
        assert_eq!(subscription.id.as_deref(), Some(id));
        assert_eq!(subscription.disabled, None);
        let deleted = include_str!("../../../tests/fixtures/events/ws-delete-response-2022.json");
        let deleted = response(deleted);
        assert_eq!(deleted.message_id, "E/GU8N64QuSRyt6aa5PFUA/2");
        assert_eq!(deleted.status, 204);
        assert_eq!(deleted.subscription(), SubscriptionReply::default());
    }

    #[test]
    fn subscription_without_its_filter_is_disabled() {
        for (fields, disabled) in [
            (r#""eventFilters":["f"]"#, None),
            (r#""eventFilters":["f"],"disabledFilters":[]"#, None),
            (r#""eventFilters":["f"],"disabledFilters":null"#, None),
            (r#""status":"Active""#, None),
            (r#""status":"Suspended""#, Some("")),
            (r#""eventFilters":[]"#, Some("")),
            (r#""disabledFilters":["f"]"#, Some("")),
            (
                r#""eventFilters":["f"],"disabledFilters":[{"filter":"f","reason":"InsufficientPermissions"}]"#,
                Some("InsufficientPermissions"),
            ),
            (
                r#""disabledFilters":[{"reason":"a sentence with a name"}]"#,
                Some(""),
            ),
        ] {
            let text = format!(
                r#"[{{"type":"ClientRequest","messageId":"1","status":200}},{{"id":"s",{fields}}}]"#
            );
            let subscription = response(&text).subscription();
            assert_eq!(subscription.disabled.as_deref(), disabled, "{fields}");
            assert_eq!(subscription.id.as_deref(), Some("s"));
        }
    }

    #[test]
    fn subscription_ids_may_be_long_but_not_paths() {
        let id = |id: &str| {
            let text = format!(
                r#"[{{"type":"ClientRequest","messageId":"1","status":200}},{{"id":"{id}"}}]"#
            );
            response(&text).subscription().id
        };
        let long = "a-_9".repeat(50);
        assert_eq!(id(&long), Some(long.clone()));
        for invalid in [format!("{long}a"), "a/b".to_owned(), "..".to_owned()] {
            assert_eq!(id(&invalid), None, "{invalid}");
        }
    }

    #[test]
    fn rejected_request_has_codes() {
        let text = r#"[{"type":"ClientRequest","messageId":7,"status":"403"},{"errorCode":"SUB-505","message":"m"}]"#;
        let rejected = response(text);
        assert_eq!((rejected.message_id.as_str(), rejected.status), ("7", 403));
        assert_eq!(rejected.error().codes, ["SUB-505"]);
        let text = r#"[{"type":"Error"},{"errorCode":"WSG-902","message":"idle"}]"#;
        let Frame::Error(error) = parse(text) else {
            panic!("{text}");
        };
        assert_eq!(error.codes, ["WSG-902"]);
    }

    #[test]
    fn multipart_in_place_of_or_after_the_body_is_skipped() {
        let body = r#"{"event":"/restapi/v1.0/account/1/presence","body":{"extensionId":7}}"#;
        for (text, has_event) in [
            (format!(r#"[{{"type":"ServerNotification"}},{body}]"#), true),
            (
                format!(r#"[{{"type":"ServerNotification"}},{body},--Boundary_1]"#),
                true,
            ),
            (
                format!("[{{\"type\":\"ServerNotification\"}},{body}],--Boundary_1\r\n{{}}"),
                true,
            ),
            (
                "[{\"type\":\"ServerNotification\"},--Boundary_1\r\n{\"a\":1}]".to_owned(),
                false,
            ),
            (
                r#"[{"type":"ServerNotification"}],--Boundary"#.to_owned(),
                false,
            ),
            (r#"[{"type":"ServerNotification"}]"#.to_owned(), false),
        ] {
            let Frame::Notification(event) = parse(&text) else {
                panic!("{text}");
            };
            assert_eq!(event.is_some(), has_event, "{text}");
        }
    }

    #[test]
    fn message_that_is_no_array_with_a_type_is_an_error() {
        for text in [
            "",
            " ",
            "{}",
            "[]",
            "[1]",
            "[null]",
            "null",
            "[{}]",
            "[[]]",
            "hello",
            "--Boundary",
            r#"[{"type":null}]"#,
            r#"[{"type":["Heartbeat"]}]"#,
            r#"[{"type":"Heartbeat","type":"Error"}]"#,
            r#"[{"type":"Heartbeat"}"#,
            r#"[{"type":"Heartbeat"}]]"#,
            r#"[{"type":"Heartbeat"}] x"#,
            r#"[{"type":"Heartbeat"},{}"#,
            r#"[{"type":"Heartbeat"},{},{}]"#,
            r#"[{"type":"Heartbeat"},]"#,
            r#"{"type":"Heartbeat"}"#,
            r#"[{"type":"ClientRequest"}]"#,
            r#"[{"type":"ClientRequest","messageId":"1"}]"#,
            r#"[{"type":"ClientRequest","messageId":"1","status":"ok"}]"#,
            r#"[{"type":"ClientRequest","messageId":"1","status":70000}]"#,
        ] {
            assert!(parse_frame(text, arrived()).is_err(), "{text}");
        }
        for text in [
            r#"[{"type":"Heartbeat","messageId":"1"}]"#,
            "\u{feff} [ { \"type\" : \"Heartbeat\" } ] \n",
            r#"[{"type":"News"},17]"#,
        ] {
            assert!(matches!(parse(text), Frame::Other), "{text}");
        }
    }

    #[test]
    fn deep_nesting_and_odd_values_cost_only_their_field() {
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        for odd in [deep.as_str(), "1e999", r#""\ud800""#, "{}", "null"] {
            let event = event_with(&format!(r#""extensionId":7,"odd":{odd}"#)).unwrap();
            assert_eq!(event.extension, 7);
        }
    }

    #[test]
    fn extension_and_sequence_are_numbers_or_text() {
        for (fields, expected) in [
            (r#""extensionId":7,"sequence":3"#, Some((7, Some(3)))),
            (r#""extensionId":"7","sequence":"3""#, Some((7, Some(3)))),
            (r#""extensionId":" 7 ","sequence":3.0"#, Some((7, Some(3)))),
            (r#""extensionId":7"#, Some((7, None))),
            (r#""extensionId":7,"sequence":null"#, Some((7, None))),
            (r#""extensionId":7,"sequence":"x""#, None),
            (r#""extensionId":7,"sequence":"-1""#, None),
            (r#""sequence":3"#, None),
            (r#""extensionId":null"#, None),
            (r#""extensionId":"~""#, None),
            (r#""extensionId":-7"#, None),
            (r#""extensionId":7.5"#, None),
            (r#""extensionId":[7]"#, None),
            (r#""extensionId":7,"extensionId":8"#, None),
            (r#""extensionId":"99999999999999999999999""#, None),
        ] {
            let event = event_with(fields);
            let found = event.map(|event| (event.extension, event.sequence));
            assert_eq!(found, expected, "{fields}");
        }
    }

    #[test]
    fn missing_status_is_unchanged_and_other_ones_unknown() {
        use TelephonyStatus::{OnHold, Unknown};
        for (field, expected) in [
            ("", None),
            (r#","telephonyStatus":null"#, None),
            (r#","telephonyStatus":"OnHold""#, Some(OnHold)),
            (r#","telephonyStatus":" OnHold ""#, Some(OnHold)),
            (r#","telephonyStatus":"onhold""#, Some(Unknown)),
            (r#","telephonyStatus":"Whispering""#, Some(Unknown)),
            (r#","telephonyStatus":"""#, Some(Unknown)),
            (r#","telephonyStatus":"\ud800""#, Some(Unknown)),
            (r#","telephonyStatus":3"#, Some(Unknown)),
            (r#","telephonyStatus":true"#, Some(Unknown)),
            (r#","telephonyStatus":["OnHold"]"#, Some(Unknown)),
            (
                r#","telephonyStatus":"OnHold","telephonyStatus":"OnHold""#,
                Some(Unknown),
            ),
        ] {
            let event = event_with(&format!(r#""extensionId":7{field}"#)).unwrap();
            assert_eq!(event.telephony, expected, "{field}");
            assert_eq!((event.presence, event.dnd), (None, None));
        }
        let fields = r#""extensionId":7,"presenceStatus":"Away","dndStatus":"x""#;
        let event = event_with(fields).unwrap();
        assert_eq!(event.presence, Some(PresenceStatus::Unknown));
        assert_eq!(event.dnd, Some(DndStatus::Unknown));
    }

    #[test]
    fn timestamp_is_that_of_the_event_or_absent() {
        let arrival = 1_800_000_000;
        for (field, second) in [
            (r#""2027-01-15T08:00:01Z""#, Some(arrival + 1)),
            (r#""2027-01-15T08:00:01.000+0000""#, Some(arrival + 1)),
            (r#""2027-01-15T09:00:01+01:00""#, Some(arrival + 1)),
            (r#"" 2027-01-15 08:00:01Z ""#, Some(arrival + 1)),
            (r#""2027-01-16T08:00:00Z""#, Some(arrival + 86_400)),
            (r#""2027-01-16T08:00:01Z""#, None),
            (r#""2027-01-14T08:00:00Z""#, Some(arrival - 86_400)),
            (r#""2027-01-14T07:59:59Z""#, None),
            (r#""2027-01-15T08:00:01""#, None),
            (r#""2027-01-15""#, None),
            (r#""yesterday""#, None),
            (r#""-009999-01-02T01:59:59Z""#, None),
            (r#""9999-12-30T22:00:00Z""#, None),
            (r#""99999-01-01T00:00:00Z""#, None),
            (r#""2027-02-30T08:00:00Z""#, None),
            (r#""""#, None),
            (r#""\ud800""#, None),
            ("1800000001", None),
            ("1e999", None),
            ("true", None),
            ("[1]", None),
            (r#"{"a":{}}"#, None),
            ("null", None),
            (r#""2027-01-15T08:00:01Z","timestamp":1"#, None),
        ] {
            let text = format!(
                r#"{{"timestamp":{field},"event":"/restapi/v1.0/account/1/presence","body":{{"extensionId":7}}}}"#
            );
            let event = event(&text).unwrap();
            let found = event.timestamp.map(Timestamp::as_second);
            assert_eq!(found, second, "{field}");
            assert_eq!(event.arrived.as_second(), arrival);
        }
        let event = event_with(r#""extensionId":7"#).unwrap();
        assert_eq!(event.timestamp, None);
    }

    #[test]
    fn event_path_is_that_of_an_extensions_presence() {
        for (path, is_presence) in [
            ("/restapi/v1.0/account/~/presence", true),
            (
                "/restapi/v1.0/account/1/presence?detailedTelephonyState=true",
                true,
            ),
            ("/restapi/v1.0/account/1/extension/2/presence", true),
            (
                "/restapi/v1.0/account/1/extension/2/presence?sipData=true",
                true,
            ),
            ("/restapi/v1.0/account/1/call-queues/2/presence", false),
            ("/restapi/v1.0/account/1/extension/2/presence/line", false),
            (
                "/restapi/v1.0/account/1/extension/2/favorite/presence",
                false,
            ),
            ("/restapi/v1.0/account/1/telephony/sessions", false),
            ("/account/1/presence", false),
            ("presence", false),
            ("", false),
        ] {
            let text = format!(r#"{{"event":"{path}","body":{{"extensionId":7}}}}"#);
            assert_eq!(event(&text).is_some(), is_presence, "{path}");
        }
        for text in [
            "{}",
            "null",
            "[]",
            "17",
            r#"{"body":{"extensionId":7}}"#,
            r#"{"event":"/restapi/v1.0/account/1/presence"}"#,
            r#"{"event":"/restapi/v1.0/account/1/presence","body":"x"}"#,
            r#"{"event":"/restapi/v1.0/account/1/presence","body":{"extensionId":7},"body":{"extensionId":8}}"#,
        ] {
            assert!(event(text).is_none(), "{text}");
        }
    }
}
