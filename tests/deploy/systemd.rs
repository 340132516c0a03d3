//! The unit: how far systemd's own judgement lets it be exposed, and whether the program lives in that sandbox.
//!
//! A real systemd boots in namespaces of its own (`tools/systemd.sh`) and runs the commands of the unit's README. Must be
//! run by root.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::static_program::PROGRAM;
use crate::tools::{printed, run, said, text};

const UNIT: &str = "deploy/systemd/ringcentral-exporter.service";
const README: &str = "deploy/systemd/README.md";
const INSTALLED: &str = "/usr/local/bin/ringcentral-exporter";

/// What is left to expose, and the README says why.
const LEFT: [&str; 6] = [
    "DeviceAllow=",
    "IPAddressDeny=",
    "PrivateNetwork=",
    "ProcSubset=",
    "RestrictAddressFamilies=~AF_(INET|INET6)",
    "RootDirectory=/RootImage=",
];

fn security(arguments: &[&str], unit: &Path) -> Command {
    let mut command = Command::new("systemd-analyze");
    command.args(["security", "--offline=true", "--no-pager"]).args(arguments).arg(unit);
    command
}

#[test]
fn the_exposure_is_as_low_as_it_gets() {
    let said = printed(&mut security(&["--threshold=11"], Path::new(UNIT)));
    assert!(said.contains("Overall exposure level for ringcentral-exporter.service: 1.1 OK"), "{said}");
    let table: Value = serde_json::from_str(&printed(&mut security(&["--json=short"], Path::new(UNIT)))).unwrap();
    let exposed = table.as_array().unwrap().iter().filter(|row| row["exposure"].is_string());
    let names: BTreeSet<_> = exposed.map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, BTreeSet::from(LEFT), "{table:#}");
    assert!(text(README).contains("says 1.1, of 10"));
}

#[test]
fn a_unit_that_exposes_more_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let worse = folder.path().join("ringcentral-exporter.service");
    std::fs::write(&worse, text(UNIT).replace("ProtectKernelTunables=yes\n", "")).unwrap();
    assert!(!run(&mut security(&["--threshold=11"], &worse)).status.success());
}

#[test]
fn systemd_understands_every_line_of_the_unit() {
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("ringcentral-exporter.service");
    let verdict = |text: &str| {
        std::fs::write(&unit, text).unwrap();
        said(&run(Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&unit)))
    };
    // It looks whether the program is there.
    let here = text(UNIT).replace(INSTALLED, std::fs::canonicalize(PROGRAM).unwrap().to_str().unwrap());
    assert_eq!(verdict(&here), "");
    assert!(verdict(&here.replace("ProtectHome=", "ProtectHomes=")).contains("ProtectHomes"));
}

/// The commands of the README, in their order.
fn commands() -> Vec<String> {
    let readme = text(README);
    let outside: Vec<_> = readme.split("```").step_by(2).collect();
    let lines = outside.iter().flat_map(|part| part.lines()).filter(|line| line.starts_with("    "));
    lines.map(|line| line.trim().to_owned()).collect()
}

/// The steps for the systemd inside: a simulated account, then the README's commands, with what a person would paste.
fn steps() -> String {
    let mut steps = String::from(
        "trap 'journalctl --no-pager | tail -40' EXIT\n\
         target=/tmp/account\n\
         systemd-run --quiet --property=DefaultDependencies=no --property=StandardOutput=file:$target --unit=account -- \
         /run/package/PROGRAM demo --web.listen-address=127.0.0.1:10073\n\
         until grep -q ^RC_JWT= $target; do sleep 0.1; done\n\
         set +x; value() { sed -n \"s/^$1=//p\" $target; }\n\
         id() { echo RC_CLIENT_ID=$(value RC_CLIENT_ID); echo RC_SERVER_URL=$(value RC_SERVER_URL | sed s/127.0.0.1/localhost/); }\n\
         set -x\n",
    )
    .replace("PROGRAM", PROGRAM);
    for command in commands() {
        steps.push_str(&match command.rsplit_once("/dev/stdin /etc/ringcentral-exporter/") {
            Some((_, "client-secret")) => format!("value RC_CLIENT_SECRET | {command}\n"),
            Some((_, "jwt")) => format!("value RC_JWT | {command}\n"),
            Some((_, "environment")) => format!("id | {command}\n"),
            _ => format!("{command}\n"),
        });
        // A started unit of this kind has forked, and listens a moment later.
        if command.starts_with("systemctl enable") || command.starts_with("systemctl re") {
            steps.push_str("sleep 1\n");
        }
    }
    steps + AFTERWARDS
}

/// What the unit promises, seen from beside it; then its end.
const AFTERWARDS: &str = "\
    curl -s http://localhost:10072/metrics >/run/shared/metrics\n\
    systemctl show ringcentral-exporter >/run/shared/before\n\
    cat /proc/$(systemctl show --property=MainPID --value ringcentral-exporter)/status >/run/shared/process\n\
    systemctl stop ringcentral-exporter\n\
    systemctl show ringcentral-exporter >/run/shared/after\n\
    journalctl --no-pager --output=cat --unit ringcentral-exporter >/run/shared/journal\n";

/// A call of the system that the unit forbids ends the program here, where it would only fail.
const STRICTER: &str = "[Service]\nSystemCallErrorNumber=\n";

#[test]
fn the_steps_of_the_readme_run_it_in_its_sandbox_under_a_real_systemd() {
    let folder = tempfile::tempdir().unwrap();
    let shared = |name: &str| folder.path().join(name);
    std::fs::write(shared("steps"), steps()).unwrap();
    std::fs::write(shared("drop-in.conf"), STRICTER).unwrap();
    let output = run(Command::new("sh").arg("tests/deploy/tools/systemd.sh").arg(folder.path()));
    let log = std::fs::read_to_string(shared("said")).unwrap_or_default();
    assert_eq!(std::fs::read_to_string(shared("status")).unwrap_or_default(), "0\n", "{}\n{log}", said(&output));

    assert!(log.contains("\nringcentral_up{account=\"default\"} 1\n"), "{log}");
    assert!(text(shared("metrics")).contains("\nprocess_start_time_seconds "), "{log}");
    let journal = text(shared("journal"));
    for message in ["first fetch succeeded", "nothing to reload", "stopping"] {
        assert!(journal.contains(message), "{message} in {journal}");
    }
    confined(&text(shared("process")));
    let before = text(shared("before"));
    assert!(before.contains("\nActiveState=active\n") && before.contains("\nNRestarts=0\n"), "{before}");
    let after = text(shared("after"));
    assert!(after.contains("\nResult=success\n") && after.contains("\nExecMainStatus=0\n"), "{after}");
}

/// What the kernel says of a process that is nobody, has no rights and gets none.
fn confined(status: &str) {
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim();
    let user: u32 = field("Uid:").split_whitespace().next().unwrap().parse().unwrap();
    assert!((61_184..=65_519).contains(&user), "a user of systemd's own: {user}");
    assert_eq!([field("CapEff:"), field("CapBnd:"), field("CapAmb:")], ["0000000000000000"; 3]);
    assert_eq!([field("NoNewPrivs:"), field("Seccomp:")], ["1", "2"]);
}
