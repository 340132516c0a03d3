//! Scrapes, to files in the form of OpenMetrics.
//!
//! Owns: the labels and the samples that Prometheus itself adds to a scrape, and one file for each block of two hours.
//! Prometheus' blocks are that long, and `promtool` reads its whole input anew for each block that it makes. Refuses to
//! know: what the samples mean.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

/// Seconds. Prometheus begins a block at each even hour in UTC.
const BLOCK: i64 = 2 * 60 * 60;

/// The files of a history, written one after the other.
pub struct Blocks {
    folder: PathBuf,
    /// As they stand between braces.
    labels: String,
    files: u32,
    open: Option<(i64, BufWriter<File>)>,
}

impl Blocks {
    /// No file yet, but their folder.
    pub fn new(folder: &Path, job: &str, instance: &str) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let labels = format!(r#"instance="{}",job="{}""#, escaped(instance), escaped(job));
        Ok(Self {
            folder: folder.to_owned(),
            labels,
            files: 0,
            open: None,
        })
    }

    /// A scrape that was answered.
    pub fn scraped(&mut self, at: i64, text: &str, took: Duration) -> anyhow::Result<()> {
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        for line in samples.clone() {
            self.sample(at, line)?;
        }
        self.prometheus(at, 1, took, samples.count())
    }

    /// A scrape that found nobody: Prometheus tells so by samples of its own.
    pub fn missed(&mut self, at: i64) -> anyhow::Result<()> {
        self.prometheus(at, 0, Duration::ZERO, 0)
    }

    /// Ends the last file; gives how many there are.
    pub fn finish(mut self) -> anyhow::Result<u32> {
        self.end_file()?;
        Ok(self.files)
    }

    fn prometheus(
        &mut self,
        at: i64,
        up: u8,
        took: Duration,
        samples: usize,
    ) -> anyhow::Result<()> {
        self.sample(at, &format!("up {up}"))?;
        self.sample(
            at,
            &format!("scrape_duration_seconds {}", took.as_secs_f64()),
        )?;
        self.sample(at, &format!("scrape_samples_scraped {samples}"))
    }

    /// A label value may hold spaces and braces, so the line is taken apart from its end.
    fn sample(&mut self, at: i64, line: &str) -> anyhow::Result<()> {
        let (series, value) = line
            .rsplit_once(' ')
            .with_context(|| format!("no sample: {line}"))?;
        let (begun, comma) = match series.strip_suffix('}') {
            Some(begun) => (begun, ","),
            None => (series, "{"),
        };
        let (labels, file) = self.file(at)?;
        writeln!(file, "{begun}{comma}{labels}}} {value} {at}")?;
        Ok(())
    }

    fn file(&mut self, at: i64) -> anyhow::Result<(&str, &mut BufWriter<File>)> {
        let block = at.div_euclid(BLOCK);
        if self.open.as_ref().is_none_or(|(open, _)| *open != block) {
            self.end_file()?;
            self.open = Some((block, create(&self.folder, self.files)?));
            self.files += 1;
        }
        let (_, file) = self.open.as_mut().context("a file is open")?;
        Ok((&self.labels, file))
    }

    fn end_file(&mut self) -> anyhow::Result<()> {
        let Some((_, mut file)) = self.open.take() else {
            return Ok(());
        };
        writeln!(file, "# EOF")?;
        Ok(file.flush()?)
    }
}

/// A file of an older history would be taken for a part of this one, so it is not overwritten.
fn create(folder: &Path, number: u32) -> anyhow::Result<BufWriter<File>> {
    let path = folder.join(format!("{number:04}.om"));
    let file = File::create_new(&path).with_context(|| path.display().to_string())?;
    Ok(BufWriter::new(file))
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', r"\\")
        .replace('"', r#"\""#)
        .replace('\n', r"\n")
}
