//! Tests of invalid flags and variables: one line that names the flag or variable, and exit code 2.

use crate::common::exporter_process::{command, output};

/// Runs the exporter with these flags and variables, in addition to the three required variables,
/// and returns the error without the prefix `ringcentral-exporter: `.
async fn complaint(flags: &[&str], variables: &[(&str, &str)]) -> String {
    let mut command = command(flags);
    command
        .env("RC_CLIENT_ID", "id")
        .env("RC_CLIENT_SECRET", "secret")
        .env("RC_JWT", "jwt");
    command.envs(variables.iter().copied());
    let (code, printed, error) = output(command).await;
    assert_eq!((code, printed.as_str()), (Some(2), ""), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    error
        .trim_end()
        .strip_prefix("ringcentral-exporter: ")
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn invalid_flag_error_shows_accepted_values() {
    let cases = [
        (
            "--web.listen-address=localhost",
            r#"--web.listen-address: invalid value "localhost": expected HOST:PORT or :PORT, with an IPv6 host in brackets"#,
        ),
        (
            "--web.listen-address=::1:80",
            r#"--web.listen-address: invalid value "::1:80": expected HOST:PORT or :PORT, with an IPv6 host in brackets"#,
        ),
        (
            "--web.telemetry-path=metrics",
            r#"--web.telemetry-path: invalid value "metrics": expected a path that begins with /, without ?, # and white space, other than /, /sd, /status, /healthz, /readyz and /-/..."#,
        ),
        (
            "--web.telemetry-path=/healthz",
            r#"--web.telemetry-path: invalid value "/healthz": expected a path that begins with /, without ?, # and white space, other than /, /sd, /status, /healthz, /readyz and /-/..."#,
        ),
        (
            "--ringcentral.account-name=a b",
            r#"--ringcentral.account-name: invalid value "a b": expected 1 to 64 letters, digits and _.-"#,
        ),
        (
            "--ringcentral.level=company",
            r#"--ringcentral.level: invalid value "company": expected account or extension"#,
        ),
        (
            "--ringcentral.account-id=me@example.com",
            "--ringcentral.account-id: invalid account id: expected ~ (the account of the JWT) or 1 to 20 digits",
        ),
        (
            "--ringcentral.concurrent-calls-limit=0",
            r#"--ringcentral.concurrent-calls-limit: invalid value "0": expected a whole number from 1 to 1000000"#,
        ),
        (
            "--ringcentral.server-url=platform.ringcentral.com",
            "--ringcentral.server-url: not a URL: expected an origin such as https://platform.ringcentral.com",
        ),
        (
            "--ringcentral.server-url=https://bücher.example",
            "--ringcentral.server-url: not an ASCII URL with a Punycode host name: expected an origin such as https://platform.ringcentral.com",
        ),
        (
            "--ringcentral.server-url=https://xn--bcher-kva.example/in-ascii",
            "--ringcentral.server-url: the URL has a path, query or fragment: expected an origin such as https://platform.ringcentral.com",
        ),
        (
            "--ringcentral.server-url=ftp://platform.ringcentral.com",
            "--ringcentral.server-url: not an http or https URL: expected an origin such as https://platform.ringcentral.com",
        ),
        (
            "--ringcentral.server-url=https://user:sesame@platform.ringcentral.com",
            "--ringcentral.server-url: the URL contains a user or password: expected an origin such as https://platform.ringcentral.com",
        ),
        (
            "--ringcentral.server-url=https://platform.ringcentral.com/restapi",
            "--ringcentral.server-url: the URL has a path, query or fragment: expected an origin such as https://platform.ringcentral.com",
        ),
        (
            "--ringcentral.ca-file=/nonexistent.pem",
            "--ringcentral.ca-file: cannot read /nonexistent.pem: No such file or directory (os error 2): expected certificates in PEM",
        ),
        (
            "--metrics.extension-label=name",
            r#"--metrics.extension-label: invalid value "name": expected number, id or off"#,
        ),
        (
            "--metrics.max-extensions=0",
            r#"--metrics.max-extensions: invalid value "0": expected a whole number from 1 to 1000000"#,
        ),
        (
            "--scrape.min-interval=10",
            r#"--scrape.min-interval: invalid value "10": expected auto, or a duration above 0 and at most 24h, such as 500ms, 10s or 2m"#,
        ),
        (
            "--scrape.min-interval=2m",
            r#"--scrape.min-interval: invalid value "2m": expected auto, or less than --scrape.max-age, which is 2m"#,
        ),
        (
            "--scrape.timeout-offset=-1s",
            r#"--scrape.timeout-offset: invalid value "-1s": expected a duration of at most 24h, such as 500ms or 1s"#,
        ),
        (
            "--scrape.max-age=0s",
            r#"--scrape.max-age: invalid value "0s": expected a duration above 0 and at most 24h, such as 500ms, 10s or 2m"#,
        ),
        (
            "--log.level=loud",
            r#"--log.level: invalid value "loud": expected error, warn, info, debug or trace"#,
        ),
        (
            "--log.format=xml",
            r#"--log.format: invalid value "xml": expected logfmt or json"#,
        ),
        (
            "--log.leval=info",
            "unexpected argument '--log.leval' found; a similar argument exists: '--log.level'",
        ),
        (
            "server",
            "unrecognized subcommand 'server'; a similar subcommand exists: 'serve'",
        ),
    ];
    for (flag, message) in cases {
        assert_eq!(complaint(&[flag], &[]).await, message);
    }
}

#[tokio::test]
async fn extension_metrics_require_extension_label() {
    for flag in ["--metrics.extension-info", "--metrics.extension-calls"] {
        let complaint = complaint(&["--metrics.extension-label=off", flag], &[]).await;
        let expected = r#"--metrics.extension-label: invalid value "off": expected number or id with --metrics.extension-info or --metrics.extension-calls"#;
        assert_eq!(complaint, expected);
    }
}

#[tokio::test]
async fn invalid_variable_is_named_in_error() {
    let cases = [
        (
            "RC_LEVEL",
            "all",
            r#"RC_LEVEL: invalid value "all": expected account or extension"#,
        ),
        (
            "RC_ACCOUNT_NAME",
            "ä",
            r#"RC_ACCOUNT_NAME: invalid value "ä": expected 1 to 64 letters, digits and _.-"#,
        ),
        (
            "RC_CLIENT_ID",
            "two words",
            "RC_CLIENT_ID: invalid client id: expected the client id of an app: letters, digits and -_.",
        ),
        (
            "RC_CONCURRENT_CALLS_LIMIT",
            "many",
            r#"RC_CONCURRENT_CALLS_LIMIT: invalid value "many": expected a whole number from 1 to 1000000"#,
        ),
        (
            "RC_SERVER_URL",
            "https://token@x.example",
            "RC_SERVER_URL: the URL contains a user or password: expected an origin such as https://platform.ringcentral.com",
        ),
        (
            "RC_ACCOUNT_ID",
            "+16505550101",
            "RC_ACCOUNT_ID: invalid account id: expected ~ (the account of the JWT) or 1 to 20 digits",
        ),
    ];
    for (variable, value, message) in cases {
        assert_eq!(complaint(&[], &[(variable, value)]).await, message);
    }
}

#[tokio::test]
async fn empty_required_variable_is_reported_missing() {
    let cases = [
        (
            "RC_CLIENT_ID",
            "the app's client id is required: RC_CLIENT_ID or --ringcentral.client-id",
        ),
        (
            "RC_CLIENT_SECRET",
            "the app's client secret is required: RC_CLIENT_SECRET, RC_CLIENT_SECRET_FILE or --ringcentral.client-secret-file",
        ),
        (
            "RC_JWT",
            "the user's JWT is required: RC_JWT, RC_JWT_FILE or --ringcentral.jwt-file",
        ),
    ];
    for (variable, message) in cases {
        assert_eq!(complaint(&[], &[(variable, "")]).await, message);
    }
}

#[tokio::test]
async fn secret_from_two_sources_is_rejected() {
    let both = complaint(&[], &[("RC_JWT_FILE", "/run/secrets/jwt")]).await;
    assert_eq!(
        both,
        "RC_JWT conflicts with RC_JWT_FILE: expected only one of them"
    );
    let both = complaint(
        &["--ringcentral.client-secret-file=/run/secrets/secret"],
        &[],
    )
    .await;
    assert_eq!(
        both,
        "RC_CLIENT_SECRET conflicts with --ringcentral.client-secret-file: expected only one of them"
    );
}

#[tokio::test]
async fn unreadable_or_empty_secret_is_rejected() {
    let missing = complaint(&[], &[("RC_JWT", ""), ("RC_JWT_FILE", "/nonexistent/jwt")]).await;
    let expected = "RC_JWT_FILE: cannot read /nonexistent/jwt: No such file or directory (os error 2): \
        expected the path of a file with the user's JWT";
    assert_eq!(missing, expected);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, "\n").unwrap();
    let flag = format!("--ringcentral.client-secret-file={}", path.display());
    let empty = complaint(&[&flag], &[("RC_CLIENT_SECRET", "")]).await;
    let expected = "--ringcentral.client-secret-file: the secret is empty: expected the path of a file with the app's client secret";
    assert_eq!(empty, expected);
    assert_eq!(
        complaint(&[], &[("RC_JWT", "  ")]).await,
        "RC_JWT: the secret is empty: expected the user's JWT"
    );
}

#[tokio::test]
async fn secret_in_wrong_variable_is_not_printed() {
    let secret = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2VzYW1l".repeat(8);
    for (variable, omitted) in [
        ("RC_JWT_FILE", "RC_JWT"),
        ("RC_CLIENT_SECRET_FILE", "RC_CLIENT_SECRET"),
        ("RC_CLIENT_ID", "RC_X"),
    ] {
        let complaint = complaint(&[], &[(omitted, ""), (variable, &secret)]).await;
        assert!(
            complaint.starts_with(variable) && !complaint.contains("eyJ"),
            "{complaint}"
        );
    }
}

#[tokio::test]
async fn ca_file_without_certificates_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, "no certificate").unwrap();
    let complaint = complaint(&[], &[("RC_CA_FILE", path.to_str().unwrap())]).await;
    let expected = format!(
        "RC_CA_FILE: {} contains no certificate: expected certificates in PEM",
        path.display()
    );
    assert_eq!(complaint, expected);
}

#[tokio::test]
async fn help_and_version_exit_0() {
    let (code, help, _) = output(command(&["--help"])).await;
    assert_eq!(code, Some(0));
    for word in [
        "demo",
        "--ringcentral.jwt-file",
        "RC_JWT_FILE",
        "--scrape.max-age",
        "2m",
    ] {
        assert!(help.contains(word), "{word} in {help}");
    }
    assert!(
        !help.contains("--ringcentral.client-secret "),
        "a secret must not have a flag"
    );
    let (code, version, _) = output(command(&["--version"])).await;
    assert_eq!(code, Some(0));
    assert_eq!(
        version,
        format!(
            "ringcentral-exporter {} (revision {}, rustc {})\n",
            env!("CARGO_PKG_VERSION"),
            env!("BUILD_REVISION"),
            env!("BUILD_RUSTC")
        )
    );
}
