//! Business hours as a calendar with time zones knows them.
//!
//! Owns: what is right. Refuses to know: the rule.

use std::collections::BTreeMap;
use std::ops::Range;

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// When a company is open.
#[derive(Clone)]
pub struct Calendar {
    zone: TimeZone,
    /// Sunday is day 0.
    pub days: Range<i8>,
    pub hours: Range<f64>,
    /// Beyond the four that are shipped.
    pub holidays: Vec<Date>,
}

impl Calendar {
    /// Monday to Friday from 8:00 to 18:00, in a time zone by its name.
    pub fn of(zone: &str) -> Self {
        Self {
            zone: TimeZone::get(zone).unwrap(),
            days: 1..6,
            hours: 8.0..18.0,
            holidays: Vec::new(),
        }
    }

    pub fn is_open(&self, second: i64) -> bool {
        let local = self
            .zone
            .to_datetime(Timestamp::from_second(second).unwrap());
        let hour = f64::from(local.hour()) + f64::from(local.minute()) / 60.0;
        let day = local.weekday().to_sunday_zero_offset();
        self.days.contains(&day) && self.hours.contains(&hour) && !self.is_holiday(local.date())
    }

    /// New Year's Day, Independence Day, Thanksgiving, Christmas, and what was added.
    fn is_holiday(&self, date: Date) -> bool {
        let thanksgiving = Date::new(date.year(), 11, 1)
            .unwrap()
            .nth_weekday_of_month(4, Weekday::Thursday)
            .unwrap();
        [(1, 1), (7, 4), (12, 25)].contains(&(date.month(), date.day()))
            || date == thanksgiving
            || self.holidays.contains(&date)
    }

    /// When it opens on the first day of 2026, or would if it were no holiday.
    pub fn first_opening(&self) -> Timestamp {
        let midnight = new_year(2026)
            - SignedDuration::from_secs(i64::from(self.zone.to_offset(new_year(2026)).seconds()));
        midnight + SignedDuration::from_secs_f64(self.hours.start * 3600.0)
    }

    /// When the clocks change within a time.
    pub fn changes(&self, from: Timestamp, until: Timestamp) -> Vec<Timestamp> {
        self.zone
            .following(from)
            .map(|change| change.timestamp())
            .take_while(|change| *change < until)
            .collect()
    }

    /// Asserts that this is what was evaluated; says of the first differences when they are.
    pub fn assert_is(&self, evaluated: &BTreeMap<i64, bool>, what: &str) {
        let wrong = evaluated
            .iter()
            .filter(|(second, open)| self.is_open(**second) != **open);
        let wrong: Vec<_> = wrong
            .map(|(second, open)| (self.local(*second), *open))
            .collect();
        assert!(
            wrong.is_empty(),
            "{what}: {} times differ, such as {:?}",
            wrong.len(),
            &wrong[..wrong.len().min(3)]
        );
    }

    fn local(&self, second: i64) -> String {
        Timestamp::from_second(second)
            .unwrap()
            .to_zoned_datetime(self.zone.clone())
            .to_string()
    }
}

/// The year's first moment, in UTC.
pub fn new_year(year: i16) -> Timestamp {
    Date::new(year, 1, 1)
        .unwrap()
        .to_zoned_datetime(TimeZone::UTC)
        .unwrap()
        .timestamp()
}

pub const DAY: SignedDuration = SignedDuration::from_hours(24);

#[test]
fn the_calendar_knows_holidays_weekends_and_summer_time() {
    let new_york = Calendar::of("America/New_York");
    let at = |time: &str| new_york.is_open(time.parse::<Timestamp>().unwrap().as_second());
    assert!(
        at("2026-01-02T13:00:00Z") && !at("2026-01-02T12:59:59Z"),
        "standard time"
    );
    assert!(
        at("2026-06-01T12:00:00Z") && !at("2026-06-01T22:00:00Z"),
        "summer time"
    );
    assert!(
        !at("2026-01-03T15:00:00Z") && !at("2026-11-26T15:00:00Z") && at("2026-11-19T15:00:00Z")
    );
    assert_eq!(new_york.changes(new_year(2026), new_year(2028)).len(), 4);
}
