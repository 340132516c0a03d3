//! How busy the company is at an instant: the day's curve, the week, and a surge.
//!
//! Pure. Knows how many calls arrive, not what they are.

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
/// 1970-01-06: a day whose calls nobody will find odd.
const A_TUESDAY_MS: i64 = 5 * DAY_MS;
const WEEKEND_SHARE: f64 = 0.12;

/// Share of the peak at each full hour of a working day; straight lines between them.
const HOURS: [f64; 24] = [
    0.02, 0.02, 0.02, 0.02, 0.03, 0.05, 0.12, 0.32, 0.70, 0.95, 1.00, 0.96, 0.74, 0.80, 0.92, 0.90,
    0.80, 0.52, 0.28, 0.16, 0.10, 0.07, 0.04, 0.03,
];

/// Arrivals as a function of time.
#[derive(Clone, Debug)]
pub struct LoadProfile {
    /// Calls a minute at the busiest hour of a plain day.
    pub calls_per_minute: f64,
    /// What must be added to unix time to get the company's local time.
    pub day_shift_ms: i64,
    /// A storm of calls that comes and goes.
    pub surge: Option<Surge>,
}

impl LoadProfile {
    /// The shift that makes `now` look like the time of day `local_ms` of a Tuesday.
    pub fn shift_to(now: i64, local_ms: i64) -> i64 {
        A_TUESDAY_MS + local_ms - now
    }

    /// Calls a minute at the instant `at`.
    pub fn rate(&self, at: i64) -> f64 {
        let factor = self.surge.as_ref().map_or(1.0, |surge| surge.factor_at(at));
        self.calls_per_minute * day_share(at + self.day_shift_ms) * factor
    }

    /// No instant is ever busier than this many calls a minute.
    pub(super) fn highest_rate(&self) -> f64 {
        let factor = self
            .surge
            .as_ref()
            .map_or(1.0, |surge| surge.factor.max(1.0));
        self.calls_per_minute * factor
    }
}

fn day_share(local: i64) -> f64 {
    let weekday = local.div_euclid(DAY_MS).rem_euclid(7);
    let in_day = local.rem_euclid(DAY_MS);
    let hour = (in_day / HOUR_MS) as usize;
    let past_hour = (in_day % HOUR_MS) as f64 / HOUR_MS as f64;
    let at = |hour: usize| HOURS.get(hour % HOURS.len()).copied().unwrap_or(0.0);
    let share = at(hour) + (at(hour + 1) - at(hour)) * past_hour;
    // 1970-01-01 was a Thursday, so day 2 of each such week is a Saturday.
    if matches!(weekday, 2 | 3) {
        share * WEEKEND_SHARE
    } else {
        share
    }
}

/// Traffic that multiplies soon after `started_ms`, stays so for minutes, falls back, and repeats.
#[derive(Clone, Debug)]
pub struct Surge {
    /// The instant from which the cycles are counted.
    pub started_ms: i64,
    /// How many times the usual traffic its height is.
    pub factor: f64,
}

impl Surge {
    const CYCLE_MS: i64 = 12 * MINUTE_MS;
    /// (time into the cycle, share of the height): straight lines between the knots.
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
        let legs = Self::CONTROL_POINTS
            .iter()
            .zip(Self::CONTROL_POINTS.iter().skip(1));
        let mut legs = legs.filter(|(_, end)| into < end.0);
        let height = legs.next().map_or(0.0, |(start, end)| {
            let share = (into - start.0) as f64 / (end.0 - start.0) as f64;
            start.1 + (end.1 - start.1) * share
        });
        1.0 + (self.factor - 1.0) * height
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(surge: Option<Surge>) -> LoadProfile {
        LoadProfile {
            calls_per_minute: 10.0,
            day_shift_ms: 0,
            surge,
        }
    }

    #[test]
    fn mornings_are_busy_nights_are_quiet_and_weekends_are_nearly_so() {
        let at = |day: i64, hour: i64| curve(None).rate(day * DAY_MS + hour * HOUR_MS);
        assert!((at(5, 10) - 10.0).abs() < 1e-9);
        assert!(at(5, 3) < 1.0);
        assert!(at(2, 10) < 2.0 && at(3, 10) < 2.0 && at(4, 10) > 9.0);
    }

    #[test]
    fn the_shift_turns_any_start_into_mid_morning() {
        let now = 1_790_000_000_000;
        let shift = LoadProfile::shift_to(now, 10 * HOUR_MS);
        let shifted = LoadProfile {
            day_shift_ms: shift,
            ..curve(None)
        };
        assert!((shifted.rate(now) - 10.0).abs() < 1e-9);
    }

    #[test]
    fn a_surge_rises_within_a_minute_stays_for_minutes_falls_and_repeats() {
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
    fn no_instant_is_busier_than_the_highest_rate() {
        let curve = curve(Some(Surge {
            started_ms: 5 * DAY_MS,
            factor: 6.0,
        }));
        let busiest = (0..24 * 60).map(|m| curve.rate(5 * DAY_MS + m * MINUTE_MS));
        assert!(busiest.fold(0.0, f64::max) <= curve.highest_rate());
    }
}
