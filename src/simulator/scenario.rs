//! The settings of the simulated account, and the named scenarios.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::simulator::company::Ringing;
use crate::simulator::faults::GatewayFault;
use crate::simulator::limiter::{Limit, OtherClient};

/// A clock that returns Unix milliseconds.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Returns the system clock.
#[expect(
    clippy::disallowed_methods,
    reason = "the simulator shares no code with the exporter"
)]
pub(super) fn system_clock() -> Clock {
    Arc::new(|| Timestamp::now().as_millisecond())
}

/// The fields around the records of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Envelope {
    /// `uri`, `records`, `paging` and `navigation`.
    Full,
    /// Only `uri` and `records`, as in some older responses.
    Minimal,
}

/// The form of the body of an event. RingCentral's documents and samples have each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventBody {
    /// Whether only changed statuses are in the body; default true.
    pub only_changed: bool,
    /// Whether the extension's id is a text; default false.
    pub ids_as_text: bool,
}

/// The rate limits of the four groups.
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

/// Periodic downtime: available for `up`, then unavailable for `down`, repeated from the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Outage {
    pub up: Duration,
    pub down: Duration,
}

impl Outage {
    /// Returns whether the API is unavailable at this time, in milliseconds since the start.
    pub fn is_down(&self, since_start_ms: i64) -> bool {
        let cycle = (self.up + self.down).as_millis().max(1) as i64;
        since_start_ms.rem_euclid(cycle) >= self.up.as_millis() as i64
    }
}

/// The settings of the simulated account.
#[derive(Clone)]
pub struct Scenario {
    /// Name of the scenario.
    pub name: &'static str,
    /// Number of extensions, at least 12; default 200.
    pub extensions: usize,
    /// Calls per minute at the busiest hour; default 10.
    pub calls_per_minute: f64,
    /// Time of day at the start, on a Tuesday, default 10:20; with `None` the local time is UTC.
    pub local_time_at_start: Option<Duration>,
    /// Factor of the rate of calls during surges, the first within a minute of the start; default
    /// none.
    pub surge_factor: Option<f64>,
    /// How queues ring their agents; default simultaneously.
    pub ringing: Ringing,
    /// Share of live records, 0 to 1, that each list lacks; default 0.
    pub missing_live_records: f64,
    /// Periodic downtime of the API; default none.
    pub outage: Option<Outage>,
    /// Another client that uses the `heavy` rate limit; default none.
    pub other_client: Option<OtherClient>,
    /// Whether records have the new field `finished`; default false.
    pub finished_field: bool,
    /// Maximum of `perPage`; default 1,000.
    pub max_per_page: usize,
    /// Whether `perPage`, `view` and the filters have an effect, default true; RingCentral's guide
    /// says that they have none.
    pub honors_query: bool,
    /// Envelope of lists of calls; default full.
    pub envelope: Envelope,
    /// Rate limits; default those of RingCentral.
    pub limits: Limits,
    /// Whether responses have `X-Rate-Limit-*` headers; default true.
    pub rate_limit_headers: bool,
    /// Delay of every response of the API; default 0.
    pub latency: Duration,
    /// Lifetime of an access token; default 1 hour.
    pub token_lifetime: Duration,
    /// Value of `expires_in`; default the real lifetime.
    pub advertised_token_lifetime: Option<Duration>,
    /// Maximum number of sessions; one more evicts the oldest. Default 5.
    pub max_sessions: usize,
    /// Whether the app is allowed to use the JWT grant; default true.
    pub jwt_allowed: bool,
    /// Lifetime of a JWT, default 30 days; with `None` it has no `exp`.
    pub jwt_lifetime: Option<Duration>,
    /// Whether the user can list the calls of the whole company; default true.
    pub admin: bool,
    /// Whether the app has the scope `ReadCallLog`; default true.
    pub read_call_log: bool,
    /// Whether the app has the scope `ReadAccounts`; default true.
    pub read_accounts: bool,
    /// Whether the app has the scope `ReadPresence`; default true.
    pub read_presence: bool,
    /// Whether the app has the scope `WebSocket`; default true.
    pub web_socket: bool,
    /// Whether the gateway is offered by `wss`, for a relay that terminates TLS; default false.
    pub gateway_tls: bool,
    /// Lifetime of an event token; default 60 s.
    pub event_token_lifetime: Duration,
    /// Form of the events' bodies.
    pub event_body: EventBody,
    /// Maximum number of subscriptions of the user and app; default 20.
    pub max_subscriptions: usize,
    /// Time between two pings of an event connection; default 30 s.
    pub ping_interval: Duration,
    /// Time in which a client must answer a ping; default 10 s.
    pub pong_timeout: Duration,
    /// What happens to each notification of an event; default nothing.
    pub notification_fault: Option<GatewayFault>,
    /// Clock of the account; default the system clock.
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
            ringing: Ringing::Simultaneous,
            missing_live_records: 0.0,
            outage: None,
            other_client: None,
            finished_field: false,
            max_per_page: 1000,
            honors_query: true,
            envelope: Envelope::Full,
            limits: Limits::default(),
            rate_limit_headers: true,
            latency: Duration::ZERO,
            token_lifetime: Duration::from_secs(3600),
            advertised_token_lifetime: None,
            max_sessions: 5,
            jwt_allowed: true,
            jwt_lifetime: Some(Duration::from_secs(30 * 24 * 3600)),
            admin: true,
            read_call_log: true,
            read_accounts: true,
            read_presence: true,
            web_socket: true,
            gateway_tls: false,
            event_token_lifetime: Duration::from_secs(60),
            event_body: EventBody {
                only_changed: true,
                ids_as_text: false,
            },
            max_subscriptions: 20,
            ping_interval: Duration::from_secs(30),
            pong_timeout: Duration::from_secs(10),
            notification_fault: None,
            clock: None,
        }
    }
}

