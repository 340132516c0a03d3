//! Prometheus data folders backfilled with three earlier weeks of the recorded series that the volume alerts use.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::{SignedDuration, Timestamp};

/// Recorded series that the volume alerts compare with.
const SERIES: &str = "job_account:ringcentral_call_sessions_in_progress:avg1h{job=\"ringcentral\",account=\"default\"}";

/// Creates a data folder in which this number of calls is usual around the current hour.
pub fn create(folder: &Path, name: &str, calls: f64) -> PathBuf {
    let text = folder.join(format!("{name}.om"));
    std::fs::write(&text, samples(calls)).unwrap();
    let data = folder.join(name);
    let mut promtool = Command::new("promtool");
    promtool
        .args(["tsdb", "create-blocks-from", "openmetrics", "--quiet"])
        .arg(text)
        .arg(&data);
    let output = promtool
        .output()
        .expect("promtool is installed by `make tools`");
    let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{printed}");
    data
}

/// Returns one sample a minute, from one hour before to three hours after the current time of the week.
fn samples(calls: f64) -> String {
    let now = Timestamp::now();
    let mut text = String::new();
    for week in [3, 2, 1] {
        for minute in -60..180 {
            let time =
                now - SignedDuration::from_hours(week * 7 * 24) + SignedDuration::from_mins(minute);
            writeln!(text, "{SERIES} {calls} {}", time.as_second()).unwrap();
        }
    }
    text.push_str("# EOF\n");
    text
}
