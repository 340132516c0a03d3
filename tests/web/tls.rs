//! Versions, suites and certificates, as clients see them.

use std::process::Stdio;

use tokio::process::Command;

use crate::curl::Answer;
use crate::pki::Pki;
use crate::stage::{Stage, TLS};

/// What openssl says of a handshake with these arguments.
async fn openssl(stage: &Stage, arguments: &[&str]) -> String {
    let mut command = Command::new("openssl");
    let ca = stage.pki.arg("ca.crt");
    command.args([
        "s_client",
        "-connect",
        &stage.address,
        "-CAfile",
        &ca,
        "-cipher",
        "ALL:@SECLEVEL=0",
    ]);
    let output = command
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .await
        .expect("openssl is installed");
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn up(answer: &Answer) -> bool {
    answer.status == 200
        && answer
            .text
            .contains("\nringcentral_up{account=\"default\"} 1\n")
}

#[tokio::test]
async fn a_scrape_over_tls_is_answered_in_both_versions() {
    let mut stage = Stage::start(TLS, &[]).await;
    for arguments in [&["--tlsv1.3"] as &[_], &["--tls-max", "1.2"]] {
        assert!(
            up(&stage.curl("/metrics", arguments).await),
            "{arguments:?}"
        );
    }
    assert!(
        stage.program.log.contains("tls=true login=false"),
        "{}",
        stage.program.log
    );
    let plain = crate::curl::curl(&[&format!("http://{}/metrics", stage.address)]).await;
    assert_eq!(plain.status, 0, "{plain:?}");
    stage
        .program
        .logs("level=debug message=\"TLS handshake failed\"")
        .await;
    stage.program.signal("TERM").await;
    stage.program.ends().await;
    assert!(
        !stage.program.log.contains("level=error") && !stage.program.log.contains("level=warn")
    );
}

#[tokio::test]
async fn tls_1_1_is_refused() {
    let stage = Stage::start(TLS, &[]).await;
    let said = openssl(&stage, &["-tls1_1"]).await;
    assert!(
        said.contains("alert") && said.contains("Cipher is (NONE)"),
        "{said}"
    );
    let said = openssl(&stage, &["-tls1_2"]).await;
    assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
    let answer = stage.curl("/metrics", &["--tls-max", "1.1"]).await;
    assert_eq!(answer.status, 0, "{answer:?}");
}

#[tokio::test]
async fn a_min_version_of_tls_1_3_refuses_1_2_and_a_max_version_of_1_2_refuses_1_3() {
    let stage = Stage::start(&format!("{TLS}  min_version: TLS13\n"), &[]).await;
    assert_eq!(
        stage.curl("/metrics", &["--tls-max", "1.2"]).await.status,
        0
    );
    assert!(up(&stage.curl("/metrics", &[]).await));
    let stage = Stage::start(&format!("{TLS}  max_version: TLS12\n"), &[]).await;
    assert_eq!(stage.curl("/metrics", &["--tlsv1.3"]).await.status, 0);
    assert!(up(&stage.curl("/metrics", &[]).await));
}

#[tokio::test]
async fn suites_and_curves_are_those_that_are_named_in_that_order() {
    let stage = Stage::start(
        &format!(
            "{TLS}  max_version: TLS12\n  curve_preferences: [CurveP384]\n  cipher_suites:\n  \
             - TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384\n  - TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256\n"
        ),
        &[],
    )
    .await;
    let said = openssl(
        &stage,
        &[
            "-cipher",
            "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384",
        ],
    )
    .await;
    assert!(
        said.contains("Cipher is ECDHE-ECDSA-AES256-GCM-SHA384") && said.contains("secp384r1"),
        "{said}"
    );
    let said = openssl(&stage, &["-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"]).await;
    assert!(said.contains("Cipher is (NONE)"), "{said}");
    let said = openssl(&stage, &["-groups", "X25519"]).await;
    assert!(said.contains("Cipher is (NONE)"), "{said}");
}

#[tokio::test]
async fn certificate_and_key_may_stand_in_the_file_itself() {
    let pki = Pki::new();
    let indented = |name: &str| {
        std::fs::read_to_string(pki.path(name))
            .unwrap()
            .replace('\n', "\n    ")
    };
    let (certificate, key) = (indented("server.crt"), indented("server.key"));
    let web = format!("tls_server_config:\n  cert: |\n    {certificate}\n  key: |\n    {key}\n");
    let stage = Stage::around(pki, &web, &[]).await;
    assert!(up(&stage.curl("/metrics", &[]).await));
}

#[tokio::test]
async fn an_expired_certificate_of_our_own_is_a_warning() {
    let pki = Pki::new();
    pki.expired_server("old");
    let web = "tls_server_config: {cert_file: old.crt, key_file: old.key}\n";
    let stage = Stage::around(pki, web, &[]).await;
    let warning = stage
        .program
        .log
        .lines()
        .find(|line| line.contains("level=warn"))
        .unwrap();
    assert!(
        warning.contains("old.crt: the certificate expired at 2021-02-03"),
        "{warning}"
    );
    assert!(up(&stage.curl("/metrics", &["--insecure"]).await));
    assert_eq!(stage.curl("/metrics", &[]).await.status, 0);
}

#[tokio::test]
async fn the_demo_speaks_tls_and_says_so() {
    let pki = Pki::new();
    pki.write("web.yml", TLS);
    let file = pki.arg("web.yml");
    let (program, url, _) = crate::common::demo::start(&["--web.config.file", &file]).await;
    let url = url.replace("http://", "https://");
    let answer =
        crate::curl::curl(&["--cacert", &pki.arg("ca.crt"), &format!("{url}/metrics")]).await;
    assert!(up(&answer), "{answer:?}");
    drop(program);
}
