//! The rate limit headers of a response in the forms that servers and gateways send.

use proptest::prelude::*;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use ringcentral_exporter::clock::Moment;
use ringcentral_exporter::ringcentral::rate_limit::headers::RateLimitHeaders;

/// How the headers of all responses of a day are written.
#[derive(Clone, Copy, Debug)]
pub struct HeaderStyle {
    prefix: &'static str,
    group: Option<&'static str>,
    number: NumberStyle,
    retry_after: RetryAfterStyle,
}

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NumberStyle {
    Plain,
    /// A whole number with a fraction of 0.
    Float,
    /// A list with a larger number, which does not count.
    List,
    /// A second line with a larger number, which does not count.
    TwoLines,
}

/// How a wait is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RetryAfterStyle {
    Seconds,
    /// Half a second less, which is rounded up.
    Fraction,
    /// A list with a smaller number, which does not count.
    List,
    /// A second line with a smaller number, which does not count.
    TwoLines,
    /// A date with an offset from UTC.
    Date,
    /// With a unit, which is not standard.
    Unit,
}

/// The values of a response.
pub struct Values {
    pub status: u16,
    pub limit: u32,
    pub remaining: Option<u32>,
    pub window_s: u64,
    pub retry_after_s: Option<u64>,
}

impl HeaderStyle {
    /// Returns the strategy that generates styles.
    pub fn any() -> impl Strategy<Value = HeaderStyle> {
        use {NumberStyle as Number, RetryAfterStyle as Wait};
        let prefixes = vec!["x-rate-limit-", "x-ratelimit-", "ratelimit-"];
        let groups = vec![Some("heavy"), Some(" Heavy "), Some("light"), None];
        let numbers = vec![Number::Plain, Number::Float, Number::List, Number::TwoLines];
        let waits = vec![
            Wait::Seconds,
            Wait::Fraction,
            Wait::List,
            Wait::TwoLines,
            Wait::Date,
            Wait::Unit,
        ];
        (
            prop::sample::select(prefixes),
            prop::sample::select(groups),
            prop::sample::select(numbers),
            prop::sample::select(waits),
        )
            .prop_map(|(prefix, group, number, retry_after)| HeaderStyle {
                prefix,
                group,
                number,
                retry_after,
            })
    }

    /// Returns whether `Retry-After` is a plain number in one line.
    pub fn has_plain_retry_after(&self) -> bool {
        self.retry_after == RetryAfterStyle::Seconds
    }

    /// Returns the longest time in milliseconds that the exporter waits in addition to the wait that
    /// is meant.
    pub fn max_extra_wait_ms(&self) -> i64 {
        match self.retry_after {
            RetryAfterStyle::Unit => 60_000,
            _ => 2_000,
        }
    }

    /// Returns the headers of a response that is received at `now`, parsed as the exporter does.
    pub fn parse(&self, values: &Values, now: Moment) -> RateLimitHeaders {
        let mut headers = HeaderMap::new();
        let mut add = |name: &str, value: String| {
            let name: HeaderName = format!("{}{name}", self.prefix).parse().unwrap();
            headers.append(name, HeaderValue::from_str(&value).unwrap());
        };
        if let Some(group) = self.group {
            add("group", group.to_owned());
        }
        for line in self.number.lines(values.limit.into()) {
            add("limit", line);
        }
        if let Some(remaining) = values.remaining {
            for line in self.number.lines(remaining.into()) {
                add("remaining", line);
            }
        }
        // A larger window counts, so it is never given twice.
        add("window", values.window_s.to_string());
        if let Some(seconds) = values.retry_after_s {
            for line in self.retry_after.lines(seconds, now) {
                headers.append("retry-after", HeaderValue::from_str(&line).unwrap());
            }
        }
        RateLimitHeaders::parse(values.status, &headers, now.wall)
    }
}

impl NumberStyle {
    fn lines(self, number: u64) -> Vec<String> {
        let larger = (number + 7).to_string();
        match self {
            Self::Plain => vec![number.to_string()],
            Self::Float => vec![format!("{number}.0")],
            Self::List => vec![format!("{larger}, {number}")],
            Self::TwoLines => vec![number.to_string(), larger],
        }
    }
}

impl RetryAfterStyle {
    fn lines(self, seconds: u64, now: Moment) -> Vec<String> {
        match self {
            Self::Seconds => vec![seconds.to_string()],
            Self::Fraction => vec![format!("{}.5", seconds - 1)],
            Self::List => vec![format!("{seconds}, 1")],
            Self::TwoLines => vec!["1".to_owned(), seconds.to_string()],
            Self::Unit => vec![format!("{seconds} s")],
            Self::Date => {
                let until = now.after(std::time::Duration::from_secs(seconds)).wall;
                vec![until.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()]
            }
        }
    }
}
