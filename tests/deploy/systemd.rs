//! The unit: how far systemd's own judgement lets it be exposed, and whether the program lives in that sandbox.
//!
//! A real systemd boots in namespaces of its own (`tools/systemd.sh`) and runs the commands of the unit's README. Must be
//! run by root.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::static_program::PROGRAM;
use crate::tools::{must_be_root, printed, run, said, text};

const UNIT: &str = "deploy/systemd/ringcentral-exporter.service";
const README: &str = "deploy/systemd/README.md";
const ACCOUNTS: &str = "deploy/systemd/accounts.conf";
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
    command
        .args(["security", "--offline=true", "--no-pager"])
        .args(arguments)
        .arg(unit);
    command
}

#[test]
fn the_exposure_is_as_low_as_it_gets() {
    let said = printed(&mut security(&["--threshold=11"], Path::new(UNIT)));
    assert!(
        said.contains("Overall exposure level for ringcentral-exporter.service: 1.1 OK"),
        "{said}"
    );
    let table: Value =
        serde_json::from_str(&printed(&mut security(&["--json=short"], Path::new(UNIT)))).unwrap();
    let exposed = table
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["exposure"].is_string());
    let names: BTreeSet<_> = exposed.map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, BTreeSet::from(LEFT), "{table:#}");
    assert!(text(README).contains("says 1.1, of 10"));
}

#[test]
fn a_unit_that_exposes_more_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let worse = folder.path().join("ringcentral-exporter.service");
    std::fs::write(
        &worse,
        text(UNIT).replace("ProtectKernelTunables=yes\n", ""),
    )
    .unwrap();
    assert!(
        !run(&mut security(&["--threshold=11"], &worse))
            .status
            .success()
    );
}

#[test]
fn systemd_understands_every_line_of_the_unit() {
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("ringcentral-exporter.service");
    let verdict = |text: &str| {
        std::fs::write(&unit, text).unwrap();
        said(&run(Command::new("systemd-analyze")
            .args(["verify", "--man=no"])
            .arg(&unit)))
    };
    // It looks whether the program is there.
    let here = text(UNIT).replace(
        INSTALLED,
        std::fs::canonicalize(PROGRAM).unwrap().to_str().unwrap(),
    );
    assert_eq!(verdict(&here), "");
    assert!(verdict(&here.replace("ProtectHome=", "ProtectHomes=")).contains("ProtectHomes"));
}

/// The sections of the README: those for one account, and the one for many.
fn sections() -> (String, String) {
    let readme = text(README);
    let (many, others): (Vec<_>, Vec<_>) = readme
        .split("\n## ")
        .partition(|part| part.starts_with("Many accounts\n"));
    assert_eq!(many.len(), 1);
    (others.join("\n"), many[0].to_owned())
}

/// The commands of a text, in their order.
fn commands_in(text: &str) -> Vec<String> {
    let outside: Vec<_> = text.split("```").step_by(2).collect();
    let lines = outside
        .iter()
        .flat_map(|part| part.lines())
        .filter(|line| line.starts_with("    "));
    lines.map(|line| line.trim().to_owned()).collect()
}

/// The commands for one account.
fn commands() -> Vec<String> {
    commands_in(&sections().0)
}

/// The commands for many accounts, after those that install program and unit.
fn commands_for_accounts() -> Vec<String> {
    let install = commands()
        .into_iter()
        .filter(|line| line.ends_with("/usr/local/bin/") || line.ends_with("/system/"));
    let commands: Vec<_> = install.chain(commands_in(&sections().1)).collect();
    assert!(
        commands[0].contains(PROGRAM) && commands[1].contains(UNIT),
        "{commands:#?}"
    );
    commands
}

/// A simulated account, and how to get at what it printed.
const ACCOUNT: &str = "\
    trap 'journalctl --no-pager | tail -40' EXIT\n\
    target=/tmp/account\n\
    systemd-run --quiet --property=DefaultDependencies=no --property=StandardOutput=file:$target --unit=account -- \
    /run/package/PROGRAM demo --web.listen-address=127.0.0.1:10073\n\
    until grep -q ^RC_JWT= $target; do sleep 0.1; done\n\
    value() { sed -n \"s/^$1=//p\" $target; }\n\
    server() { value RC_SERVER_URL | sed s/127.0.0.1/localhost/; }\n\
    id() { echo RC_CLIENT_ID=$(value RC_CLIENT_ID); echo RC_SERVER_URL=$(server); }\n\
    file() { echo \"accounts: [{name: acme, client_id: $(value RC_CLIENT_ID), server_url: '$(server)',\"; \
    echo \"client_secret_file: acme.client-secret, jwt_file: acme.jwt}]\"; }\n";

