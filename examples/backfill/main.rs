//! What Prometheus would have scraped from the exporter over some days, as OpenMetrics text for
//! `promtool tsdb create-blocks-from openmetrics`.
//!
//! Owns: putting the exporter's own stages, run on simulated time against the simulated account, behind one scrape a
//! step. Nothing is counted here. Refuses to know: what the numbers mean, and Prometheus' storage.
//!
//! | module | what it owns |
//! |---|---|
//! | [`flags`] | what the user typed |
//! | [`timeline`] | the steps, and what goes wrong when |
//! | [`account`] | the simulated account's answers |
//! | [`exporter`] | the exporter, with the time as an argument |
//! | [`blocks`] | files of two hours each, in the form of OpenMetrics |
//!
//! Where such a history differs from a real one:
//!
//! - A series that vanishes from one step to the next lingers in queries for up to five minutes. Prometheus marks the end
//!   of a series with a special NaN, which OpenMetrics text cannot express.
//! - The `process_*` families are those of this tool as it runs, but for `process_start_time_seconds`, which is the
//!   simulated exporter's.
//! - Families have no type and no help text.
//!
//! But for those of the process, the same flags give the same samples.

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

/// Could not write a history.
const FAILED: u8 = 1;
/// Bad flags.
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

/// The step at which the exporter is restarted finds nobody listening.
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

/// The first step by the wall clock; the monotonic one may begin anywhere.
fn beginning(timeline: &Timeline) -> anyhow::Result<Moment> {
    let wall = Timestamp::from_second(timeline.first()).context("the first step is no time")?;
    Ok(Moment {
        wall,
        ..Moment::now()
    })
}
