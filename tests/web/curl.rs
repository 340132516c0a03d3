//! curl as an HTTP client.

use std::process::Output;

use tokio::process::Command;

/// The result of a curl command.
#[derive(Debug)]
pub struct CurlResponse {
    /// The HTTP status; 0 without a response.
    pub status: u16,
    /// Head and body of the response.
    pub text: String,
    /// Standard error of curl.
    pub error: String,
    /// The duration of the request.
    pub seconds: f64,
}

/// Runs curl, for at most a minute.
pub async fn curl(arguments: &[&str]) -> CurlResponse {
    let mut command = Command::new("curl");
    command.env_clear().args([
        "--silent",
        "--show-error",
        "--include",
        "--max-time",
        "60",
        "--noproxy",
        "*",
    ]);
    command
        .args(["--write-out", "\n%{http_code} %{time_total}"])
        .args(arguments)
        .kill_on_drop(true);
    let Output { stdout, stderr, .. } = command
        .output()
        .await
        .expect("curl is not installed: run `make tools`");
    let text = String::from_utf8_lossy(&stdout).into_owned();
    let (text, numbers) = text.rsplit_once('\n').unwrap();
    let (status, seconds) = numbers.split_once(' ').unwrap();
    CurlResponse {
        status: status.parse().unwrap(),
        text: text.replace("\r\n", "\n"),
        error: String::from_utf8_lossy(&stderr).into_owned(),
        seconds: seconds.parse().unwrap(),
    }
}

impl CurlResponse {
    /// Returns whether the head contains this line, in any case.
    pub fn has_header(&self, line: &str) -> bool {
        let head = self.text.split("\n\n").next().unwrap_or_default();
        head.lines()
            .any(|present| present.eq_ignore_ascii_case(line))
    }

    /// Returns the value of a series without labels.
    #[track_caller]
    pub fn value(&self, series: &str) -> f64 {
        let value = self
            .text
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value
            .unwrap_or_else(|| panic!("no {series} in {}", self.text))
            .parse()
            .unwrap()
    }
}