/// Commands of the README for the systemd inside, with what a person would paste.
fn steps(commands: &[String]) -> String {
    let mut steps = ACCOUNT.replace("PROGRAM", PROGRAM);
    for command in commands {
        steps.push_str(
            &match command.rsplit_once("/dev/stdin /etc/ringcentral-exporter/") {
                Some((_, "client-secret" | "accounts/acme.client-secret")) => {
                    format!("value RC_CLIENT_SECRET | {command}\n")
                }
                Some((_, "jwt" | "accounts/acme.jwt")) => format!("value RC_JWT | {command}\n"),
                Some((_, "environment")) => format!("id | {command}\n"),
                Some((_, "accounts/accounts.yml")) => format!("file | {command}\n"),
                _ => format!("{command}\n"),
            },
        );
        // A started unit of this kind has forked, and listens a moment later.
        if command.starts_with("systemctl enable") || command.starts_with("systemctl re") {
            steps.push_str("sleep 1\n");
        }
    }
    steps
}

/// Has a systemd inside run the steps, and gives what they said. `shared` is theirs as /run/shared.
fn boot(shared: &Path, steps: &str) -> String {
    std::fs::write(shared.join("steps"), steps).unwrap();
    std::fs::write(shared.join("drop-in.conf"), STRICTER).unwrap();
    let output = run(Command::new("sh")
        .arg("tests/deploy/tools/systemd.sh")
        .arg(shared));
    let log = std::fs::read_to_string(shared.join("said")).unwrap_or_default();
    assert_eq!(
        std::fs::read_to_string(shared.join("status")).unwrap_or_default(),
        "0\n",
        "{}\n{log}",
        said(&output)
    );
    log
}

/// The unit with this drop-in, in a folder as systemd would find them.
fn unit_with(drop_in: &str, folder: &Path) -> std::path::PathBuf {
    let unit = folder.join("ringcentral-exporter.service");
    let below = folder.join("ringcentral-exporter.service.d");
    std::fs::create_dir_all(&below).unwrap();
    let here = std::fs::canonicalize(PROGRAM).unwrap();
    let put = |text: &str| text.replace(INSTALLED, here.to_str().unwrap());
    std::fs::write(&unit, put(&text(UNIT))).unwrap();
    std::fs::write(below.join("accounts.conf"), put(drop_in)).unwrap();
    unit
}

#[test]
fn systemd_understands_the_drop_in_for_accounts_and_exposes_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let unit = unit_with(&text(ACCOUNTS), folder.path());
    let verdict = |unit: &Path| {
        said(&run(Command::new("systemd-analyze")
            .args(["verify", "--man=no"])
            .arg(unit)))
    };
    assert_eq!(verdict(&unit), "");
    let exposed = printed(&mut security(&["--threshold=11"], &unit));
    assert!(
        exposed.contains("Overall exposure level for ringcentral-exporter.service: 1.1 OK"),
        "{exposed}"
    );
    unit_with(
        &text(ACCOUNTS).replace("SupplementaryGroups=", "SupplementaryGroup="),
        folder.path(),
    );
    assert!(verdict(&unit).contains("SupplementaryGroup"));
}

/// What the drop-in leaves of the unit's one account, and which file of accounts it names.
const LEFT_OVER: &str = "\
    systemctl show --property=Environment --property=EnvironmentFiles --property=LoadCredential --property=ExecStart \
    ringcentral-exporter >/run/shared/before\n";

#[test]
fn the_drop_in_for_accounts_leaves_nothing_of_the_one_account() {
    must_be_root();
    let commands = commands_for_accounts();
    let install = commands
        .into_iter()
        .filter(|line| line.starts_with("install") && !line.contains("/dev/stdin"));
    let install: Vec<_> = install
        .map(|line| line.replace("-g ringcentral-accounts ", ""))
        .collect();
    let show = |install: &[String]| {
        let folder = tempfile::tempdir().unwrap();
        boot(
            folder.path(),
            &(steps(install) + "systemctl daemon-reload\n" + LEFT_OVER),
        );
        text(folder.path().join("before"))
    };
    let left = |shown: &str| {
        ["RC_", "environment", "client-secret"]
            .iter()
            .any(|word| shown.contains(word))
    };
    let with = show(&install);
    assert!(
        !left(&with)
            && with.contains("--config.file=/etc/ringcentral-exporter/accounts/accounts.yml"),
        "{with}"
    );
    let without = show(&install[..2]);
    assert!(left(&without), "the unit alone has an account: {without}");
}

