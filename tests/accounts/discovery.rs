//! `/sd`: the accounts as Prometheus' HTTP service discovery has them.

use rcgen::CertifiedKey;
use ringcentral_exporter::ringcentral::transport::http_client;
use serde_json::{Value, json};

use crate::fleet::{Fleet, Member, company};

async fn start(names: &[&str], flags: &[&str]) -> Fleet {
    Fleet::with(Member::several(names, company).await, flags).await
}

/// The groups that are expected of an exporter that is called `host`.
fn groups(host: &str, scheme: &str, path: &str, names: &[&str]) -> Value {
    let group = |name: &&str| {
        let instance = format!("{host}/{name}");
        let labels = json!({
            "__param_account": name, "__scheme__": scheme, "__metrics_path__": path, "instance": instance,
        });
        json!({"targets": [host], "labels": labels})
    };
    names.iter().map(group).collect()
}

/// The body of a whole reply, as JSON.
#[track_caller]
fn body(reply: &str) -> Value {
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{reply}");
    serde_json::from_str(body).unwrap_or_else(|_| panic!("{reply}"))
}

#[tokio::test]
async fn each_account_is_a_group_in_the_order_of_the_file_and_nobody_is_asked() {
    let fleet = start(&["paris", "a", "Berlin.2", "_"], &[]).await;
    let host = fleet.url.strip_prefix("http://").unwrap();
    let found = fleet.get("/sd").await;
    assert_eq!(
        (found.status, &found.headers["content-type"]),
        (200, &"application/json".parse().unwrap())
    );
    let expected = groups(host, "http", "/metrics", &["paris", "a", "Berlin.2", "_"]);
    assert_eq!(
        serde_json::from_str::<Value>(&found.text).unwrap(),
        expected
    );
    assert!(fleet.members.iter().all(Member::is_untouched));
}

#[tokio::test]
async fn the_target_is_the_host_that_the_request_named() {
    let fleet = start(&["a"], &[]).await;
    let hosts = [
        "exporter",
        "exporter.example:9999",
        "192.0.2.7:10072",
        "[2001:db8::7]:10072",
        "[::1]",
        "A-B.example",
    ];
    for host in hosts {
        let reply = fleet
            .raw(&["GET /sd HTTP/1.1", &format!("Host: {host}")])
            .await;
        assert_eq!(
            body(&reply),
            groups(host, "http", "/metrics", &["a"]),
            "{host}"
        );
    }
}

#[tokio::test]
async fn a_request_that_names_no_host_or_a_bad_one_is_400() {
    let fleet = start(&["a"], &[]).await;
    let bad = [
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
    let bad = bad.map(|host| vec![format!("Host: {host}")]);
    let twice = vec!["Host: a".to_owned(), "Host: b".to_owned()];
    let mut taken = Vec::new();
    for hosts in bad.into_iter().chain([Vec::new(), twice]) {
        let lines: Vec<_> = ["GET /sd HTTP/1.1"]
            .into_iter()
            .chain(hosts.iter().map(String::as_str))
            .collect();
        let reply = fleet.raw(&lines).await;
        taken.extend((!reply.starts_with("HTTP/1.1 400 ")).then_some(hosts));
    }
    assert!(taken.is_empty(), "{taken:?}");
}

#[tokio::test]
async fn head_has_no_body_and_other_methods_are_told_which_are_accepted() {
    let fleet = start(&["a"], &[]).await;
    let head = fleet.raw(&["HEAD /sd HTTP/1.1", "Host: exporter"]).await;
    assert!(
        head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
    assert!(
        head.to_lowercase()
            .contains("\r\ncontent-type: application/json\r\n"),
        "{head}"
    );
    let post = fleet
        .raw(&["POST /sd HTTP/1.1", "Host: exporter", "Content-Length: 0"])
        .await;
    assert!(
        post.starts_with("HTTP/1.1 405 ")
            && post.to_lowercase().contains("\r\nallow: get, head\r\n"),
        "{post}"
    );
}

#[tokio::test]
async fn another_path_of_the_metrics_is_told() {
    let fleet = start(&["a", "b"], &["--web.telemetry-path", "/calls"]).await;
    let reply = fleet.raw(&["GET /sd HTTP/1.1", "Host: exporter"]).await;
    assert_eq!(
        body(&reply),
        groups("exporter", "http", "/calls", &["a", "b"])
    );
    assert_eq!(fleet.get("/calls?account=a").await.status, 200);
}

#[tokio::test]
async fn a_reload_is_seen_at_once() {
    let mut fleet = start(&["a", "b"], &[]).await;
    fleet.members.remove(0);
    fleet
        .members
        .insert(0, Member::new("c", company(3), 4).await);
    fleet.reload().await;
    let reply = fleet.raw(&["GET /sd HTTP/1.1", "Host: exporter"]).await;
    assert_eq!(
        body(&reply),
        groups("exporter", "http", "/metrics", &["c", "b"])
    );
}

#[tokio::test]
async fn over_tls_the_scheme_is_https() {
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
    let fleet = Fleet::within(folder, Member::several(&["a"], company).await, &flags).await;
    let host = format!("localhost:{}", fleet.url.rsplit_once(':').unwrap().1);
    let url = format!("https://{host}/sd");
    let pem = cert.pem();
    let reply = http_client(&url.parse().unwrap(), Some(pem.as_bytes()))
        .unwrap()
        .get(&url)
        .send()
        .await
        .unwrap();
    let found: Value = serde_json::from_str(&reply.text().await.unwrap()).unwrap();
    assert_eq!(found, groups(&host, "https", "/metrics", &["a"]));
}
