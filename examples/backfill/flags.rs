//! Command-line flags and their validation.

use std::path::{Path, PathBuf};

use clap::Parser;
use clap::builder::NonEmptyStringValueParser;
use jiff::Timestamp;

/// Writes the samples that Prometheus would have scraped over some days of a simulated account.
#[derive(Debug, Parser)]
#[command(
    name = "history",
    after_help = "Each file is for `promtool tsdb create-blocks-from openmetrics FILE DATA`."
)]
pub struct Flags {
    /// Folder for the files 0000.om, 0001.om, …, one per two hours; created if missing, existing files are an error [required]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Days before the end, 1 to 366
    #[arg(long, value_name = "NUMBER", default_value = "9", value_parser = clap::value_parser!(i64).range(1..=366))]
    pub days: i64,
    /// Seconds from one scrape to the next, 1 to 300; above 100 the exporter sees a gap at each
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = clap::value_parser!(i64).range(1..=300))]
    pub step: i64,
    /// Seed of the company, its calls and latencies
    #[arg(long, value_name = "NUMBER", default_value = "1")]
    pub seed: u64,
    /// Time of the last scrape in Unix seconds [default: now, rounded down to the step]
    #[arg(long, value_name = "UNIX_SECONDS", value_parser = clap::value_parser!(i64).range(EARLIEST_END..=LATEST_END))]
    end: Option<i64>,
    /// Concurrent calls that the account allows, 1 to 1000000
    #[arg(long, value_name = "NUMBER", default_value = "60", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub limit: u64,
    /// Value of the label `job`
    #[arg(long, value_name = "NAME", default_value = "ringcentral", value_parser = NonEmptyStringValueParser::new())]
    pub job: String,
    /// Value of the label `instance`
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:10072", value_parser = NonEmptyStringValueParser::new())]
    pub instance: String,
}

/// 1971-01-02: the longest history that ends here starts in 1970.
const EARLIEST_END: i64 = 366 * 86_400;
/// 2100-01-01.
const LATEST_END: i64 = 4_102_444_800;

impl Flags {
    /// Returns the folder. Checked here, since clap reports a missing flag in several lines.
    pub fn folder(&self) -> Result<&Path, &'static str> {
        self.out
            .as_deref()
            .ok_or("--out is required: the folder for the files")
    }

    /// Returns the time of the last scrape in Unix seconds.
    pub fn end(&self, now: Timestamp) -> i64 {
        self.end
            .unwrap_or_else(|| now.as_second() - now.as_second().rem_euclid(self.step))
    }
}
