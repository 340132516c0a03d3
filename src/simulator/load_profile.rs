//! The number of calls per minute at an instant: time of day, weekday and surges.

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
/// 1970-01-06, an ordinary working day.
const FIRST_TUESDAY_MS: i64 = 5 * DAY_MS;
const WEEKEND_SHARE: f64 = 0.12;

/// Share of the peak rate at each full hour of a working day; interpolated linearly.
const HOURLY_SHARES: [f64; 24] = [
    0.02, 0.02, 0.02, 0.02, 0.03, 0.05, 0.12, 0.32, 0.70, 0.95, 1.00, 0.96, 0.74, 0.80, 0.92, 0.90,
    0.80, 0.52, 0.28, 0.16, 0.10, 0.07, 0.04, 0.03,
];

/// Rate of arriving calls as a function of time.
#[derive(Clone, Debug)]
pub struct LoadProfile {
    /// Calls per minute at the busiest hour of a working day.
    pub calls_per_minute: f64,
    /// Offset of the company's local time from Unix time, in milliseconds.
    pub day_shift_ms: i64,
    /// Periodic increase of the rate.
    pub surge: Option<Surge>,
}

impl LoadProfile {
    /// Returns the shift with which `now` is the time of day `local_ms` of a Tuesday.
    pub fn shift_to(now: i64, local_ms: i64) -> i64 {
        FIRST_TUESDAY_MS + local_ms - now
    }

    /// Returns the calls per minute at `at`.
    pub fn rate(&self, at: i64) -> f64 {
        let factor = match &self.surge {
            Some(surge) => surge.factor_at(at),
            None => 1.0,
        };
        self.calls_per_minute * day_share(at + self.day_shift_ms) * factor
    }

    /// Returns an upper bound of the calls per minute.
    pub(super) fn max_rate(&self) -> f64 {
        let factor = match &self.surge {
            Some(surge) => surge.factor.max(1.0),
            None => 1.0,
        };
        self.calls_per_minute * factor
    }
}

fn day_share(local: i64) -> f64 {
    let weekday = local.div_euclid(DAY_MS).rem_euclid(7);
    let in_day = local.rem_euclid(DAY_MS);
    let hour = (in_day / HOUR_MS) as usize;
    let past_hour = (in_day % HOUR_MS) as f64 / HOUR_MS as f64;
    let share_at = |hour: usize| {
        let share = HOURLY_SHARES.get(hour % HOURLY_SHARES.len());
        share.copied().unwrap_or(0.0)
    };
    let share = share_at(hour) + (share_at(hour + 1) - share_at(hour)) * past_hour;
    // 1970-01-01 was a Thursday, so days 2 and 3 are Saturday and Sunday.
    if matches!(weekday, 2 | 3) {
        share * WEEKEND_SHARE
    } else {
        share
    }
}

/// A periodic increase of the rate: about 6 of every 12 minutes, first 10 s after `started_ms`.
#[derive(Clone, Debug)]
pub struct Surge {
    /// Start of the first cycle in Unix milliseconds.
    pub started_ms: i64,
    /// Factor of the rate at the peak.
    pub factor: f64,
}

impl Surge {
    const CYCLE_MS: i64 = 12 * MINUTE_MS;
    /// Time in the cycle and share of the peak; interpolated linearly.
    const CONTROL_POINTS: [(i64, f64); 6] = [
        (0, 0.0),
        (10_000, 0.0),
        (50_000, 1.0),
        (6 * MINUTE_MS, 1.0),
        (7 * MINUTE_MS, 0.0),
        (Self::CYCLE_MS, 0.0),
    ];

    fn factor_at(&self, at: i64) -> f64 {
        if at < self.started_ms {
            return 1.0;
        }
        let into = (at - self.started_ms) % Self::CYCLE_MS;
        let mut share = 0.0;
        for [start, end] in Self::CONTROL_POINTS.array_windows() {
            if into < end.0 {
                let progress = (into - start.0) as f64 / (end.0 - start.0) as f64;
                share = start.1 + (end.1 - start.1) * progress;
                break;
            }
        }
        1.0 + (self.factor - 1.0) * share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(surge: Option<Surge>) -> LoadProfile {
        LoadProfile {
            calls_per_minute: 10.0,
            day_shift_ms: 0,
            surge,
        }
    }

    #[test]
    fn rate_is_low_at_night_and_at_weekends() {
        let at = |day: i64, hour: i64| profile(None).rate(day * DAY_MS + hour * HOUR_MS);
        assert!((at(5, 10) - 10.0).abs() < 1e-9);
        assert!(at(5, 3) < 1.0);
        assert!(at(2, 10) < 2.0 && at(3, 10) < 2.0 && at(4, 10) > 9.0);
    }

    #[test]
    fn day_shift_moves_any_start_to_mid_morning() {
        let now = 1_790_000_000_000;
        let shift = LoadProfile::shift_to(now, 10 * HOUR_MS);
        let shifted = LoadProfile {
            day_shift_ms: shift,
            ..profile(None)
        };
        assert!((shifted.rate(now) - 10.0).abs() < 1e-9);
    }

    #[test]
    fn surge_rises_within_a_minute_and_repeats() {
        let surge = Surge {
            started_ms: 1_000,
            factor: 6.0,
        };
        let at = |seconds: i64| surge.factor_at(1_000 + seconds * 1_000);
        assert!((at(-5) - 1.0).abs() < 1e-9);
        assert!((at(5) - 1.0).abs() < 1e-9);
        assert!((at(60) - 6.0).abs() < 1e-9 && (at(350) - 6.0).abs() < 1e-9);
        assert!((at(8 * 60) - 1.0).abs() < 1e-9);
        assert!((at(13 * 60) - 6.0).abs() < 1e-9);
    }

    #[test]
    fn rate_never_exceeds_max_rate() {
        let profile = profile(Some(Surge {
            started_ms: 5 * DAY_MS,
            factor: 6.0,
        }));
        let busiest = (0..24 * 60).map(|m| profile.rate(5 * DAY_MS + m * MINUTE_MS));
        assert!(busiest.fold(0.0, f64::max) <= profile.max_rate());
    }
}
