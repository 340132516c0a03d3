//! The example that is shipped, read by the program itself.

use std::path::Path;

use crate::common::exporter_process::{command, output};

const EXAMPLE: &str = "deploy/accounts.example.yml";

/// The files that it names, each with what belongs there.
fn name_files(text: &str, folder: &Path) {
    let values = |key: &str| -> Vec<String> {
        let lines = text
            .lines()
            .map(|line| line.trim().trim_start_matches("- "));
        lines
            .filter_map(|line| {
                line.strip_prefix(key)?
                    .strip_prefix(": ")
                    .map(str::to_owned)
            })
            .collect()
    };
    let put = |file: &String, content: &str| std::fs::write(folder.join(file), content).unwrap();
    values("client_secret_file")
        .iter()
        .for_each(|file| put(file, "secret"));
    // Of distinct users, as they must be.
    values("jwt_file")
        .iter()
        .for_each(|file| put(file, &format!("e30.{}.c2ln", file.replace('.', "-"))));
    let authority = rcgen::generate_simple_self_signed(["company.test".to_owned()])
        .unwrap()
        .cert
        .pem();
    values("ca_file")
        .iter()
        .for_each(|file| put(file, &authority));
}

/// To ask for a name that nobody has is the shortest way to be told which there are: nothing is sent.
#[tokio::test]
async fn the_example_is_read_with_all_its_accounts() {
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(EXAMPLE).unwrap();
    name_files(&text, folder.path());
    let file = folder.path().join("accounts.yml");
    std::fs::write(&file, &text).unwrap();
    let asked = [
        "check",
        "--config.file",
        file.to_str().unwrap(),
        "--account=nobody",
    ];
    let (code, words, error) = output(command(&asked)).await;
    let told = "ringcentral-exporter: --account: there is no account \"nobody\"; accepted is acme, globex, initech-reception\n";
    assert_eq!((code, words.as_str(), error.as_str()), (Some(2), "", told));
    std::fs::remove_file(folder.path().join("company-ca.pem")).unwrap();
    let (code, _, error) = output(command(&asked)).await;
    assert!(
        code == Some(2) && error.contains("accounts[1].ca_file"),
        "{error}"
    );
}
