//! The systemd unit: its exposure level, and the exporter in the sandbox.
//!
//! `tools/systemd.sh` boots a systemd in separate namespaces, which runs the commands in `deploy/systemd/README.md`. These
//! tests must run as root.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::static_program::PROGRAM;
use crate::tools::{all_output, assert_root, read, run, run_ok};

/// Path of the unit.
const UNIT: &str = "deploy/systemd/ringcentral-exporter.service";
/// Document of the unit.
const README: &str = "deploy/systemd/README.md";
/// Drop-in for a file of accounts.
const ACCOUNTS_DROP_IN: &str = "deploy/systemd/accounts.conf";
/// Setting of the unit and its drop-in, without the arguments.
const EXEC_START: &str = "ExecStart=ringcentral-exporter";

/// Remaining exposures, which the README explains.
const REMAINING_EXPOSURES: [&str; 6] = [
    "DeviceAllow=",
    "IPAddressDeny=",
    "PrivateNetwork=",
    "ProcSubset=",
    "RestrictAddressFamilies=~AF_(INET|INET6)",
    "RootDirectory=/RootImage=",
];

/// Creates a `systemd-analyze security` command for a unit.
fn analyze_security(arguments: &[&str], unit: &Path) -> Command {
    let mut command = Command::new("systemd-analyze");
    command
        .args(["security", "--offline=true", "--no-pager"])
        .args(arguments)
        .arg(unit);
    command
}

#[test]
fn unit_has_the_documented_exposure_level() {
    let output = run_ok(&mut analyze_security(&["--threshold=11"], Path::new(UNIT)));
    assert!(
        output.contains("Overall exposure level for ringcentral-exporter.service: 1.1 OK"),
        "{output}"
    );
    let table: Value = serde_json::from_str(&run_ok(&mut analyze_security(
        &["--json=short"],
        Path::new(UNIT),
    )))
    .unwrap();
    let exposed = table
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["exposure"].is_string());
    let names: BTreeSet<_> = exposed.map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, BTreeSet::from(REMAINING_EXPOSURES), "{table:#}");
    assert!(read(README).contains("says 1.1, of 10"));
}

#[test]
fn unit_allows_no_core_dump() {
    assert!(read(UNIT).lines().any(|line| line == "LimitCORE=0"));
    let drop_in = read("deploy/systemd/accounts.conf");
    assert!(!drop_in.contains("LimitCORE"), "{drop_in}");
}

#[test]
fn unit_with_more_exposure_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let exposed_unit = folder.path().join("ringcentral-exporter.service");
    std::fs::write(
        &exposed_unit,
        read(UNIT).replace("ProtectKernelTunables=yes\n", ""),
    )
    .unwrap();
    assert!(
        !run(&mut analyze_security(&["--threshold=11"], &exposed_unit))
            .status
            .success()
    );
}

/// Replaces the name of the program, which need not be installed here, by the path of the static program.
fn with_built_program(text: &str) -> String {
    assert!(text.contains(EXEC_START), "{text}");
    let program = std::fs::canonicalize(PROGRAM).unwrap();
    text.replace(EXEC_START, &format!("ExecStart={}", program.display()))
}

#[test]
fn systemd_accepts_every_line_of_the_unit() {
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("ringcentral-exporter.service");
    let verify = |text: &str| {
        std::fs::write(&unit, text).unwrap();
        all_output(&run(Command::new("systemd-analyze")
            .args(["verify", "--man=no"])
            .arg(&unit)))
    };
    // `systemd-analyze verify` checks that the program exists.
    let runnable_unit = with_built_program(&read(UNIT));
    assert_eq!(verify(&runnable_unit), "");
    assert!(
        verify(&runnable_unit.replace("ProtectHome=", "ProtectHomes=")).contains("ProtectHomes")
    );
}

/// Sections of the README.
struct ReadmeSections {
    one_account: String,
    many_accounts: String,
}

/// Splits the README into the sections for one account and the section for many.
fn readme_sections() -> ReadmeSections {
    let readme = read(README);
    let (many, others): (Vec<_>, Vec<_>) = readme
        .split("\n## ")
        .partition(|part| part.starts_with("Many accounts\n"));
    assert_eq!(many.len(), 1);
    ReadmeSections {
        one_account: others.join("\n"),
        many_accounts: many[0].to_owned(),
    }
}

