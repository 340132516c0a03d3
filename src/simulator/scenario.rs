//! The knobs of the simulated account, and the named settings of them.
//!
//! Plain values. Knows what can be set, not what it does to an answer.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::simulator::limiter::{Limit, OtherClient};

/// A clock: unix time in milliseconds.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The system's clock: the only one that the simulator reads.
#[expect(
    clippy::disallowed_methods,
    reason = "the simulator's door: it uses nothing of the exporter's"
)]
pub(super) fn system_clock() -> Clock {
    Arc::new(|| Timestamp::now().as_millisecond())
}

/// How a list is wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Envelope {
    /// With `paging` and `navigation`.
    Full,
    /// `uri` and `records` alone, as some replies of old.
    Minimal,
}

/// The limits of the four groups; none of the operations here is light.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Limits {
    pub light: Limit,
    pub medium: Limit,
    pub heavy: Limit,
    pub auth: Limit,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            light: Limit::per_minute(50),
            medium: Limit::per_minute(40),
            heavy: Limit::per_minute(10),
            auth: Limit::per_minute(5),
        }
    }
}

/// The API is well for `up`, then out of order for `down`, and so on from the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Outage {
    pub up: Duration,
    pub down: Duration,
}

impl Outage {
    /// Whether the API is down so many milliseconds after the start.
    pub fn is_down(&self, since_start_ms: i64) -> bool {
        let cycle = (self.up + self.down).as_millis().max(1) as i64;
        since_start_ms.rem_euclid(cycle) >= self.up.as_millis() as i64
    }
}

/// Everything about the simulated account that can be set.
#[derive(Clone)]
pub struct Scenario {
    /// The name under which it is shown.
    pub name: &'static str,
    /// How many extensions the company has.
    pub extensions: usize,
    /// Calls a minute at the busiest hour.
    pub calls_per_minute: f64,
    /// The company's time of day at the start, on a Tuesday; `None` takes UTC as it is.
    pub local_time_at_start: Option<Duration>,
    /// Traffic this many times the usual, in storms that begin soon after the start.
    pub surge_factor: Option<f64>,
    /// The API is out of order at times.
    pub outage: Option<Outage>,
    /// Somebody else spends from the heavy bucket.
    pub other_tool: Option<OtherClient>,
    /// Whether records have the new field `finished`.
    pub finished_field: bool,
    /// `perPage` is clamped to this.
    pub max_per_page: usize,
    /// Whether `perPage` and the filters are obeyed at all; the guide says that they are not.
    pub honors_query: bool,
    /// How lists are wrapped.
    pub envelope: Envelope,
    /// The rate limits.
    pub limits: Limits,
    /// Whether answers carry `X-Rate-Limit-*`.
    pub rate_limit_headers: bool,
    /// Every answer of the API takes this long.
    pub latency: Duration,
    /// How long an access token is good for.
    pub token_life: Duration,
    /// What `expires_in` says of that, if not the truth.
    pub advertised_token_lifetime: Option<Duration>,
    /// Sessions of a user and app at a time; one more puts the oldest to death.
    pub max_sessions: usize,
    /// Whether the app may use the JWT grant.
    pub jwt_allowed: bool,
    /// How long the JWT is good for after the start; `None` leaves `exp` out.
    pub jwt_life: Option<Duration>,
    /// Whether the user may see the calls of the whole company.
    pub admin: bool,
    /// Whether the app has the scope `ReadCallLog`.
    pub read_call_log: bool,
    /// Whether the app has the scope `ReadAccounts`.
    pub read_accounts: bool,
    /// The time to believe in; the system's if `None`.
    pub clock: Option<Clock>,
}

impl Default for Scenario {
    fn default() -> Scenario {
        Scenario {
            name: "normal",
            extensions: 200,
            calls_per_minute: 10.0,
            local_time_at_start: Some(Duration::from_secs((10 * 60 + 20) * 60)),
            surge_factor: None,
            outage: None,
            other_tool: None,
            finished_field: false,
            max_per_page: 1000,
            honors_query: true,
            envelope: Envelope::Full,
            limits: Limits::default(),
            rate_limit_headers: true,
            latency: Duration::ZERO,
            token_life: Duration::from_secs(3600),
            advertised_token_lifetime: None,
            max_sessions: 5,
            jwt_allowed: true,
            jwt_life: Some(Duration::from_secs(30 * 24 * 3600)),
            admin: true,
            read_call_log: true,
            read_accounts: true,
            clock: None,
        }
    }
}

impl Scenario {
    /// The names that [`FromStr`] accepts.
    pub const NAMES: [&str; 5] = ["normal", "surge", "outage", "throttled", "huge"];

    /// A working day of a company of 200.
    pub fn normal() -> Scenario {
        Scenario::default()
    }

    /// Storms of calls, the first within a minute of the start.
    pub fn surge() -> Scenario {
        Scenario {
            name: "surge",
            surge_factor: Some(6.0),
            ..Scenario::default()
        }
    }

    /// A minute in order, a minute and a half out of order, and so on.
    pub fn outage() -> Scenario {
        let outage = Outage {
            up: Duration::from_secs(60),
            down: Duration::from_secs(90),
        };
        Scenario {
            name: "outage",
            outage: Some(outage),
            ..Scenario::default()
        }
    }

    /// Another tool empties the heavy bucket every few minutes.
    pub fn throttled() -> Scenario {
        let other = OtherClient {
            requests: 10,
            first: Duration::from_secs(30),
            every: Duration::from_secs(150),
        };
        Scenario {
            name: "throttled",
            other_tool: Some(other),
            ..Scenario::default()
        }
    }

    /// 10,000 extensions and nearly 5,000 listed records: five full-size pages at the busiest hour, seldom six.
    pub fn huge() -> Scenario {
        Scenario {
            name: "huge",
            extensions: 10_000,
            calls_per_minute: 800.0,
            ..Scenario::default()
        }
    }
}

/// By name: a clock cannot be shown, and the name says most of the rest.
impl fmt::Debug for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scenario")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// A name that no scenario has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown scenario {name:?}: accepted are {}", Scenario::NAMES.join(", "))]
pub struct UnknownScenario {
    name: String,
}

impl FromStr for Scenario {
    type Err = UnknownScenario;

    fn from_str(name: &str) -> Result<Scenario, UnknownScenario> {
        match name {
            "normal" => Ok(Scenario::normal()),
            "surge" => Ok(Scenario::surge()),
            "outage" => Ok(Scenario::outage()),
            "throttled" => Ok(Scenario::throttled()),
            "huge" => Ok(Scenario::huge()),
            other => Err(UnknownScenario {
                name: other.to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_back_as_it_is_shown() {
        for name in Scenario::NAMES {
            assert_eq!(name.parse::<Scenario>().unwrap().to_string(), name);
        }
    }

    #[test]
    fn an_unknown_name_is_told_what_is_accepted() {
        let error = "hugh".parse::<Scenario>().err().unwrap().to_string();
        assert_eq!(
            error,
            "unknown scenario \"hugh\": accepted are normal, surge, outage, throttled, huge"
        );
    }

    #[test]
    fn an_outage_begins_after_the_good_time_and_repeats() {
        let outage = Scenario::outage().outage.unwrap();
        let down: Vec<bool> = [0, 59, 60, 149, 150, 209, 210]
            .iter()
            .map(|s| outage.is_down(s * 1_000))
            .collect();
        assert_eq!(down, [false, false, true, true, false, false, true]);
    }
}