#[test]
fn the_steps_for_many_accounts_run_it_under_a_real_systemd() {
    must_be_root();
    let folder = tempfile::tempdir().unwrap();
    let shared = |name: &str| folder.path().join(name);
    let log = boot(
        folder.path(),
        &(steps(&commands_for_accounts()) + AFTERWARDS),
    );
    assert!(
        log.contains("\nringcentral_up{account=\"acme\"} 1\n"),
        "{log}"
    );
    assert!(
        text(shared("journal")).contains("configuration reloaded"),
        "{log}"
    );
    confined(&text(shared("process")));
    assert!(
        text(shared("before")).contains("\nNRestarts=0\n")
            && text(shared("after")).contains("\nResult=success\n")
    );
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
    must_be_root();
    let folder = tempfile::tempdir().unwrap();
    let shared = |name: &str| folder.path().join(name);
    let log = boot(folder.path(), &(steps(&commands()) + AFTERWARDS));
    assert!(
        log.contains("\nringcentral_up{account=\"default\"} 1\n"),
        "{log}"
    );
    assert!(
        text(shared("metrics")).contains("\nprocess_start_time_seconds "),
        "{log}"
    );
    let journal = text(shared("journal"));
    for message in [
        "first fetch succeeded",
        "configuration reloaded",
        "stopping",
    ] {
        assert!(journal.contains(message), "{message} in {journal}");
    }
    confined(&text(shared("process")));
    let before = text(shared("before"));
    assert!(
        before.contains("\nActiveState=active\n") && before.contains("\nNRestarts=0\n"),
        "{before}"
    );
    let after = text(shared("after"));
    assert!(
        after.contains("\nResult=success\n") && after.contains("\nExecMainStatus=0\n"),
        "{after}"
    );
}

/// What the kernel says of a process that is nobody, has no rights and gets none.
fn confined(status: &str) {
    let field = |name: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap()
            .trim()
    };
    let user: u32 = field("Uid:")
        .split_whitespace()
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!(
        (61_184..=65_519).contains(&user),
        "a user of systemd's own: {user}"
    );
    assert_eq!(
        [field("CapEff:"), field("CapBnd:"), field("CapAmb:")],
        ["0000000000000000"; 3]
    );
    assert_eq!([field("NoNewPrivs:"), field("Seccomp:")], ["1", "2"]);
}

/// What stands in the README's drop-in for TLS.
fn drop_in() -> String {
    let readme = text(README);
    readme
        .split("```ini\n")
        .skip(1)
        .map(|block| block.split("```").next().unwrap())
        .find(|block| block.contains("web.yml"))
        .unwrap()
        .to_owned()
}

/// A web configuration with its certificate, where the README has them.
const TLS: &str = "\
    install -m 600 /run/shared/server.crt /run/shared/server.key /run/shared/web.yml /etc/ringcentral-exporter/\n\
    mkdir /etc/systemd/system/ringcentral-exporter.service.d\n\
    cp /run/shared/tls.conf /etc/systemd/system/ringcentral-exporter.service.d/\n\
    systemctl daemon-reload\n\
    systemctl start ringcentral-exporter\n\
    sleep 1\n\
    curl -s --cacert /run/shared/server.crt https://localhost:10072/metrics | grep ^ringcentral_up\n";

#[test]
fn with_the_drop_in_of_the_readme_it_speaks_tls_with_certificates_that_only_root_can_read() {
    must_be_root();
    let folder = tempfile::tempdir().unwrap();
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let web = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n".to_owned();
    let files = [
        ("server.crt", key.cert.pem()),
        ("server.key", key.signing_key.serialize_pem()),
        ("web.yml", web),
        ("tls.conf", drop_in()),
    ];
    files
        .into_iter()
        .for_each(|(name, content)| std::fs::write(folder.path().join(name), content).unwrap());
    let install: Vec<_> = commands()
        .into_iter()
        .filter(|command| command.starts_with("install"))
        .collect();
    let log = boot(folder.path(), &(steps(&install) + TLS));
    assert!(
        log.contains("\nringcentral_up{account=\"default\"} 1\n"),
        "{log}"
    );
}
