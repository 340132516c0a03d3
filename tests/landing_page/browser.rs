//! Headless Chromium.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// The maximum number of concurrent browsers. More of them take longer than one after the other.
const MAX_BROWSERS: usize = 2;
static BROWSER_SLOTS: Semaphore = Semaphore::const_new(MAX_BROWSERS);

/// A page as the browser rendered it.
pub struct RenderedPage {
    /// The DOM, serialised as HTML.
    pub dom: String,
    /// The lines of the browser console.
    pub console: Vec<String>,
    /// The URLs that the browser requested for the page, sorted.
    pub requested: Vec<String>,
}

/// Opens a URL in a window of this width in pixels.
pub async fn render(url: &str, width: u32) -> RenderedPage {
    let _slot = BROWSER_SLOTS.acquire().await.unwrap();
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
    RenderedPage {
        dom: output.0,
        console,
        requested: requested_urls(&std::fs::read_to_string(net_log).unwrap_or_default()),
    }
}

/// Saves screenshots of a URL: wide and narrow, light and dark.
pub async fn take_screenshots(url: &str, name: &str) {
    for (width, height) in [(1200, 900), (390, 1400)] {
        for dark in [false, true] {
            take_screenshot(url, name, (width, height), dark).await;
        }
    }
}

/// Saves a screenshot of this width and height.
async fn take_screenshot(url: &str, name: &str, (width, height): (u32, u32), dark: bool) {
    let _slot = BROWSER_SLOTS.acquire().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let scheme = if dark { "dark" } else { "light" };
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("page-{name}-{width}-{scheme}.png"));
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

/// Returns a command that runs Chromium with a profile of its own.
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
    // Blocks the telemetry of the browser.
    command
        .arg("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
        .arg("--hide-scrollbars");
    command
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("--window-size={width},{height}"));
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Runs Chromium and returns its standard output and standard error.
async fn run(command: &mut Command) -> (String, String) {
    let output = timeout(Duration::from_secs(180), command.output())
        .await
        .expect("Chromium did not exit within 3 minutes");
    let output = output.expect("Chromium is not installed: run `make tools`");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}", text(&output.stderr));
    (text(&output.stdout), text(&output.stderr))
}

/// The domains that Chromium contacts for itself.
const BROWSER_DOMAINS: [&str; 2] = [".google.com/", ".googleapis.com/"];

/// Returns the URLs in the network log of the browser.
fn requested_urls(net_log: &str) -> Vec<String> {
    let urls = net_log
        .split("\"url\":\"")
        .skip(1)
        .filter_map(|piece| piece.split('"').next());
    let mut urls: Vec<_> = urls
        .filter(|url| {
            url.starts_with("http") && !BROWSER_DOMAINS.iter().any(|domain| url.contains(domain))
        })
        .map(str::to_owned)
        .collect();
    urls.sort();
    urls.dedup();
    urls
}
