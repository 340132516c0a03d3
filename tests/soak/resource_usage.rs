//! Check of the process: memory and file descriptors stay flat.

use crate::scrapes::Scrape;

/// Variation by the allocator, in bytes.
pub const MEMORY_TOLERANCE: f64 = 2.0 * 1024.0 * 1024.0;
/// Variation by open connections.
pub const FDS_TOLERANCE: f64 = 6.0;

/// The process metrics of all scrapes, in order.
#[derive(Default)]
pub struct ResourceUsage {
    samples: Vec<Sample>,
}

#[derive(Clone, Copy)]
struct Sample {
    at_ms: i64,
    memory: f64,
    fds: f64,
}

/// Means and maxima of a quarter of the run, memory in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quarter {
    pub mean_memory: f64,
    pub max_memory: f64,
    pub mean_fds: f64,
    pub max_fds: f64,
}

impl ResourceUsage {
    /// Adds a scrape.
    pub fn record(&mut self, scrape: &Scrape) {
        let memory = scrape.value("process_resident_memory_bytes");
        let fds = scrape.value("process_open_fds");
        if let (Some(memory), Some(fds)) = (memory, fds) {
            self.samples.push(Sample {
                at_ms: scrape.at_ms,
                memory,
                fds,
            });
        }
    }

    /// Returns the usage in four parts of the same duration.
    pub fn quarters(&self) -> [Quarter; 4] {
        let times = || self.samples.iter().map(|sample| sample.at_ms);
        let (first, last) = (times().min().unwrap_or(0), times().max().unwrap_or(0));
        let edge = |n: i64| first + (last - first) * n / 4;
        [0, 1, 2, 3].map(|n| self.quarter(edge(n), edge(n + 1)))
    }

    fn quarter(&self, from: i64, until: i64) -> Quarter {
        let mut quarter = Quarter::default();
        let mut count = 0.0;
        for sample in &self.samples {
            if !(from..=until).contains(&sample.at_ms) {
                continue;
            }
            count += 1.0;
            quarter.mean_memory += sample.memory;
            quarter.mean_fds += sample.fds;
            quarter.max_memory = quarter.max_memory.max(sample.memory);
            quarter.max_fds = quarter.max_fds.max(sample.fds);
        }
        if count > 0.0 {
            quarter.mean_memory /= count;
            quarter.mean_fds /= count;
        }
        quarter
    }

    /// Returns the growth from the second quarter to the last that exceeds the tolerances.
    pub fn check(&self) -> Vec<String> {
        let [_, second, _, last] = self.quarters();
        let mut violations = Vec::new();
        if last.mean_memory > second.mean_memory + MEMORY_TOLERANCE {
            violations.push(format!(
                "memory grew from {} to {} bytes",
                second.mean_memory, last.mean_memory
            ));
        }
        if last.max_fds > second.max_fds + FDS_TOLERANCE {
            violations.push(format!(
                "open file descriptors grew from {} to {}",
                second.max_fds, last.max_fds
            ));
        }
        violations
    }
}

#[test]
fn growing_process_is_detected() {
    let usage = |growth: f64| ResourceUsage {
        samples: (0..100)
            .map(|n| Sample {
                at_ms: n,
                memory: 8e6 + growth * n as f64,
                fds: 16.0 + growth * n as f64,
            })
            .collect(),
    };
    assert!(usage(0.0).check().is_empty());
    assert_eq!(usage(100_000.0).check().len(), 2);
}
