//! The Debian packages: their content, and their life with a real dpkg under a real systemd.
//!
//! `tools/systemd.sh` boots that systemd in separate namespaces over a scratch root. These tests must run as root.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::archive::RELEASE;
use crate::docs::commands;
use crate::static_program::{ARM64_PROGRAM, PROGRAM};
use crate::systemd::{
    ACCOUNT_SCRIPT, commands_for_accounts, commands_for_one_account, commands_in, run_in_systemd,
    with_credentials,
};
use crate::tools::{assert_root, files, read, run_ok};

/// Document of the package, which it contains as README.Debian.
const README: &str = "deploy/debian/README.md";
/// Architectures of the packages, with their programs.
const ARCHITECTURES: [(&str, &str); 2] = [("amd64", PROGRAM), ("arm64", ARM64_PROGRAM)];
/// Files of the package, other than the program, that equal a file of this repository, and their permissions.
const COPIES: [(&str, &str, &str); 4] = [
    (
        "deploy/debian/environment",
        "usr/share/doc/ringcentral-exporter/examples/environment",
        "-rw-r--r--",
    ),
    (
        "deploy/systemd/ringcentral-exporter.service",
        "usr/lib/systemd/system/ringcentral-exporter.service",
        "-rw-r--r--",
    ),
    (
        "deploy/systemd/accounts.conf",
        "usr/share/doc/ringcentral-exporter/examples/accounts.conf",
        "-rw-r--r--",
    ),
    (
        "deploy/accounts.example.yml",
        "usr/share/doc/ringcentral-exporter/examples/accounts.example.yml",
        "-rw-r--r--",
    ),
];

/// Folders whose files with a suffix are in a folder of the package.
const PACKED_FOLDERS: [(&str, &str, &str); 3] = [
    (
        "deploy/prometheus",
        ".yml",
        "usr/share/doc/ringcentral-exporter/examples",
    ),
    (
        "deploy/prometheus/rules",
        ".yml",
        "usr/share/ringcentral-exporter/rules",
    ),
    (
        "dashboards",
        ".json",
        "usr/share/ringcentral-exporter/dashboards",
    ),
];

/// Returns the name of a package.
fn package_name(architecture: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!("ringcentral-exporter_{version}-1_{architecture}.deb")
}

/// Returns the path of a package.
fn package(architecture: &str) -> PathBuf {
    RELEASE.path().join(package_name(architecture))
}

/// Unpacks a package, with its control files in the folder DEBIAN.
fn unpack(architecture: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let package = package(architecture);
    run_ok(
        Command::new("dpkg-deb")
            .arg("--raw-extract")
            .args([&package, folder.path()]),
    );
    folder
}

/// Returns the permissions and owner of each entry of a package.
fn entries(architecture: &str) -> BTreeMap<String, (String, String)> {
    let listed = run_ok(
        Command::new("dpkg-deb")
            .arg("--contents")
            .arg(package(architecture)),
    );
    let mut entries = BTreeMap::new();
    for line in listed.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        let path = words[5].trim_start_matches("./").to_owned();
        entries.insert(path, (words[0].to_owned(), words[1].to_owned()));
    }
    entries
}

#[test]
fn packages_contain_the_files_of_this_repository() {
    for (architecture, program) in ARCHITECTURES {
        let root = unpack(architecture);
        let entries = entries(architecture);
        let program = (program, "usr/bin/ringcentral-exporter", "-rwxr-xr-x");
        for (source, path, permissions) in COPIES.into_iter().chain([program]) {
            let same =
                std::fs::read(source).unwrap() == std::fs::read(root.path().join(path)).unwrap();
            assert!(same, "{path}");
            assert_eq!(entries[path].0, permissions, "{path}");
        }
        for (path, (permissions, owner)) in &entries {
            assert_eq!(owner, "0/0", "{path}");
            assert!(path.is_empty() || path.starts_with("usr/"), "{path}");
            assert!(
                ["-rw-r--r--", "-rwxr-xr-x", "drwxr-xr-x"].contains(&permissions.as_str()),
                "{path}"
            );
        }
        for (folder, suffix, packed) in PACKED_FOLDERS {
            for file in files(folder, suffix) {
                let copy = root.path().join(packed).join(file.file_name().unwrap());
                assert!(
                    std::fs::read(&file).unwrap() == std::fs::read(copy).unwrap(),
                    "{file:?}"
                );
            }
        }
    }
}

