//! Files that the program must refuse: each by one line that names file, line, key and what is accepted.
//!
//! No line repeats what may be a secret, wherever it was put.

use std::path::Path;

use crate::common::exporter_process::{command, output};

/// Two accounts, the first from line 2 and the second from line 6.
const GOOD: &str = "\
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
const KEYS: &str = "name, server_url, client_id, client_secret_file, jwt_file, account_id, level, concurrent_calls_limit, ca_file";
const ORIGIN: &str = "an origin such as https://platform.ringcentral.com";
/// What a JWT looks like, in a place where none belongs.
const SESAME: &str =
    "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzZXNhbWUifQ.c2VzYW1lc2VzYW1lc2VzYW1lc2VzYW1lc2VzYW1l";

/// A folder with two secrets, and files that are none.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    put("secret", "the-secret\n");
    put("jwt", "e30.e30.b25l\n");
    put("same-jwt", "  e30.e30.b25l");
    put(
        "junk.pem",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    put("empty", " \n");
    put("large", &"x".repeat(70_000));
    folder
}

/// The line that `serve` and `check` end with, given this file.
async fn complaint(file: &Path) -> String {
    let mut complaints = Vec::new();
    for subcommand in ["serve", "check"] {
        let arguments = [
            subcommand,
            "--config.file",
            file.to_str().unwrap(),
            "--web.listen-address=127.0.0.1:0",
        ];
        let (code, printed, error) = output(command(&arguments)).await;
        assert_eq!(
            (code, printed.as_str(), error.lines().count()),
            (Some(2), "", 1),
            "{error}"
        );
        complaints.push(error);
    }
    assert_eq!(complaints[0], complaints[1]);
    let place = format!("ringcentral-exporter: --config.file: {}", file.display());
    complaints[0]
        .strip_prefix(&place)
        .unwrap_or_else(|| panic!("{place} in {}", complaints[0]))
        .trim_end()
        .to_owned()
}

async fn complaint_of(text: &str) -> String {
    let folder = folder();
    let file = folder.path().join("accounts.yml");
    std::fs::write(&file, text).unwrap();
    let error = complaint(&file).await;
    error.replace(&format!("{}/", folder.path().display()), "")
}

/// The good file with one line put in another's place.
fn with(line: usize, text: &str) -> String {
    let mut lines: Vec<_> = GOOD.lines().collect();
    lines[line - 1] = text;
    lines.join("\n")
}

/// The good file without one line.
fn without(line: usize) -> String {
    let lines = GOOD.lines().enumerate().filter(|(n, _)| n + 1 != line);
    lines.map(|(_, line)| format!("{line}\n")).collect()
}

/// The good file with one line more, at its end.
fn and(text: &str) -> String {
    format!("{GOOD}  {text}\n")
}

