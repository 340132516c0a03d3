//! OpenMetrics, read by the reference parser of Python's `prometheus_client`.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::common::{MAX_WAIT, demo, http};

const PYTHON: &str = ".cache/comparison/python/bin/python";
const ALL_FLAGS: [&str; 5] = [
    "--metrics.extension-info",
    "--metrics.extension-calls",
    "--metrics.extension-presence",
    "--ringcentral.presence",
    "events",
];

/// Scrapes as OpenMetrics until each of `lines` is in the response.
async fn scrape_until(url: &str, lines: &[String]) -> String {
    let deadline = Instant::now() + MAX_WAIT;
    loop {
        let request = http().get(format!("{url}/metrics"));
        let request = request.header("Accept", "application/openmetrics-text");
        let text = request.send().await.unwrap().text().await.unwrap();
        if lines.iter().all(|line| text.contains(line.as_str())) {
            return text;
        }
        assert!(Instant::now() < deadline, "no {lines:?}:\n{text}");
        sleep(Duration::from_secs(1)).await;
    }
}

/// Parses a text with the reference parser. Returns the number of samples, or the error.
fn parse(text: &str) -> Result<usize, String> {
    let folder = env!("CARGO_MANIFEST_DIR");
    let mut python = Command::new(format!("{folder}/{PYTHON}"))
        .arg(format!("{folder}/tests/prometheus/parse_openmetrics.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("prometheus_client is not installed: run `make comparison-deps`");
    let mut stdin = python.stdin.take().unwrap();
    stdin.write_all(text.as_bytes()).unwrap();
    drop(stdin);
    let output = python.wait_with_output().unwrap();
    if !output.status.success() {
        return Err(String::from_utf8(output.stderr).unwrap());
    }
    let samples = String::from_utf8(output.stdout).unwrap();
    Ok(samples.trim().parse().unwrap())
}

fn count_samples(text: &str) -> usize {
    text.lines().filter(|line| !line.starts_with('#')).count()
}

#[tokio::test]
async fn reference_parser_accepts_every_family() {
    let (_demo, url, _) = demo::start(&ALL_FLAGS).await;
    let text = scrape_until(
        &url,
        &[
            "ringcentral_presence_up{account=\"default\"} 1\n".to_owned(),
            "\nringcentral_extension_info{".to_owned(),
            "\nringcentral_extension_telephony_status{".to_owned(),
            "\nringcentral_extension_calls_ended_total{".to_owned(),
            "\nringcentral_extension_status_changes_created{".to_owned(),
            "\nprocess_cpu_seconds_created ".to_owned(),
        ],
    )
    .await;
    assert_eq!(parse(&text), Ok(count_samples(&text)));
    // Each of these is an error, so the parser checks what it should.
    for (from, to) in [
        ("# EOF\n", ""),
        (
            " Inbound when it ends.\n# TYPE ringcentral_calls_in_progress gauge",
            "\n# TYPE ringcentral_calls_in_progress counter",
        ),
        (
            "# UNIT process_cpu_seconds seconds",
            "# UNIT process_cpu_seconds bytes",
        ),
        ("le=\"+Inf\"", "le=\"1.0\""),
    ] {
        assert!(text.contains(from), "{from}");
        assert!(parse(&text.replace(from, to)).is_err(), "{from} → {to}");
    }
}

#[tokio::test]
async fn reference_parser_accepts_several_accounts() {
    let flags = [
        &ALL_FLAGS[..3],
        &["--demo.accounts", "3", "--ringcentral.presence", "poll"],
    ];
    let (_demo, url, _) = demo::start(&flags.concat()).await;
    let up = |name: &str| format!("\nringcentral_up{{account=\"{name}\"}} 1\n");
    let text = scrape_until(&url, &["demo-1", "demo-2", "demo-3"].map(up)).await;
    assert_eq!(parse(&text), Ok(count_samples(&text)));
}
