//! One record of the active-calls list.

use std::borrow::Cow;

use smol_str::{SmolStr, format_smolstr};

use crate::calls::{Call, CallResult, CallState, Direction, Extension, SessionIds};
use crate::ringcentral::wire::json::{JsonObject, JsonReader, JsonResult, JsonString};
use crate::ringcentral::wire::lenient::{Field, ReadValue, json_object};

/// The maximum length of an id that is kept as it is, in bytes; RingCentral's have up to 50.
const MAX_ID_LEN: usize = 64;

json_object! {
    /// The fields of a record that a call is built from. Names and phone numbers are not read.
    struct CallRecord<'a> {
        id: JsonString<'a> = "id",
        uri: Cow<'a, str> = "uri",
        session_id: JsonString<'a> = "sessionId",
        telephony_session_id: JsonString<'a> = "telephonySessionId",
        start_time: Cow<'a, str> = "startTime",
        kind: Cow<'a, str> = "type",
        direction: Cow<'a, str> = "direction",
        result: Cow<'a, str> = "result",
        duration: Cow<'a, str> = "duration",
        duration_ms: Cow<'a, str> = "durationMs",
        finished: bool = "finished",
        from: Party<'a> = "from",
        to: Party<'a> = "to",
        extension: ExtensionRef<'a> = "extension",
    }
}

json_object! {
    struct Party<'a> {
        extension_id: Cow<'a, str> = "extensionId",
        extension_number: Cow<'a, str> = "extensionNumber",
    }
}

json_object! {
    struct ExtensionObject<'a> {
        id: Cow<'a, str> = "id",
        uri: Cow<'a, str> = "uri",
    }
}

/// The extension of a record: an object, or only its id.
enum ExtensionRef<'a> {
    Object(ExtensionObject<'a>),
    Id(Field<Cow<'a, str>>),
}

impl<'a> ReadValue<'a> for ExtensionRef<'a> {
    fn read_value(json: &mut JsonReader<'a>) -> JsonResult<Option<Self>> {
        if json.peek() == Some(b'{') {
            return Ok(ExtensionObject::read_value(json)?.map(Self::Object));
        }
        let mut id = Field::default();
        id.read(json)?;
        Ok(Some(Self::Id(id)))
    }
}

impl ExtensionRef<'_> {
    /// Returns the id, else the one in the address.
    fn id(&self) -> Option<SmolStr> {
        match self {
            Self::Id(id) => digits(id, 20),
            Self::Object(object) => digits(&object.id, 20).or_else(|| {
                let id = id_after("/extension/", object.uri.text()?)?;
                Some(id.into())
            }),
        }
    }
}

impl CallRecord<'_> {
    /// Returns whether the record has two ids: it cannot be recognised in the next list.
    pub(crate) fn has_two_ids(&self) -> bool {
        self.id.is_repeated
    }

    /// Returns the record's own id, else the last part of its address, else what stands for an unreadable id.
    pub(crate) fn id(&self) -> Option<SmolStr> {
        if let Some(JsonString::Unreadable(bytes)) = self.id.value {
            return Some(self.id_in_uri().unwrap_or_else(|| hash_id(bytes)));
        }
        id_text(&self.id).or_else(|| self.id_in_uri())
    }

    /// Returns the last part of the record's address.
    fn id_in_uri(&self) -> Option<SmolStr> {
        let path = self.uri.text()?.split(['?', '#']).next()?;
        let (_, last) = path.rsplit_once('/')?;
        (!last.is_empty()).then(|| short_id(last))
    }

    /// Returns the id of the account in the record's address.
    pub(crate) fn account_id(&self) -> Option<&str> {
        id_after("/account/", self.uri.text()?)
    }

    /// Returns the call that the record describes, `None` for a fax.
    pub(crate) fn to_call(&self, id: SmolStr) -> Option<Call> {
        let kind = self.kind.text().unwrap_or_default();
        if kind.eq_ignore_ascii_case("fax") {
            return None;
        }
        let direction = self.direction();
        let result = self.result.text().and_then(CallResult::parse);
        let state = CallState::new(self.finished.value, result.as_ref());
        Some(Call {
            id,
            session: SessionIds {
                telephony: session_id(&self.telephony_session_id),
                session: session_id(&self.session_id),
            },
            direction,
            state,
            result: label_result(state, result),
            extension: self.extension(direction),
            start: self.start_time.text().and_then(|time| time.parse().ok()),
            duration: self.duration(),
        })
    }

    fn direction(&self) -> Direction {
        match self.direction.text() {
            Some(text) if text.eq_ignore_ascii_case("Inbound") => Direction::Inbound,
            Some(text) if text.eq_ignore_ascii_case("Outbound") => Direction::Outbound,
            _ => Direction::Unknown,
        }
    }

    /// Returns the duration in seconds, from `durationMs` or else from `duration`.
    fn duration(&self) -> Option<f64> {
        match whole_number(&self.duration_ms) {
            Some(milliseconds) => Some(milliseconds / 1000.0),
            None => whole_number(&self.duration),
        }
    }

    /// Returns the extension by `extension.id`, else the own side's id, else its number, else the record's address.
    fn extension(&self, direction: Direction) -> Option<Extension> {
        let own_side = match direction {
            Direction::Inbound => &self.to.value,
            Direction::Outbound => &self.from.value,
            Direction::Unknown => &None,
        };
        let mut id = None;
        let mut number = None;
        if let Some(extension) = &self.extension.value {
            id = extension.id();
        }
        if let Some(party) = own_side {
            id = id.or_else(|| digits(&party.extension_id, 20));
            number = digits(&party.extension_number, 8);
        }
        if id.is_none() && number.is_none() {
            let id_of_uri = id_after("/extension/", self.uri.text()?)?;
            id = Some(id_of_uri.into());
        }
        Extension::new(id, number)
    }
}

