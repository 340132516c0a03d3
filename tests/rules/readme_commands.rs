//! The commands in `deploy/prometheus/README.md`, run on a copy of the shipped files.
//!
//! Only paths, the address of Prometheus and the number of days are replaced.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use tempfile::TempDir;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use crate::common::markdown::{commands, files_with_suffix, table};
use crate::common::prometheus::PrometheusBuilder;
use crate::common::promtool::run_shell;
use crate::rule_files::{self, FOLDER, Rule};
use crate::time_zones::{apply_edits, edits};

/// Record that the volume alerts compare with.
const MEDIAN: &str = "job_account:ringcentral_call_sessions_in_progress:median_max_avg1h";
/// Series of the backfilled scrapes.
const CALLS: &str = "ringcentral_call_sessions_in_progress{job=\"ringcentral\",instance=\"localhost:10072\",account=\"default\"}";
/// Longest wait for a new block, which Prometheus looks for every minute.
const BLOCK_TIMEOUT: Duration = Duration::from_secs(150);

/// Copies the shipped folder into a temporary one.
fn copy_shipped() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    run_shell(
        Path::new(FOLDER),
        &format!("cp -r . {}", folder.path().display()),
    );
    folder
}

/// Runs a shell line without blocking the task that reads the log of Prometheus.
async fn shell_async(folder: &Path, line: String) -> String {
    let folder = folder.to_owned();
    spawn_blocking(move || run_shell(&folder, &line))
        .await
        .unwrap()
}

/// Returns the first command of the README that contains this text.
fn command(text: &str) -> String {
    commands(&rule_files::readme())
        .into_iter()
        .find(|command| command.contains(text))
        .unwrap()
}

#[test]
fn every_readme_command_has_a_test() {
    let known = [
        "promtool check config",
        "create-blocks-from",
        "sed -i 's/time()",
        "RUNBOOK.md|",
    ];
    let all = commands(&rule_files::readme());
    assert!(
        all.iter()
            .all(|command| known.iter().any(|known| command.contains(known))),
        "{all:#?}"
    );
    assert_eq!(all.len(), known.len());
}

#[tokio::test]
async fn install_commands_install_the_rules() {
    let shipped = copy_shipped();
    let installed = tempfile::tempdir().unwrap();
    std::fs::copy(
        format!("{FOLDER}/prometheus.yml"),
        installed.path().join("prometheus.yml"),
    )
    .unwrap();
    let server = PrometheusBuilder::new(&[], Duration::from_secs(60))
        .start()
        .await;
    let lines = command("promtool check config")
        .replace("/etc/prometheus", installed.path().to_str().unwrap());
    let output = shell_async(
        shipped.path(),
        lines.replace("http://localhost:9090", server.url()),
    )
    .await;
    assert!(output.contains("2 rule files found"), "{output}");
}

#[test]
fn chicago_command_equals_the_edits_of_its_row() {
    let folder = copy_shipped();
    run_shell(folder.path(), &command("sed -i 's/time()"));
    let rules =
        std::fs::read_to_string(folder.path().join("rules/ringcentral.recording.yml")).unwrap();
    let rows = edits(&table(&rule_files::readme(), "zone"));
    let (_, chicago) = rows
        .iter()
        .find(|(zone, _)| zone == "America/Chicago")
        .unwrap();
    assert_eq!(
        rule_files::parse_rules(&rules)[0].expr,
        apply_edits(&rule_files::business_hours(), chicago)
    );
    let other_exprs = |rules: Vec<Rule>| {
        rules
            .into_iter()
            .skip(1)
            .map(|rule| rule.expr)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        other_exprs(rule_files::parse_rules(&rules)),
        other_exprs(rule_files::records()),
        "the other rules are unchanged"
    );
}

#[test]
fn runbook_command_changes_links_in_rules_and_tests() {
    let folder = copy_shipped();
    run_shell(folder.path(), &command("RUNBOOK.md|"));
    let alerts =
        std::fs::read_to_string(folder.path().join("rules/ringcentral.alerts.yml")).unwrap();
    for alert in rule_files::parse_rules(&alerts) {
        let link = format!(
            "https://wiki.example.com/ringcentral#{}",
            alert.name().to_lowercase()
        );
        assert_eq!(alert.annotation("runbook_url"), link);
    }
    run_shell(folder.path(), "promtool test rules tests/platform.test.yml");
}

/// Returns 16 days of samples in OpenMetrics format, one every five minutes, with a constant number of calls.
fn scrapes(now: i64) -> String {
    let mut text = String::new();
    for time in (now - 16 * 86_400..now).step_by(300) {
        writeln!(text, "{CALLS} 27 {time}").unwrap();
    }
    text + "# EOF\n"
}

#[tokio::test]
async fn backfill_commands_fill_the_median_of_past_weeks() {
    let shipped = copy_shipped();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::write(
        folder.path().join("scrapes.om"),
        scrapes(Timestamp::now().as_second()),
    )
    .unwrap();
    run_shell(
        folder.path(),
        "promtool tsdb create-blocks-from openmetrics --quiet --max-block-duration=384h scrapes.om data",
    );
    let rules = files_with_suffix(shipped.path().join("rules"), ".yml");
    let server = PrometheusBuilder::new(&[], Duration::from_secs(5))
        .rule_files(&rules)
        .data_dir(&data)
        .start()
        .await;
    sleep(Duration::from_secs(12)).await;
    assert!(
        server.values(MEDIAN).await.is_empty(),
        "the median needs two recorded weeks"
    );

    let lines = command("create-blocks-from")
        .replace("/var/lib/prometheus", folder.path().to_str().unwrap());
    let lines = lines
        .replace("http://localhost:9090", server.url())
        .replace("22 days ago", "15 days ago");
    shell_async(shipped.path(), lines).await;
    let deadline = Instant::now() + BLOCK_TIMEOUT;
    while server.values(MEDIAN).await.is_empty() {
        assert!(Instant::now() < deadline, "{}", server.log());
        sleep(Duration::from_secs(1)).await;
    }
    let medians: Vec<_> = server.values(MEDIAN).await.into_values().collect();
    assert!(
        medians.len() == 1 && (medians[0] - 27.0).abs() < 1e-6,
        "{medians:?}"
    );
}