/// Returns the commands in a text, in order.
pub fn commands_in(text: &str) -> Vec<String> {
    let text = text.replace("\\\n", " ");
    let outside: Vec<_> = text.split("```").step_by(2).collect();
    let lines = outside
        .iter()
        .flat_map(|part| part.lines())
        .filter(|line| line.starts_with("    "));
    lines
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

/// Returns the commands for one account.
pub fn commands_for_one_account() -> Vec<String> {
    commands_in(&readme_sections().one_account)
}

/// Returns the commands that install the program and the unit, followed by those for many accounts.
pub fn commands_for_accounts() -> Vec<String> {
    let install = commands_for_one_account()
        .into_iter()
        .filter(|line| line.ends_with("/usr/local/bin/") || line.ends_with("/system/"));
    let commands: Vec<_> = install
        .chain(commands_in(&readme_sections().many_accounts))
        .collect();
    assert!(
        commands[0].contains(PROGRAM) && commands[1].contains(UNIT),
        "{commands:#?}"
    );
    commands
}

/// Shell lines that start a simulated account and define functions for its credentials.
pub const ACCOUNT_SCRIPT: &str = "\
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

/// Returns the script for the inner systemd: a simulated account, then commands of the README.
fn script(commands: &[String]) -> String {
    ACCOUNT_SCRIPT.replace("PROGRAM", PROGRAM) + &with_credentials(commands)
}

/// Returns commands of the README with the pasted credentials.
pub fn with_credentials(commands: &[String]) -> String {
    let mut script = String::new();
    for command in commands {
        script.push_str(
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
        // systemctl returns before the program handles signals.
        if command.starts_with("systemctl re") {
            script.push_str("sleep 1\n");
        }
    }
    script
}

/// Runs a script in a new systemd, with `shared` as /run/shared, and returns the output.
pub fn run_in_systemd(shared: &Path, script: &str) -> String {
    std::fs::write(shared.join("steps"), script).unwrap();
    std::fs::write(shared.join("drop-in.conf"), STRICT_DROP_IN).unwrap();
    let output = run(Command::new("sh")
        .arg("tests/deploy/tools/systemd.sh")
        .arg(shared));
    let log = std::fs::read_to_string(shared.join("output")).unwrap_or_default();
    assert_eq!(
        std::fs::read_to_string(shared.join("status")).unwrap_or_default(),
        "0\n",
        "{}\n{log}",
        all_output(&output)
    );
    log
}

/// Writes the unit and a drop-in into a folder and returns the path of the unit.
fn write_unit_with(drop_in: &str, folder: &Path) -> std::path::PathBuf {
    let unit = folder.join("ringcentral-exporter.service");
    let drop_in_folder = folder.join("ringcentral-exporter.service.d");
    std::fs::create_dir_all(&drop_in_folder).unwrap();
    std::fs::write(&unit, with_built_program(&read(UNIT))).unwrap();
    let drop_in = with_built_program(drop_in);
    std::fs::write(drop_in_folder.join("accounts.conf"), drop_in).unwrap();
    unit
}

#[test]
fn accounts_drop_in_is_valid_and_not_more_exposed() {
    let folder = tempfile::tempdir().unwrap();
    let unit = write_unit_with(&read(ACCOUNTS_DROP_IN), folder.path());
    let verify = |unit: &Path| {
        all_output(&run(Command::new("systemd-analyze")
            .args(["verify", "--man=no"])
            .arg(unit)))
    };
    assert_eq!(verify(&unit), "");
    let exposed = run_ok(&mut analyze_security(&["--threshold=11"], &unit));
    assert!(
        exposed.contains("Overall exposure level for ringcentral-exporter.service: 1.1 OK"),
        "{exposed}"
    );
    write_unit_with(
        &read(ACCOUNTS_DROP_IN).replace("SupplementaryGroups=", "SupplementaryGroup="),
        folder.path(),
    );
    assert!(verify(&unit).contains("SupplementaryGroup"));
}

/// Shell lines that save the properties of the unit that concern accounts.
const SAVE_PROPERTIES: &str = "\
    systemctl show --property=Environment --property=EnvironmentFiles --property=LoadCredential --property=ExecStart \
    ringcentral-exporter >/run/shared/before\n";

#[test]
fn accounts_drop_in_removes_the_single_account() {
    assert_root();
    let commands = commands_for_accounts();
    let install = commands
        .into_iter()
        .filter(|line| line.starts_with("install") && !line.contains("/dev/stdin"));
    let install: Vec<_> = install
        .map(|line| line.replace("-g ringcentral-accounts ", ""))
        .collect();
    let saved_properties = |install: &[String]| {
        let folder = tempfile::tempdir().unwrap();
        run_in_systemd(
            folder.path(),
            &(script(install) + "systemctl daemon-reload\n" + SAVE_PROPERTIES),
        );
        read(folder.path().join("before"))
    };
    let has_account = |properties: &str| {
        ["RC_", "environment", "client-secret"]
            .iter()
            .any(|word| properties.contains(word))
    };
    let with_drop_in = saved_properties(&install);
    assert!(
        !has_account(&with_drop_in)
            && with_drop_in
                .contains("--config.file=/etc/ringcentral-exporter/accounts/accounts.yml"),
        "{with_drop_in}"
    );
    let without_drop_in = saved_properties(&install[..2]);
    assert!(
        has_account(&without_drop_in),
        "the unit without the drop-in has an account: {without_drop_in}"
    );
}

#[test]
fn many_accounts_steps_run_the_exporter() {
    assert_root();
    let folder = tempfile::tempdir().unwrap();
    let shared = |name: &str| folder.path().join(name);
    let log = run_in_systemd(
        folder.path(),
        &(script(&commands_for_accounts()) + SAVE_STATE),
    );
    assert!(
        log.contains("\nringcentral_up{account=\"acme\"} 1\n"),
        "{log}"
    );
    assert!(
        read(shared("journal")).contains("configuration reloaded"),
        "{log}"
    );
    assert_confined(&read(shared("process")));
    assert!(
        read(shared("before")).contains("\nNRestarts=0\n")
            && read(shared("after")).contains("\nResult=success\n")
    );
}

/// Shell lines that save the state of the running exporter and stop the exporter.
const SAVE_STATE: &str = "\
    curl -s http://localhost:10072/metrics >/run/shared/metrics\n\
    systemctl show ringcentral-exporter >/run/shared/before\n\
    cat /proc/$(systemctl show --property=MainPID --value ringcentral-exporter)/status >/run/shared/process\n\
    systemctl stop ringcentral-exporter\n\
    systemctl show ringcentral-exporter >/run/shared/after\n\
    journalctl --no-pager --output=cat --unit ringcentral-exporter >/run/shared/journal\n";

/// Drop-in with which a forbidden system call kills the program instead of failing.
const STRICT_DROP_IN: &str = "[Service]\nSystemCallErrorNumber=\n";

#[test]
fn readme_steps_run_the_exporter_in_the_sandbox() {
    assert_root();
    let folder = tempfile::tempdir().unwrap();
    let shared = |name: &str| folder.path().join(name);
    let log = run_in_systemd(
        folder.path(),
        &(script(&commands_for_one_account()) + SAVE_STATE),
    );
    assert!(
        log.contains("\nringcentral_up{account=\"default\"} 1\n"),
        "{log}"
    );
    assert!(
        read(shared("metrics")).contains("\nprocess_start_time_seconds "),
        "{log}"
    );
    let journal = read(shared("journal"));
    for message in [
        "first fetch succeeded",
        "configuration reloaded",
        "stopping",
    ] {
        assert!(journal.contains(message), "{message} in {journal}");
    }
    assert_confined(&read(shared("process")));
    let before = read(shared("before"));
    assert!(
        before.contains("\nActiveState=active\n") && before.contains("\nNRestarts=0\n"),
        "{before}"
    );
    let after = read(shared("after"));
    assert!(
        after.contains("\nResult=success\n") && after.contains("\nExecMainStatus=0\n"),
        "{after}"
    );
}

/// Asserts that a process has a dynamic user and no capabilities and cannot gain any.
fn assert_confined(status: &str) {
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
        "a dynamic user of systemd: {user}"
    );
    assert_eq!(
        [field("CapEff:"), field("CapBnd:"), field("CapAmb:")],
        ["0000000000000000"; 3]
    );
    assert_eq!([field("NoNewPrivs:"), field("Seccomp:")], ["1", "2"]);
}

/// Returns the drop-in for TLS in the README.
fn tls_drop_in() -> String {
    let readme = read(README);
    readme
        .split("```ini\n")
        .skip(1)
        .map(|block| block.split("```").next().unwrap())
        .find(|block| block.contains("web.yml"))
        .unwrap()
        .to_owned()
}

/// Shell lines that install a web configuration with its certificate, as in the README.
const INSTALL_TLS: &str = "\
    install -m 600 /run/shared/server.crt /run/shared/server.key /run/shared/web.yml /etc/ringcentral-exporter/\n\
    mkdir /etc/systemd/system/ringcentral-exporter.service.d\n\
    cp /run/shared/tls.conf /etc/systemd/system/ringcentral-exporter.service.d/\n\
    systemctl daemon-reload\n\
    systemctl start ringcentral-exporter\n\
    sleep 1\n\
    curl -s --cacert /run/shared/server.crt https://localhost:10072/metrics | grep ^ringcentral_up\n";

#[test]
fn tls_drop_in_serves_tls_with_root_only_files() {
    assert_root();
    let folder = tempfile::tempdir().unwrap();
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let web = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n".to_owned();
    let files = [
        ("server.crt", key.cert.pem()),
        ("server.key", key.signing_key.serialize_pem()),
        ("web.yml", web),
        ("tls.conf", tls_drop_in()),
    ];
    files
        .into_iter()
        .for_each(|(name, content)| std::fs::write(folder.path().join(name), content).unwrap());
    let install: Vec<_> = commands_for_one_account()
        .into_iter()
        .filter(|command| command.starts_with("install"))
        .collect();
    let log = run_in_systemd(folder.path(), &(script(&install) + INSTALL_TLS));
    assert!(
        log.contains("\nringcentral_up{account=\"default\"} 1\n"),
        "{log}"
    );
}
