//! curl, as a person or a script uses it.

use std::process::Output;

use tokio::process::Command;

/// What curl got.
#[derive(Debug)]
pub struct Answer {
    /// 0 if there was no answer at all.
    pub status: u16,
    /// Head and body.
    pub text: String,
    /// curl's own complaint.
    pub error: String,
    pub seconds: f64,
}

/// Runs curl; it waits for 10 s at most.
pub async fn curl(arguments: &[&str]) -> Answer {
    let mut command = Command::new("curl");
    command.env_clear().args([
        "--silent",
        "--show-error",
        "--include",
        "--max-time",
        "10",
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
        .expect("curl is installed: `make tools` does it");
    let text = String::from_utf8_lossy(&stdout).into_owned();
    let (text, numbers) = text.rsplit_once('\n').unwrap();
    let (status, seconds) = numbers.split_once(' ').unwrap();
    Answer {
        status: status.parse().unwrap(),
        text: text.replace("\r\n", "\n"),
        error: String::from_utf8_lossy(&stderr).into_owned(),
        seconds: seconds.parse().unwrap(),
    }
}

impl Answer {
    /// Whether the head has this line.
    pub fn has_header(&self, line: &str) -> bool {
        let head = self.text.split("\n\n").next().unwrap_or_default();
        head.lines()
            .any(|present| present.eq_ignore_ascii_case(line))
    }

    /// The value of a series without labels.
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
