//! The command `check` of several accounts.

use ringcentral_exporter::simulator::{Fault, FaultKind, Operation};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

use crate::common::exporter_process::{ExporterProcess, command, output};
use crate::fleet::{Member, company, eventually, write};

/// The accounts of a file, and what checks them.
struct Checked {
    members: Vec<Member>,
    folder: TempDir,
}

impl Checked {
    async fn new(names: &[&str]) -> Self {
        Self {
            members: Member::several(names, company).await,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let file = write(self.folder.path(), &self.members);
        command(
            &[
                &["check", "--config.file", file.to_str().unwrap()],
                arguments,
            ]
            .concat(),
        )
    }
}

/// The accounts that it told of, in its order.
fn told(words: &str) -> Vec<&str> {
    let lines = words
        .lines()
        .filter_map(|line| line.strip_prefix("Checking account "));
    lines.map(|line| line.split(' ').next().unwrap()).collect()
}

fn verdict(words: &str, start: &str) -> usize {
    words.lines().filter(|line| line.starts_with(start)).count()
}

#[tokio::test]
async fn all_accounts_are_checked_in_the_order_of_the_file_and_give_their_tokens_back() {
    let checked = Checked::new(&["paris", "berlin", "amsterdam"]).await;
    let (code, words, errors) = output(checked.command(&[])).await;
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{words}");
    assert_eq!(
        (told(&words), verdict(&words, "OK: ")),
        (vec!["paris", "berlin", "amsterdam"], 3),
        "{words}"
    );
    for member in &checked.members {
        let counts = [Operation::Token, Operation::ActiveCalls, Operation::Revoke]
            .map(|it| member.count(it));
        assert_eq!(counts, [1, 1, 1], "{}", member.name);
    }
}

#[tokio::test]
async fn one_that_fails_does_not_keep_the_others_from_being_checked() {
    let mut checked = Checked::new(&["a", "b", "c"]).await;
    checked.members[1].secret = "not-the-secret".to_owned();
    let (code, words, _) = output(checked.command(&[])).await;
    assert_eq!(
        (code, told(&words)),
        (Some(1), vec!["a", "b", "c"]),
        "{words}"
    );
    assert_eq!(
        (
            verdict(&words, "OK: "),
            verdict(&words, "FAILED: bad_client")
        ),
        (2, 1),
        "{words}"
    );
}

#[tokio::test]
async fn one_account_may_be_chosen_and_the_others_are_left_alone() {
    let checked = Checked::new(&["a", "b", "c"]).await;
    let (code, words, _) = output(checked.command(&["--account", "b"])).await;
    assert_eq!((code, told(&words)), (Some(0), vec!["b"]), "{words}");
    assert!(checked.members[0].is_untouched() && checked.members[2].is_untouched());
    let (code, words, error) = output(checked.command(&["--account", "d"])).await;
    let expected =
        "ringcentral-exporter: --account: unknown account \"d\": expected one of a, b, c\n";
    assert_eq!(
        (code, words.as_str(), error.as_str()),
        (Some(2), "", expected)
    );
}

#[tokio::test]
async fn the_exposition_of_all_can_be_printed() {
    let checked = Checked::new(&["a", "b"]).await;
    let (code, metrics, words) = output(checked.command(&["--print-metrics"])).await;
    assert_eq!((code, told(&words)), (Some(0), vec!["a", "b"]));
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

/// The second of the two is told: when the first was asked, there was no other.
#[tokio::test]
async fn two_accounts_of_one_user_are_a_warning() {
    let mut checked = Checked::new(&["a"]).await;
    let simulator = checked.members[0].simulator.clone();
    simulator.issue_jwt();
    checked.members.push(Member::of("b", simulator));
    let (code, words, _) = output(checked.command(&[])).await;
    assert_eq!(
        (code, verdict(&words, "WARNING: same_user")),
        (Some(0), 1),
        "{words}"
    );
    let warning = &words[words.find("WARNING: same_user").unwrap()..];
    assert_eq!(warning, include_str!("../golden/check/same_user.txt"));
}

#[tokio::test]
async fn a_signal_ends_it_before_the_accounts_that_were_not_asked_yet() {
    for signal in ["INT", "TERM"] {
        let checked = Checked::new(&["a", "hangs", "c"]).await;
        checked.members[1].inject(Fault::always(Operation::ActiveCalls, FaultKind::Hang));
        let mut program = ExporterProcess::start(checked.command(&[]));
        eventually("the second is asked", || {
            checked.members[1].count(Operation::ActiveCalls) == 1
        })
        .await;
        program.signal(signal).await;
        assert_eq!(program.ends().await.code(), Some(1), "{signal}");
        assert!(checked.members[2].is_untouched(), "{signal}");
        let mut words = String::new();
        program.stdout.read_to_string(&mut words).await.unwrap();
        assert!(
            words.contains("\nNot checked, 2 of 3 accounts: hangs, c\n"),
            "{signal}: {words}"
        );
        let revoked = [0, 1].map(|place: usize| checked.members[place].count(Operation::Revoke));
        assert_eq!(revoked, [1, 1], "{signal}");
    }
}
