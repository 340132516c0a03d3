//! `--config.file`: several accounts in YAML.

use std::collections::HashSet;
use std::path::Path;

use ringcentral_exporter::config::{Account, read_accounts};
use secrecy::ExposeSecret;
use tempfile::TempDir;

use crate::web::assert_safe_error;

/// Keys whose values an error may show; keys of files show a path.
const SHOWN: [&str; 6] = [
    "name",
    "level",
    "concurrent_calls_limit",
    "ca_file",
    "client_secret_file",
    "jwt_file",
];

/// The files that an input can name. Their contents must not be shown.
const FILES: [(&str, &str); 4] = [
    ("secret", "sesame-of-app"),
    ("jwt", "sesame-of-a"),
    ("jwt2", "sesame-of-b"),
    ("empty", ""),
];

thread_local! {
    static DIR: TempDir = create_dir();
}

/// Checks that valid accounts are distinct, that parsing is deterministic, and that an error is one
/// line without a secret.
pub fn check(data: &[u8]) {
    let file = DIR.with(|dir| dir.path().join("accounts.yml"));
    std::fs::write(&file, data).expect("writable file");
    match read_accounts(&file) {
        Ok(accounts) => assert_valid(&accounts, &file),
        Err(error) => {
            let prefix = format!("--config.file: {}", file.display());
            assert_safe_error(&error, &prefix, &SHOWN);
        }
    }
}

fn create_dir() -> TempDir {
    let dir = tempfile::tempdir().expect("writable directory");
    for (name, text) in FILES {
        std::fs::write(dir.path().join(name), text).expect("writable file");
    }
    dir
}

fn assert_valid(accounts: &[Account], file: &Path) {
    assert!(!accounts.is_empty(), "no accounts");
    let mut names = HashSet::new();
    let mut logins = HashSet::new();
    for account in accounts {
        assert!(is_valid_name(&account.name), "{:?}", account.name);
        assert!(names.insert(&account.name), "a repeated name");
        let jwt = account.jwt.read().expect("readable JWT");
        let jwt = jwt.expose_secret().to_owned();
        let login = (account.server.as_str(), account.client_id.as_str(), jwt);
        assert!(logins.insert(login), "two accounts with one rate limit");
    }
    let printed = format!("{accounts:?}");
    assert!(!printed.contains("sesame-of"), "a secret is printed");
    let again = read_accounts(file).expect("valid when read before");
    assert_eq!(printed, format!("{again:?}"), "read twice");
}

fn is_valid_name(name: &str) -> bool {
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    (1..=64).contains(&name.len()) && name.bytes().all(is_valid)
}