/// Returns a session id, `None` if it is `0`, which stands for none.
fn session_id(field: &Field<JsonString<'_>>) -> Option<SmolStr> {
    id_text(field).filter(|id| id != "0")
}

/// Returns an id. Equal bytes give equal ids and others do not, also where they are not text, so that no record is
/// counted twice and no two are joined.
fn id_text(field: &Field<JsonString<'_>>) -> Option<SmolStr> {
    match field.value.as_ref()? {
        JsonString::Unreadable(bytes) => Some(hash_id(bytes)),
        JsonString::Text(text) if text.trim().is_empty() => None,
        JsonString::Text(text) => Some(short_id(text.trim())),
    }
}

fn short_id(id: &str) -> SmolStr {
    if id.len() > MAX_ID_LEN {
        return hash_id(id.as_bytes());
    }
    id.into()
}

/// Returns a short id that stands for these bytes.
fn hash_id(bytes: &[u8]) -> SmolStr {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    let first = digest.as_ref().first_chunk().copied().unwrap_or_default();
    format_smolstr!("#{:032x}", u128::from_be_bytes(first))
}

/// Returns the label value of `result`: always `In Progress` for a live record, never for an ended one.
fn label_result(state: CallState, result: Option<CallResult>) -> CallResult {
    match (state, result) {
        (CallState::Live, _) => CallResult::IN_PROGRESS,
        (_, Some(result)) if !result.is_in_progress() => result,
        _ => CallResult::UNKNOWN,
    }
}

/// Returns a number that may also be text, such as `"18.0"`.
fn whole_number(field: &Field<Cow<'_, str>>) -> Option<f64> {
    let number: f64 = field.text()?.parse().ok()?;
    let is_valid = number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number);
    is_valid.then_some(number)
}

fn digits(field: &Field<Cow<'_, str>>, max_len: usize) -> Option<SmolStr> {
    let text = field.text()?;
    is_digits(text, max_len).then(|| text.into())
}

