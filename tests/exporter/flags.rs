//! Tests of invalid flags and variables: one line that names the flag or variable, and exit code 2.

use clap::{ArgAction, CommandFactory};
use ringcentral_exporter::cli::Cli;

use crate::common::exporter_process::{command, output};
use crate::harness::bind_loopback;

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
        let expected = r#"--metrics.extension-label: invalid value "off": expected number or id with --metrics.extension-info, --metrics.extension-calls or --metrics.extension-presence"#;
        assert_eq!(complaint, expected);
    }
}

/// A flag that applies to no account would be ignored.
#[tokio::test]
async fn presence_flags_require_presence() {
    let (poll, off) = (("RC_PRESENCE", "poll"), ("RC_PRESENCE", "off"));
    let audit = "--ringcentral.presence-audit: no account receives presence events: expected --ringcentral.presence=events";
    let extensions = "--metrics.extension-presence: no account reads presence: expected --ringcentral.presence=poll or events";
    for (flag, variable, message) in [
        ("--ringcentral.presence-audit=10m", off, audit),
        ("--ringcentral.presence-audit=5m", poll, audit),
        ("--metrics.extension-presence", off, extensions),
    ] {
        assert_eq!(complaint(&[flag], &[variable]).await, message);
    }
}

#[tokio::test]
async fn presence_at_level_extension_names_both_settings() {
    let both = [("RC_LEVEL", "extension"), ("RC_PRESENCE", "events")];
    assert_eq!(
        complaint(&[], &both).await,
        r#"RC_PRESENCE: invalid value "events": expected off, since RC_LEVEL is extension"#
    );
    let flag = "--ringcentral.presence=poll";
    assert_eq!(
        complaint(&[flag], &both[..1]).await,
        r#"--ringcentral.presence: invalid value "poll": expected off, since RC_LEVEL is extension"#
    );
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
    let path = path.display();
    let expected = format!(
        "--ringcentral.client-secret-file: {path}: the secret is empty: expected the path of a file with the app's client secret"
    );
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

/// Returns each command with each of its flags that has this value.
fn flags_with_value(value: &str) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for name in ["serve", "check", "demo", "health", "completions", "man"] {
        let cli = Cli::command();
        let command = cli.find_subcommand(name).unwrap();
        all.push(vec![name.to_owned(), value.to_owned()]);
        all.push(vec![name.to_owned(), format!("--{value}")]);
        for arg in command.get_arguments() {
            let Some(flag) = arg.get_long() else {
                continue;
            };
            all.push(vec![name.to_owned(), format!("--{flag}={value}")]);
            if matches!(arg.get_action(), ArgAction::SetTrue) {
                let (flag, value) = (format!("--{flag}"), value.to_owned());
                all.push(vec![name.to_owned(), flag, value]);
            }
        }
    }
    all
}

/// Returns the variables of all flags, and those of the secrets.
fn variables() -> Vec<String> {
    let mut variables = vec!["RC_JWT".to_owned(), "RC_CLIENT_SECRET".to_owned()];
    for arg in Cli::command().get_arguments() {
        variables.extend(arg.get_env().map(|name| name.to_str().unwrap().to_owned()));
    }
    variables
}

/// Runs the exporter on an address in use, so that it ends, and returns what it prints.
async fn print_with(arguments: &[String], variables: &[(&str, &str)]) -> String {
    let listener = bind_loopback().await;
    let in_use = format!("--web.listen-address={}", listener.local_addr().unwrap());
    let mut arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let has_server = matches!(arguments[0], "serve" | "check" | "demo");
    if has_server
        && !arguments[1..]
            .iter()
            .any(|flag| flag.contains("listen-address"))
    {
        arguments.push(&in_use);
    }
    let mut command = command(&arguments);
    // A part of the value may become a relative state directory.
    let folder = tempfile::tempdir().unwrap();
    command.current_dir(folder.path());
    let given = format!("{arguments:?} {variables:?}").to_lowercase();
    if !given.contains("--config.file") {
        command.env("RC_SERVER_URL", "http://127.0.0.1:1");
        command.env("RC_CLIENT_ID", "id");
        // Not together with the file of the same secret.
        for (variable, value) in [("RC_CLIENT_SECRET", "secret"), ("RC_JWT", "e30.e30.e30")] {
            let file = format!("{}_file", &variable[3..]).to_lowercase();
            let has_file = given.replace('-', "_").contains(&file) && !given.contains("\"\"");
            if !has_file {
                command.env(variable, value);
            }
        }
    }
    command.envs(variables.iter().copied());
    let (_, printed, error) = output(command).await;
    printed + &error
}

