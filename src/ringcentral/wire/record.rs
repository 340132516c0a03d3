//! One record, to a call.
//!
//! Owns: the order in which an extension is looked for, what joins records to a session, and what is left out.

use serde::Deserialize;
use smol_str::SmolStr;

use crate::calls::{Call, CallResult, CallState, Direction, Extension};
use crate::ringcentral::wire::lenient::{Flag, Object, Text};

/// A record as sent, as far as we read it. Names and phone numbers are not read at all.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Record<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    uri: Text<'a>,
    #[serde(borrow)]
    session_id: Text<'a>,
    #[serde(borrow)]
    telephony_session_id: Text<'a>,
    #[serde(borrow)]
    start_time: Text<'a>,
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow)]
    direction: Text<'a>,
    #[serde(borrow)]
    result: Text<'a>,
    #[serde(borrow)]
    duration: Text<'a>,
    #[serde(borrow)]
    duration_ms: Text<'a>,
    finished: Flag,
    #[serde(borrow)]
    from: Object<Party<'a>>,
    #[serde(borrow)]
    to: Object<Party<'a>>,
    #[serde(borrow)]
    extension: Object<ExtensionRef<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Party<'a> {
    #[serde(borrow)]
    extension_id: Text<'a>,
    #[serde(borrow)]
    extension_number: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ExtensionRef<'a> {
    #[serde(borrow)]
    id: Text<'a>,
}

impl Record<'_> {
    /// Whether it has an id of its own.
    pub fn has_id(&self) -> bool {
        self.id.as_deref().is_some()
    }

    /// The call that it tells of; none for a fax. `place` stands in for an id that is missing: such a record cannot
    /// be told from another, so it counts for itself.
    pub fn call(&self, place: &str) -> Option<Call> {
        if self
            .kind
            .as_deref()
            .is_some_and(|kind| kind.eq_ignore_ascii_case("fax"))
        {
            return None;
        }
        let direction = self.direction();
        let result = self.result.as_deref().and_then(CallResult::parse);
        let state = CallState::new(self.finished.0, result.as_ref());
        let id = self.id.as_deref().unwrap_or(place);
        Some(Call {
            id: id.into(),
            session: self.session().unwrap_or(id).into(),
            direction,
            state,
            result: shown_result(state, result),
            extension: self.extension(direction),
            start: self
                .start_time
                .as_deref()
                .and_then(|time| time.parse().ok()),
            duration: self.duration(),
        })
    }

    /// The account that the record's address names.
    pub fn uri(&self) -> Option<&str> {
        self.uri.as_deref()
    }

    fn direction(&self) -> Direction {
        match self.direction.as_deref() {
            Some(text) if text.eq_ignore_ascii_case("Inbound") => Direction::Inbound,
            Some(text) if text.eq_ignore_ascii_case("Outbound") => Direction::Outbound,
            _ => Direction::Unknown,
        }
    }

    fn session(&self) -> Option<&str> {
        self.telephony_session_id
            .as_deref()
            .or(self.session_id.as_deref())
    }

    fn duration(&self) -> Option<f64> {
        let whole = |text: &Text<'_>| text.as_deref()?.parse::<u32>().ok().map(f64::from);
        whole(&self.duration_ms)
            .map(|milliseconds| milliseconds / 1000.0)
            .or_else(|| whole(&self.duration))
    }

    /// `extension`, then the own side's id, then its number, then the record's address.
    fn extension(&self, direction: Direction) -> Option<Extension> {
        let own_side = match direction {
            Direction::Inbound => Some(&self.to.0),
            Direction::Outbound => Some(&self.from.0),
            Direction::Unknown => None,
        };
        let number = own_side.and_then(|party| digits(&party.extension_number, 8));
        let id = digits(&self.extension.0.id, 20)
            .or_else(|| own_side.and_then(|party| digits(&party.extension_id, 20)));
        let address = || {
            self.uri()
                .and_then(|uri| id_after("/extension/", uri))
                .map(SmolStr::from)
        };
        Extension::new(id, number).or_else(|| Extension::new(address(), None))
    }
}

/// A live record always carries `In Progress`; an ended one never does.
fn shown_result(state: CallState, result: Option<CallResult>) -> CallResult {
    match (state, result) {
        (CallState::Live, _) => CallResult::IN_PROGRESS,
        (_, Some(result)) if !result.is_in_progress() => result,
        _ => CallResult::UNKNOWN,
    }
}

