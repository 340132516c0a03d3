//! Files that are exchanged while the program runs, and nobody tells it.

use crate::curl::Answer;
use crate::pki::Pki;
use crate::stage::{Stage, TLS, users};

const SUCCESSFUL: &str = "ringcentral_exporter_config_last_reload_successful";
const TIMESTAMP: &str = "ringcentral_exporter_config_last_reload_success_timestamp_seconds";

/// The subject of the certificate that curl is shown.
fn shown(answer: &Answer, subject: &str) -> bool {
    answer.status == 200 && answer.error.contains(&format!("subject: CN={subject}\n"))
}

#[tokio::test]
async fn an_exchanged_certificate_is_shown_to_new_connections() {
    let stage = Stage::start(TLS, &[]).await;
    assert!(shown(
        &stage.curl("/metrics", &["--verbose"]).await,
        "server"
    ));
    stage.pki.server("renewed");
    for suffix in ["crt", "key"] {
        std::fs::rename(
            stage.pki.path(&format!("renewed.{suffix}")),
            stage.pki.path(&format!("server.{suffix}")),
        )
        .unwrap();
    }
    stage
        .curl_until("/metrics", &["--verbose"], |answer| {
            shown(answer, "renewed")
        })
        .await;
}

#[tokio::test]
async fn an_exchanged_user_takes_effect_and_the_old_password_no_longer_works() {
    let stage = Stage::start(&(TLS.to_owned() + &users("alice", "sesame", 4)), &[]).await;
    let (old, new): (&[&str], &[&str]) = (&["--user", "alice:sesame"], &["--user", "alice:open"]);
    assert_eq!(stage.curl("/metrics", old).await.status, 200);
    assert_eq!(stage.curl("/metrics", new).await.status, 401);
    stage.web(&(TLS.to_owned() + &users("alice", "open", 4)));
    stage
        .curl_until("/metrics", new, |answer| answer.status == 200)
        .await;
    assert_eq!(stage.curl("/metrics", old).await.status, 401);
}

#[tokio::test]
async fn a_connection_that_is_kept_sees_new_users_too() {
    let stage = Stage::start(&users("alice", "sesame", 4), &[]).await;
    let client = crate::common::http();
    let ask = || {
        client
            .get(stage.url("/"))
            .basic_auth("alice", Some("sesame"))
            .send()
    };
    assert_eq!(ask().await.unwrap().status(), 200);
    stage.web(&users("alice", "open", 4));
    for _ in 0..25 {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        if ask().await.unwrap().status() == 401 {
            return;
        }
    }
    panic!("the old password still works");
}

