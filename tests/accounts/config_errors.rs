//! Tests of invalid configuration files: the exporter exits with one line that names the file, the
//! line, the key and the accepted values. The line never contains a value that can be a secret.

use std::path::Path;

use crate::common::exporter_process::{command, output};

/// A valid file with two accounts, which start on lines 2 and 6.
const VALID: &str = "\
accounts:
- name: berlin
  client_id: id-1
  client_secret_file: secret
  jwt_file: jwt
- name: paris
  client_id: id-2
  client_secret_file: secret
  jwt_file: jwt
";
const KEYS: &str = "name, server_url, client_id, client_secret_file, jwt_file, account_id, level, presence, concurrent_calls_limit, ca_file";
const ORIGIN: &str = "an origin such as https://platform.ringcentral.com";
/// A value in the form of a JWT.
const JWT: &str =
    "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzZXNhbWUifQ.c2VzYW1lc2VzYW1lc2VzYW1lc2VzYW1lc2VzYW1l";

/// Creates a folder with valid and invalid secret files.
fn create_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write_file =
        |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write_file("secret", "the-secret\n");
    write_file("jwt", "e30.e30.b25l\n");
    write_file("same-jwt", "  e30.e30.b25l");
    write_file(
        "junk.pem",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    write_file("empty", " \n");
    write_file("large", &"x".repeat(70_000));
    folder
}

/// Runs `serve` and `check` with this file and returns their error, without the path of the file.
async fn error_for_file(file: &Path) -> String {
    let mut errors = Vec::new();
    for subcommand in ["serve", "check"] {
        let arguments = [
            subcommand,
            "--config.file",
            file.to_str().unwrap(),
            "--web.listen-address=127.0.0.1:0",
        ];
        let (code, stdout, error) = output(command(&arguments)).await;
        assert_eq!(
            (code, stdout.as_str(), error.lines().count()),
            (Some(2), "", 1),
            "{error}"
        );
        errors.push(error);
    }
    assert_eq!(errors[0], errors[1]);
    let prefix = format!("ringcentral-exporter: --config.file: {}", file.display());
    errors[0]
        .strip_prefix(&prefix)
        .unwrap_or_else(|| panic!("{prefix} in {}", errors[0]))
        .trim_end()
        .to_owned()
}

/// Runs the exporter with a file of this text and returns its error, without the path of the file.
async fn error_for(text: &str) -> String {
    let folder = create_folder();
    let file = folder.path().join("accounts.yml");
    std::fs::write(&file, text).unwrap();
    let error = error_for_file(&file).await;
    error.replace(&format!("{}/", folder.path().display()), "")
}

/// Returns the valid file with one line replaced.
fn with_line(line: usize, text: &str) -> String {
    let mut lines: Vec<_> = VALID.lines().collect();
    lines[line - 1] = text;
    lines.join("\n")
}

/// Returns the valid file without one line.
fn without_line(line: usize) -> String {
    let lines = VALID.lines().enumerate().filter(|(n, _)| n + 1 != line);
    lines.map(|(_, line)| format!("{line}\n")).collect()
}

/// Returns the valid file with one more key of the second account, on line 10.
fn with_key(text: &str) -> String {
    format!("{VALID}  {text}\n")
}