fn digits(text: &Text<'_>, most: usize) -> Option<SmolStr> {
    text.as_deref()
        .filter(|text| is_digits(text, most))
        .map(SmolStr::from)
}

/// Whether a text is of one to `most` digits.
pub fn is_digits(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The digits that follow `marker` in an address, up to the next `/`, `?` or its end.
pub fn id_after<'a>(marker: &str, uri: &'a str) -> Option<&'a str> {
    let (_, rest) = uri.split_once(marker)?;
    let id = rest.split(['/', '?']).next()?;
    is_digits(id, 20).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(json: &str) -> Call {
        let record: Record<'_> = serde_json::from_str(json).unwrap();
        record.call("#1-0").unwrap()
    }

    fn extension(json: &str) -> Option<(Option<SmolStr>, Option<SmolStr>)> {
        call(json)
            .extension
            .map(|extension| (extension.id, extension.number))
    }

    fn some(text: &str) -> Option<SmolStr> {
        Some(text.into())
    }

    #[test]
    fn an_empty_record_is_listed_as_unknown() {
        let call = call("{}");
        assert_eq!((call.id.as_str(), call.session.as_str()), ("#1-0", "#1-0"));
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
    fn fields_of_the_wrong_type_count_as_missing() {
        let odd = r#"{"id":{"a":[1,{}]},"sessionId":[],"direction":7.5,"result":true,"finished":"yes","from":"Alex",
                     "to":[1],"extension":3,"startTime":-1,"uri":null,"type":null,"telephonySessionId":false}"#;
        assert_eq!(call(odd), call("{}"));
    }

    #[test]
    fn values_that_no_type_holds_count_as_missing() {
        for odd in [
            "1e999",
            "-1e999",
            r#""\ud800""#,
            r#"["\ud800",1e999]"#,
            r#"{"\ud800":1e999}"#,
        ] {
            let fields = [
                "id",
                "sessionId",
                "telephonySessionId",
                "direction",
                "result",
                "finished",
                "startTime",
            ];
            for field in fields
                .into_iter()
                .chain(["uri", "type", "duration", "durationMs"])
            {
                assert_eq!(
                    call(&format!(r#"{{"{field}":{odd}}}"#)),
                    call("{}"),
                    "{field} {odd}"
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
    fn ids_come_as_numbers_and_as_strings() {
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
            call(r#"{"sessionId":538332041016}"#).session,
            "538332041016"
        );
    }

    #[test]
    fn the_extension_is_looked_for_in_the_order_that_loses_least() {
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
            "the address may be the whole account's"
        );
        let no_number = no_own_id.replace(r#""extensionNumber":"101""#, "");
        assert_eq!(extension(&no_number), Some((some("4"), None)));
        let inbound = all.replace("Outbound", "Inbound");
        assert_eq!(extension(&inbound), Some((some("2"), some("909"))));
        let neither_way = all.replace("Outbound", "Sideways");
        assert_eq!(extension(&neither_way), Some((some("2"), None)));
    }

    #[test]
    fn a_number_of_more_than_eight_digits_is_a_phone_number_and_no_extension() {
        let long = r#"{"direction":"Inbound","to":{"extensionNumber":"16505550101"}}"#;
        assert_eq!(extension(long), None);
    }

    #[test]
    fn the_telephony_session_joins_before_the_session_and_the_id() {
        let all = r#"{"id":"r","sessionId":"1","telephonySessionId":"s-1"}"#;
        assert_eq!(call(all).session, "s-1");
        assert_eq!(
            call(r#"{"id":"r","sessionId":"1","telephonySessionId":""}"#).session,
            "1"
        );
        assert_eq!(call(r#"{"id":"r"}"#).session, "r");
    }

    #[test]
    fn milliseconds_go_before_seconds_and_neither_is_made_up() {
        assert_eq!(
            call(r#"{"duration":24,"durationMs":23917}"#).duration,
            Some(23.917)
        );
        assert_eq!(call(r#"{"duration":0}"#).duration, Some(0.0));
        assert_eq!(
            call(r#"{"duration":-1,"durationMs":"soon"}"#).duration,
            None
        );
    }

    #[test]
    fn a_fax_is_no_call() {
        let record: Record<'_> = serde_json::from_str(r#"{"id":"r","type":"fax"}"#).unwrap();
        assert_eq!(record.call("#1-0"), None);
    }

    #[test]
    fn an_ended_record_never_reads_in_progress_and_a_live_one_always_does() {
        let ended = call(r#"{"finished":true,"result":"In Progress"}"#);
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
