//! Chromium without a window.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// More of them at once are slower than one after the other.
static SEATS: Semaphore = Semaphore::const_new(2);

/// What a visit came to.
pub struct Visit {
    /// The document as the browser understood it.
    pub dom: String,
    /// What it wrote to its console.
    pub console: Vec<String>,
    /// Every address that it asked for, for the document's sake.
    pub asked: Vec<String>,
}

/// Opens an address in a window of this width.
pub async fn visit(url: &str, width: u32) -> Visit {
    let _seat = SEATS.acquire().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let net_log = folder.path().join("net.json");
    let mut command = chromium(folder.path(), width, 900);
    command
        .arg("--enable-logging=stderr")
        .arg(format!("--log-net-log={}", net_log.display()));
    let output = run(command.arg("--dump-dom").arg(url)).await;
    let console = output
        .1
        .lines()
        .filter(|line| line.contains("CONSOLE"))
        .map(str::to_owned)
        .collect();
    Visit {
        dom: output.0,
        console,
        asked: asked(&std::fs::read_to_string(net_log).unwrap_or_default()),
    }
}

/// Takes pictures of an address: wide and narrow, light and dark.
pub async fn pictures(url: &str, name: &str) {
    for (width, height) in [(1200, 900), (390, 1400)] {
        for dark in [false, true] {
            picture(url, name, (width, height), dark).await;
        }
    }
}

async fn picture(url: &str, name: &str, (width, height): (u32, u32), dark: bool) {
    let _seat = SEATS.acquire().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let light = if dark { "dark" } else { "light" };
    let path =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("page-{name}-{width}-{light}.png"));
    let mut command = chromium(folder.path(), width, height);
    command.arg(format!(
        "--blink-settings=preferredColorScheme={}",
        u8::from(!dark)
    ));
    run(command
        .arg(format!("--screenshot={}", path.display()))
        .arg(url))
    .await;
    assert!(
        std::fs::metadata(&path).unwrap().len() > 10_000,
        "{}",
        path.display()
    );
}

fn chromium(profile: &Path, width: u32, height: u32) -> Command {
    let mut command = Command::new("chromium");
    for flag in [
        "headless",
        "no-sandbox",
        "disable-gpu",
        "disable-quic",
        "no-first-run",
        "disable-background-networking",
    ] {
        command.arg(format!("--{flag}"));
    }
    for flag in [
        "disable-component-update",
        "disable-sync",
        "disable-dev-shm-usage",
        "no-proxy-server",
    ] {
        command.arg(format!("--{flag}"));
    }
    // Whatever it would like to tell its makers has nowhere to go.
    command
        .arg("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
        .arg("--hide-scrollbars");
    command
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("--window-size={width},{height}"));
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

async fn run(command: &mut Command) -> (String, String) {
    let output = timeout(Duration::from_secs(60), command.output())
        .await
        .expect("it ends");
    let output = output.expect("it is installed: `make tools` does it");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}", text(&output.stderr));
    (text(&output.stdout), text(&output.stderr))
}

/// Where it calls home, whatever is asked of it.
const HOME: [&str; 2] = [".google.com/", ".googleapis.com/"];

/// The addresses in the browser's own log of the network.
fn asked(net_log: &str) -> Vec<String> {
    let urls = net_log
        .split("\"url\":\"")
        .skip(1)
        .filter_map(|piece| piece.split('"').next());
    let mut urls: Vec<_> = urls
        .filter(|url| url.starts_with("http") && !HOME.iter().any(|home| url.contains(home)))
        .map(str::to_owned)
        .collect();
    urls.sort();
    urls.dedup();
    urls
}
