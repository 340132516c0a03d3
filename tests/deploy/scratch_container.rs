//! The static program in the environment of the container image.
//!
//! The root file system is read-only and has only the program and the certificates, the user id is 65532, and the memory
//! limit is that of the manifests. The tests must run as root, because they mount file systems and create cgroups.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use crate::common::demo::read_variables;
use crate::common::exporter_process::{ExporterProcess, output};
use crate::common::{get, http};
use crate::overlays::Overlay;
use crate::static_program::PROGRAM;
use crate::tools::{assert_root, read};

/// Path of the certificates, relative to the root folder.
const CERTIFICATES: &str = "etc/ssl/certs/ca-certificates.crt";
/// Scrape interval, shorter than that of Prometheus.
const INTERVAL: Duration = Duration::from_secs(5);
/// Duration of the test, long enough for a second fetch of five pages.
const RUN_TIME: Duration = Duration::from_secs(85);

/// Root folder with the program and the certificates.
struct RootFolder {
    folder: TempDir,
}

impl RootFolder {
    /// Creates the folder.
    fn new() -> Self {
        assert_root();
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir_all(path(CERTIFICATES).parent().unwrap()).unwrap();
        fs::copy(Path::new("/").join(CERTIFICATES), path(CERTIFICATES))
            .expect("ca-certificates is installed");
        fs::copy(PROGRAM, path("ringcentral-exporter")).expect("`make static` builds it");
        // User 65532 must be able to enter the folder.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder }
    }

    /// Creates a command that runs the program in this root folder, after a shell line.
    fn command(&self, setup: &str, arguments: &[&str]) -> Command {
        let root = self.folder.path().display();
        let enter = format!(
            "mount --make-rprivate /; mount --bind {root} {root}; mount -o remount,bind,ro {root}; \
             exec chroot --userspec=65532:65532 {root} /ringcentral-exporter \"$@\""
        );
        let mut command = Command::new("sh");
        let script = format!("{setup}\nexec unshare --mount sh -ec '{enter}' - \"$@\"");
        command
            .args(["-e", "-c", &script, "-"])
            .args(arguments)
            .kill_on_drop(true);
        command
    }
}

/// Cgroup with a memory limit, below the cgroup of the tests.
struct Cgroup {
    folder: PathBuf,
    /// Whether the version is 2 instead of 1.
    is_v2: bool,
}

impl Cgroup {
    /// Creates a cgroup with a memory limit.
    fn with_memory_limit(bytes: u64) -> Self {
        let own = fs::read_to_string("/proc/self/cgroup").unwrap();
        let path_after = |mark: &str| {
            own.lines()
                .find_map(|line| line.split_once(mark))
                .map(|(_, path)| path.trim_start_matches('/'))
        };
        let name = format!("ringcentral-exporter-{}-{bytes}", std::process::id());
        let v1_folder = path_after(":memory:")
            .map(|path| Path::new("/sys/fs/cgroup/memory").join(path).join(&name));
        let v2_folder = || {
            Path::new("/sys/fs/cgroup")
                .join(path_after("0::").expect("a cgroup"))
                .join(&name)
        };
        let group = Self {
            is_v2: v1_folder.is_none(),
            folder: v1_folder.unwrap_or_else(v2_folder),
        };
        fs::create_dir(&group.folder).expect("root can create a cgroup");
        let limit = if group.is_v2 {
            "memory.max"
        } else {
            "memory.limit_in_bytes"
        };
        fs::write(group.folder.join(limit), bytes.to_string())
            .expect("the memory controller is enabled");
        group
    }

    /// Returns the shell line that moves the shell into the cgroup.
    fn enter_line(&self) -> String {
        format!("echo $$ >{}/cgroup.procs", self.folder.display())
    }

