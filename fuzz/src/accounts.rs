//! `--config.file`: several accounts in YAML.

use std::collections::HashSet;
use std::path::Path;

use ringcentral_exporter::config::{Account, read_accounts};
use secrecy::ExposeSecret;
use tempfile::TempDir;

use crate::web::assert_complaint;

/// Keys whose values a complaint may show.
const SHOWN: [&str; 4] = ["name", "level", "concurrent_calls_limit", "ca_file"];

/// Files that an input may name. Their content is what must not be shown.
const FILES: [(&str, &str); 4] = [
    ("secret", "sesame-of-app"),
    ("jwt", "sesame-of-a"),
    ("jwt2", "sesame-of-b"),
    ("empty", ""),
];

thread_local! {
    static FOLDER: TempDir = folder();
}

/// What is accepted is sound and accepted again; a complaint is one line without a secret.
pub fn check(data: &[u8]) {
    let file = FOLDER.with(|folder| folder.path().join("accounts.yml"));
    std::fs::write(&file, data).expect("a file");
    match read_accounts(&file) {
        Ok(accounts) => assert_sound(&accounts, &file),
        Err(complaint) => assert_complaint(
            &complaint,
            &format!("--config.file: {}", file.display()),
            &SHOWN,
        ),
    }
}

fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in FILES {
        std::fs::write(folder.path().join(name), text).expect("a file");
    }
    folder
}

fn assert_sound(accounts: &[Account], file: &Path) {
    assert!(!accounts.is_empty() && accounts.iter().all(|account| is_name(&account.name)));
    let names: HashSet<_> = accounts.iter().map(|account| &account.name).collect();
    let limits = accounts.iter().map(|it| {
        let jwt = it.jwt.read().expect("a JWT").expose_secret().to_owned();
        (it.server.as_str(), it.client_id.as_str(), jwt)
    });
    assert_eq!(
        (names.len(), limits.collect::<HashSet<_>>().len()),
        (accounts.len(), accounts.len())
    );
    let printed = format!("{accounts:?}");
    assert!(!printed.contains("sesame-of"), "a secret is printed");
    assert_eq!(
        printed,
        format!("{:?}", read_accounts(file).expect("accounts")),
        "read twice"
    );
}

fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    (1..=64).contains(&name.len()) && name.bytes().all(fits)
}