async fn are_told(cases: &[(String, String)]) {
    let mut wrong = Vec::new();
    for (text, expected) in cases {
        let complaint = complaint_of(text).await;
        if complaint != *expected {
            wrong.push(format!("{text}\n  says {complaint}\n  not  {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_file_without_a_list_of_accounts_is_refused() {
    let none = ": accounts: the list is empty: expected at least one account";
    let list = " line 1: accounts: expected a list";
    let cases = [
        ("", none),
        ("{}", none),
        ("accounts:\n", none),
        ("\naccounts: []\n", none),
        ("accounts: {name: berlin}\n", list),
        ("accounts: berlin\n", list),
        ("- name: berlin\n", " line 1: expected a mapping"),
        (
            "accounts:\n- berlin\n",
            " line 2: accounts[0]: expected a mapping",
        ),
        (
            &with(6, "-\n- name: paris"),
            " line 6: accounts[1]: expected a mapping",
        ),
    ];
    are_told(&cases.map(|(text, expected)| (text.to_owned(), expected.to_owned()))).await;
}

#[tokio::test]
async fn what_is_no_yaml_is_refused_by_its_line() {
    are_told(&[
        (
            with(7, "  client_id: \"id"),
            " line 7: invalid YAML".to_owned(),
        ),
        (
            with(7, "  client_id: [id"),
            " line 7: accounts[1].client_id: expected a single value".to_owned(),
        ),
        (
            with(7, "  name: lyon"),
            " line 7: duplicate key `accounts[1].name`".to_owned(),
        ),
        (
            format!("{GOOD}accounts: []\n"),
            " line 10: duplicate key `accounts`".to_owned(),
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_key_that_there_is_not_is_refused_with_those_that_there_are() {
    are_told(&[
        (
            and("client_secret: x"),
            format!(" line 10: unknown key `accounts[1].client_secret`: expected one of {KEYS}"),
        ),
        (
            format!("{GOOD}defaults: {{}}\n"),
            " line 10: unknown key `defaults`: expected one of accounts".to_owned(),
        ),
    ])
    .await;
}

#[tokio::test]
async fn what_an_account_must_have_is_asked_for() {
    let nameless = with(6, "- level: account");
    let cases = [
        (nameless, "name", "a unique name"),
        (without(7), "client_id", "the client id of an app"),
        (
            without(8),
            "client_secret_file",
            "the path of a file with the app's client secret",
        ),
        (
            without(9),
            "jwt_file",
            "the path of a file with the user's JWT",
        ),
    ];
    let told = |(text, key, what)| {
        (
            text,
            format!(" line 6: accounts[1]: {key} is missing: expected {what}"),
        )
    };
    are_told(&cases.map(told)).await;
}

#[tokio::test]
async fn a_value_that_is_not_accepted_is_told_with_what_is() {
    let name = "expected 1 to 64 letters, digits and _.-";
    let client = "expected the client id of an app: letters, digits and -_.";
    let id = "expected ~ (the account of the JWT) or 1 to 20 digits";
    let url = |text: &str, what: &str| {
        (
            and(&format!("server_url: {text}")),
            format!(" line 10: accounts[1].server_url: {what}: expected {ORIGIN}"),
        )
    };
    let limit = "expected a whole number from 1 to 1000000";
    are_told(&[
        (
            with(6, "- name: 'a b'"),
            format!(" line 6: accounts[1].name: invalid value \"a b\": {name}"),
        ),
        (
            with(7, "  client_id: two words"),
            format!(" line 7: accounts[1].client_id: invalid client id: {client}"),
        ),
        (
            and("level: x"),
            " line 10: accounts[1].level: invalid value \"x\": expected account or extension"
                .to_owned(),
        ),
        (
            and("concurrent_calls_limit: 0"),
            format!(" line 10: accounts[1].concurrent_calls_limit: invalid value \"0\": {limit}"),
        ),
        (
            and("concurrent_calls_limit: many"),
            format!(
                " line 10: accounts[1].concurrent_calls_limit: invalid value \"many\": {limit}"
            ),
        ),
        (
            and("account_id: me@example.com"),
            format!(" line 10: accounts[1].account_id: invalid account id: {id}"),
        ),
        (
            and("level: [account]"),
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
async fn a_name_that_stands_twice_is_told_with_both_lines() {
    let complaint = complaint_of(&with(6, "- name: berlin")).await;
    let expected =
        " line 6: accounts[1]: same name as accounts[0] on line 2: expected a different one";
    assert_eq!(complaint, expected);
}

#[tokio::test]
async fn one_user_and_app_twice_is_told_by_both_places() {
    let twice = with(7, "  client_id: id-1");
    let explicit = format!("{twice}\n  server_url: https://platform.ringcentral.com\n");
    let copied = twice.replacen("jwt_file: jwt", "jwt_file: same-jwt", 1);
    let levels = format!("{twice}\n  level: extension\n");
    for text in [twice, explicit, copied, levels] {
        let complaint = complaint_of(&text).await;
        assert!(complaint.starts_with(" line 6: accounts[1]"), "{complaint}");
        for part in ["accounts[0] on line 2", "server", "client id", "JWT"] {
            assert!(complaint.contains(part), "{part} in {complaint}");
        }
        assert!(!complaint.contains("e30.e30"), "{complaint}");
    }
}

#[tokio::test]
async fn a_secret_file_that_is_of_no_use_is_told() {
    let missing = "cannot read missing: No such file or directory (os error 2)";
    let large = "the file is larger than 64 KiB, too large for a secret";
    let cases = [
        ("missing", missing),
        ("empty", "the secret is empty"),
        (".", "not a regular file"),
        ("large", large),
    ];
    for (line, key, secret) in [
        (8, "client_secret_file", "the app's client secret"),
        (9, "jwt_file", "the user's JWT"),
    ] {
        for (file, what) in cases {
            let complaint = complaint_of(&with(line, &format!("  {key}: {file}"))).await;
            let expected = format!("expected the path of a file with {secret}");
            assert_eq!(
                complaint,
                format!(" line {line}: accounts[1].{key}: {what}: {expected}")
            );
        }
    }
}

#[tokio::test]
async fn a_file_of_certificates_that_holds_none_is_told() {
    let cases = [
        (
            "missing",
            "cannot read missing: No such file or directory (os error 2)",
        ),
        ("secret", "secret contains no certificate"),
        ("junk.pem", "junk.pem contains an invalid certificate"),
    ];
    for (file, what) in cases {
        let complaint = complaint_of(&and(&format!("ca_file: {file}"))).await;
        let expected = "expected certificates in PEM";
        assert_eq!(
            complaint,
            format!(" line 10: accounts[1].ca_file: {what}: {expected}")
        );
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_told() {
    let folder = folder();
    let large = folder.path().join("large.yml");
    std::fs::write(&large, format!("{GOOD}{}", "# a comment\n".repeat(400_000))).unwrap();
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
        let complaint = complaint(&folder.path().join(name)).await;
        assert!(
            complaint.starts_with(&format!(": {what}: expected accounts in YAML")),
            "{complaint}"
        );
    }
}

/// Lines are swapped and values pasted one place too far.
#[tokio::test]
async fn a_secret_in_the_wrong_place_is_not_repeated() {
    let mut texts = vec![
        SESAME.to_owned(),
        format!("accounts: {SESAME}\n"),
        format!("accounts: [{SESAME}]\n"),
    ];
    let required = [
        (6, "- name"),
        (7, "  client_id"),
        (8, "  client_secret_file"),
        (9, "  jwt_file"),
    ];
    texts.extend(required.map(|(line, key)| with(line, &format!("{key}: {SESAME}{SESAME}"))));
    let others = [
        "server_url",
        "account_id",
        "level",
        "concurrent_calls_limit",
        "ca_file",
        "jwt",
        "client_secret",
    ];
    texts.extend(others.map(|key| and(&format!("{key}: {SESAME}"))));
    texts.push(and(&format!(
        "server_url: https://user:{SESAME}@platform.ringcentral.com"
    )));
    texts.push(and(&format!("{SESAME}: account")));
    texts.push(format!("{GOOD}{SESAME}: account\n"));
    texts.push(and(&format!("level: [{SESAME}")));
    let mut repeated = Vec::new();
    for text in texts {
        let complaint = complaint_of(&text).await;
        repeated.extend(
            Some(complaint)
                .filter(|complaint| complaint.contains("eyJ") || complaint.contains("c2VzYW1l")),
        );
    }
    assert!(repeated.is_empty(), "{}", repeated.join("\n"));
}