    /// Returns how often the limit was reached.
    fn limit_hits(&self) -> u64 {
        let counts = if self.is_v2 {
            "memory.events"
        } else {
            "memory.failcnt"
        };
        let counts = read(self.folder.join(counts));
        let events = counts
            .lines()
            .filter(|line| !line.starts_with("low ") && !line.starts_with("high "));
        events
            .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
            .sum()
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // A killed process leaves the cgroup with a delay.
        for _ in 0..100 {
            if fs::remove_dir(&self.folder).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Returns the memory limit of the manifest in bytes.
fn memory_limit() -> u64 {
    let limit = Overlay::named("minimal").container()["resources"]["limits"]["memory"]
        .as_str()
        .unwrap();
    limit.strip_suffix("Mi").unwrap().parse::<u64>().unwrap() * 1024 * 1024
}

/// Returns the peak resident memory of a process in bytes.
fn peak_memory(process: u32) -> u64 {
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

/// Opens a hundred connections that request a scrape and read nothing.
async fn unread_requests(url: &str) -> Vec<TcpStream> {
    let mut clients = Vec::new();
    for _ in 0..100 {
        let mut client = TcpStream::connect(url.trim_start_matches("http://"))
            .await
            .unwrap();
        client
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        clients.push(client);
    }
    clients
}

/// Starts a demo with all flags that add series in the root folder, and returns the exporter, its URL and the variables of the account.
async fn start_demo(
    root: &RootFolder,
    setup: &str,
    scenario: &str,
) -> (ExporterProcess, String, BTreeMap<String, String>) {
    let arguments = [
        "demo",
        "--demo.scenario",
        scenario,
        "--web.listen-address",
        "127.0.0.1:0",
        "--metrics.extension-info",
        "--metrics.extension-calls",
    ];
    let mut exporter = ExporterProcess::start(root.command(setup, &arguments));
    let variables = read_variables(&mut exporter).await;
    let url = exporter.wait_for_url().await;
    (exporter, url, variables)
}

#[tokio::test]
async fn largest_demo_runs_within_the_memory_limit() {
    let root = RootFolder::new();
    let limit = memory_limit();
    let cgroup = Cgroup::with_memory_limit(limit);
    let (mut exporter, url, _) = start_demo(&root, &cgroup.enter_line(), "huge").await;
    let started = Instant::now();
    let mut snapshots = Vec::new();
    let mut unread = Vec::new();
    while started.elapsed() < RUN_TIME {
        let metrics = get(&format!("{url}/metrics")).await;
        assert!(
            metrics.contains("\nringcentral_up{account=\"default\"} 1\n"),
            "{}",
            exporter.log
        );
        snapshots.push(single_value(
            &metrics,
            "ringcentral_snapshot_timestamp_seconds",
        ));
        assert!(single_value(&metrics, "ringcentral_fetch_pages") >= 5.0);
        drop(std::mem::replace(&mut unread, unread_requests(&url).await));
        sleep(INTERVAL).await;
    }
    snapshots.dedup();
    assert!(snapshots.len() >= 2, "the exporter has fetched twice");
    let status = read(format!("/proc/{}/status", exporter.pid()));
    assert!(
        status.contains("\nUid:\t65532\t65532\t65532\t65532\n"),
        "{status}"
    );
    let peak = peak_memory(exporter.pid());
    println!("peak {peak} bytes including the simulated account, limit {limit}");
    assert!(peak < limit * 3 / 4, "{peak} bytes");
    exporter.signal("TERM").await;
    assert_eq!(exporter.wait_for_exit().await.code(), Some(0));
    assert_eq!(cgroup.limit_hits(), 0, "the limit was reached");
}

#[tokio::test]
async fn too_small_memory_limit_is_reached() {
    let root = RootFolder::new();
    let cgroup = Cgroup::with_memory_limit(8 * 1024 * 1024);
    let (_exporter, url, _) = start_demo(&root, &cgroup.enter_line(), "huge").await;
    // The kernel can kill the process during the request.
    let _ = http().get(format!("{url}/metrics")).send().await;
    assert_ne!(cgroup.limit_hits(), 0);
}

/// Returns the value of a family with only one series.
fn single_value(metrics: &str, family: &str) -> f64 {
    let line = metrics
        .lines()
        .find(|line| line.starts_with(&format!("{family}{{")))
        .expect(family);
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn check_command_succeeds_in_the_root_folder() {
    let root = RootFolder::new();
    let (_exporter, _, variables) = start_demo(&root, "", "normal").await;
    let mut command = root.command("", &["check"]);
    command.envs(&variables);
    let result = output(command).await;
    assert_eq!(result.0, Some(0), "{result:?}");
}

#[tokio::test]
async fn health_command_reports_a_running_exporter() {
    let root = RootFolder::new();
    let (mut exporter, url, _) = start_demo(&root, "", "normal").await;
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
    let result = health().await;
    assert_eq!(result.0, Some(0), "{result:?}");
    exporter.signal("TERM").await;
    exporter.wait_for_exit().await;
    let result = health().await;
    assert_eq!(result.0, Some(1), "the exporter has stopped: {result:?}");
}

#[tokio::test]
async fn certificates_are_read_from_the_path_of_the_image() {
    let root = RootFolder::new();
    let serve = |root: &RootFolder| {
        let mut command = root.command("", &["serve", "--web.listen-address", "127.0.0.1:0"]);
        let credentials = [
            ("RC_CLIENT_ID", "x"),
            ("RC_CLIENT_SECRET", "sesame"),
            ("RC_JWT", "x.x.x"),
        ];
        command
            .envs(credentials)
            .env("RC_SERVER_URL", "https://127.0.0.1:1");
        command
    };
    let mut exporter = ExporterProcess::start(serve(&root));
    let url = exporter.wait_for_url().await;
    assert_eq!(
        http()
            .get(format!("{url}/-/ready"))
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    drop(exporter);
    fs::remove_file(root.folder.path().join(CERTIFICATES)).unwrap();
    let (code, _, log) = output(serve(&root)).await;
    assert_eq!(code, Some(1));
    assert!(log.contains("ca-certificates"), "{log}");
}
