//! The commands of the document beside the rules do what it promises. They are run as they stand there, on a copy; only
//! paths, the address of Prometheus and the number of days are put in.

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
use crate::shipped::{self, FOLDER};
use crate::zones::{edited, edits};

const MEDIAN: &str = "job_account:ringcentral_call_sessions_in_progress:median_max_avg1h";
const CALLS: &str = "ringcentral_call_sessions_in_progress{job=\"ringcentral\",instance=\"localhost:10072\",account=\"default\"}";
/// Prometheus looks for new blocks every minute.
const SOON: Duration = Duration::from_secs(150);

/// A copy of all that is shipped.
fn copy() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    run_shell(
        Path::new(FOLDER),
        &format!("cp -r . {}", folder.path().display()),
    );
    folder
}

/// Runs a line of the shell while the log of Prometheus goes on being read.
async fn beside(folder: &Path, line: String) -> String {
    let folder = folder.to_owned();
    spawn_blocking(move || run_shell(&folder, &line))
        .await
        .unwrap()
}

/// The commands that hold this.
fn command(holds: &str) -> String {
    commands(&shipped::readme())
        .into_iter()
        .find(|command| command.contains(holds))
        .unwrap()
}

#[test]
fn every_command_is_run_by_a_test() {
    let known = [
        "promtool check config",
        "create-blocks-from",
        "sed -i 's/time()",
        "RUNBOOK.md|",
    ];
    let all = commands(&shipped::readme());
    assert!(
        all.iter()
            .all(|command| known.iter().any(|known| command.contains(known))),
        "{all:#?}"
    );
    assert_eq!(all.len(), known.len());
}

#[tokio::test]
async fn the_rules_are_installed_as_documented() {
    let (shipped, installed) = (copy(), tempfile::tempdir().unwrap());
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
    let said = beside(
        shipped.path(),
        lines.replace("http://localhost:9090", server.url()),
    )
    .await;
    assert!(said.contains("2 rule files found"), "{said}");
}

#[test]
fn the_commands_for_chicago_do_what_its_row_says() {
    let folder = copy();
    run_shell(folder.path(), &command("sed -i 's/time()"));
    let rules =
        std::fs::read_to_string(folder.path().join("rules/ringcentral.recording.yml")).unwrap();
    let rows = edits(&table(&shipped::readme(), "zone"));
    let (_, chicago) = rows
        .iter()
        .find(|(zone, _)| zone == "America/Chicago")
        .unwrap();
    assert_eq!(
        shipped::rules_in(&rules)[0].expr,
        edited(&shipped::business_hours(), chicago)
    );
    let others = |rules: Vec<shipped::Rule>| {
        rules
            .into_iter()
            .skip(1)
            .map(|rule| rule.expr)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        others(shipped::rules_in(&rules)),
        others(shipped::records()),
        "no other rule is touched"
    );
}

#[test]
fn one_command_turns_all_links_to_another_runbook_and_the_unit_tests_too() {
    let folder = copy();
    run_shell(folder.path(), &command("RUNBOOK.md|"));
    let alerts =
        std::fs::read_to_string(folder.path().join("rules/ringcentral.alerts.yml")).unwrap();
    for alert in shipped::rules_in(&alerts) {
        let link = format!(
            "https://wiki.example.com/ringcentral#{}",
            alert.name().to_lowercase()
        );
        assert_eq!(alert.annotation("runbook_url"), link);
    }
    run_shell(folder.path(), "promtool test rules tests/platform.test.yml");
}

/// Sixteen days of scrapes, every five minutes, with as many calls as always.
fn scrapes(now: i64) -> String {
    let mut text = String::new();
    for at in (now - 16 * 86_400..now).step_by(300) {
        writeln!(text, "{CALLS} 27 {at}").unwrap();
    }
    text + "# EOF\n"
}

#[tokio::test]
async fn the_past_is_filled_in_as_documented_and_so_what_is_usual_is_known() {
    let (shipped, folder) = (copy(), tempfile::tempdir().unwrap());
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
        "two weeks are not recorded yet"
    );

    let lines = command("create-blocks-from")
        .replace("/var/lib/prometheus", folder.path().to_str().unwrap());
    let lines = lines
        .replace("http://localhost:9090", server.url())
        .replace("22 days ago", "15 days ago");
    beside(shipped.path(), lines).await;
    let deadline = Instant::now() + SOON;
    while server.values(MEDIAN).await.is_empty() {
        assert!(Instant::now() < deadline, "{}", server.log());
        sleep(Duration::from_secs(1)).await;
    }
    let usual: Vec<_> = server.values(MEDIAN).await.into_values().collect();
    assert!(
        usual.len() == 1 && (usual[0] - 27.0).abs() < 1e-6,
        "{usual:?}"
    );
}