/// Returns the first piece of a secret, of eight characters, that a text contains.
fn leaked_piece<'a>(text: &str, secret: &'a str) -> Option<&'a str> {
    let mut pieces = (0..secret.len() - 7).map(|start| &secret[start..start + 8]);
    pieces.find(|piece| text.contains(piece))
}

#[tokio::test]
async fn secret_as_any_flag_or_variable_is_not_printed() {
    let short_jwt = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2VzYW1lc2VzYW1l";
    let long_jwt = format!("{short_jwt}{}", "c2VzYW1l".repeat(80));
    let client_secret = "0aK2_Zf8Qp-xT71bYw9LmR";
    let mut leaks = Vec::new();
    let mut secrets = vec![short_jwt.to_owned(), long_jwt.clone()];
    for wrapped in [
        "S",
        "\"S\"",
        "'S'",
        " S ",
        "S,",
        "S;",
        "S:",
        "S:1",
        "S/",
        "/S",
        "S.txt",
        "secret:S",
        "secret=S",
        "Basic S",
        "https://x:S@h",
    ] {
        secrets.push(wrapped.replace('S', client_secret));
    }
    for secret in &secrets {
        let is_client_secret = secret.contains(client_secret);
        let text = if is_client_secret {
            client_secret
        } else {
            secret
        };
        // Any word can be a name or a client id.
        let is_shown = |setting: &str| {
            let setting = setting.replace('_', "-").to_lowercase();
            is_client_secret
                && ["account-name", "client-id"]
                    .iter()
                    .any(|name| setting.contains(name))
        };
        for arguments in flags_with_value(secret) {
            let printed = print_with(&arguments, &[]).await;
            if let Some(piece) = leaked_piece(&printed, text)
                && !is_shown(&arguments.join(" "))
            {
                leaks.push(format!("{arguments:?}: {piece} in {printed}"));
            }
        }
        for variable in variables() {
            for command in ["serve", "check"] {
                let printed = print_with(&[command.to_owned()], &[(&variable, secret)]).await;
                if let Some(piece) = leaked_piece(&printed, text)
                    && !is_shown(&variable)
                {
                    leaks.push(format!("{command} {variable}: {piece} in {printed}"));
                }
            }
        }
    }
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
}

#[tokio::test]
async fn path_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (empty, directory) = (folder.path().join("empty"), folder.path().to_owned());
    std::fs::write(&empty, "").unwrap();
    for path in [folder.path().join("missing"), directory, empty] {
        let path = path.to_str().unwrap();
        for flag in [
            "--ringcentral.jwt-file",
            "--ringcentral.client-secret-file",
            "--ringcentral.ca-file",
            "--web.config.file",
            "--config.file",
        ] {
            if flag == "--web.config.file" && path.ends_with("empty") {
                continue;
            }
            let secrets = [("RC_JWT", ""), ("RC_CLIENT_SECRET", "")];
            let secrets: &[_] = match flag {
                "--ringcentral.jwt-file" => &secrets[..1],
                "--ringcentral.client-secret-file" => &secrets[1..],
                "--config.file" => &[
                    ("RC_JWT", ""),
                    ("RC_CLIENT_SECRET", ""),
                    ("RC_CLIENT_ID", ""),
                ],
                _ => &[],
            };
            let error = complaint(&[&format!("{flag}={path}")], secrets).await;
            assert!(error.starts_with(flag) && error.contains(path), "{error}");
        }
    }
    let file = folder.path().join("empty");
    let error = complaint(&[&format!("--state.directory={}", file.display())], &[]).await;
    assert!(error.contains(file.to_str().unwrap()), "{error}");
}

#[tokio::test]
async fn error_cannot_act_on_a_terminal() {
    for name in ["a\u{202e}b", "a\u{2028}b", "a\u{9b}31mb", "a\nlevel=error"] {
        let error = complaint(&[&format!("--web.config.file=/missing/{name}")], &[]).await;
        let is_plain = |c: char| c.is_ascii_graphic() || c == ' ';
        assert!(error.chars().all(is_plain), "{error:?}");
    }
}

