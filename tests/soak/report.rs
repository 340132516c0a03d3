//! What a run has done and what was judged, in Markdown.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};

use crate::court::Court;
use crate::diary::Diary;
use crate::proxy::Exchange;
use crate::vitals::{FDS_TOLERANCE, MEMORY_TOLERANCE};

const MIB: f64 = 1024.0 * 1024.0;

/// The whole report.
pub fn report(seed: u64, court: &Court, diary: &Diary, exchanges: &[Exchange]) -> String {
    let mut text = format!("# Soak\n\n{}", head(seed, diary));
    section(&mut text, "Done", &done(court, diary, exchanges));
    section(&mut text, "Judged", &judged(court));
    text.push_str(&quarters(court));
    let verdict = match court.wrong.len() {
        0 => "All judges are content.".to_owned(),
        count => format!("{count} findings, the first: {}", court.wrong[0]),
    };
    writeln!(text, "\n{verdict}").unwrap();
    text
}

fn head(seed: u64, diary: &Diary) -> String {
    let seconds = (diary.stopped_ms.unwrap_or(0) - diary.started_ms) / 1000;
    let model = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map(|(_, name)| name.to_owned());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let began = jiff::Timestamp::from_millisecond(diary.started_ms).unwrap();
    format!(
        "Seed {seed}, {seconds} s from {began:.0}, {cores} cores of {}.\n",
        model.unwrap_or_default()
    )
}

fn section(text: &mut String, title: &str, rows: &[(String, String)]) {
    write!(text, "\n## {title}\n\n| what | how much |\n|---|---|\n").unwrap();
    rows.iter()
        .for_each(|(what, value)| writeln!(text, "| {what} | {value} |").unwrap());
}

fn row(what: &str, value: impl Display) -> (String, String) {
    (what.to_owned(), value.to_string())
}

fn done(court: &Court, diary: &Diary, exchanges: &[Exchange]) -> Vec<(String, String)> {
    let requests = &court.requests;
    let mut fates: BTreeMap<&str, u64> = BTreeMap::new();
    exchanges
        .iter()
        .for_each(|exchange| *fates.entry(exchange.fate.name()).or_default() += 1);
    let statuses = requests
        .counts
        .iter()
        .map(|((operation, status), count)| (format!("{operation} {status}"), *count));
    let failures = court.failures.iter().filter(|(_, count)| *count > 0.0);
    let storms = diary.phases.iter().filter(|(_, phase)| !phase.is_calm());
    let storms = storms
        .map(|(_, phase)| (format!("{:?}/{:?}", phase.network, phase.api), 1))
        .collect();
    vec![
        row("storms: network/API", list(&storms)),
        row("exchanges by what became of them", list(&fates)),
        row("faults of the API by kind", list(&requests.faults)),
        row("sessions ended", diary.evictions.len()),
        row(
            "JWTs rotated, of these announced by SIGHUP",
            format!("{}, {}", diary.rotations.len(), diary.reloads.len()),
        ),
        row(
            "requests by status as the API answered (0: not at all)",
            list(&statuses.collect()),
        ),
        row("logins by reason", list(&requests.logins)),
        row("logins refused", requests.refused_logins),
        row(
            "failures as the exporter counted them",
            list(
                &failures
                    .map(|(series, count)| (labels(series), *count))
                    .collect(),
            ),
        ),
    ]
}

fn judged(court: &Court) -> Vec<(String, String)> {
    let (numbers, requests) = (&court.numbers, &court.requests);
    let heavy = requests.most.get("heavy").copied().unwrap_or(0);
    vec![
        row(
            "scrapes by the pair, all answered; the slowest",
            format!("{}; {} ms", numbers.scrapes, numbers.slowest_ms),
        ),
        row("snapshots compared with the truth", numbers.snapshots),
        row(
            "scrapes that showed calls; the oldest",
            format!("{}; {} ms", numbers.shown, numbers.oldest_shown_ms),
        ),
        row("scrapes that showed none, with reason", numbers.absent),
        row("scrapes with `ringcentral_up` 0", numbers.down),
        row("scrapes of which recovery was demanded", numbers.recovered),
        row(
            "calls counted as ended, and in truth",
            format!("{}, {}", numbers.ended, numbers.ended_truly),
        ),
        row(
            "of these outside declared gaps, exact",
            numbers.ended_outside_gaps,
        ),
        row(
            "declared gaps; calls told as lost",
            format!("{}; {}", numbers.gaps, numbers.lost),
        ),
        row(
            "longest stretch without a gap",
            format!("{} s", numbers.longest_stretch_ms / 1000),
        ),
        row("most requests of the list in any 60 s", heavy),
        row(
            "429 after another tool had spent the limit",
            requests.refused_by_other_tool,
        ),
        row(
            "findings: wrong numbers, 429 of our making, requests in a penalty, ...",
            court.wrong.len(),
        ),
        row(
            "requests inside a penalty that the network had kept secret",
            requests.excused,
        ),
    ]
}

fn quarters(court: &Court) -> String {
    let mut text =
        "\n| quarter | memory, mean | most | file descriptors, mean | most |\n|---|---|---|---|---|\n".to_owned();
    for (n, quarter) in court.vitals.quarters().iter().enumerate() {
        let (mean, most) = (quarter.mean_memory / MIB, quarter.most_memory / MIB);
        let (mean_fds, most_fds) = (quarter.mean_fds, quarter.most_fds);
        writeln!(
            text,
            "| {} | {mean:.2} MiB | {most:.2} MiB | {mean_fds:.1} | {most_fds} |",
            n + 1
        )
        .unwrap();
    }
    let tolerance = MEMORY_TOLERANCE / MIB;
    writeln!(
        text,
        "\nThe last may exceed the second by {tolerance} MiB in the mean, and by {FDS_TOLERANCE} descriptors at most."
    )
    .unwrap();
    text
}

fn labels(series: &str) -> String {
    series
        .split('"')
        .skip(3)
        .step_by(2)
        .collect::<Vec<_>>()
        .join(" ")
}

fn list<K: Display, V: Display>(counts: &BTreeMap<K, V>) -> String {
    let counts: Vec<_> = counts
        .iter()
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    counts.join(", ")
}
