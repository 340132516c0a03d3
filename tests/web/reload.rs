//! Reloads that somebody asks for.

use std::time::Duration;

use tokio::time::sleep;

use crate::common::exporter_process::{ExporterProcess, pointed_at};
use crate::pki::Pki;
use crate::stage::{Stage, TLS, simulator, users};

const SUCCESSFUL: &str = "ringcentral_exporter_config_last_reload_successful";
const LIFECYCLE: &[&str] = &["--web.enable-lifecycle"];
const POST: &[&str] = &["--request", "POST"];

#[tokio::test]
async fn without_the_flag_a_reload_is_forbidden_in_one_line() {
    let stage = Stage::start("", &[]).await;
    let answer = stage.curl("/-/reload", POST).await;
    assert_eq!(answer.status, 403);
    let body = "forbidden: requires --web.enable-lifecycle; SIGHUP reloads without it\n";
    assert!(answer.text.ends_with(&format!("\n\n{body}")), "{answer:?}");
}

#[tokio::test]
async fn other_methods_are_told_which_one_is_accepted() {
    for flags in [LIFECYCLE, &[]] {
        let stage = Stage::start("", flags).await;
        for method in ["GET", "PUT", "DELETE"] {
            let answer = stage.curl("/-/reload", &["--request", method]).await;
            assert!(
                answer.status == 405 && answer.has_header("Allow: POST"),
                "{answer:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_reload_is_200_and_takes_effect_at_once() {
    let mut stage = Stage::start(&users("alice", "sesame", 4), LIFECYCLE).await;
    stage.web(&users("alice", "open", 4));
    let answer = stage
        .curl("/-/reload", &[&["--user", "alice:sesame"], POST].concat())
        .await;
    assert_eq!(
        (answer.status, answer.text.ends_with("\n\nreloaded\n")),
        (200, true),
        "{answer:?}"
    );
    assert_eq!(stage.curl("/", &["--user", "alice:open"]).await.status, 200);
    assert_eq!(
        stage.curl("/", &["--user", "alice:sesame"]).await.status,
        401
    );
    let line = stage.program.logs("configuration reloaded").await;
    assert!(line.contains(r#"trigger="POST /-/reload""#), "{line}");
}

#[tokio::test]
async fn a_bad_file_is_500_with_the_reason_and_the_old_one_stays() {
    let stage = Stage::start(TLS, LIFECYCLE).await;
    stage.web(&format!("{TLS}  min_version: TLS11\n"));
    let answer = stage.curl("/-/reload", POST).await;
    let reason = format!(
        "--web.config.file: {} line 4: tls_server_config.min_version: \"TLS11\" is not spoken by rustls; accepted is TLS12 or TLS13\n",
        stage.pki.arg("web.yml")
    );
    assert!(
        answer.status == 500 && answer.text.ends_with(&format!("\n\n{reason}")),
        "{answer:?}"
    );
    assert_eq!(stage.curl("/metrics", &[]).await.value(SUCCESSFUL), 0.0);
    stage.web(TLS);
    sleep(Duration::from_millis(1100)).await;
    assert_eq!(stage.curl("/-/reload", POST).await.status, 200);
    assert_eq!(stage.curl("/metrics", &[]).await.value(SUCCESSFUL), 1.0);
}

#[tokio::test]
async fn a_key_in_the_place_of_its_path_reaches_neither_answer_nor_log() {
    let mut stage = Stage::start(TLS, LIFECYCLE).await;
    let key = std::fs::read_to_string(stage.pki.path("server.key")).unwrap();
    let secret = key.lines().nth(1).unwrap();
    let text = key.replace('\n', "\n    ");
    stage.web(&format!(
        "tls_server_config:\n  cert_file: server.crt\n  key_file: |\n    {text}\n"
    ));
    let answer = stage.curl("/-/reload", POST).await;
    assert!(
        answer.status == 500 && answer.text.contains("this is a PEM text, not a path"),
        "{answer:?}"
    );
    assert!(!answer.text.contains(secret), "{answer:?}");
    stage.program.logs("configuration reload failed").await;
    assert!(!stage.program.log.contains(secret));
}

#[tokio::test]
async fn a_second_reload_within_a_second_is_429() {
    let stage = Stage::start("", LIFECYCLE).await;
    assert_eq!(stage.curl("/-/reload", POST).await.status, 200);
    let answer = stage.curl("/-/reload", POST).await;
    assert!(
        answer.status == 429 && answer.has_header("Retry-After: 1"),
        "{answer:?}"
    );
    sleep(Duration::from_millis(1100)).await;
    assert_eq!(stage.curl("/-/reload", POST).await.status, 200);
}

#[tokio::test]
async fn a_hangup_reloads_without_the_flag() {
    let mut stage = Stage::start(&users("alice", "sesame", 4), &[]).await;
    stage.web(&users("alice", "open", 4));
    stage.program.signal("HUP").await;
    stage.program.logs("trigger=SIGHUP").await;
    assert_eq!(stage.curl("/", &["--user", "alice:open"]).await.status, 200);
    stage.web("basic_auth_users: [\n");
    stage.program.signal("HUP").await;
    let line = stage
        .program
        .logs("configuration reload failed, keeping the previous one")
        .await;
    assert!(
        line.contains("level=error") && line.contains("this is not YAML"),
        "{line}"
    );
    let scraped = stage.curl("/metrics", &["--user", "alice:open"]).await;
    assert_eq!(scraped.value(SUCCESSFUL), 0.0);
}

#[tokio::test]
async fn a_reload_sees_whether_the_secrets_can_be_read_even_without_a_web_configuration() {
    let simulator = simulator().await;
    let folder = tempfile::tempdir().unwrap();
    let jwt = folder.path().join("jwt");
    std::fs::write(&jwt, simulator.jwt()).unwrap();
    let mut command = pointed_at(
        &simulator,
        &[
            "--web.listen-address",
            "127.0.0.1:0",
            "--web.enable-lifecycle",
        ],
    );
    command.env_remove("RC_JWT").env("RC_JWT_FILE", &jwt);
    let mut program = ExporterProcess::start(command);
    let url = program.url().await;
    std::fs::remove_file(&jwt).unwrap();
    let answer = crate::curl::curl(&["--request", "POST", &format!("{url}/-/reload")]).await;
    let reason =
        "account default: JWT: the file cannot be read: No such file or directory (os error 2)\n";
    assert!(
        answer.status == 500 && answer.text.ends_with(&format!("\n\n{reason}")),
        "{answer:?}"
    );
    let scraped = crate::curl::curl(&[&format!("{url}/metrics")]).await;
    assert_eq!((scraped.status, scraped.value(SUCCESSFUL)), (200, 0.0));
    std::fs::write(&jwt, simulator.jwt()).unwrap();
    program.signal("HUP").await;
    program.logs("configuration reloaded").await;
    let scraped = crate::curl::curl(&[&format!("{url}/metrics")]).await;
    assert_eq!(scraped.value(SUCCESSFUL), 1.0);
}

#[tokio::test]
async fn a_reload_that_fails_for_a_secret_leaves_the_old_users_and_a_changed_file_asks_for_no_secret()
 {
    let pki = Pki::new();
    pki.write("jwt", "not-asked-for");
    pki.write("web.yml", &users("alice", "sesame", 4));
    let (web, jwt, simulator) = (pki.arg("web.yml"), pki.arg("jwt"), simulator().await);
    let flags = [
        "--web.listen-address",
        "127.0.0.1:0",
        "--web.config.file",
        &web,
    ];
    let mut command = pointed_at(&simulator, &flags);
    command.env_remove("RC_JWT").env("RC_JWT_FILE", &jwt);
    let mut program = ExporterProcess::start(command);
    let url = program.url().await;

    std::fs::remove_file(&jwt).unwrap();
    pki.write("web.yml", &users("alice", "open", 4));
    program.signal("HUP").await;
    let line = program.logs("configuration reload failed").await;
    assert!(line.contains("JWT: the file cannot be read"), "{line}");
    let metrics = format!("{url}/metrics");
    let old = crate::curl::curl(&["--user", "alice:sesame", &metrics]).await;
    assert_eq!((old.status, old.value(SUCCESSFUL)), (200, 0.0));
    assert_eq!(
        crate::curl::curl(&["--user", "alice:open", &metrics])
            .await
            .status,
        401
    );

    pki.write("web.yml", &users("alice", "third time", 4));
    for _ in 0..25 {
        let new = crate::curl::curl(&["--user", "alice:third time", &metrics]).await;
        if new.status == 200 {
            assert_eq!(new.value(SUCCESSFUL), 0.0, "the secret is still missing");
            return;
        }
        sleep(Duration::from_millis(200)).await;
    }
    panic!("the new users never came");
}
