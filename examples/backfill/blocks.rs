//! Writes scrapes as OpenMetrics files, one for each block of two hours.
//!
//! Prometheus' blocks are two hours long, and `promtool` reads its whole input again for each block that it creates. Adds the
//! labels and samples that Prometheus itself adds to a scrape.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

/// Length of a block in seconds. Prometheus starts blocks at even hours in UTC.
const BLOCK: i64 = 2 * 60 * 60;

/// The files, written one after the other.
pub struct Blocks {
    folder: PathBuf,
    /// The target's labels, as written between braces.
    labels: String,
    files: u32,
    open: Option<(i64, BufWriter<File>)>,
}

impl Blocks {
    /// Creates the folder; files follow with the first scrape.
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

    /// Writes a successful scrape.
    pub fn scraped(&mut self, at: i64, text: &str, took: Duration) -> anyhow::Result<()> {
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        for line in samples.clone() {
            self.sample(at, line)?;
        }
        self.prometheus(at, 1, took, samples.count())
    }

    /// Writes a failed scrape, for which Prometheus records only its own samples.
    pub fn missed(&mut self, at: i64) -> anyhow::Result<()> {
        self.prometheus(at, 0, Duration::ZERO, 0)
    }

    /// Finishes the last file and returns the number of files.
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

    /// Splits the line from its end, since a label value may contain spaces and braces.
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

/// Creates a file; an existing one is an error, since it would mix two histories.
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