/// Returns whether a text consists of one to `max_len` digits.
pub(crate) fn is_digits(text: &str, max_len: usize) -> bool {
    (1..=max_len).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns the digits that follow `marker` in an address, up to the next `/`, `?` or the end.
pub(crate) fn id_after<'a>(marker: &str, uri: &'a str) -> Option<&'a str> {
    let (_, rest) = uri.split_once(marker)?;
    let id = rest.split(['/', '?']).next()?;
    is_digits(id, 20).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ringcentral::wire::json::read_document;

    fn to_call(json: &str) -> Option<Call> {
        let mut record = CallRecord::default();
        read_document("record", json.as_bytes(), &mut record).unwrap();
        let id = record.id().unwrap_or("#1-0".into());
        record.to_call(id)
    }

    fn call(json: &str) -> Call {
        to_call(json).unwrap()
    }

    fn extension(json: &str) -> Option<(Option<SmolStr>, Option<SmolStr>)> {
        call(json)
            .extension
            .map(|extension| (extension.id, extension.number))
    }

    fn session(json: &str) -> (Option<SmolStr>, Option<SmolStr>) {
        let session = call(json).session;
        (session.telephony, session.session)
    }

    fn some(text: &str) -> Option<SmolStr> {
        Some(text.into())
    }

    #[test]
    fn empty_record_is_listed_as_unknown() {
        let call = call("{}");
        assert_eq!(
            (call.id.as_str(), call.session),
            ("#1-0", SessionIds::default())
        );
        assert_eq!(
            (call.direction, call.state),
            (Direction::Unknown, CallState::Unknown)
        );
        assert_eq!(
            (call.result, call.extension, call.start),
            (CallResult::UNKNOWN, None, None)
        );
    }

    #[test]
    fn fields_of_another_type_count_as_absent() {
        let invalid = r#"{"id":{"a":[1,{}]},"sessionId":[],"direction":7.5,"result":true,"finished":"yes","from":"Alex",
                     "to":[1],"extension":[3],"startTime":-1,"uri":null,"type":null,"telephonySessionId":false}"#;
        assert_eq!(call(invalid), call("{}"));
    }

    #[test]
    fn invalid_numbers_and_surrogates_count_as_absent() {
        for value in [
            "1e999",
            "-1e999",
            r#""\ud800""#,
            r#"["\ud800",1e999]"#,
            r#"{"\ud800":1e999}"#,
        ] {
            let fields = ["direction", "result", "finished", "startTime"];
            let ids = ["id", "sessionId", "telephonySessionId"];
            // An unreadable id is one nevertheless.
            let ids = if value.starts_with('"') {
                &ids[..0]
            } else {
                &ids
            };
            let others = ["uri", "type", "duration", "durationMs"];
            for field in [&fields, ids, &others].concat() {
                assert_eq!(
                    call(&format!(r#"{{"{field}":{value}}}"#)),
                    call("{}"),
                    "{field} {value}"
                );
            }
        }
        assert_eq!(
            call(r#"{"from":1e999,"to":"\ud800","extension":"\udfff"}"#),
            call("{}")
        );
        assert_eq!(
            extension(r#"{"extension":{"id":5,"name":"\ud800"}}"#),
            Some((some("5"), None))
        );
    }

    #[test]
    fn ids_are_read_from_numbers_or_strings() {
        assert_eq!(
            extension(r#"{"extension":{"id":62264425016}}"#),
            Some((some("62264425016"), None))
        );
        assert_eq!(
            extension(r#"{"extension":{"id":"62264425016"}}"#),
            Some((some("62264425016"), None))
        );
        assert_eq!(extension(r#"{"extension":{"id":"abc"}}"#), None);
        assert_eq!(
            extension(r#"{"extension":{"id":62264425016.0}}"#),
            Some((some("62264425016"), None))
        );
        assert_eq!(
            session(r#"{"sessionId":538332041016}"#),
            (None, some("538332041016"))
        );
        assert_eq!(call(r#"{"id":12.0}"#).id, "12");
    }

    #[test]
    fn extension_sources_are_tried_in_order() {
        let all = r#"{"direction":"Outbound","uri":"https://x/account/1/extension/4/call-log/a?view=Simple",
                     "extension":{"id":2},"from":{"extensionId":"3","extensionNumber":"101"},
                     "to":{"extensionId":"9","extensionNumber":"909"}}"#;
        assert_eq!(extension(all), Some((some("2"), some("101"))));
        let no_extension = all.replace(r#""extension":{"id":2},"#, "");
        assert_eq!(extension(&no_extension), Some((some("3"), some("101"))));
        let no_own_id = no_extension.replace(r#""extensionId":"3","#, "");
        assert_eq!(
            extension(&no_own_id),
            Some((None, some("101"))),
            "the number is preferred to the address"
        );
        let no_number = no_own_id.replace(r#""extensionNumber":"101""#, "");
        assert_eq!(extension(&no_number), Some((some("4"), None)));
        let inbound = all.replace("Outbound", "Inbound");
        assert_eq!(extension(&inbound), Some((some("2"), some("909"))));
        let unknown_direction = all.replace("Outbound", "Sideways");
        assert_eq!(extension(&unknown_direction), Some((some("2"), None)));
    }

    #[test]
    fn phone_number_is_not_an_extension_number() {
        let long = r#"{"direction":"Inbound","to":{"extensionNumber":"16505550101"}}"#;
        assert_eq!(extension(long), None);
    }

    #[test]
    fn record_has_up_to_two_session_ids() {
        assert_eq!(
            session(r#"{"sessionId":"1","telephonySessionId":"s-1"}"#),
            (some("s-1"), some("1"))
        );
        for absent in [
            r#""""#, r#"" ""#, r#""0""#, "0", "0.0", "-0", "null", "false",
        ] {
            assert_eq!(
                session(&format!(
                    r#"{{"sessionId":"1","telephonySessionId":{absent}}}"#
                )),
                (None, some("1")),
                "{absent}"
            );
            assert_eq!(
                session(&format!(
                    r#"{{"sessionId":{absent},"telephonySessionId":"s-1"}}"#
                )),
                (some("s-1"), None),
                "{absent}"
            );
        }
    }

    #[test]
    fn last_part_of_uri_stands_for_a_missing_id() {
        let uri = "https://x/account/1/extension/2/call-log/AbC_-1";
        for (json, id) in [
            (format!(r#"{{"uri":"{uri}?view=Simple"}}"#), "AbC_-1"),
            (format!(r#"{{"id":"","uri":"{uri}"}}"#), "AbC_-1"),
            (format!(r#"{{"id":[],"uri":"{uri}#x"}}"#), "AbC_-1"),
            (format!(r#"{{"id":"r","uri":"{uri}"}}"#), "r"),
            (format!(r#"{{"uri":"{uri}/"}}"#), "#1-0"),
            (r#"{"uri":"?a/b"}"#.to_owned(), "#1-0"),
        ] {
            assert_eq!(call(&json).id, id, "{json}");
        }
    }

    #[test]
    fn unreadable_ids_are_equal_only_to_themselves() {
        let call = |field: &str, bytes: &[u8], rest: &str| {
            let mut record = CallRecord::default();
            let json = [
                b"{\"",
                field.as_bytes(),
                b"\":\"",
                bytes,
                b"\"",
                rest.as_bytes(),
                b"}",
            ];
            let json = json.concat();
            read_document("record", &json, &mut record).unwrap();
            record.to_call(record.id().unwrap_or_default()).unwrap()
        };
        let long = "a".repeat(20_000);
        let unreadable = [
            &b"a\xff"[..],
            b"a\xfe",
            b"\xed\xa0\x80",
            b"a\0",
            br"\ud800",
            long.as_bytes(),
            &long.as_bytes()[1..],
            &long.as_bytes()[..65],
            &long.as_bytes()[..66],
        ];
        let mut ids = std::collections::HashSet::new();
        for bytes in unreadable {
            let id = call("id", bytes, "").id;
            assert_eq!((id.len(), &id), (33, &call("id", bytes, "").id));
            let session = call("sessionId", bytes, "").session.session;
            assert_eq!(session.as_ref(), Some(&id));
            let telephony = call("telephonySessionId", bytes, "").session.telephony;
            assert_eq!(telephony, session);
            assert!(ids.insert(id), "{bytes:?} is taken for another id");
        }
        assert_eq!(call("id", &long.as_bytes()[..64], "").id, long[..64]);
        let uri = r#","uri":"/account/1/call-log/AbC_-1""#;
        assert_eq!(call("id", b"AbC\xff-1", uri).id, "AbC_-1");
    }

    #[test]
    fn extension_may_be_a_number_or_an_address() {
        for json in [
            r#"{"extension":62264425016}"#,
            r#"{"extension":"62264425016"}"#,
            r#"{"extension":62264425016.0}"#,
            r#"{"extension":{"uri":"https://x/account/1/extension/62264425016"}}"#,
            r#"{"extension":{"id":null,"uri":"/extension/62264425016?a"}}"#,
        ] {
            let direction_and_party = r#"{"direction":"Inbound","to":{"extensionId":"9"},"#;
            let json = json.replacen('{', direction_and_party, 1);
            assert_eq!(
                extension(&json),
                Some((some("62264425016"), None)),
                "{json}"
            );
        }
        for json in [
            r#"{"extension":"Alex"}"#,
            r#"{"extension":true}"#,
            r#"{"extension":[1]}"#,
            r#"{"extension":{"uri":"https://x/account/1"}}"#,
        ] {
            assert_eq!(extension(json), None, "{json}");
        }
    }

    #[test]
    fn duration_prefers_milliseconds() {
        assert_eq!(
            call(r#"{"duration":24,"durationMs":23917}"#).duration,
            Some(23.917)
        );
        assert_eq!(call(r#"{"duration":0}"#).duration, Some(0.0));
        assert_eq!(call(r#"{"duration":18.0}"#).duration, Some(18.0));
        assert_eq!(call(r#"{"duration":"18.0"}"#).duration, Some(18.0));
        assert_eq!(
            call(r#"{"duration":18,"durationMs":18200.0}"#).duration,
            Some(18.2)
        );
        assert_eq!(call(r#"{"duration":18.5}"#).duration, None);
        assert_eq!(
            call(r#"{"duration":-1,"durationMs":"soon"}"#).duration,
            None
        );
    }

    #[test]
    fn fax_is_not_a_call() {
        assert_eq!(to_call(r#"{"id":"r","type":"fax"}"#), None);
    }

    #[test]
    fn only_live_record_has_result_in_progress() {
        let ended = call(r#"{"finished":true,"result":"In Progress"}"#);
        assert_eq!(
            (ended.state, ended.result),
            (CallState::Finishing, CallResult::UNKNOWN)
        );
        let ended = call(r#"{"finished":true}"#);
        assert_eq!(
            (ended.state, ended.result),
            (CallState::Ended, CallResult::UNKNOWN)
        );
        let live = call(r#"{"finished":false,"result":"Accepted"}"#);
        assert_eq!(
            (live.state, live.result),
            (CallState::Live, CallResult::IN_PROGRESS)
        );
    }
}
