//! Published payloads, through the parser: what they count is what the contract's rules give.
//!
//! Where they come from: `tests/fixtures/README.md`.

use ringcentral_exporter::calls::{
    Call, CallState, Direction, ExtensionLabel, LabelLimiter, Snapshot,
};
use ringcentral_exporter::ringcentral::wire::{
    ApiError, CallPage, parse_api_error, parse_extensions, parse_page, parse_token,
};
use secrecy::ExposeSecret;

fn page(body: &str) -> CallPage {
    let page = parse_page(body.as_bytes(), 1).unwrap();
    assert_eq!(page.skipped, 0);
    page
}

fn snapshot(calls: &[Call]) -> Snapshot {
    Snapshot::from_calls(
        calls,
        &mut LabelLimiter::new(ExtensionLabel::Number, 10_000),
    )
}

/// The series of `ringcentral_active_calls`, as direction, result, extension and count.
fn series(calls: &[Call]) -> Vec<(Direction, String, String, u64)> {
    let snapshot = snapshot(calls);
    let entries = snapshot.records.into_iter();
    entries
        .map(|(labels, count)| {
            (
                labels.direction,
                labels.result.as_str().to_owned(),
                labels.extension.unwrap_or_default().into(),
                count,
            )
        })
        .collect()
}

fn one(direction: Direction, result: &str, extension: &str) -> (Direction, String, String, u64) {
    (direction, result.to_owned(), extension.to_owned(), 1)
}

#[test]
fn ringing_call_is_in_progress() {
    let page = page(include_str!(
        "../fixtures/active-calls-direct-ringing-detailed.json"
    ));
    assert_eq!(
        series(&page.calls),
        [one(Direction::Inbound, "In Progress", "234567")]
    );
    let snapshot = snapshot(&page.calls);
    assert_eq!(
        (snapshot.sessions_in_progress, snapshot.extensions_in_call),
        (1, 1),
        "legs are no records"
    );
    assert_eq!(
        snapshot.oldest_start.map(|start| start.as_second()),
        Some(1_611_100_737)
    );
    assert_eq!(page.calls[0].session, "s-8f8125f1aeb944f486531c351a2f520e");
    assert_eq!(
        (page.next, page.account_id.as_deref()),
        (None, Some("123456"))
    );
}

#[test]
fn ended_call_is_listed_but_not_in_progress() {
    let ringing = page(include_str!(
        "../fixtures/active-calls-direct-ringing-detailed.json"
    ));
    let ended = page(include_str!(
        "../fixtures/active-calls-direct-ended-detailed.json"
    ));
    assert_eq!(
        series(&ended.calls),
        [one(Direction::Inbound, "Accepted", "234567")]
    );
    assert_eq!(ended.calls[0].state, CallState::Ended);
    assert_eq!(ended.calls[0].id, ringing.calls[0].id);
    let snapshot = snapshot(&ended.calls);
    assert_eq!(
        (snapshot.sessions_in_progress, snapshot.oldest_start),
        (0, None)
    );
}

#[test]
fn extension_defaults_to_id_in_uri() {
    let page = page(include_str!("../fixtures/active-calls-account-simple.json"));
    let expected = [
        one(Direction::Inbound, "Accepted", "131192004"),
        one(Direction::Outbound, "Call connected", "131192004"),
    ];
    assert_eq!(series(&page.calls), expected);
    assert_eq!(
        (page.next, page.account_id.as_deref()),
        (None, Some("131192004"))
    );
}

#[test]
fn empty_list_has_no_series() {
    let page = page(include_str!("../fixtures/active-calls-account-empty.json"));
    assert!(series(&page.calls).is_empty());
    assert_eq!(snapshot(&page.calls).sessions_in_progress, 0);
}

#[test]
fn fax_records_are_skipped() {
    let page = page(include_str!("../fixtures/call-log-page-with-next.json"));
    assert_eq!(
        series(&page.calls),
        [one(Direction::Outbound, "Call connected", "401494647008")]
    );
    assert!(page.next.unwrap().ends_with("&page=2&perPage=2"));
}

#[test]
fn extension_list_is_parsed() {
    let page = parse_extensions(include_bytes!("../fixtures/extension-list.json")).unwrap();
    let read: Vec<_> = page
        .entries
        .iter()
        .map(|entry| {
            (
                entry.id,
                entry.number.as_deref(),
                &*entry.name,
                &*entry.kind,
                &*entry.status,
            )
        })
        .collect();
    let expected = [
        (159_048_008, Some("101"), "John Smith", "User", "Enabled"),
        (1_201_056_008, Some("110"), "AO Ext", "Announcement", ""),
    ];
    assert_eq!((read, page.next), (expected.to_vec(), None));
}

#[test]
fn token_response_is_parsed() {
    let token = parse_token(include_bytes!("../fixtures/token-jwt-response.json")).unwrap();
    assert_eq!(
        (token.access_token.expose_secret(), token.expires_in),
        ("EXAMPLEACCESSTOKEN", Some(7199))
    );
}

#[test]
fn error_responses_are_parsed() {
    let read = |body: &str| {
        let ApiError {
            code,
            error,
            permission,
            parameter,
        } = parse_api_error(body.as_bytes());
        [code, error, permission, parameter].map(Option::unwrap_or_default)
    };
    let grant = read(include_str!(
        "../fixtures/error-400-token-unauthorized-client-oau-251.json"
    ));
    assert_eq!(grant, ["OAU-251", "unauthorized_client", "", ""]);
    let app = read(include_str!(
        "../fixtures/error-403-app-permission-cmn-401.json"
    ));
    assert_eq!(app, ["CMN-401", "", "ReadCallLog", ""]);
    let user = read(include_str!(
        "../fixtures/error-403-user-permission-cmn-408.json"
    ));
    assert_eq!(user, ["CMN-408", "", "ReadCompanyCallLog", ""]);
    let unavailable = read(include_str!(
        "../fixtures/error-service-unavailable-cmn-201.json"
    ));
    assert_eq!(unavailable, ["CMN-201", "", "", ""]);
}