#[tokio::test]
async fn secret_with_invalid_character_is_named_only() {
    let two_lines = "the secret has more than one line";
    let other = "the secret contains a character that is not ASCII";
    let control = "the secret contains a control character";
    for (value, reason) in [
        ("sesame\nopen", two_lines),
        ("sesame\u{feff}", other),
        ("“sesame”", other),
        ("ses\tame", control),
    ] {
        for (variable, expected) in [
            ("RC_JWT", "the user's JWT"),
            ("RC_CLIENT_SECRET", "the app's client secret"),
        ] {
            let error = complaint(&[], &[(variable, value)]).await;
            assert_eq!(error, format!("{variable}: {reason}: expected {expected}"));
        }
    }
}

#[tokio::test]
async fn empty_variable_counts_as_unset() {
    let empty: Vec<_> = variables().into_iter().map(|name| (name, "")).collect();
    for (name, value) in &empty {
        if !["RC_JWT", "RC_CLIENT_SECRET", "RC_CLIENT_ID"].contains(&name.as_str()) {
            let printed = print_with(&["serve".to_owned()], &[(name, value)]).await;
            assert!(printed.contains("Address already in use"), "{printed}");
        }
    }
    let empty: Vec<_> = empty
        .iter()
        .map(|(name, value)| (&**name, *value))
        .collect();
    let error = complaint(&["--config.file=/missing.yml"], &empty).await;
    assert!(
        error.contains("/missing.yml: cannot read the file"),
        "{error}"
    );
}

#[tokio::test]
async fn several_state_directories_use_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let first = folder.path().join("first");
    let directories = format!("{}:{}/second", first.display(), folder.path().display());
    print_with(&["serve".to_owned()], &[("STATE_DIRECTORY", &directories)]).await;
    let entries = std::fs::read_dir(folder.path()).unwrap();
    let names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["first"]);
}