#[tokio::test]
async fn a_bad_new_file_keeps_the_old_one_is_told_once_and_turns_the_metric_to_0_until_it_is_repaired()
 {
    let good = TLS.to_owned() + &users("alice", "sesame", 4);
    let mut stage = Stage::start(&good, &[]).await;
    let user: &[&str] = &["--user", "alice:sesame"];
    let before = stage.curl("/metrics", user).await;
    assert_eq!(before.value(SUCCESSFUL), 1.0);

    stage.web("basic_auth_users: {alice: sesame}\n");
    let bad = stage
        .curl_until("/metrics", user, |answer| answer.value(SUCCESSFUL) == 0.0)
        .await;
    assert_eq!(
        bad.value(TIMESTAMP),
        before.value(TIMESTAMP),
        "the old one still holds"
    );
    for _ in 0..12 {
        assert_eq!(stage.curl("/metrics", user).await.value(SUCCESSFUL), 0.0);
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    stage.web(&good);
    let repaired = stage
        .curl_until("/metrics", user, |answer| answer.value(SUCCESSFUL) == 1.0)
        .await;
    assert!(repaired.value(TIMESTAMP) > before.value(TIMESTAMP));

    stage.program.signal("TERM").await;
    stage.program.ends().await;
    let errors: Vec<_> = stage
        .program
        .log
        .lines()
        .filter(|line| line.contains("level=error"))
        .collect();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(
        errors[0].contains("line 1: basic_auth_users.alice: this is no bcrypt hash"),
        "{errors:?}"
    );
    assert!(!errors[0].contains("sesame"), "{errors:?}");
}

#[tokio::test]
async fn a_key_that_no_longer_fits_keeps_the_old_certificate() {
    let stage = Stage::start(TLS, &[]).await;
    stage.pki.server("other");
    std::fs::copy(stage.pki.path("other.key"), stage.pki.path("server.key")).unwrap();
    let answer = stage
        .curl_until("/metrics", &["--verbose"], |answer| {
            answer.value(SUCCESSFUL) == 0.0
        })
        .await;
    assert!(shown(&answer, "server"));
    std::fs::copy(stage.pki.path("other.crt"), stage.pki.path("server.crt")).unwrap();
    stage
        .curl_until("/metrics", &["--verbose"], |answer| {
            shown(answer, "other") && answer.value(SUCCESSFUL) == 1.0
        })
        .await;
}

#[tokio::test]
async fn a_file_that_is_cut_short_does_not_open_the_door() {
    let stage = Stage::start(&(TLS.to_owned() + &users("alice", "sesame", 4)), &[]).await;
    let user: &[&str] = &["--user", "alice:sesame"];
    for cut in ["", TLS, &users("alice", "sesame", 4)] {
        stage.web(cut);
        stage
            .curl_until("/metrics", user, |answer| {
                answer.status == 200 && answer.value(SUCCESSFUL) == 0.0
            })
            .await;
        assert_eq!(stage.curl("/metrics", &[]).await.status, 401, "{cut}");
        stage.web(&(TLS.to_owned() + &users("alice", "sesame", 4)));
        stage
            .curl_until("/metrics", user, |answer| answer.value(SUCCESSFUL) == 1.0)
            .await;
    }
}

#[tokio::test]
async fn a_file_that_is_cut_short_asks_no_less_of_clients() {
    let whole = format!(
        "{TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n  client_allowed_sans: [prometheus.example]\n"
    );
    let unnamed = whole.rsplit_once("  client_allowed").unwrap().0.to_owned();
    let unrequired = unnamed.replace("RequireAndVerifyClientCert", "VerifyClientCertIfGiven");
    for cut in [TLS, &unnamed, &unrequired] {
        let mut stage = Stage::start(&whole, &[]).await;
        let client = [
            "--cert",
            &stage.pki.arg("client.crt"),
            "--key",
            &stage.pki.arg("client.key"),
        ]
        .map(str::to_owned);
        let client = client.each_ref().map(String::as_str);
        assert_eq!(stage.curl("/metrics", &client).await.status, 200);
        stage.web(cut);
        stage
            .curl_until("/metrics", &client, |answer| {
                answer.value(SUCCESSFUL) == 0.0
            })
            .await;
        assert_eq!(stage.curl("/metrics", &[]).await.status, 0, "{cut}");
        stage.program.signal("TERM").await;
        stage.program.ends().await;
        let errors: Vec<_> = stage
            .program
            .log
            .lines()
            .filter(|line| line.contains("level=error"))
            .collect();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(
            errors[0].contains("requiring less of clients requires a restart"),
            "{errors:?}"
        );
    }
}

#[tokio::test]
async fn a_new_client_ca_takes_effect_for_new_connections() {
    let web = format!(
        "{TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: clients.crt\n"
    );
    let (pki, theirs) = (Pki::new(), Pki::new());
    std::fs::copy(pki.path("ca.crt"), pki.path("clients.crt")).unwrap();
    let (ours, key) = (pki.arg("client.crt"), pki.arg("client.key"));
    let stage = Stage::around(pki, &web, &[]).await;
    let client: &[&str] = &["--cert", &ours, "--key", &key];
    assert_eq!(stage.curl("/metrics", client).await.status, 200);
    std::fs::copy(theirs.path("ca.crt"), stage.pki.path("clients.crt")).unwrap();
    stage
        .curl_until("/metrics", client, |answer| answer.status == 0)
        .await;
    let (certificate, key) = (theirs.arg("client.crt"), theirs.arg("client.key"));
    assert_eq!(
        stage
            .curl("/metrics", &["--cert", &certificate, "--key", &key])
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_pipe_in_the_place_of_a_file_holds_nobody_up() {
    for name in ["web.yml", "server.key"] {
        let stage = Stage::start(TLS, &[]).await;
        std::fs::remove_file(stage.pki.path(name)).unwrap();
        assert!(
            std::process::Command::new("mkfifo")
                .arg(stage.pki.path(name))
                .status()
                .unwrap()
                .success()
        );
        stage
            .curl_until("/metrics", &[], |answer| {
                answer.status == 200 && answer.value(SUCCESSFUL) == 0.0
            })
            .await;
    }
}
