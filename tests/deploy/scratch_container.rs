//! The static program as a container has it: an empty, read-only root with the certificates alone, user 65532, and the memory that the
//! manifests allow.
//!
//! Must be run by root, which mounts and makes a cgroup; the program itself is nobody.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use crate::common::demo::variables;
use crate::common::exporter_process::{ExporterProcess, output};
use crate::common::{get, http};
use crate::overlays::Overlay;
use crate::static_program::PROGRAM;
use crate::tools::{assert_root, read};

const CERTIFICATES: &str = "etc/ssl/certs/ca-certificates.crt";
/// As Prometheus scrapes, but more often.
const INTERVAL: Duration = Duration::from_secs(5);
/// A minute, and as long as it takes until a list of five pages is fetched again.
const RUN: Duration = Duration::from_secs(85);

/// A root with the program and the certificates.
struct Root {
    folder: TempDir,
}

impl Root {
    fn new() -> Self {
        assert_root();
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir_all(path(CERTIFICATES).parent().unwrap()).unwrap();
        fs::copy(Path::new("/").join(CERTIFICATES), path(CERTIFICATES))
            .expect("ca-certificates is installed");
        fs::copy(PROGRAM, path("ringcentral-exporter")).expect("`make static` builds it");
        // Others than its owner come in.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder }
    }

    /// The program in it, from a shell that has first run this.
    fn command(&self, first: &str, arguments: &[&str]) -> Command {
        let root = self.folder.path().display();
        let enter = format!(
            "mount --make-rprivate /; mount --bind {root} {root}; mount -o remount,bind,ro {root}; \
             exec chroot --userspec=65532:65532 {root} /ringcentral-exporter \"$@\""
        );
        let mut command = Command::new("sh");
        let script = format!("{first}\nexec unshare --mount sh -ec '{enter}' - \"$@\"");
        command
            .args(["-e", "-c", &script, "-"])
            .args(arguments)
            .kill_on_drop(true);
        command
    }
}

/// A cgroup with a limit of memory, of version 2 or 1, within the one that the tests are in.
struct Cgroup {
    folder: PathBuf,
    second: bool,
}

impl Cgroup {
    fn limited(bytes: u64) -> Self {
        let own = fs::read_to_string("/proc/self/cgroup").unwrap();
        let of = |mark: &str| {
            own.lines()
                .find_map(|line| line.split_once(mark))
                .map(|(_, path)| path.trim_start_matches('/'))
        };
        let name = format!("ringcentral-exporter-{}-{bytes}", std::process::id());
        let first =
            of(":memory:").map(|path| Path::new("/sys/fs/cgroup/memory").join(path).join(&name));
        let second = || {
            Path::new("/sys/fs/cgroup")
                .join(of("0::").expect("a cgroup"))
                .join(&name)
        };
        let group = Self {
            second: first.is_none(),
            folder: first.unwrap_or_else(second),
        };
        fs::create_dir(&group.folder).expect("root may make a cgroup");
        let limit = if group.second {
            "memory.max"
        } else {
            "memory.limit_in_bytes"
        };
        fs::write(group.folder.join(limit), bytes.to_string())
            .expect("memory can be limited in this cgroup");
        group
    }

    /// What a shell does to enter it.
    fn enter(&self) -> String {
        format!("echo $$ >{}/cgroup.procs", self.folder.display())
    }

    /// How often the limit was met.
    fn met(&self) -> String {
        let counts = if self.second {
            "memory.events"
        } else {
            "memory.failcnt"
        };
        let counts = read(self.folder.join(counts));
        let events = counts
            .lines()
            .filter(|line| !line.starts_with("low ") && !line.starts_with("high "));
        let numbers: u64 = events
            .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
            .sum();
        numbers.to_string()
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // A process that was killed leaves a moment later.
        let tries = 0..100;
        let _ = tries.into_iter().any(|_| {
            fs::remove_dir(&self.folder).is_ok() || {
                std::thread::sleep(INTERVAL / 250);
                false
            }
        });
    }
}

/// The limit that the manifest sets, in bytes.
fn limit() -> u64 {
    let limit = Overlay::named("minimal").container()["resources"]["limits"]["memory"]
        .as_str()
        .unwrap();
    limit.strip_suffix("Mi").unwrap().parse::<u64>().unwrap() * 1024 * 1024
}

/// The most memory that the process ever had, in bytes.
fn peak(process: u32) -> u64 {
    let status = read(format!("/proc/{process}/status"));
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim()
        .strip_suffix(" kB")
        .unwrap()
        .parse::<u64>()
        .unwrap()
        * 1024
}