impl Scenario {
    /// The names that [`FromStr`] accepts.
    pub const NAMES: [&str; 8] = [
        "normal",
        "surge",
        "outage",
        "throttled",
        "huge",
        "sequential",
        "lossy",
        "forbidden",
    ];

    /// Returns a working day of a company of 200 extensions.
    pub fn normal() -> Scenario {
        Scenario::default()
    }

    /// Returns a scenario with surges of calls, the first within a minute of the start.
    pub fn surge() -> Scenario {
        Scenario {
            name: "surge",
            surge_factor: Some(6.0),
            ..Scenario::default()
        }
    }

    /// Returns a scenario whose queues ring their agents one after another, and whose lists lack 1 % of the live
    /// records.
    pub fn sequential() -> Scenario {
        Scenario {
            name: "sequential",
            ringing: Ringing::Sequential,
            missing_live_records: 0.01,
            ..Scenario::default()
        }
    }

    /// Returns a scenario whose events are partly lost, sent twice or sent late.
    pub fn lossy() -> Scenario {
        Scenario {
            name: "lossy",
            notification_fault: Some(GatewayFault::Unreliable {
                lost: 0.1,
                duplicated: 0.05,
                late: 0.05,
            }),
            ..Scenario::default()
        }
    }

    /// Returns a scenario whose app lacks the permission *Read Presence*.
    pub fn forbidden() -> Scenario {
        Scenario {
            name: "forbidden",
            read_presence: false,
            ..Scenario::default()
        }
    }

    /// Returns a scenario whose API is repeatedly available for 60 s, then unavailable for 180 s.
    pub fn outage() -> Scenario {
        let outage = Outage {
            up: Duration::from_secs(60),
            down: Duration::from_secs(180),
        };
        Scenario {
            name: "outage",
            outage: Some(outage),
            ..Scenario::default()
        }
    }

    /// Returns a scenario in which another client uses up the `heavy` rate limit every 150 s.
    pub fn throttled() -> Scenario {
        let other = OtherClient {
            requests: 10,
            first: Duration::from_secs(30),
            every: Duration::from_secs(150),
        };
        Scenario {
            name: "throttled",
            other_client: Some(other),
            ..Scenario::default()
        }
    }

    /// Returns a company of 10,000 extensions and nearly 5,000 listed records: five pages at the
    /// busiest hour, rarely six.
    pub fn huge() -> Scenario {
        Scenario {
            name: "huge",
            extensions: 10_000,
            calls_per_minute: 800.0,
            ..Scenario::default()
        }
    }
}

/// Shows only the name, because a clock does not implement `Debug`.
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

/// The error of an unknown scenario name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown scenario {name:?}: expected one of {}", Scenario::NAMES.join(", "))]
pub struct UnknownScenario {
    name: String,
}

impl FromStr for Scenario {
    type Err = UnknownScenario;

    fn from_str(name: &str) -> Result<Scenario, UnknownScenario> {
        match name {
            "normal" => Ok(Scenario::normal()),
            "surge" => Ok(Scenario::surge()),
            "sequential" => Ok(Scenario::sequential()),
            "lossy" => Ok(Scenario::lossy()),
            "forbidden" => Ok(Scenario::forbidden()),
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
    fn scenario_names_round_trip() {
        for name in Scenario::NAMES {
            assert_eq!(name.parse::<Scenario>().unwrap().to_string(), name);
        }
    }

    #[test]
    fn unknown_name_error_lists_the_accepted_names() {
        let error = "hugh".parse::<Scenario>().err().unwrap().to_string();
        assert_eq!(
            error,
            "unknown scenario \"hugh\": expected one of normal, surge, outage, throttled, huge, sequential, lossy, forbidden"
        );
    }

    #[test]
    fn outage_begins_after_the_uptime_and_repeats() {
        let outage = Scenario::outage().outage.unwrap();
        let down: Vec<bool> = [0, 59, 60, 239, 240, 299, 300]
            .iter()
            .map(|s| outage.is_down(s * 1_000))
            .collect();
        assert_eq!(down, [false, false, true, true, false, false, true]);
    }
}