/// Asserts the error of each file.
async fn assert_errors(cases: &[(String, String)]) {
    let mut wrong = Vec::new();
    for (text, expected) in cases {
        let error = error_for(text).await;
        if error != *expected {
            wrong.push(format!("{text}\n  printed  {error}\n  expected {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The key is named instead of the flag, which may not be used together with a file.
#[tokio::test]
async fn flags_about_presence_name_the_key() {
    let folder = create_folder();
    let file = folder.path().join("accounts.yml");
    std::fs::write(&file, with_key("presence: \"off\"")).unwrap();
    let config_file = format!("--config.file={}", file.display());
    let audit = "--ringcentral.presence-audit=5m";
    let extensions = "--metrics.extension-presence";
    let arguments = ["serve", &config_file, audit, extensions];
    let (code, _, error) = output(command(&arguments)).await;
    assert_eq!(code, Some(2));
    let expected = format!(
        "ringcentral-exporter: --metrics.extension-presence: no account reads presence: \
         expected `presence: poll or events` for an account in {}\n",
        file.display()
    );
    assert_eq!(error, expected);
}

#[tokio::test]
async fn missing_accounts_list_is_rejected() {
    let missing = ": accounts: the list is empty: expected at least one account";
    let list = " line 1: accounts: expected a list";
    let cases = [
        ("", missing),
        ("{}", missing),
        ("accounts:\n", missing),
        ("\naccounts: []\n", missing),
        ("accounts: {name: berlin}\n", list),
        ("accounts: berlin\n", list),
        ("- name: berlin\n", " line 1: expected a mapping"),
        (
            "accounts:\n- berlin\n",
            " line 2: accounts[0]: expected a mapping",
        ),
        (
            &with_line(6, "-\n- name: paris"),
            " line 6: accounts[1]: expected a mapping",
        ),
    ];
    assert_errors(&cases.map(|(text, expected)| (text.to_owned(), expected.to_owned()))).await;
}

#[tokio::test]
async fn invalid_yaml_is_rejected_with_line() {
    assert_errors(&[
        (
            with_line(7, "  client_id: \"id"),
            " line 7: invalid YAML".to_owned(),
        ),
        (
            with_line(7, "  client_id: [id"),
            " line 7: accounts[1].client_id: expected a single value".to_owned(),
        ),
        (
            with_line(7, "  name: lyon"),
            " line 7: duplicate key `accounts[1].name`".to_owned(),
        ),
        (
            format!("{VALID}accounts: []\n"),
            " line 10: duplicate key `accounts`".to_owned(),
        ),
    ])
    .await;
}

#[tokio::test]
async fn unknown_key_is_rejected_with_valid_keys() {
    assert_errors(&[
        (
            with_key("client_secret: x"),
            format!(" line 10: unknown key `accounts[1].client_secret`: expected one of {KEYS}"),
        ),
        (
            format!("{VALID}defaults: {{}}\n"),
            " line 10: unknown key `defaults`: expected one of accounts".to_owned(),
        ),
    ])
    .await;
}

#[tokio::test]
async fn missing_required_key_is_rejected() {
    let nameless = with_line(6, "- level: account");
    let cases = [
        (nameless, "name", "a unique name"),
        (without_line(7), "client_id", "the client id of an app"),
        (
            without_line(8),
            "client_secret_file",
            "the path of a file with the app's client secret",
        ),
        (
            without_line(9),
            "jwt_file",
            "the path of a file with the user's JWT",
        ),
    ];
    let with_error = |(text, key, expected)| {
        (
            text,
            format!(" line 6: accounts[1]: {key} is missing: expected {expected}"),
        )
    };
    assert_errors(&cases.map(with_error)).await;
}

#[tokio::test]
async fn invalid_value_is_rejected_with_expected_form() {
    let name = "expected 1 to 64 letters, digits and _.-";
    let client = "expected the client id of an app: letters, digits and -_.";
    let id = "expected ~ (the account of the JWT) or 1 to 20 digits";
    let url = |text: &str, what: &str| {
        (
            with_key(&format!("server_url: {text}")),
            format!(" line 10: accounts[1].server_url: {what}: expected {ORIGIN}"),
        )
    };
    let limit = "expected a whole number from 1 to 1000000";
    assert_errors(&[
        (
            with_line(6, "- name: 'a b'"),
            format!(" line 6: accounts[1].name: invalid value \"a b\": {name}"),
        ),
        (
            with_line(7, "  client_id: two words"),
            format!(" line 7: accounts[1].client_id: invalid client id: {client}"),
        ),
        (
            with_key("presence: x"),
            " line 10: accounts[1].presence: invalid value \"x\": expected off, poll or events"
                .to_owned(),
        ),
        (
            with_key("level: extension\n  presence: poll"),
            " line 11: accounts[1].presence: invalid value \"poll\": expected off at level extension"
                .to_owned(),
        ),
        (
            with_key("presence: events\n  level: extension"),
            " line 10: accounts[1].presence: invalid value \"events\": expected off at level extension"
                .to_owned(),
        ),
        (
            with_key("level: x"),
            " line 10: accounts[1].level: invalid value \"x\": expected account or extension"
                .to_owned(),
        ),
        (
            with_key("concurrent_calls_limit: 0"),
            format!(" line 10: accounts[1].concurrent_calls_limit: invalid value \"0\": {limit}"),
        ),
        (
            with_key("concurrent_calls_limit: many"),
            format!(
                " line 10: accounts[1].concurrent_calls_limit: invalid value \"many\": {limit}"
            ),
        ),
        (
            with_key("account_id: me@example.com"),
            format!(" line 10: accounts[1].account_id: invalid account id: {id}"),
        ),
        (
            with_key("level: [account]"),
            " line 10: accounts[1].level: expected a single value".to_owned(),
        ),
        url("platform.ringcentral.com", "not a URL"),
        url("ftp://platform.ringcentral.com", "not an http or https URL"),
        url(
            "https://user:sesame@platform.ringcentral.com",
            "the URL contains a user or password",
        ),
        url(
            "https://platform.ringcentral.com/restapi",
            "the URL has a path, query or fragment",
        ),
    ])
    .await;
}

#[tokio::test]
async fn duplicate_name_error_names_both_lines() {
    let error = error_for(&with_line(6, "- name: berlin")).await;
    let expected =
        " line 6: accounts[1]: same name as accounts[0] on line 2: expected a different one";
    assert_eq!(error, expected);
}

#[tokio::test]
async fn duplicate_login_error_names_both_accounts() {
    let twice = with_line(7, "  client_id: id-1");
    let explicit = format!("{twice}\n  server_url: https://platform.ringcentral.com\n");
    let copied = twice.replacen("jwt_file: jwt", "jwt_file: same-jwt", 1);
    let levels = format!("{twice}\n  level: extension\n");
    for text in [twice, explicit, copied, levels] {
        let error = error_for(&text).await;
        assert!(error.starts_with(" line 6: accounts[1]"), "{error}");
        for part in ["accounts[0] on line 2", "server", "client id", "JWT"] {
            assert!(error.contains(part), "{part} in {error}");
        }
        assert!(!error.contains("e30.e30"), "{error}");
    }
}

#[tokio::test]
async fn unusable_secret_file_is_rejected() {
    let missing = "cannot read missing: No such file or directory (os error 2)";
    let large = "large: the file is larger than 64 KiB, too large for a secret";
    let cases = [
        ("missing", missing),
        ("empty", "empty: the secret is empty"),
        (".", ".: not a regular file"),
        ("large", large),
    ];
    for (line, key, secret) in [
        (8, "client_secret_file", "the app's client secret"),
        (9, "jwt_file", "the user's JWT"),
    ] {
        for (file, what) in cases {
            let error = error_for(&with_line(line, &format!("  {key}: {file}"))).await;
            let expected = format!("expected the path of a file with {secret}");
            assert_eq!(
                error,
                format!(" line {line}: accounts[1].{key}: {what}: {expected}")
            );
        }
    }
}

#[tokio::test]
async fn ca_file_without_certificate_is_rejected() {
    let cases = [
        (
            "missing",
            "cannot read missing: No such file or directory (os error 2)",
        ),
        ("secret", "secret contains no certificate"),
        ("junk.pem", "junk.pem contains an invalid certificate"),
    ];
    for (file, what) in cases {
        let error = error_for(&with_key(&format!("ca_file: {file}"))).await;
        let expected = "expected certificates in PEM";
        assert_eq!(
            error,
            format!(" line 10: accounts[1].ca_file: {what}: {expected}")
        );
    }
}

#[tokio::test]
async fn unreadable_config_file_is_rejected() {
    let folder = create_folder();
    let large = folder.path().join("large.yml");
    std::fs::write(
        &large,
        format!("{VALID}{}", "# a comment\n".repeat(400_000)),
    )
    .unwrap();
    std::fs::write(folder.path().join("binary.yml"), [0xff, 0xfe, 0x00]).unwrap();
    let cases = [
        (
            "missing.yml",
            "cannot read the file: No such file or directory (os error 2)",
        ),
        (".", "not a regular file"),
        ("large.yml", "the file is larger than 4 MiB"),
        ("binary.yml", "the file is not UTF-8"),
    ];
    for (name, what) in cases {
        let error = error_for_file(&folder.path().join(name)).await;
        assert!(
            error.starts_with(&format!(": {what}: expected accounts in YAML")),
            "{error}"
        );
    }
}

/// Users swap lines, or paste a value into the wrong key.
#[tokio::test]
async fn misplaced_secret_is_not_in_error() {
    let mut texts = vec![
        JWT.to_owned(),
        format!("accounts: {JWT}\n"),
        format!("accounts: [{JWT}]\n"),
    ];
    let required = [
        (6, "- name"),
        (7, "  client_id"),
        (8, "  client_secret_file"),
        (9, "  jwt_file"),
    ];
    texts.extend(required.map(|(line, key)| with_line(line, &format!("{key}: {JWT}{JWT}"))));
    let others = [
        "server_url",
        "account_id",
        "level",
        "concurrent_calls_limit",
        "ca_file",
        "jwt",
        "client_secret",
    ];
    texts.extend(others.map(|key| with_key(&format!("{key}: {JWT}"))));
    texts.push(with_key(&format!(
        "server_url: https://user:{JWT}@platform.ringcentral.com"
    )));
    texts.push(with_key(&format!("{JWT}: account")));
    texts.push(format!("{VALID}{JWT}: account\n"));
    texts.push(with_key(&format!("level: [{JWT}")));
    let mut leaks = Vec::new();
    for text in texts {
        let error = error_for(&text).await;
        if error.contains("eyJ") || error.contains("c2VzYW1l") {
            leaks.push(error);
        }
    }
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
}
