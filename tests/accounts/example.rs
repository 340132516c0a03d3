//! A test of the example configuration file in `deploy/`.

use std::path::Path;

use crate::common::exporter_process::{command, output};

const EXAMPLE: &str = "deploy/accounts.example.yml";

/// Creates the files that the example names.
fn create_named_files(text: &str, folder: &Path) {
    let authority = rcgen::generate_simple_self_signed(["company.test".to_owned()])
        .unwrap()
        .cert
        .pem();
    for line in text.lines() {
        let line = line.trim().trim_start_matches("- ");
        let Some((key, file)) = line.split_once(": ") else {
            continue;
        };
        let content = match key {
            "client_secret_file" => "secret".to_owned(),
            // Two accounts must not have the same JWT.
            "jwt_file" => format!("e30.{}.c2ln", file.replace('.', "-")),
            "ca_file" => authority.clone(),
            _ => continue,
        };
        std::fs::write(folder.join(file), content).unwrap();
    }
}

/// The error for an unknown account lists the accounts of the file, without any request to
/// RingCentral.
#[tokio::test]
async fn example_file_loads_all_accounts() {
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(EXAMPLE).unwrap();
    create_named_files(&text, folder.path());
    let file = folder.path().join("accounts.yml");
    std::fs::write(&file, &text).unwrap();
    let arguments = [
        "check",
        "--config.file",
        file.to_str().unwrap(),
        "--account=unknown",
    ];
    let (code, report, error) = output(command(&arguments)).await;
    let expected = "ringcentral-exporter: --account: unknown account \"unknown\": expected one of acme, globex, initech-reception\n";
    assert_eq!(
        (code, report.as_str(), error.as_str()),
        (Some(2), "", expected)
    );
    std::fs::remove_file(folder.path().join("company-ca.pem")).unwrap();
    let (code, _, error) = output(command(&arguments)).await;
    assert!(
        code == Some(2) && error.contains("accounts[1].ca_file"),
        "{error}"
    );
}
