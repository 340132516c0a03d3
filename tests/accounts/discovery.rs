//! Tests of `/sd`, the accounts in the format of Prometheus' HTTP service discovery.

use rcgen::CertifiedKey;
use ringcentral_exporter::ringcentral::transport::http_client;
use serde_json::{Value, json};

use crate::harness::{TestAccount, TestExporter, company};

/// Starts an exporter with these accounts and flags.
async fn start(names: &[&str], flags: &[&str]) -> TestExporter {
    TestExporter::start_with_flags(TestAccount::start_many(names, company).await, flags).await
}

/// Returns the target groups that an exporter at `host` must list.
fn target_groups(host: &str, scheme: &str, path: &str, names: &[&str]) -> Value {
    let group = |name: &&str| {
        let instance = format!("{host}/{name}");
        let labels = json!({
            "__param_account": name, "__scheme__": scheme, "__metrics_path__": path, "instance": instance,
        });
        json!({"targets": [host], "labels": labels})
    };
    names.iter().map(group).collect()
}

/// Returns the JSON body of a response with status 200.
#[track_caller]
fn json_body(response: &str) -> Value {
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{response}");
    serde_json::from_str(body).unwrap_or_else(|_| panic!("{response}"))
}

#[tokio::test]
async fn target_groups_follow_file_order_without_fetch() {
    let exporter = start(&["paris", "a", "Berlin.2", "_"], &[]).await;
    let host = exporter.url.strip_prefix("http://").unwrap();
    let found = exporter.get("/sd").await;
    assert_eq!(
        (found.status, &found.headers["content-type"]),
        (200, &"application/json".parse().unwrap())
    );
    let expected = target_groups(host, "http", "/metrics", &["paris", "a", "Berlin.2", "_"]);
    assert_eq!(
        serde_json::from_str::<Value>(&found.text).unwrap(),
        expected
    );
    assert!(exporter.accounts.iter().all(TestAccount::has_no_requests));
}

#[tokio::test]
async fn target_is_host_of_request() {
    let exporter = start(&["a"], &[]).await;
    let hosts = [
        "exporter",
        "exporter.example:9999",
        "192.0.2.7:10072",
        "[2001:db8::7]:10072",
        "[::1]",
        "A-B.example",
    ];
    for host in hosts {
        let response = exporter
            .send_raw(&["GET /sd HTTP/1.1", &format!("Host: {host}")])
            .await;
        assert_eq!(
            json_body(&response),
            target_groups(host, "http", "/metrics", &["a"]),
            "{host}"
        );
    }
}

#[tokio::test]
async fn missing_or_invalid_host_is_400() {
    let exporter = start(&["a"], &[]).await;
    let invalid = [
        "",
        "a b",
        "a/b",
        "user@a",
        "a:80@a:80",
        "a:b",
        "a:70000",
        "a:",
        ":80",
        "[::1",
        "a?b",
        "a#b",
        "a\"b",
        "{a}",
    ];
    let invalid = invalid.map(|host| vec![format!("Host: {host}")]);
    let twice = vec!["Host: a".to_owned(), "Host: b".to_owned()];
    let mut accepted = Vec::new();
    for hosts in invalid.into_iter().chain([Vec::new(), twice]) {
        let lines: Vec<_> = ["GET /sd HTTP/1.1"]
            .into_iter()
            .chain(hosts.iter().map(String::as_str))
            .collect();
        let response = exporter.send_raw(&lines).await;
        if !response.starts_with("HTTP/1.1 400 ") {
            accepted.push(hosts);
        }
    }
    assert!(accepted.is_empty(), "{accepted:?}");
}

#[tokio::test]
async fn host_errors_have_one_wording_per_fault() {
    let exporter = start(&["a"], &[]).await;
    for (lines, reason) in [
        (&["GET /sd HTTP/1.0"] as &[_], "missing header Host"),
        (&["GET /sd HTTP/1.1"], "missing header Host"),
        (&["GET /metrics HTTP/1.1"], "missing header Host"),
        (&["GET /sd HTTP/1.1", "Host: a b"], "invalid header Host"),
        (&["GET /sd HTTP/1.1", "Host: a:b"], "invalid header Host"),
        (&["GET /sd HTTP/1.0", "Host:"], "invalid header Host"),
        (
            &["GET http://user@a/sd HTTP/1.1", "Host: a"],
            "invalid host in the URI",
        ),
    ] {
        let response = exporter.send_raw(lines).await;
        let body = format!("\r\n\r\nbad request: {reason}\n");
        assert!(response.ends_with(&body), "{lines:?}: {response}");
    }
}

#[tokio::test]
async fn discovery_accepts_only_get_or_head() {
    let exporter = start(&["a"], &[]).await;
    let head = exporter
        .send_raw(&["HEAD /sd HTTP/1.1", "Host: exporter"])
        .await;
    assert!(
        head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
    assert!(
        head.to_lowercase()
            .contains("\r\ncontent-type: application/json\r\n"),
        "{head}"
    );
    let post = exporter
        .send_raw(&["POST /sd HTTP/1.1", "Host: exporter", "Content-Length: 0"])
        .await;
    assert!(
        post.starts_with("HTTP/1.1 405 ")
            && post.to_lowercase().contains("\r\nallow: get, head\r\n"),
        "{post}"
    );
}

#[tokio::test]
async fn telemetry_path_is_in_target_labels() {
    let exporter = start(&["a", "b"], &["--web.telemetry-path", "/calls"]).await;
    let response = exporter
        .send_raw(&["GET /sd HTTP/1.1", "Host: exporter"])
        .await;
    assert_eq!(
        json_body(&response),
        target_groups("exporter", "http", "/calls", &["a", "b"])
    );
    assert_eq!(exporter.get("/calls?account=a").await.status, 200);
}

#[tokio::test]
async fn reload_updates_targets_immediately() {
    let mut exporter = start(&["a", "b"], &[]).await;
    exporter.accounts.remove(0);
    exporter
        .accounts
        .insert(0, TestAccount::new("c", company(3), 4).await);
    exporter.reload().await;
    let response = exporter
        .send_raw(&["GET /sd HTTP/1.1", "Host: exporter"])
        .await;
    assert_eq!(
        json_body(&response),
        target_groups("exporter", "http", "/metrics", &["c", "b"])
    );
}

#[tokio::test]
async fn tls_targets_have_https_scheme() {
    let folder = tempfile::tempdir().unwrap();
    let CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(folder.path().join("server.crt"), cert.pem()).unwrap();
    std::fs::write(
        folder.path().join("server.key"),
        signing_key.serialize_pem(),
    )
    .unwrap();
    let web = folder.path().join("web.yml");
    std::fs::write(
        &web,
        "tls_server_config: {cert_file: server.crt, key_file: server.key}\n",
    )
    .unwrap();
    let flags = ["--web.config.file", web.to_str().unwrap()];
    let exporter = TestExporter::start_in(
        folder,
        TestAccount::start_many(&["a"], company).await,
        &flags,
    )
    .await;
    let host = format!("localhost:{}", exporter.url.rsplit_once(':').unwrap().1);
    let url = format!("https://{host}/sd");
    let pem = cert.pem();
    let response = http_client(&url.parse().unwrap(), Some(pem.as_bytes()))
        .unwrap()
        .get(&url)
        .send()
        .await
        .unwrap();
    let found: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert_eq!(found, target_groups(&host, "https", "/metrics", &["a"]));
}
