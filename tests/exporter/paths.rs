//! The paths of the exporter: what each answers, and what it costs.

use std::io::Read;

use ringcentral_exporter::secret::SecretSource;
use ringcentral_exporter::simulator::{Operation, Scenario};

use crate::rig::Rig;

#[tokio::test]
async fn health_and_readiness_touch_nothing() {
    let rig = Rig::start(Scenario::normal()).await;
    for path in ["/-/healthy", "/healthz", "/-/ready", "/readyz", "/"] {
        assert_eq!(rig.get(path, &[]).await.status, 200, "{path}");
    }
    assert!(rig.simulator.journal().is_empty(), "RingCentral was asked");
}

#[tokio::test]
async fn what_is_not_there_is_404_and_what_may_not_be_done_405() {
    let rig = Rig::start(Scenario::normal()).await;
    for path in ["/metric", "/metrics/", "/favicon.ico", "/-/"] {
        assert_eq!(rig.get(path, &[]).await.status, 404, "{path}");
    }
    for path in ["/metrics", "/", "/healthz"] {
        let reply = rig
            .http
            .post(format!("{}{path}", rig.url))
            .body("x")
            .send()
            .await
            .unwrap();
        assert_eq!(
            (
                reply.status().as_u16(),
                reply.headers()["allow"].to_str().unwrap()
            ),
            (405, "GET, HEAD"),
            "{path}"
        );
    }
    let reply = rig
        .http
        .post(format!("{}/nowhere", rig.url))
        .send()
        .await
        .unwrap();
    assert_eq!(reply.status(), 404);
}

#[tokio::test]
async fn an_exposition_says_its_format_and_is_gzipped_for_those_who_ask() {
    let rig = Rig::start(Scenario::normal()).await;
    let plain = rig
        .get("/metrics", &[("Accept-Encoding", "identity")])
        .await;
    assert_eq!(
        plain.headers["content-type"],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    assert_eq!(plain.headers["vary"], "Accept-Encoding");
    let (head, body) =
        rig.raw("GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept-Encoding: gzip\r\n\r\n").await;
    assert!(
        head.to_lowercase().contains("content-encoding: gzip"),
        "{head}"
    );
    let mut unzipped = String::new();
    flate2::read::GzDecoder::new(&body[..])
        .read_to_string(&mut unzipped)
        .unwrap();
    assert!(unzipped.contains("\nringcentral_up{account=\"default\"} 1\n"));
    let (head, body) = rig
        .raw("HEAD /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await;
    assert!(
        head.starts_with("HTTP/1.1 200 OK") && body.is_empty(),
        "{head}"
    );
}

#[tokio::test]
async fn a_scrape_of_named_accounts_has_their_series_alone() {
    let rig = Rig::start(Scenario::normal()).await;
    let all = rig.scrape().await;
    let one = rig
        .get("/metrics?account=default&account=default", &[])
        .await;
    assert_eq!(one.call_samples(), all.call_samples());
    assert!(
        one.samples()
            .keys()
            .all(|series| series.contains("account=\"default\"")),
        "{}",
        one.text
    );
    assert!(
        all.text.contains("ringcentral_exporter_build_info{")
            && all.text.contains("process_open_fds")
    );
    let unknown = rig.get("/metrics?account=default&account=acme", &[]).await;
    assert_eq!(
        (unknown.status, unknown.text.as_str()),
        (404, "not found: unknown account \"acme\"\n")
    );
}

#[tokio::test]
async fn the_page_tells_each_accounts_state_and_loads_nothing() {
    let rig = Rig::start(Scenario::normal()).await;
    let before = rig.get("/", &[]).await;
    assert!(before.text.contains("Not yet fetched"), "{}", before.text);
    rig.scrape().await;
    let after = rig.get("/", &[]).await;
    assert!(
        after.text.contains(">Fine<") && after.text.contains("heavy: 9 of 10 in 60 s"),
        "{}",
        after.text
    );
    assert!(!after.text.contains("<script") && !after.text.contains("http-equiv"));
    let policy = after.headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.starts_with("default-src 'none'") && policy.contains("style-src 'sha256-"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(
        rig.count(Operation::ActiveCalls),
        1,
        "the page fetches nothing"
    );
}

#[tokio::test]
async fn the_page_tells_what_failed_and_what_to_do() {
    let rig = Rig::start(Scenario {
        admin: false,
        ..Scenario::normal()
    })
    .await;
    rig.scrape().await;
    let page = rig.get("/", &[]).await;
    for part in [
        "403 CMN-408",
        "--ringcentral.level=extension",
        "not_admin",
        "The next try is in",
    ] {
        assert!(page.text.contains(part), "{part} in {}", page.text);
    }
}

#[tokio::test]
async fn a_secrets_file_that_has_gone_is_told_and_looked_at_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwt");
    let rig = Rig::configured(Scenario::normal(), |config| {
        config.accounts[0].jwt = SecretSource::File(path.clone());
    })
    .await;
    rig.scrape().await;
    let page = rig.get("/", &[]).await;
    for part in [
        "secret_unreadable",
        "the JWT: the file cannot be read: No such file",
        "--ringcentral.jwt-file",
    ] {
        assert!(page.text.contains(part), "{part} in {}", page.text);
    }
    assert!(rig.simulator.journal().is_empty(), "nothing was sent");
    std::fs::write(path, rig.simulator.jwt()).unwrap();
    rig.recovers(std::time::Duration::from_secs(12)).await;
}

#[tokio::test]
async fn the_telemetry_path_can_be_moved() {
    let rig = Rig::configured(Scenario::normal(), |config| {
        config.settings.web.telemetry_path = "/probe/metrics".to_owned();
    })
    .await;
    assert_eq!(rig.get("/metrics", &[]).await.status, 404);
    assert_eq!(rig.get("/probe/metrics", &[]).await.up(), 1.0);
}
