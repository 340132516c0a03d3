//! What may not stand beside `--config.file`, and what may.

use crate::common::exporter_process::{ExporterProcess, command, output};
use crate::fleet::{Member, company, write};

const FLAGS: [&str; 8] = [
    "--ringcentral.server-url=https://platform.ringcentral.com",
    "--ringcentral.client-id=id",
    "--ringcentral.client-secret-file=secret",
    "--ringcentral.jwt-file=jwt",
    "--ringcentral.account-id=~",
    "--ringcentral.account-name=default",
    "--ringcentral.level=account",
    "--ringcentral.concurrent-calls-limit=5",
];
const VARIABLES: [&str; 11] = [
    "RC_SERVER_URL",
    "RC_CLIENT_ID",
    "RC_CLIENT_SECRET_FILE",
    "RC_CLIENT_SECRET",
    "RC_JWT_FILE",
    "RC_JWT",
    "RC_ACCOUNT_ID",
    "RC_ACCOUNT_NAME",
    "RC_LEVEL",
    "RC_CONCURRENT_CALLS_LIMIT",
    "RC_CA_FILE",
];

/// The line with which the program ends, given these arguments and variables.
async fn complaint(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let mut command = command(arguments);
    command.envs(variables.iter().copied());
    let (code, printed, error) = output(command).await;
    assert_eq!(
        (code, printed.as_str(), error.lines().count()),
        (Some(2), "", 1),
        "{error}"
    );
    error
        .strip_prefix("ringcentral-exporter: ")
        .unwrap()
        .trim_end()
        .to_owned()
}

/// The file is not even read.
#[tokio::test]
async fn a_flag_of_an_account_beside_the_file_is_one_too_many() {
    for subcommand in ["serve", "check"] {
        for flag in FLAGS.into_iter().chain(["--ringcentral.ca-file=ca.pem"]) {
            let complaint = complaint(&[subcommand, "--config.file=accounts.yml", flag], &[]).await;
            let name = flag.split('=').next().unwrap();
            assert!(
                complaint.contains("--config.file") && complaint.contains(name),
                "{complaint}"
            );
        }
    }
}

#[tokio::test]
async fn a_variable_of_an_account_beside_the_file_is_one_too_many_and_not_repeated() {
    for subcommand in ["serve", "check"] {
        for name in VARIABLES {
            let complaint = complaint(
                &[subcommand, "--config.file=accounts.yml"],
                &[(name, "sesame")],
            )
            .await;
            assert!(
                complaint.contains("--config.file") && complaint.contains(name),
                "{complaint}"
            );
            assert!(!complaint.contains("sesame"), "{complaint}");
        }
    }
}

#[tokio::test]
async fn the_demo_has_an_account_of_its_own_and_takes_no_file() {
    let complaint = complaint(&["demo", "--config.file=accounts.yml"], &[]).await;
    assert!(complaint.contains("--config.file"), "{complaint}");
}

#[tokio::test]
async fn an_empty_variable_counts_as_unset() {
    let folder = tempfile::tempdir().unwrap();
    let members = Member::several(&["a"], company).await;
    let file = write(folder.path(), &members);
    let mut command = command(&[
        "--config.file",
        file.to_str().unwrap(),
        "--web.listen-address=127.0.0.1:0",
    ]);
    command.envs(VARIABLES.map(|name| (name, "")));
    ExporterProcess::start(command).wait_for_url().await;
}

/// A service is started in a folder of its own.
#[tokio::test]
async fn paths_are_those_beside_the_file_wherever_the_program_is_started() {
    let folder = tempfile::tempdir().unwrap();
    let members = Member::several(&["a"], company).await;
    write(folder.path(), &members);
    std::fs::create_dir(folder.path().join("elsewhere")).unwrap();
    let mut command = command(&[
        "--config.file=../accounts.yml",
        "--web.listen-address=127.0.0.1:0",
    ]);
    command.current_dir(folder.path().join("elsewhere"));
    let mut program = ExporterProcess::start(command);
    let url = program.wait_for_url().await;
    let text = crate::common::get(&format!("{url}/metrics")).await;
    assert!(text.contains("ringcentral_up{account=\"a\"} 1\n"), "{text}");
}
