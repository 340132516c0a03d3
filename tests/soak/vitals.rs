//! Judges the process: memory and file descriptors stay flat.

use crate::scrapes::Scrape;

/// The allocator's own doings.
pub const MEMORY_TOLERANCE: f64 = 2.0 * 1024.0 * 1024.0;
/// Connections come and go.
pub const FDS_TOLERANCE: f64 = 6.0;

/// Samples of the process, in the order of the scrapes.
#[derive(Default)]
pub struct Vitals {
    samples: Vec<(i64, f64, f64)>,
}

/// What a quarter of the run looked like.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quarter {
    pub mean_memory: f64,
    pub most_memory: f64,
    pub mean_fds: f64,
    pub most_fds: f64,
}

impl Vitals {
    pub fn look_at(&mut self, scrape: &Scrape) {
        let memory = scrape.value("process_resident_memory_bytes");
        let fds = scrape.value("process_open_fds");
        self.samples.extend(
            memory
                .zip(fds)
                .map(|(memory, fds)| (scrape.at_ms, memory, fds)),
        );
    }

    /// The run in four parts of the same length.
    pub fn quarters(&self) -> [Quarter; 4] {
        let times = || self.samples.iter().map(|(at, ..)| *at);
        let (first, last) = (times().min().unwrap_or(0), times().max().unwrap_or(0));
        let edge = |n: i64| first + (last - first) * n / 4;
        [0, 1, 2, 3].map(|n| self.quarter(edge(n), edge(n + 1)))
    }

    fn quarter(&self, from: i64, until: i64) -> Quarter {
        let within: Vec<_> = self
            .samples
            .iter()
            .filter(|(at, ..)| (from..=until).contains(at))
            .collect();
        let count = within.len().max(1) as f64;
        let most = |value: fn(&(i64, f64, f64)) -> f64| {
            within
                .iter()
                .map(|sample| value(sample))
                .fold(0.0, f64::max)
        };
        Quarter {
            mean_memory: within.iter().map(|sample| sample.1).sum::<f64>() / count,
            most_memory: most(|sample| sample.1),
            mean_fds: within.iter().map(|sample| sample.2).sum::<f64>() / count,
            most_fds: most(|sample| sample.2),
        }
    }

    /// What has grown from the second quarter to the last.
    pub fn judge(&self) -> Vec<String> {
        let [_, second, _, last] = self.quarters();
        let mut wrong = Vec::new();
        if last.mean_memory > second.mean_memory + MEMORY_TOLERANCE {
            wrong.push(format!(
                "memory grew from {} to {} bytes",
                second.mean_memory, last.mean_memory
            ));
        }
        if last.most_fds > second.most_fds + FDS_TOLERANCE {
            wrong.push(format!(
                "open file descriptors grew from {} to {}",
                second.most_fds, last.most_fds
            ));
        }
        wrong
    }
}

#[test]
fn a_process_that_grows_is_found_out() {
    let grows = |by: f64| Vitals {
        samples: (0..100)
            .map(|n| (n, 8e6 + by * n as f64, 16.0 + by * n as f64))
            .collect(),
    };
    assert!(grows(0.0).judge().is_empty());
    assert_eq!(grows(100_000.0).judge().len(), 2);
}
