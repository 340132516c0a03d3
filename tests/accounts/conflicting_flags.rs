//! Tests of flags and variables that cannot be combined with `--config.file`.

use crate::common::exporter_process::{ExporterProcess, command, output};
use crate::harness::{TestAccount, company, write_config};

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

/// Runs the exporter with these arguments and variables and returns the line with which it exits.
async fn error_line(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let mut command = command(arguments);
    command.envs(variables.iter().copied());
    let (code, stdout, error) = output(command).await;
    assert_eq!(
        (code, stdout.as_str(), error.lines().count()),
        (Some(2), "", 1),
        "{error}"
    );
    error
        .strip_prefix("ringcentral-exporter: ")
        .unwrap()
        .trim_end()
        .to_owned()
}

/// The error is about the flags: the file does not exist.
#[tokio::test]
async fn account_flag_with_config_file_is_rejected() {
    for subcommand in ["serve", "check"] {
        for flag in FLAGS.into_iter().chain(["--ringcentral.ca-file=ca.pem"]) {
            let error = error_line(&[subcommand, "--config.file=accounts.yml", flag], &[]).await;
            let name = flag.split('=').next().unwrap();
            assert!(
                error.contains("--config.file") && error.contains(name),
                "{error}"
            );
        }
    }
}

#[tokio::test]
async fn account_variable_with_config_file_is_rejected() {
    for subcommand in ["serve", "check"] {
        for name in VARIABLES {
            let error = error_line(
                &[subcommand, "--config.file=accounts.yml"],
                &[(name, "sesame")],
            )
            .await;
            assert!(
                error.contains("--config.file") && error.contains(name),
                "{error}"
            );
            assert!(!error.contains("sesame"), "{error}");
        }
    }
}

#[tokio::test]
async fn demo_rejects_config_file() {
    let error = error_line(&["demo", "--config.file=accounts.yml"], &[]).await;
    assert!(error.contains("--config.file"), "{error}");
}

#[tokio::test]
async fn empty_variable_counts_as_unset() {
    let folder = tempfile::tempdir().unwrap();
    let accounts = TestAccount::start_many(&["a"], company).await;
    let file = write_config(folder.path(), &accounts);
    let mut command = command(&[
        "--config.file",
        file.to_str().unwrap(),
        "--web.listen-address=127.0.0.1:0",
    ]);
    command.envs(VARIABLES.map(|name| (name, "")));
    ExporterProcess::start(command).wait_for_url().await;
}

/// A service usually runs in another working directory.
#[tokio::test]
async fn relative_paths_are_resolved_from_config_folder() {
    let folder = tempfile::tempdir().unwrap();
    let accounts = TestAccount::start_many(&["a"], company).await;
    write_config(folder.path(), &accounts);
    std::fs::create_dir(folder.path().join("elsewhere")).unwrap();
    let mut command = command(&[
        "--config.file=../accounts.yml",
        "--web.listen-address=127.0.0.1:0",
    ]);
    command.current_dir(folder.path().join("elsewhere"));
    let mut exporter = ExporterProcess::start(command);
    let url = exporter.wait_for_url().await;
    let text = crate::common::get(&format!("{url}/metrics")).await;
    assert!(text.contains("ringcentral_up{account=\"a\"} 1\n"), "{text}");
}