#[test]
fn package_has_the_texts_that_the_program_prints() {
    let root = unpack("amd64");
    let man = run_ok(
        Command::new("zcat").arg(
            root.path()
                .join("usr/share/man/man1/ringcentral-exporter.1.gz"),
        ),
    );
    assert_eq!(man, run_ok(Command::new(PROGRAM).arg("man")));
    for (shell, path) in [
        ("bash", "bash-completion/completions/ringcentral-exporter"),
        ("zsh", "zsh/vendor-completions/_ringcentral-exporter"),
        (
            "fish",
            "fish/vendor_completions.d/ringcentral-exporter.fish",
        ),
    ] {
        let printed = run_ok(Command::new(PROGRAM).args(["completions", shell]));
        assert_eq!(read(root.path().join("usr/share").join(path)), printed);
    }
}

#[test]
fn package_metadata_is_that_of_the_program() {
    for (architecture, _) in ARCHITECTURES {
        let control = read(unpack(architecture).path().join("DEBIAN/control"));
        for expected in [
            "Package: ringcentral-exporter".to_owned(),
            format!("Version: {}-1", env!("CARGO_PKG_VERSION")),
            format!("Architecture: {architecture}"),
            "Depends: ca-certificates".to_owned(),
        ] {
            assert!(
                control.lines().any(|line| line == expected),
                "{expected}: {control}"
            );
        }
    }
    let root = unpack("amd64");
    // Without conffiles no installation or upgrade shows a prompt.
    assert!(!root.path().join("DEBIAN/conffiles").exists());
    let documents = root.path().join("usr/share/doc/ringcentral-exporter");
    let changelog = run_ok(Command::new("zcat").arg(documents.join("changelog.gz")));
    assert_eq!(changelog, read("CHANGELOG.md"));
    let parsed = run_ok(
        Command::new("sh")
            .args(["-c", "zcat \"$0\" | dpkg-parsechangelog -l- -S Version"])
            .arg(documents.join("changelog.Debian.gz")),
    );
    assert_eq!(parsed.trim(), format!("{}-1", env!("CARGO_PKG_VERSION")));
    assert!(read(documents.join("copyright")).contains("Permission is hereby granted"));
    let licences = run_ok(Command::new("zcat").arg(documents.join("THIRD-PARTY.txt.gz")));
    assert!(licences.contains("\nrustls "), "{licences}");
}

#[test]
fn links_of_the_packaged_document_name_this_version() {
    let document = read(
        unpack("amd64")
            .path()
            .join("usr/share/doc/ringcentral-exporter/README.Debian"),
    );
    let base = format!(
        "{}/blob/v{}/",
        env!("CARGO_PKG_REPOSITORY"),
        env!("CARGO_PKG_VERSION")
    );
    let mut links = 0;
    for rest in document.split("](").skip(1) {
        let target = rest.split([')', '#']).next().unwrap();
        let path = target.strip_prefix(&base).expect(target);
        assert!(Path::new(path).exists(), "{path}");
        links += 1;
    }
    assert!(links >= 3, "{document}");
}

/// Shell lines that make dpkg of the scratch root install all files and start services, as on a machine. Without its
/// index of man pages, which takes several seconds each time.
const PREPARE: &str = "rm -rf /usr/sbin/policy-rc.d /etc/dpkg/dpkg.cfg.d /var/lib/man-db/auto-update\n\
    mkdir -p /var/lib/private\n\
    files() { find /etc /usr /var -xdev -maxdepth 4 -not -path '/var/lib/dpkg/*' -not -path '/var/log/*' -not -path '/var/cache/*' \
    -not -path '/var/lib/apt/*' -not -name '*.cache' | sort; }\n\
    up() { for i in 1 2 3 4 5 6 7 8 9 10; do curl -s http://localhost:10072/metrics | grep ^ringcentral_up && return; \
    sleep 0.3; done; false; }\n\
    cd /run/shared\n";

/// Returns shell lines that start a simulated account and prepare the scratch root.
fn setup() -> String {
    ACCOUNT_SCRIPT.replace("PROGRAM", PROGRAM) + PREPARE
}