/// A demo in it, and how to let others in.
async fn demo(
    root: &Root,
    first: &str,
    scenario: &str,
) -> (ExporterProcess, String, BTreeMap<String, String>) {
    let arguments = [
        "demo",
        "--demo.scenario",
        scenario,
        "--web.listen-address",
        "127.0.0.1:0",
    ];
    let mut program = ExporterProcess::start(root.command(first, &arguments));
    let variables = variables(&mut program).await;
    let url = program.url().await;
    (program, url, variables)
}

#[tokio::test]
async fn in_an_empty_read_only_root_it_serves_the_largest_demo_within_the_memory_of_the_manifest() {
    let (root, limit) = (Root::new(), limit());
    let cgroup = Cgroup::limited(limit);
    let (mut program, url, _) = demo(&root, &cgroup.enter(), "huge").await;
    let started = Instant::now();
    let mut snapshots = Vec::new();
    while started.elapsed() < RUN {
        let metrics = get(&format!("{url}/metrics")).await;
        assert!(
            metrics.contains("\nringcentral_up{account=\"default\"} 1\n"),
            "{}",
            program.log
        );
        snapshots.push(number(&metrics, "ringcentral_snapshot_timestamp_seconds"));
        assert!(number(&metrics, "ringcentral_fetch_pages") >= 5.0);
        sleep(INTERVAL).await;
    }
    snapshots.dedup();
    assert!(snapshots.len() >= 2, "it has fetched again");
    let status = read(format!("/proc/{}/status", program.id()));
    assert!(
        status.contains("\nUid:\t65532\t65532\t65532\t65532\n"),
        "{status}"
    );
    let peak = peak(program.id());
    println!(
        "{peak} bytes at most, with the simulated account in the same process; the limit is {limit}"
    );
    assert!(peak < limit * 3 / 4, "{peak} bytes");
    program.signal("TERM").await;
    assert_eq!(program.ends().await.code(), Some(0));
    assert_eq!(cgroup.met(), "0", "the limit was never met");
}

#[tokio::test]
async fn a_limit_that_is_too_small_would_be_met() {
    let (root, cgroup) = (Root::new(), Cgroup::limited(8 * 1024 * 1024));
    let (_program, url, _) = demo(&root, &cgroup.enter(), "huge").await;
    // It ends in the midst of it.
    let _ = http().get(format!("{url}/metrics")).send().await;
    assert_ne!(cgroup.met(), "0");
}

/// The value of a family of one series.
fn number(metrics: &str, family: &str) -> f64 {
    let line = metrics
        .lines()
        .find(|line| line.starts_with(&format!("{family}{{")))
        .expect(family);
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn an_account_is_checked_in_it_too() {
    let root = Root::new();
    let (_program, _, variables) = demo(&root, "", "normal").await;
    let mut command = root.command("", &["check"]);
    command.envs(&variables);
    let answer = output(command).await;
    assert_eq!(answer.0, Some(0), "{answer:?}");
}

#[tokio::test]
async fn its_health_is_asked_as_the_image_asks_it() {
    let root = Root::new();
    let (mut program, url, _) = demo(&root, "", "normal").await;
    let health = || {
        output(root.command(
            "",
            &[
                "health",
                "--web.listen-address",
                url.strip_prefix("http://").unwrap(),
            ],
        ))
    };
    let answer = health().await;
    assert_eq!(answer.0, Some(0), "{answer:?}");
    program.signal("TERM").await;
    program.ends().await;
    let answer = health().await;
    assert_eq!(answer.0, Some(1), "nobody is there: {answer:?}");
}

#[tokio::test]
async fn the_root_certificates_are_found_where_the_image_has_them() {
    let root = Root::new();
    let serve = |root: &Root| {
        let mut command = root.command("", &["serve", "--web.listen-address", "127.0.0.1:0"]);
        let account = [
            ("RC_CLIENT_ID", "x"),
            ("RC_CLIENT_SECRET", "x"),
            ("RC_JWT", "x.x.x"),
        ];
        command
            .envs(account)
            .env("RC_SERVER_URL", "https://127.0.0.1:1");
        command
    };
    let mut program = ExporterProcess::start(serve(&root));
    let url = program.url().await;
    assert_eq!(
        http()
            .get(format!("{url}/-/ready"))
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    drop(program);
    fs::remove_file(root.folder.path().join(CERTIFICATES)).unwrap();
    let (code, _, log) = output(serve(&root)).await;
    assert_eq!(code, Some(1));
    assert!(log.contains("ca-certificates"), "{log}");
}
