//! Business hours computed with a time zone database, as the expected result of the business hours rule.

use std::collections::BTreeMap;
use std::ops::Range;

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Opening hours, working days and holidays of a company.
#[derive(Clone)]
pub struct Calendar {
    zone: TimeZone,
    /// Working days, where Sunday is 0.
    pub days: Range<i8>,
    /// Opening hours in local time, in hours since midnight.
    pub hours: Range<f64>,
    /// Holidays in addition to the four in the shipped rule.
    pub holidays: Vec<Date>,
}

impl Calendar {
    /// Creates a calendar for Monday to Friday, 8:00 to 18:00, in the named time zone.
    pub fn for_zone(zone: &str) -> Self {
        Self {
            zone: TimeZone::get(zone).unwrap(),
            days: 1..6,
            hours: 8.0..18.0,
            holidays: Vec::new(),
        }
    }

    /// Returns whether the company is open at a Unix time in seconds.
    pub fn is_open(&self, second: i64) -> bool {
        let local = self
            .zone
            .to_datetime(Timestamp::from_second(second).unwrap());
        let hour = f64::from(local.hour()) + f64::from(local.minute()) / 60.0;
        let day = local.weekday().to_sunday_zero_offset();
        self.days.contains(&day) && self.hours.contains(&hour) && !self.is_holiday(local.date())
    }

    /// Returns whether the date is New Year's Day, Independence Day, Thanksgiving, Christmas or in `holidays`.
    fn is_holiday(&self, date: Date) -> bool {
        let thanksgiving = Date::new(date.year(), 11, 1)
            .unwrap()
            .nth_weekday_of_month(4, Weekday::Thursday)
            .unwrap();
        [(1, 1), (7, 4), (12, 25)].contains(&(date.month(), date.day()))
            || date == thanksgiving
            || self.holidays.contains(&date)
    }

    /// Returns the opening time on 1 January 2026, ignoring that the day is a holiday.
    pub fn first_opening(&self) -> Timestamp {
        let midnight = new_year(2026)
            - SignedDuration::from_secs(i64::from(self.zone.to_offset(new_year(2026)).seconds()));
        midnight + SignedDuration::from_secs_f64(self.hours.start * 3600.0)
    }

    /// Returns the daylight saving time changes between two times.
    pub fn clock_changes(&self, from: Timestamp, until: Timestamp) -> Vec<Timestamp> {
        self.zone
            .following(from)
            .map(|change| change.timestamp())
            .take_while(|change| *change < until)
            .collect()
    }

    /// Asserts that the evaluated states match this calendar; the panic message has the first three differences.
    pub fn assert_matches(&self, evaluated: &BTreeMap<i64, bool>, context: &str) {
        let mut differences = Vec::new();
        for (second, open) in evaluated {
            if self.is_open(*second) != *open {
                differences.push((self.local_time(*second), *open));
            }
        }
        assert!(
            differences.is_empty(),
            "{context}: {} times differ, such as {:?}",
            differences.len(),
            &differences[..differences.len().min(3)]
        );
    }

    /// Formats a Unix time in the time zone of the calendar.
    fn local_time(&self, second: i64) -> String {
        Timestamp::from_second(second)
            .unwrap()
            .to_zoned_datetime(self.zone.clone())
            .to_string()
    }
}

/// Returns the start of the year in UTC.
pub fn new_year(year: i16) -> Timestamp {
    Date::new(year, 1, 1)
        .unwrap()
        .to_zoned_datetime(TimeZone::UTC)
        .unwrap()
        .timestamp()
}

/// 24 hours.
pub const DAY: SignedDuration = SignedDuration::from_hours(24);

#[test]
fn calendar_has_holidays_weekends_and_summer_time() {
    let new_york = Calendar::for_zone("America/New_York");
    let is_open = |time: &str| new_york.is_open(time.parse::<Timestamp>().unwrap().as_second());
    assert!(
        is_open("2026-01-02T13:00:00Z") && !is_open("2026-01-02T12:59:59Z"),
        "standard time"
    );
    assert!(
        is_open("2026-06-01T12:00:00Z") && !is_open("2026-06-01T22:00:00Z"),
        "summer time"
    );
    assert!(
        !is_open("2026-01-03T15:00:00Z")
            && !is_open("2026-11-26T15:00:00Z")
            && is_open("2026-11-19T15:00:00Z")
    );
    assert_eq!(
        new_york.clock_changes(new_year(2026), new_year(2028)).len(),
        4
    );
}