/// Returns shell lines for commands of the document, with the pasted credentials.
fn script(commands: &[String]) -> String {
    let mut script = String::new();
    for command in commands {
        script.push_str(&match command.rsplit_once("/etc/ringcentral-exporter/") {
            Some((_, "client-secret")) => format!("value RC_CLIENT_SECRET | {command}\n"),
            Some((_, "jwt")) => format!("value RC_JWT | {command}\n"),
            Some((start, "environment")) if start.starts_with("echo") => {
                let command = command.replace("YOUR-CLIENT-ID", "$(value RC_CLIENT_ID)");
                format!("{command}\necho RC_SERVER_URL=$(server) >>/etc/ringcentral-exporter/environment\n")
            }
            _ => format!("{command}\n"),
        });
    }
    script
}

/// Sections of the document that have commands.
const SECTIONS: [&str; 5] = [
    "Install",
    "Many accounts",
    "Check",
    "Upgrade",
    "After an installation by hand",
];

/// Returns the commands of a section of the document.
fn commands_of(section: &str) -> Vec<String> {
    let document = read(README);
    let heading = format!("{section}\n");
    let text = document
        .split("\n## ")
        .find(|part| part.starts_with(&heading))
        .expect(section);
    commands_in(text)
}

#[test]
fn all_commands_of_the_document_are_in_known_sections() {
    let counts = SECTIONS.map(|section| commands_of(section).len());
    assert_eq!(counts, [9, 1, 1, 3, 4]);
    assert_eq!(commands(README).len(), counts.iter().sum::<usize>());
}

/// Writes a package of an older version with another unit and another program into a folder.
fn write_older_package(folder: &Path) {
    let root = unpack("amd64");
    let path = |name: &str| root.path().join(name);
    let control = read(path("DEBIAN/control")).replace(
        concat!("Version: ", env!("CARGO_PKG_VERSION")),
        "Version: 0.1.9",
    );
    std::fs::write(path("DEBIAN/control"), control).unwrap();
    let unit = "usr/lib/systemd/system/ringcentral-exporter.service";
    let older_unit = read(path(unit)).replace("TasksMax=16", "TasksMax=17");
    std::fs::write(path(unit), older_unit).unwrap();
    run_ok(
        Command::new("dpkg-deb")
            .args(["--root-owner-group", "-Znone", "--build"])
            .arg(root.path())
            .arg(folder.join("older.deb")),
    );
}

/// Creates a folder for the inner systemd with the package.
fn shared_folder() -> TempDir {
    assert_root();
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(package("amd64"), folder.path().join(package_name("amd64"))).unwrap();
    folder
}

/// Shell lines that verify the unit and save whether the service is off after the installation.
const AFTER_INSTALL: &str = "! systemctl is-enabled ringcentral-exporter\n\
    ! systemctl is-active ringcentral-exporter\n\
    systemd-analyze verify --man=no ringcentral-exporter.service\n\
    ringcentral-exporter --version >/run/shared/version\n";

#[test]
fn readme_steps_install_and_run_the_package() {
    let folder = shared_folder();
    let commands = commands_of("Install");
    let steps = setup()
        + &script(&commands[..1])
        + AFTER_INSTALL
        + &script(&commands[1..])
        + &script(&commands_of("Check"));
    let log = run_in_systemd(folder.path(), &steps);
    assert!(
        log.contains("\nringcentral_up{account=\"default\"} 1\n"),
        "{log}"
    );
    assert!(log.contains("first fetch succeeded"), "{log}");
    assert!(
        log.contains("\nOK: account default can be read.\n"),
        "{log}"
    );
    let version = format!("ringcentral-exporter {} (", env!("CARGO_PKG_VERSION"));
    assert!(read(folder.path().join("version")).starts_with(&version));
}

#[test]
fn package_runs_many_accounts() {
    let folder = shared_folder();
    let mut accounts = commands_for_accounts().split_off(2);
    for command in &mut accounts {
        if command.ends_with("/accounts.conf") {
            *command = commands_of("Many accounts").remove(0);
        }
    }
    let steps = setup() + &script(&commands_of("Install")[..1]) + &with_credentials(&accounts);
    let log = run_in_systemd(folder.path(), &steps);
    assert!(
        log.contains("\nringcentral_up{account=\"acme\"} 1\n"),
        "{log}"
    );
}