#[tokio::test]
async fn variable_that_is_not_utf8_is_an_error() {
    use std::os::unix::ffi::OsStrExt;
    let value = std::ffi::OsStr::from_bytes(b"sesame\xff");
    for variable in variables() {
        let mut command = command(&[]);
        command
            .env("RC_CLIENT_ID", "id")
            .env("RC_CLIENT_SECRET", "secret")
            .env("RC_JWT", "jwt")
            .env(&variable, value);
        let (code, _, error) = output(command).await;
        assert_eq!(code, Some(2), "{error}");
        assert!(
            error.contains(&variable) && error.contains("UTF-8"),
            "{error}"
        );
        assert!(!error.contains("sesame"), "{error}");
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

#[tokio::test]
async fn jwt_as_any_other_value_is_an_error() {
    let jwt = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2VzYW1lc2VzYW1l";
    let pretty = "ewogICJhbGciOiAiUlMyNTYiCn0.eyJzdWIiOiIxIn0.c2VzYW1lc2VzYW1l";
    let misplaced = "the value contains a JWT: expected JWTs only in RC_JWT or in the file of RC_JWT_FILE or jwt_file";
    for jwt in [jwt, pretty] {
        for flag in [
            "--web.telemetry-path=/",
            "--web.listen-address=127.0.0.1:0 --web.listen-address=:0 --web.listen-address=",
            "--web.config.file=",
            "--config.file=",
            "--state.directory=",
            "--ringcentral.account-name=",
            "--ringcentral.client-id=",
            "--ringcentral.ca-file=",
            "--ringcentral.jwt-file=/",
            "--ringcentral.server-url=https://",
        ] {
            let is_address = flag.contains("listen-address");
            let flag = format!("{flag}{jwt}{}", if is_address { ":0" } else { "" });
            let flags: Vec<_> = flag.split(' ').collect();
            let name = flags[0].split('=').next().unwrap();
            assert_eq!(complaint(&flags, &[]).await, format!("{name}: {misplaced}"));
        }
        for variable in ["RC_CLIENT_ID", "RC_CLIENT_SECRET", "STATE_DIRECTORY"] {
            let error = complaint(&[], &[(variable, jwt)]).await;
            assert_eq!(error, format!("{variable}: {misplaced}"));
        }
        for flags in [
            ["demo", &format!("--web.telemetry-path=/{jwt}")],
            ["demo", &format!("--demo.listen-address={jwt}:0")],
            ["check", &format!("--account={jwt}")],
            ["health", &format!("--web.config.file={jwt}")],
        ] {
            assert!(complaint(&flags, &[]).await.contains(misplaced));
        }
    }
}

#[tokio::test]
async fn client_id_with_letters_of_a_jwt_is_accepted() {
    for id in ["u8eyJKpl3QxvB2c9dRt1Wz", "eyJKpl3QxvB2c9dRt1Wz"] {
        let printed = print_with(&["serve".to_owned()], &[("RC_CLIENT_ID", id)]).await;
        assert!(printed.contains("Address already in use"), "{printed}");
    }
}

#[tokio::test]
async fn secret_as_another_value_of_its_account_is_an_error() {
    for variable in [
        "RC_CLIENT_ID",
        "RC_ACCOUNT_NAME",
        "RC_ACCOUNT_ID",
        "RC_CA_FILE",
    ] {
        for secret in ["secret", "jwt"] {
            assert_eq!(
                complaint(&[], &[(variable, secret)]).await,
                format!(
                    "{variable}: the value is the client secret or JWT of the account: expected a value that may be shown"
                )
            );
        }
    }
}

#[tokio::test]
async fn path_of_random_words_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for name in [
        "jwt2026Q4eu1prod2v3",
        "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9",
    ] {
        let path = folder.path().join(name);
        let path = path.to_str().unwrap();
        for flag in [
            "--ringcentral.ca-file",
            "--web.config.file",
            "--config.file",
        ] {
            let secrets = [
                ("RC_JWT", ""),
                ("RC_CLIENT_SECRET", ""),
                ("RC_CLIENT_ID", ""),
            ];
            let secrets = if flag == "--config.file" {
                &secrets[..]
            } else {
                &[]
            };
            let error = complaint(&[&format!("{flag}={path}")], secrets).await;
            assert!(error.contains(path), "{error}");
        }
        let error = complaint(&[], &[("RC_JWT", ""), ("RC_JWT_FILE", path)]).await;
        assert!(error.contains(path), "{error}");
    }
}

#[tokio::test]
async fn state_directory_flag_may_contain_colons() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("x:")).unwrap();
    let directory = format!("{}/x:/y", folder.path().display());
    print_with(
        &["serve".to_owned(), format!("--state.directory={directory}")],
        &[],
    )
    .await;
    assert!(std::path::Path::new(&directory).is_dir());
    assert!(!folder.path().join("x").exists());
}

#[tokio::test]
async fn flag_that_is_not_utf8_is_named() {
    use std::os::unix::ffi::OsStrExt;
    let mut command = command(&[]);
    command.arg(std::ffi::OsStr::from_bytes(b"--log.level=sesame\xff"));
    let (code, _, error) = output(command).await;
    let line = "ringcentral-exporter: --log.level: invalid value: expected UTF-8 text\n";
    assert_eq!((code, error.as_str()), (Some(2), line));
}

#[tokio::test]
async fn ca_file_is_read_as_written_by_editors() {
    let key = rcgen::generate_simple_self_signed(["x.example".to_owned()]).unwrap();
    let certificate = key.cert.pem();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    let path = path.to_str().unwrap();
    for text in [
        format!("\u{feff}{certificate}"),
        format!("\u{feff}{certificate}\u{feff}{certificate}"),
    ] {
        std::fs::write(path, text).unwrap();
        let printed = print_with(&["serve".to_owned()], &[("RC_CA_FILE", path)]).await;
        assert!(printed.contains("Address already in use"), "{printed}");
    }
    let utf16 = certificate.encode_utf16().flat_map(u16::to_le_bytes);
    let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain(utf16).collect();
    let indented = format!("{certificate}  {certificate}").into_bytes();
    for (text, reason) in [
        (utf16, "contains no certificate, but UTF-16 text"),
        (indented, "contains an invalid certificate"),
    ] {
        std::fs::write(path, text).unwrap();
        let error = complaint(&[], &[("RC_CA_FILE", path)]).await;
        let expected = format!("RC_CA_FILE: {path} {reason}: expected certificates in PEM");
        assert_eq!(error, expected);
    }
}
