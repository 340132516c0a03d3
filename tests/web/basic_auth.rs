//! Tests of basic auth.

use crate::harness::{TLS, TestExporter, basic_auth_config};

#[tokio::test]
async fn only_the_right_password_is_accepted() {
    let mut exporter = TestExporter::start(
        &format!("{TLS}{}", basic_auth_config("alice", "sesame", 6)),
        &[],
    )
    .await;
    for _ in 0..2 {
        assert_eq!(
            exporter
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
            let rejected = exporter.curl("/metrics", wrong).await;
            assert_eq!(rejected.status, 401, "{wrong:?}");
            assert!(
                rejected.has_header("WWW-Authenticate: Basic"),
                "{rejected:?}"
            );
            assert!(!rejected.text.contains("ringcentral_"), "{rejected:?}");
        }
    }
    for path in ["/", "/status", "/nothing", "/-/reload"] {
        assert_eq!(exporter.curl(path, &[]).await.status, 401, "{path}");
    }
    exporter.process.signal("TERM").await;
    exporter.process.wait_for_exit().await;
    for secret in ["sesam", "$2b$", "YWxpY2U"] {
        assert!(
            !exporter.process.log.contains(secret),
            "{}",
            exporter.process.log
        );
    }
}

#[tokio::test]
async fn basic_auth_without_tls_logs_warning() {
    let exporter = TestExporter::start(&basic_auth_config("alice", "sesame", 4), &[]).await;
    assert_eq!(
        exporter
            .curl("/metrics", &["--user", "alice:sesame"])
            .await
            .status,
        200
    );
    assert!(
        exporter
            .process
            .log
            .contains("basic auth without TLS: passwords can be read on the network"),
        "{}",
        exporter.process.log
    );
    assert!(
        exporter.process.log.contains("tls=false basic_auth=true"),
        "{}",
        exporter.process.log
    );
}

#[tokio::test]
async fn probes_need_no_password() {
    let exporter = TestExporter::start(&basic_auth_config("alice", "sesame", 4), &[]).await;
    for path in ["/-/healthy", "/healthz", "/-/ready", "/readyz"] {
        assert_eq!(exporter.curl(path, &[]).await.status, 200, "{path}");
        assert_eq!(
            exporter.curl(path, &["--user", "alice:wrong"]).await.status,
            200,
            "{path}"
        );
    }
}

/// Returns the CPU time of the exporter in seconds. From the second call on, the password is in the
/// auth cache.
async fn cpu_seconds(exporter: &TestExporter) -> f64 {
    exporter
        .curl("/metrics", &["--user", "alice:sesame"])
        .await
        .value("process_cpu_seconds_total")
}

#[tokio::test]
async fn unknown_user_costs_as_much_cpu_as_known_user() {
    let exporter = TestExporter::start(&basic_auth_config("alice", "sesame", 12), &[]).await;
    cpu_seconds(&exporter).await;
    let mut costs = Vec::new();
    for name in ["alice", "mallory", "alice"] {
        let before = cpu_seconds(&exporter).await;
        for n in 0..4 {
            assert_eq!(
                exporter
                    .curl("/", &["--user", &format!("{name}:{n}")])
                    .await
                    .status,
                401
            );
        }
        costs.push(cpu_seconds(&exporter).await - before);
    }
    let ratio = costs[0] / costs[1];
    assert!((0.6..1.7).contains(&ratio), "{costs:?}");
    assert!(
        costs[2] < costs[0] / 3.0,
        "cached results must be cheap: {costs:?}"
    );
}

#[tokio::test]
async fn each_user_has_its_own_password() {
    let bob = basic_auth_config("bob", "open", 4).replace("basic_auth_users:\n", "");
    let exporter =
        TestExporter::start(&(basic_auth_config("alice", "sesame", 4) + &bob), &[]).await;
    for (user, status) in [
        ("alice:sesame", 200),
        ("bob:open", 200),
        ("alice:open", 401),
        ("bob:sesame", 401),
    ] {
        assert_eq!(
            exporter.curl("/metrics", &["--user", user]).await.status,
            status,
            "{user}"
        );
    }
}

#[tokio::test]
async fn common_bcrypt_prefixes_are_accepted() {
    let hash = bcrypt::hash("sesame", 4).unwrap();
    for prefix in ["$2a$", "$2b$", "$2y$"] {
        let exporter = TestExporter::start(
            &format!(
                "basic_auth_users: {{alice: '{}'}}",
                hash.replace("$2b$", prefix)
            ),
            &[],
        )
        .await;
        assert_eq!(
            exporter.curl("/", &["--user", "alice:sesame"]).await.status,
            200,
            "{prefix}"
        );
    }
}

#[tokio::test]
async fn high_cost_warning_shows_no_secret() {
    let secret = "0aK2_Zf8Qp-xT71bYw9LmR";
    let hash = bcrypt::hash("sesame", 4).unwrap();
    let hash = hash.replace("$04$", "$15$");
    let config = format!("basic_auth_users:\n  alice: {hash}\n  {secret}: {hash}\n");
    let exporter = TestExporter::start(&config, &[]).await;
    let log = &exporter.process.log;
    let message = r#"msg="the first login of a user takes seconds: the cost of the bcrypt hash is high; 10 to 12 is usual""#;
    assert_eq!(log.matches(message).count(), 2, "{log}");
    assert!(log.contains("alice") && !log.contains(secret), "{log}");
}
