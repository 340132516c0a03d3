//! Writes what Prometheus would have scraped from the exporter over some days, as OpenMetrics text for
//! `promtool tsdb create-blocks-from openmetrics`.
//!
//! Runs the exporter's own stages on simulated time against the simulated account, one scrape a step.
//!
//! | module | contents |
//! |---|---|
//! | [`flags`] | command-line flags |
//! | [`timeline`] | steps, and outages, penalties and restarts |
//! | [`account`] | responses of the simulated account |
//! | [`exporter`] | the exporter's stages, with the time as an argument |
//! | [`blocks`] | OpenMetrics files of two hours each |
//!
//! Differences from real data:
//!
//! - A series that disappears stays in query results for up to five minutes. Prometheus marks the end of a series with a
//!   special NaN, which OpenMetrics text cannot express.
//! - The `process_*` families are those of this tool, except `process_start_time_seconds`, which is simulated.
//! - Families have no type and no help text.
//!
//! Except for the `process_*` families, the same flags produce the same samples.

#![allow(
    unreachable_pub,
    reason = "nothing outside this program can use its items"
)]

mod account;
mod blocks;
mod exporter;
mod flags;
mod timeline;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use jiff::Timestamp;
use ringcentral_exporter::cli::format_clap_error;
use ringcentral_exporter::clock::Moment;

use account::Account;
use blocks::Blocks;
use exporter::Exporter;
use flags::Flags;
use timeline::Timeline;

/// Exit code if the files cannot be written.
const FAILED: u8 = 1;
/// Exit code for invalid flags.
const MISUSED: u8 = 2;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let flags = match Flags::try_parse() {
        Ok(flags) => flags,
        Err(error) if error.use_stderr() => return ended(MISUSED, &format_clap_error(&error)),
        Err(help) => help.exit(),
    };
    let folder = match flags.folder() {
        Ok(folder) => folder,
        Err(missing) => return ended(MISUSED, missing),
    };
    match write(&flags, folder).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => ended(FAILED, &format!("{error:#}")),
    }
}

fn ended(code: u8, line: &str) -> ExitCode {
    eprintln!("history: {line}");
    ExitCode::from(code)
}

/// Runs one step; during a restart of the exporter the scrape fails.
async fn write(flags: &Flags, folder: &Path) -> anyhow::Result<()> {
    let timeline = Timeline::new(flags.days, flags.step, flags.end(Moment::now().wall));
    let mut account = Account::open(flags.seed, timeline.clone()).await?;
    let mut blocks = Blocks::new(folder, &flags.job, &flags.instance)?;
    let beginning = beginning(&timeline)?;
    let mut exporter = Exporter::new(flags.limit, account.jwt_expiry(), beginning)?;
    for at in timeline.steps() {
        let moment = beginning.after(Duration::from_secs(at.abs_diff(timeline.first())));
        if timeline.restarts_at(at) {
            exporter = Exporter::new(flags.limit, account.jwt_expiry(), moment)?;
            blocks.missed(at)?;
        } else {
            let (text, answered) = exporter.scrape(&mut account, moment).await?;
            blocks.scraped(at, &text, answered.saturating_duration_since(moment))?;
        }
    }
    let files = blocks.finish()?;
    println!(
        "{} scrapes in {files} files: {}",
        timeline.steps().count(),
        folder.display()
    );
    Ok(())
}

/// Returns the first step by the wall clock, with an arbitrary monotonic time.
fn beginning(timeline: &Timeline) -> anyhow::Result<Moment> {
    let wall = Timestamp::from_second(timeline.first()).context("the first step is no time")?;
    Ok(Moment {
        wall,
        ..Moment::now()
    })
}