/// Shell function that prints the path of the running program.
const PROGRAM_FUNCTION: &str = "\
    program() { readlink /proc/$(systemctl show --property=MainPID --value ringcentral-exporter)/exe; }\n";

#[test]
fn package_replaces_a_running_manual_install() {
    let folder = shared_folder();
    let manual = commands_for_one_account();
    let enable = manual
        .iter()
        .position(|command| command.starts_with("systemctl enable"))
        .unwrap();
    let steps = ACCOUNT_SCRIPT.replace("PROGRAM", PROGRAM)
        + &with_credentials(&manual[..=enable])
        + PREPARE
        + PROGRAM_FUNCTION
        + "up\n[ $(program) = /usr/local/bin/ringcentral-exporter ]\n\
        cp -a /etc/ringcentral-exporter /tmp/configuration\n"
        + &script(&commands_of("Install")[..1])
        + &script(&commands_of("After an installation by hand"))
        + "up\n[ $(program) = /usr/bin/ringcentral-exporter ]\n\
        systemctl is-enabled ringcentral-exporter\n\
        diff --recursive /tmp/configuration /etc/ringcentral-exporter\n";
    run_in_systemd(folder.path(), &steps);
}

/// Shell lines that upgrade a running service and then a stopped one. PACKAGE is the newer package.
const UPGRADE: &str = "\
    property() { systemctl show --property=$1 --value ringcentral-exporter; }\n\
    [ $(property TasksMax) = 17 ]\n\
    old=$(property MainPID)\n\
    cp -a /etc/ringcentral-exporter /tmp/configuration\n\
    COMMANDS\
    [ $(property ActiveState) = active ] && [ $(property MainPID) != $old ] && [ $(property TasksMax) = 16 ]\n\
    diff --recursive /tmp/configuration /etc/ringcentral-exporter\n\
    up\n\
    systemctl stop ringcentral-exporter\n\
    dpkg --install PACKAGE\n\
    ! systemctl is-active ringcentral-exporter\n\
    systemctl start ringcentral-exporter\n";

/// Returns the commands of an upgrade, with a check by the new program before the installation.
fn upgrade_script() -> String {
    let mut commands = commands_of("Upgrade");
    let check = commands_of("Check")[0].replace(
        " ringcentral-exporter check",
        " new/usr/bin/ringcentral-exporter check",
    );
    commands.insert(1, check);
    script(&commands)
}

/// Shell lines that remove and purge the package.
const PURGE: &str = "\
    install -D -m 644 /usr/share/doc/ringcentral-exporter/examples/accounts.conf \
    /etc/systemd/system/ringcentral-exporter.service.d/accounts.conf\n\
    apt-get --yes remove ringcentral-exporter\n\
    ! systemctl is-active ringcentral-exporter\n\
    [ \"$(systemctl is-enabled ringcentral-exporter)\" = masked ]\n\
    [ ! -e /usr/bin/ringcentral-exporter ]\n\
    diff --recursive /tmp/configuration /etc/ringcentral-exporter\n\
    [ -d /var/lib/private/ringcentral-exporter ]\n\
    files >/run/shared/removed\n\
    apt-get --yes purge ringcentral-exporter\n\
    files >/run/shared/purged\n";

#[test]
fn package_upgrades_and_purges_without_leftovers() {
    let folder = shared_folder();
    write_older_package(folder.path());
    let mut commands = commands_of("Install");
    commands[0] = "dpkg --install older.deb".to_owned();
    let upgrade = UPGRADE
        .replace("COMMANDS", &upgrade_script())
        .replace("PACKAGE", &package_name("amd64"));
    let before = "files >/run/shared/before\n";
    let steps = setup() + before + &script(&commands) + &upgrade + PURGE;
    let log = run_in_systemd(folder.path(), &steps);
    let list = |name: &str| read(folder.path().join(name));
    assert!(
        list("removed").contains("/etc/ringcentral-exporter/jwt\n"),
        "{log}"
    );
    assert_eq!(list("before"), list("purged"), "{log}");
}
