//! Tests of the protocol without sockets.

use serde_json::Value;

use super::*;

const NOTIFICATION: &str = r#"[{"type":"ServerNotification"},{"event":"/restapi/v1.0/account/1/extension/7/presence","body":{"extensionId":7,"telephonyStatus":"Ringing"}}]"#;
const DETAILS: &str =
    r#"[{"type":"ConnectionDetails"},{"idleTimeout":600,"absoluteTimeout":7200}]"#;

/// A connection with the time that has passed since its start.
struct Test {
    protocol: Protocol,
    start: Moment,
    seconds: u64,
}

impl Test {
    fn new() -> Self {
        Self::with_lost(&[])
    }

    /// Returns a connection after others have lost these subscriptions.
    fn with_lost(lost: &[&str]) -> Self {
        let start = Moment::now();
        let lost = lost.iter().map(|id| (*id).to_owned()).collect();
        Self {
            protocol: Protocol::new("id".to_owned(), MAX_PING_INTERVAL, lost, start),
            start,
            seconds: 0,
        }
    }

    fn subscribed() -> Self {
        let mut test = Self::new();
        test.receive(DETAILS);
        assert_eq!(
            test.respond("subscribe", 200, r#",{"id":"s"}"#),
            "Subscribed"
        );
        test
    }

    fn now(&self) -> Moment {
        self.start.after(Duration::from_secs(self.seconds))
    }

    /// Returns what a message means, or the cause of the end with message and code.
    fn receive(&mut self, text: &str) -> String {
        let now = self.now();
        match self.protocol.receive(text, now) {
            Ok(Input::Received(Received::Event(event, _))) => format!("Event {}", event.extension),
            Ok(Input::Received(other)) => format!("{other:?}"),
            Ok(other) => format!("{other:?}"),
            Err(error) => describe(error),
        }
    }

    fn respond(&mut self, name: &str, status: u16, body: &str) -> String {
        let meta =
            format!(r#"{{"type":"ClientRequest","messageId":"id-{name}","status":{status}}}"#);
        self.receive(&format!("[{meta}{body}]"))
    }

    /// Returns what is sent, or how the connection ends, with the second at which it is due.
    fn next_due(&mut self) -> (u64, String) {
        for _ in 0..1000 {
            let wake_at = self.protocol.wake_at();
            let wait = wake_at.monotonic_duration_since(self.start);
            self.seconds = self.seconds.max(wait.as_secs());
            let now = self.now();
            match self.protocol.take_due(now) {
                Ok(Some(Due::Ping)) => return (self.seconds, "ping".to_owned()),
                Ok(Some(Due::Send(text))) => return (self.seconds, text),
                Ok(None) => {}
                Err(error) => return (self.seconds, describe(error)),
            }
        }
        panic!("nothing is ever due");
    }
}

fn describe(error: EventError) -> String {
    let code = error.code.unwrap_or_default();
    format!("{} {} {code}", error.cause.as_str(), error.message)
}

#[test]
fn nothing_is_sent_before_the_details() {
    let mut test = Test::new();
    assert_eq!(test.protocol.unsubscribe(test.now()), None);
    let sent = test.receive(DETAILS);
    let Some(request) = sent.strip_prefix("Send([\"") else {
        panic!("{sent}");
    };
    let request = request.strip_suffix("\"])").unwrap().replace('\\', "");
    let request: Value = serde_json::from_str(&request).unwrap();
    let meta = &request[0];
    assert_eq!(meta["type"], "ClientRequest");
    assert_eq!(
        (&meta["method"], &meta["path"]),
        (&"POST".into(), &SUBSCRIPTION_PATH.into())
    );
    assert_eq!(request[1]["eventFilters"][0], EVENT_FILTER);
    assert_eq!(request[1]["deliveryMode"]["transportType"], "WebSocket");
    assert_eq!(
        test.respond("subscribe", 200, r#",{"id":"s"}"#),
        "Subscribed"
    );
    assert_eq!(test.receive(DETAILS), "Sign", "only the first ones count");
    let delete = test.protocol.unsubscribe(test.now()).unwrap();
    let delete: Value = serde_json::from_str(&delete).unwrap();
    assert_eq!(delete[0]["method"], "DELETE");
    assert_eq!(delete[0]["path"], format!("{SUBSCRIPTION_PATH}/s"));
    assert_eq!(delete[1], Value::Null);
}

#[test]
fn messages_of_a_subscribed_connection_have_a_meaning() {
    for (text, meaning) in [
        (NOTIFICATION, "Event 7"),
        (r#"[{"type":"ServerNotification"},{}]"#, "Unreadable"),
        ("hello", "Unreadable"),
        ("[]", "Unreadable"),
        (r#"[{"type":"Heartbeat","messageId":"1"}]"#, "Sign"),
        (r#"[{"type":"News"}]"#, "Sign"),
        (
            r#"[{"type":"ClientRequest","messageId":"other","status":500}]"#,
            "Sign",
        ),
        (
            r#"[{"type":"ClientRequest","messageId":"id-unsubscribe","status":204}]"#,
            "Sign",
        ),
        (
            r#"[{"type":"ClientRequest","messageId":"id-subscribe","status":403}]"#,
            "Sign",
        ),
        (
            r#"[{"type":"Error"},{"errorCode":"WSG-902","message":"secret"}]"#,
            "events_lost the gateway reported an error WSG-902",
        ),
        (
            r#"[{"type":"Error"},{"errorCode":"WSG-903"}]"#,
            "events_lost the gateway reported an error WSG-903",
        ),
        (
            r#"[{"type":"Error"}]"#,
            "events_lost the gateway reported an error ",
        ),
    ] {
        assert_eq!(Test::subscribed().receive(text), meaning, "{text}");
    }
}

#[test]
fn connection_that_is_not_accepted_ends() {
    for (text, end) in [
        ("hello", "gateway_refused the first message is unreadable "),
        (
            r#"[{"type":"Error"},{"errorCode":"WSG-400"}]"#,
            "gateway_refused the gateway reported an error WSG-400",
        ),
    ] {
        assert_eq!(Test::new().receive(text), end, "{text}");
    }
    let test = Test::new();
    let closed = describe(test.protocol.closed(4400));
    assert_eq!(
        closed,
        "gateway_refused closed by the gateway with code 4400 "
    );
}

#[test]
fn rejected_or_disabled_subscription_ends_the_connection() {
    for (status, body, end) in [
        (
            403,
            r#",{"errorCode":"SUB-505","message":"m"}"#,
            "too_many_subscriptions subscription: HTTP status 403 SUB-505",
        ),
        (
            429,
            r#",{"errorCode":"CMN-301"}"#,
            "rate_limited subscription: HTTP status 429 CMN-301",
        ),
        (
            403,
            "",
            "subscription_forbidden subscription: HTTP status 403 ",
        ),
        (
            302,
            "",
            "subscription_refused subscription: HTTP status 302 ",
        ),
        (
            200,
            r#",{"id":"s","disabledFilters":[{"reason":"InsufficientPermissions"}]}"#,
            "subscription_forbidden subscription: the filter is disabled InsufficientPermissions ",
        ),
        (
            200,
            r#",{"id":"s","eventFilters":[]}"#,
            "filter_disabled subscription: the filter is disabled ",
        ),
        (
            200,
            ",{}",
            "subscription_refused subscription: the response has no id ",
        ),
        (
            200,
            "",
            "subscription_refused subscription: the response has no id ",
        ),
        (
            200,
            ",--Boundary",
            "subscription_refused subscription: the response has no id ",
        ),
    ] {
        let mut test = Test::new();
        test.receive(DETAILS);
        assert_eq!(
            test.respond("subscribe", status, body),
            end,
            "{status} {body}"
        );
        // A subscription that exists is deleted.
        let is_made = test.protocol.unsubscribe(test.now()).is_some();
        assert_eq!(is_made, body.contains(r#""id":"s""#), "{body}");
    }
}

#[test]
fn gateway_that_does_not_respond_is_given_up() {
    let timeout = "no_answer the gateway did not respond in time ";
    assert_eq!(Test::new().next_due(), (20, timeout.to_owned()));
    let mut test = Test::new();
    test.seconds = 15;
    test.receive(DETAILS);
    assert_eq!(test.next_due(), (30, "ping".to_owned()));
    assert_eq!(test.next_due(), (35, timeout.to_owned()));
    let mut test = Test::subscribed();
    test.protocol.unsubscribe(test.now());
    assert_eq!(test.next_due(), (10, timeout.to_owned()));
}

#[test]
fn silence_of_90_seconds_is_a_loss() {
    let mut test = Test::subscribed();
    for second in [30, 60] {
        assert_eq!(test.next_due(), (second, "ping".to_owned()));
    }
    test.protocol.record_sign(test.now());
    for second in [90, 120] {
        assert_eq!(test.next_due(), (second, "ping".to_owned()));
    }
    let lost = "events_lost nothing was received for 90 s ".to_owned();
    assert_eq!(test.next_due(), (150, lost));
}

#[test]
fn suspended_machine_is_a_loss_by_the_wall_clock() {
    let mut test = Test::subscribed();
    let now = test.now();
    let resumed = Moment {
        instant: now.after(Duration::from_secs(30)).instant,
        wall: now.after(Duration::from_secs(3600)).wall,
    };
    assert!(test.protocol.take_due(resumed).unwrap() == Some(Due::Ping));
    assert_eq!(test.protocol.wake_at(), resumed.after(PROBE_TIMEOUT));
    let later = |seconds| resumed.after(Duration::from_secs(seconds));
    assert_eq!(test.protocol.take_due(later(9)).unwrap(), None);
    assert!(test.protocol.take_due(later(10)).is_err());
}

#[test]
fn wall_clock_that_was_set_is_not_a_loss() {
    let mut test = Test::subscribed();
    let now = test.now().after(Duration::from_secs(30));
    let set = Moment {
        wall: now.after(Duration::from_secs(3600)).wall,
        ..now
    };
    assert_eq!(test.protocol.take_due(set).unwrap(), Some(Due::Ping));
    test.protocol.record_sign(set);
    let later = set.after(Duration::from_secs(10));
    assert_eq!(test.protocol.take_due(later).unwrap(), None);
    let silent = set.after(MAX_SILENCE);
    assert!(test.protocol.take_due(silent).is_err());
}

#[test]
fn messages_without_a_pause_do_not_stop_the_clock() {
    let mut test = Test::subscribed();
    test.seconds = 29;
    test.receive(NOTIFICATION);
    assert!(!test.protocol.is_overdue(test.now()));
    test.seconds = 30;
    assert!(test.protocol.is_overdue(test.now()), "a ping is due");
    test.seconds = 200;
    let is_overdue = test.protocol.is_overdue(test.now());
    assert!(!is_overdue, "messages may be waiting to be read");
}

#[test]
fn heartbeat_is_sent_after_half_of_the_idle_timeout() {
    let mut test = Test::subscribed();
    let mut heartbeats = Vec::new();
    while heartbeats.len() < 2 {
        let (second, due) = test.next_due();
        test.protocol.record_sign(test.now());
        if due != "ping" {
            assert!(due.contains(r#""type":"Heartbeat""#), "{due}");
            heartbeats.push(second);
        }
    }
    assert_eq!(heartbeats, [300, 600]);
    test.seconds = 700;
    test.receive(NOTIFICATION);
    while test.next_due().1 == "ping" {
        test.protocol.record_sign(test.now());
    }
    assert_eq!(test.seconds, 1000, "a notification is traffic");
}

#[test]
fn connection_is_renewed_before_its_absolute_timeout() {
    for (seconds, renewed_at) in [
        ("86400", 85_800),
        ("7200", 6600),
        ("3600", 3240),
        ("600", 540),
        ("300", 270),
        ("60", 54),
        ("59", 540),
        ("0", 540),
        ("-5", 540),
        ("99999999999", 85_800),
        ("null", 85_800),
        ("\"7200\"", 6600),
    ] {
        let mut test = Test::new();
        test.receive(&format!(
            r#"[{{"type":"ConnectionDetails"}},{{"absoluteTimeout":{seconds}}}]"#
        ));
        let renew_at = test.protocol.renew_at();
        let after = renew_at.monotonic_duration_since(test.start);
        assert_eq!(after.as_secs(), renewed_at, "{seconds}");
    }
}

#[test]
fn deletion_is_confirmed_by_its_own_response() {
    for (status, is_confirmed) in [(204, true), (200, true), (404, false), (429, false)] {
        let mut test = Test::subscribed();
        test.protocol.unsubscribe(test.now());
        assert_eq!(test.receive(NOTIFICATION), "Event 7");
        let meaning = test.respond("unsubscribe", status, "");
        let expected = format!("Unsubscribed {{ is_confirmed: {is_confirmed} }}");
        assert_eq!(meaning, expected, "{status}");
        assert_eq!(test.protocol.unsubscribe(test.now()), None);
    }
}

/// Returns method, path and name of each request.
fn requests(input: Result<Input, EventError>) -> Vec<String> {
    let Ok(Input::Send(texts)) = input else {
        panic!("{input:?}");
    };
    let mut requests = Vec::new();
    for text in texts {
        let request: Value = serde_json::from_str(&text).unwrap();
        let field = |name: &str| request[0][name].as_str().unwrap().to_owned();
        let path = field("path").replace(SUBSCRIPTION_PATH, "");
        requests.push(format!("{} {path} {}", field("method"), field("messageId")));
    }
    requests
}

#[test]
fn lost_subscriptions_are_deleted_before_the_own_one() {
    let mut test = Test::with_lost(&["a", "b", "c", "d"]);
    let first = requests(test.protocol.receive(DETAILS, test.now()));
    let expected = [
        "DELETE /a id-delete-0",
        "DELETE /b id-delete-1",
        "DELETE /c id-delete-2",
        "DELETE /d id-delete-3",
        "POST  id-subscribe",
    ];
    assert_eq!(first, expected);
    for (name, status) in [("delete-0", 204), ("delete-1", 404), ("delete-2", 429)] {
        assert_eq!(test.respond(name, status, ""), "Sign");
    }
    assert_eq!(
        test.respond("subscribe", 200, r#",{"id":"s"}"#),
        "Subscribed"
    );
    // The last response comes late.
    test.respond("delete-3", 503, "");
    assert_eq!(test.protocol.take_undeleted(), ["c", "d", "s"]);
    assert!(test.protocol.take_undeleted().is_empty());
}

#[test]
fn too_many_subscriptions_are_deleted_again_once() {
    let too_many = r#"[{"type":"ClientRequest","messageId":"id-subscribe","status":403},{"errorCode":"SUB-505"}]"#;
    let mut test = Test::with_lost(&["a", "b"]);
    test.receive(DETAILS);
    test.respond("delete-0", 204, "");
    test.respond("delete-1", 503, "");
    let again = requests(test.protocol.receive(too_many, test.now()));
    let expected = ["DELETE /b id-delete-1", "POST  id-subscribe-again"];
    assert_eq!(again, expected);
    test.respond("delete-1", 204, "");
    assert_eq!(test.receive(too_many), "Sign", "the response to the first");
    let end = test.receive(&too_many.replace("subscribe", "subscribe-again"));
    assert!(end.starts_with("too_many_subscriptions"), "{end}");
    assert!(test.protocol.take_undeleted().is_empty());
    // Without a lost subscription nothing can be done about it.
    let mut test = Test::new();
    test.receive(DETAILS);
    let end = test.receive(too_many);
    assert!(end.starts_with("too_many_subscriptions"), "{end}");
}

#[test]
fn deletion_that_is_refused_is_not_forgotten() {
    for (status, is_gone) in [(204, true), (404, true), (429, false), (503, false)] {
        let mut test = Test::subscribed();
        test.protocol.unsubscribe(test.now());
        test.respond("unsubscribe", status, "");
        let undeleted = test.protocol.take_undeleted();
        assert_eq!(undeleted.is_empty(), is_gone, "{status}");
    }
}
