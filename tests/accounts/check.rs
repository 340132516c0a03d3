//! Tests of the command `check` with a configuration file.

use ringcentral_exporter::simulator::{Fault, FaultKind, Operation};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

use crate::common::exporter_process::{ExporterProcess, command, output};
use crate::harness::{TestAccount, company, wait_until, write_config};

/// A configuration file and its accounts.
struct CheckFixture {
    accounts: Vec<TestAccount>,
    folder: TempDir,
}

impl CheckFixture {
    /// Starts the accounts.
    async fn new(names: &[&str]) -> Self {
        Self {
            accounts: TestAccount::start_many(names, company).await,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// Returns the command `check` for the file, with further arguments.
    fn command(&self, arguments: &[&str]) -> Command {
        let file = write_config(self.folder.path(), &self.accounts);
        command(
            &[
                &["check", "--config.file", file.to_str().unwrap()],
                arguments,
            ]
            .concat(),
        )
    }
}

/// Returns the names of the checked accounts, in the order of the report.
fn checked_accounts(report: &str) -> Vec<&str> {
    let lines = report
        .lines()
        .filter_map(|line| line.strip_prefix("Checking account "));
    lines.map(|line| line.split(' ').next().unwrap()).collect()
}

/// Returns the number of lines of the report that start with `prefix`.
fn count_lines(report: &str, prefix: &str) -> usize {
    report
        .lines()
        .filter(|line| line.starts_with(prefix))
        .count()
}

/// Adds a byte order mark and the line breaks of Windows to each file.
fn convert_to_windows(folder: &std::path::Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            convert_to_windows(&path);
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let text = format!("\u{feff}{}\r\n", text.trim_end().replace('\n', "\r\n"));
        std::fs::write(path, text).unwrap();
    }
}

#[tokio::test]
async fn files_written_on_windows_are_read() {
    let fixture = CheckFixture::new(&["paris"]).await;
    let command = fixture.command(&[]);
    convert_to_windows(fixture.folder.path());
    let (code, report, errors) = output(command).await;
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{report}");
}

#[tokio::test]
async fn check_covers_all_accounts_in_file_order() {
    let fixture = CheckFixture::new(&["paris", "berlin", "amsterdam"]).await;
    let (code, report, errors) = output(fixture.command(&[])).await;
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{report}");
    assert_eq!(
        (checked_accounts(&report), count_lines(&report, "OK: ")),
        (vec!["paris", "berlin", "amsterdam"], 3),
        "{report}"
    );
    for account in &fixture.accounts {
        let counts = [Operation::Token, Operation::ActiveCalls, Operation::Revoke]
            .map(|operation| account.request_count(operation));
        assert_eq!(counts, [1, 1, 1], "{}", account.name);
    }
}

#[tokio::test]
async fn failing_account_does_not_stop_check() {
    let mut fixture = CheckFixture::new(&["a", "b", "c"]).await;
    fixture.accounts[1].client_secret = "not-the-secret".to_owned();
    let (code, report, _) = output(fixture.command(&[])).await;
    assert_eq!(
        (code, checked_accounts(&report)),
        (Some(1), vec!["a", "b", "c"]),
        "{report}"
    );
    assert_eq!(
        (
            count_lines(&report, "OK: "),
            count_lines(&report, "FAILED: bad_client")
        ),
        (2, 1),
        "{report}"
    );
}

#[tokio::test]
async fn account_flag_limits_check_to_one_account() {
    let fixture = CheckFixture::new(&["a", "b", "c"]).await;
    let (code, report, _) = output(fixture.command(&["--account", "b"])).await;
    assert_eq!(
        (code, checked_accounts(&report)),
        (Some(0), vec!["b"]),
        "{report}"
    );
    assert!(fixture.accounts[0].has_no_requests() && fixture.accounts[2].has_no_requests());
    let (code, report, error) = output(fixture.command(&["--account", "d"])).await;
    let expected =
        "ringcentral-exporter: --account: unknown account \"d\": expected one of a, b, c\n";
    assert_eq!(
        (code, report.as_str(), error.as_str()),
        (Some(2), "", expected)
    );
}

#[tokio::test]
async fn print_metrics_covers_all_accounts() {
    let fixture = CheckFixture::new(&["a", "b"]).await;
    let (code, metrics, report) = output(fixture.command(&["--print-metrics"])).await;
    assert_eq!((code, checked_accounts(&report)), (Some(0), vec!["a", "b"]));
    for name in ["a", "b"] {
        assert!(
            metrics.contains(&format!("\nringcentral_up{{account=\"{name}\"}} 1\n")),
            "{metrics}"
        );
    }
    assert_eq!(
        metrics.matches("# TYPE ringcentral_up ").count(),
        1,
        "{metrics}"
    );
}

/// The report of the second account has the warning: while the first is checked, no other account
/// is logged in.
#[tokio::test]
async fn check_warns_about_duplicate_user() {
    let mut fixture = CheckFixture::new(&["a"]).await;
    let simulator = fixture.accounts[0].simulator.clone();
    simulator.issue_jwt();
    fixture
        .accounts
        .push(TestAccount::from_simulator("b", simulator));
    let (code, report, _) = output(fixture.command(&[])).await;
    assert_eq!(
        (code, count_lines(&report, "WARNING: same_user")),
        (Some(0), 1),
        "{report}"
    );
    let warning = &report[report.find("WARNING: same_user").unwrap()..];
    assert_eq!(warning, include_str!("../golden/check/same_user.txt"));
}

#[tokio::test]
async fn signal_stops_check_before_remaining_accounts() {
    for signal in ["INT", "TERM"] {
        let fixture = CheckFixture::new(&["a", "hangs", "c"]).await;
        fixture.accounts[1].inject(Fault::always(Operation::ActiveCalls, FaultKind::Hang));
        let mut check = ExporterProcess::start(fixture.command(&[]));
        wait_until("the second account is fetched", || {
            fixture.accounts[1].request_count(Operation::ActiveCalls) == 1
        })
        .await;
        check.signal(signal).await;
        assert_eq!(check.wait_for_exit().await.code(), Some(1), "{signal}");
        assert!(fixture.accounts[2].has_no_requests(), "{signal}");
        let mut report = String::new();
        check.stdout.read_to_string(&mut report).await.unwrap();
        assert!(
            report.contains("\nNot checked, 2 of 3 accounts: hangs, c\n"),
            "{signal}: {report}"
        );
        let revoked =
            [0, 1].map(|index: usize| fixture.accounts[index].request_count(Operation::Revoke));
        assert_eq!(revoked, [1, 1], "{signal}");
    }
}
