//! Measured durations and their percentiles.

use tokio::time::Instant;

/// Measured durations in milliseconds.
#[derive(Default)]
pub struct Times(Vec<f64>);

impl Times {
    /// Measures the duration of a future.
    pub async fn measure<T>(&mut self, work: impl Future<Output = T>) -> T {
        let started = Instant::now();
        let done = work.await;
        self.0.push(started.elapsed().as_secs_f64() * 1000.0);
        done
    }

    pub fn median(&mut self) -> f64 {
        self.quantile(0.5)
    }

    /// Returns the percentile for this share of the durations.
    pub fn quantile(&mut self, share: f64) -> f64 {
        self.0.sort_by(f64::total_cmp);
        let rank = (share * self.0.len() as f64).ceil() as usize;
        self.0[rank.saturating_sub(1)]
    }
}
