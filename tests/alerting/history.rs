//! Stores that know what was usual in three earlier weeks.
//!
//! Owns: the one recorded series that the volume alerts compare with. Refuses to know: the alerts.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::{SignedDuration, Timestamp};

const SERIES: &str = "job_account:ringcentral_call_sessions_in_progress:avg1h{job=\"ringcentral\",account=\"default\"}";

/// Makes a folder of this name, in which so many calls were usual around this hour.
pub fn of(folder: &Path, name: &str, calls: f64) -> PathBuf {
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
        .expect("promtool is installed: `make tools` does it");
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{said}");
    data
}

/// Every minute from an hour before until three hours after this time of the week.
fn samples(calls: f64) -> String {
    let now = Timestamp::now();
    let mut text = String::new();
    for week in [3, 2, 1] {
        for minute in -60..180 {
            let at =
                now - SignedDuration::from_hours(week * 7 * 24) + SignedDuration::from_mins(minute);
            writeln!(text, "{SERIES} {calls} {}", at.as_second()).unwrap();
        }
    }
    text.push_str("# EOF\n");
    text
}
