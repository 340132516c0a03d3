//! Tests of the parser with published API responses, against counts by the contract's rules.
//!
//! `tests/fixtures/README.md` has the sources of the responses.

use ringcentral_exporter::calls::{
    Call, CallState, Direction, ExtensionLabel, LabelLimiter, Snapshot,
};
use ringcentral_exporter::ringcentral::wire::{
    ApiError, CallPage, parse_api_error, parse_extensions, parse_page, parse_token,
};
use secrecy::ExposeSecret;

/// Parses a page of calls and asserts that no record is skipped.
fn parse(body: &str) -> CallPage {
    let page = parse_page(body.as_bytes(), 1).unwrap();
    assert_eq!(page.skipped, 0);
    page
}

/// Returns the snapshot of these calls.
fn snapshot(calls: &[Call]) -> Snapshot {
    Snapshot::from_calls(
        calls,
        &mut LabelLimiter::new(ExtensionLabel::Number, 10_000),
    )
}

/// A series of `ringcentral_active_calls`: direction, result, extension and count.
type Series = (Direction, String, String, u64);

/// Returns the series of `ringcentral_active_calls` for these calls.
fn series(calls: &[Call]) -> Vec<Series> {
    let mut series = Vec::new();
    for (labels, count) in snapshot(calls).records {
        series.push((
            labels.direction,
            labels.result.as_str().to_owned(),
            labels.extension.unwrap_or_default().into(),
            count,
        ));
    }
    series
}

/// Returns a series with the count 1.
fn single(direction: Direction, result: &str, extension: &str) -> Series {
    (direction, result.to_owned(), extension.to_owned(), 1)
}

#[test]
fn ringing_call_is_in_progress() {
    let page = parse(include_str!(
        "../fixtures/active-calls-direct-ringing-detailed.json"
    ));
    assert_eq!(
        series(&page.calls),
        [single(Direction::Inbound, "In Progress", "234567")]
    );
    let snapshot = snapshot(&page.calls);
    assert_eq!(
        (snapshot.sessions_in_progress, snapshot.extensions_in_call),
        (1, 1),
        "legs must not be counted as records"
    );
    assert_eq!(
        snapshot.oldest_start.map(|start| start.as_second()),
        Some(1_611_100_737)
    );
    assert_eq!(
        page.calls[0].session.telephony.as_deref(),
        Some("s-8f8125f1aeb944f486531c351a2f520e")
    );
    assert_eq!(
        (page.next, page.account_id.as_deref()),
        (None, Some("123456"))
    );
}

#[test]
fn ended_call_is_listed_but_not_in_progress() {
    let ringing = parse(include_str!(
        "../fixtures/active-calls-direct-ringing-detailed.json"
    ));
    let ended = parse(include_str!(
        "../fixtures/active-calls-direct-ended-detailed.json"
    ));
    assert_eq!(
        series(&ended.calls),
        [single(Direction::Inbound, "Accepted", "234567")]
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
    let page = parse(include_str!("../fixtures/active-calls-account-simple.json"));
    let expected = [
        single(Direction::Inbound, "Accepted", "131192004"),
        single(Direction::Outbound, "Call connected", "131192004"),
    ];
    assert_eq!(series(&page.calls), expected);
    assert_eq!(
        (page.next, page.account_id.as_deref()),
        (None, Some("131192004"))
    );
}

#[test]
fn empty_list_has_no_series() {
    let page = parse(include_str!("../fixtures/active-calls-account-empty.json"));
    assert!(series(&page.calls).is_empty());
    assert_eq!(snapshot(&page.calls).sessions_in_progress, 0);
}

#[test]
fn fax_records_are_skipped() {
    let page = parse(include_str!("../fixtures/call-log-page-with-next.json"));
    assert_eq!(
        series(&page.calls),
        [single(
            Direction::Outbound,
            "Call connected",
            "401494647008"
        )]
    );
    assert!(page.next.unwrap().ends_with("&page=2&perPage=2"));
}

#[test]
fn extension_list_is_parsed() {
    let page = parse_extensions(include_bytes!("../fixtures/extension-list.json")).unwrap();
    let entries: Vec<_> = page
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
    assert_eq!((entries, page.next), (expected.to_vec(), None));
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
    let codes = |body: &str| {
        let ApiError {
            codes,
            error,
            permission,
            parameter,
        } = parse_api_error(body.as_bytes());
        [codes.into_iter().next(), error, permission, parameter].map(Option::unwrap_or_default)
    };
    let grant = codes(include_str!(
        "../fixtures/error-400-token-unauthorized-client-oau-251.json"
    ));
    assert_eq!(grant, ["OAU-251", "unauthorized_client", "", ""]);
    let app = codes(include_str!(
        "../fixtures/error-403-app-permission-cmn-401.json"
    ));
    assert_eq!(app, ["CMN-401", "", "ReadCallLog", ""]);
    let user = codes(include_str!(
        "../fixtures/error-403-user-permission-cmn-408.json"
    ));
    assert_eq!(user, ["CMN-408", "", "ReadCompanyCallLog", ""]);
    let unavailable = codes(include_str!(
        "../fixtures/error-service-unavailable-cmn-201.json"
    ));
    assert_eq!(unavailable, ["CMN-201", "", "", ""]);
}
