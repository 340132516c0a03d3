//! Names and passwords.

use crate::stage::{Stage, TLS, users};

#[tokio::test]
async fn the_right_password_is_let_in_and_no_other() {
    let mut stage = Stage::start(&format!("{TLS}{}", users("alice", "sesame", 6)), &[]).await;
    for _ in 0..2 {
        assert_eq!(
            stage
                .curl("/metrics", &["--user", "alice:sesame"])
                .await
                .status,
            200
        );
        for wrong in [
            &["--user", "alice:sesam"] as &[_],
            &["--user", "bob:sesame"],
            &["--user", "alice:"],
            &[],
        ] {
            let refused = stage.curl("/metrics", wrong).await;
            assert_eq!(refused.status, 401, "{wrong:?}");
            assert!(refused.has_header("WWW-Authenticate: Basic"), "{refused:?}");
            assert!(!refused.text.contains("ringcentral_"), "{refused:?}");
        }
    }
    for path in ["/", "/nothing", "/-/reload"] {
        assert_eq!(stage.curl(path, &[]).await.status, 401, "{path}");
    }
    stage.program.signal("TERM").await;
    stage.program.ends().await;
    for secret in ["sesam", "$2b$", "YWxpY2U"] {
        assert!(!stage.program.log.contains(secret), "{}", stage.program.log);
    }
}

#[tokio::test]
async fn a_login_without_tls_works_and_is_warned_of() {
    let stage = Stage::start(&users("alice", "sesame", 4), &[]).await;
    assert_eq!(
        stage
            .curl("/metrics", &["--user", "alice:sesame"])
            .await
            .status,
        200
    );
    assert!(
        stage
            .program
            .log
            .contains("basic auth without TLS: passwords can be read on the network"),
        "{}",
        stage.program.log
    );
    assert!(
        stage.program.log.contains("tls=false login=true"),
        "{}",
        stage.program.log
    );
}

#[tokio::test]
async fn probes_need_no_password() {
    let stage = Stage::start(&users("alice", "sesame", 4), &[]).await;
    for path in ["/-/healthy", "/healthz", "/-/ready", "/readyz"] {
        assert_eq!(stage.curl(path, &[]).await.status, 200, "{path}");
        assert_eq!(
            stage.curl(path, &["--user", "alice:wrong"]).await.status,
            200,
            "{path}"
        );
    }
}

/// CPU that the program has used. This scrape's own verdict is known after the first.
async fn cpu(stage: &Stage) -> f64 {
    stage
        .curl("/metrics", &["--user", "alice:sesame"])
        .await
        .value("process_cpu_seconds_total")
}

#[tokio::test]
async fn an_unknown_name_costs_what_a_known_one_does_and_a_known_verdict_nothing() {
    let stage = Stage::start(&users("alice", "sesame", 12), &[]).await;
    cpu(&stage).await;
    let mut costs = Vec::new();
    for name in ["alice", "mallory", "alice"] {
        let before = cpu(&stage).await;
        for n in 0..4 {
            assert_eq!(
                stage
                    .curl("/", &["--user", &format!("{name}:{n}")])
                    .await
                    .status,
                401
            );
        }
        costs.push(cpu(&stage).await - before);
    }
    let ratio = costs[0] / costs[1];
    assert!((0.6..1.7).contains(&ratio), "{costs:?}");
    assert!(costs[2] < costs[0] / 3.0, "the same again: {costs:?}");
}

#[tokio::test]
async fn each_user_has_a_password_of_its_own() {
    let bob = users("bob", "open", 4).replace("basic_auth_users:\n", "");
    let stage = Stage::start(&(users("alice", "sesame", 4) + &bob), &[]).await;
    for (user, status) in [
        ("alice:sesame", 200),
        ("bob:open", 200),
        ("alice:open", 401),
        ("bob:sesame", 401),
    ] {
        assert_eq!(
            stage.curl("/metrics", &["--user", user]).await.status,
            status,
            "{user}"
        );
    }
}

#[tokio::test]
async fn a_hash_of_each_usual_prefix_is_checked() {
    let hash = bcrypt::hash("sesame", 4).unwrap();
    for prefix in ["$2a$", "$2b$", "$2y$"] {
        let stage = Stage::start(
            &format!(
                "basic_auth_users: {{alice: '{}'}}",
                hash.replace("$2b$", prefix)
            ),
            &[],
        )
        .await;
        assert_eq!(
            stage.curl("/", &["--user", "alice:sesame"]).await.status,
            200,
            "{prefix}"
        );
    }
}
