//! Tests of redirects by RingCentral or a proxy.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::api_relay::{Action, Exchange, start_exporter};

/// Returns a response without a body.
fn response(status: u16, headers: &str) -> Action {
    Action::Respond(format!(
        "HTTP/1.1 {status} Moved\r\n{headers}Content-Length: 0\r\n\r\n"
    ))
}

/// Returns a plan that answers the first request whose target has this end.
fn answer_first(
    end: &'static str,
    action: Action,
) -> impl Fn(&Exchange) -> Action + Send + Sync + 'static {
    let count = AtomicUsize::new(0);
    move |exchange| {
        let is_target = exchange.target().contains(end);
        if is_target && count.fetch_add(1, Ordering::Relaxed) == 0 {
            return action.clone();
        }
        Action::Forward
    }
}

#[tokio::test]
async fn redirect_of_list_is_followed() {
    for status in [301, 302, 303, 307, 308] {
        let location = "Location: /restapi/v1.0/account/~/active-calls?perPage=1000\r\n";
        let plan = answer_first("/active-calls", response(status, location));
        let (relay, exporter) = start_exporter(plan).await;
        let scraped = exporter.scrape().await;
        assert_eq!(scraped.up(), 1.0, "{status}:\n{}", scraped.text);
        let lists = relay.lists();
        for exchange in &lists {
            assert!(exchange.request.starts_with("GET "), "{status}");
            assert!(
                exchange
                    .request
                    .to_lowercase()
                    .contains("authorization: bearer ")
            );
        }
        assert_eq!(lists.len(), 2, "{status}");
        let series =
            "ringcentral_api_requests_total{account=\"default\",operation=\"active_calls\"}";
        assert_eq!(scraped.value(series), 2.0, "{status}");
    }
}

#[tokio::test]
async fn redirect_of_login_keeps_method_except_303() {
    for status in [301, 302, 303, 307, 308] {
        let location = "Location: /restapi/oauth/token?again\r\n";
        let plan = answer_first("/oauth/token", response(status, location));
        let (relay, exporter) = start_exporter(plan).await;
        let scraped = exporter.scrape().await;
        let exchanges = relay.exchanges();
        let second = exchanges[1].request.to_lowercase();
        if status == 303 {
            assert!(
                second.starts_with("get /restapi/oauth/token?again "),
                "{second}"
            );
            assert!(!second.contains("authorization"), "{second}");
            assert!(!second.contains("assertion"), "{second}");
            continue;
        }
        assert_eq!(scraped.up(), 1.0, "{status}:\n{}", scraped.text);
        assert!(
            second.starts_with("post /restapi/oauth/token?again "),
            "{second}"
        );
    }
}

#[tokio::test]
async fn redirect_elsewhere_is_not_followed() {
    let elsewhere = [
        "http://127.0.0.2:1/",
        "https://127.0.0.1/",
        "//127.0.0.2/",
        "ftp://127.0.0.1/",
        "http://[",
        "data:,x",
    ];
    for status in [301, 302, 303, 307, 308] {
        for location in elsewhere {
            for target in ["/oauth/token", "/active-calls"] {
                let location = format!("Location: {location}\r\n");
                let plan = answer_first(target, response(status, &location));
                let (relay, exporter) = start_exporter(plan).await;
                let scraped = exporter.scrape().await;
                let failures = scraped.failures("token", "invalid_response")
                    + scraped.failures("active_calls", "invalid_response");
                assert_eq!(failures, 1.0, "{status} {location} {target}");
                let exchanges = relay.exchanges();
                let count = exchanges
                    .iter()
                    .filter(|it| it.target().contains(target))
                    .count();
                assert_eq!(count, 1, "{status} {location} {target}");
            }
        }
    }
}

#[tokio::test]
async fn invalid_redirect_is_invalid_response() {
    let location = "Location: /restapi/v1.0/account/~/active-calls\r\n";
    let cases = [
        (300, location.to_owned()),
        (304, location.to_owned()),
        (305, location.to_owned()),
        (306, location.to_owned()),
        (399, location.to_owned()),
        (302, String::new()),
        (302, "Location:\r\n".to_owned()),
        (302, "Location:   \r\n".to_owned()),
        (302, format!("{location}{location}")),
        (303, "Location: /ä\r\n".to_owned()),
        (303, String::new()),
    ];
    for (status, headers) in cases {
        let plan = answer_first("/active-calls", response(status, &headers));
        let (relay, exporter) = start_exporter(plan).await;
        let scraped = exporter.scrape().await;
        let failures = scraped.failures("active_calls", "invalid_response");
        assert_eq!(failures, 1.0, "{status} {headers:?}:\n{}", scraped.text);
        assert_eq!(relay.lists().len(), 1, "{status} {headers:?}");
    }
}

#[tokio::test]
async fn redirect_with_user_info_is_not_followed() {
    let (relay, exporter) = start_exporter(|exchange: &Exchange| {
        if !exchange.target().contains("/active-calls") {
            return Action::Forward;
        }
        let head = exchange.request.to_lowercase();
        let (_, host) = head.split_once("host: ").unwrap();
        let host = host.split('\r').next().unwrap();
        response(307, &format!("Location: http://alice:2024@{host}/\r\n"))
    })
    .await;
    let scraped = exporter.scrape().await;
    assert_eq!(scraped.failures("active_calls", "invalid_response"), 1.0);
    assert_eq!(relay.lists().len(), 1);
}
