//! The simulated account and its responses.
//!
//! Lists come from the simulator over its HTTP format, so that its JSON is parsed as RingCentral's would be. This module adds
//! rate-limit headers and response times from the timeline.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Context;
use fastrand::Rng;
use reqwest::Url;
use ringcentral_exporter::calls::directory::DirectoryEntry;
use ringcentral_exporter::calls::{Call, Directory};
use ringcentral_exporter::clock::Moment;
use ringcentral_exporter::ringcentral::Operation;
use ringcentral_exporter::ringcentral::operation::UsageGroup;
use ringcentral_exporter::ringcentral::rate_limit::headers::RateLimitHeaders;
use ringcentral_exporter::ringcentral::transport::http_client;
use ringcentral_exporter::ringcentral::wire::parse_page;
use ringcentral_exporter::simulator::limiter::{Decision, Limit, Limiter, OtherClient};
use ringcentral_exporter::simulator::{Scenario, Simulator};
use tokio::net::TcpListener;

use crate::timeline::{FaultPhase, Timeline};

const WINDOW: Duration = Duration::from_secs(60);
const LATENCY_MS: std::ops::RangeInclusive<u64> = 60..=400;
const JWT_LIFE_SECONDS: i64 = 30 * 24 * 60 * 60;
/// Requests of another client, within the fifth of the limit that the exporter leaves free: `Remaining` changes, and no
/// request is refused.
const OTHER_TOOL: OtherClient = OtherClient {
    requests: 2,
    first: Duration::from_secs(90),
    every: Duration::from_secs(7 * 60 + 20),
};

/// The simulated account.
pub struct Account {
    simulator: Simulator,
    http: reqwest::Client,
    list: Url,
    timeline: Timeline,
    limiters: HashMap<&'static str, Limiter>,
    dice: Rng,
}

impl Account {
    /// Creates a company of 200 extensions with working hours in UTC.
    pub async fn open(seed: u64, timeline: Timeline) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .context("cannot listen on loopback")?;
        let scenario = Scenario {
            local_time_at_start: None,
            ..Scenario::normal()
        };
        let simulator = Simulator::start(listener, scenario, seed)?;
        let list: Url = format!("{}/simulator/listed", simulator.url()).parse()?;
        let http = http_client(&list, None)?;
        Ok(Self {
            simulator,
            http,
            list,
            timeline,
            limiters: HashMap::new(),
            dice: Rng::with_seed(seed),
        })
    }

    /// Returns the account's id.
    pub fn id(&self) -> String {
        self.simulator.account_id().to_string()
    }

    /// Returns the JWT's expiry in Unix seconds.
    pub fn jwt_expiry(&self) -> f64 {
        (self.timeline.first() + JWT_LIFE_SECONDS) as f64
    }

    /// Returns the calls listed at an instant, without faxes.
    pub async fn calls(&self, at: Moment) -> anyhow::Result<Vec<Call>> {
        let mut list = self.list.clone();
        list.query_pairs_mut()
            .append_pair("at", &at.wall.as_millisecond().to_string());
        let records = self
            .http
            .get(list)
            .send()
            .await?
            .error_for_status()?
            .text()
            .await?;
        let page = parse_page(format!(r#"{{"records":{records}}}"#).as_bytes(), 1)?;
        Ok(page.calls)
    }

    /// Returns the account's extensions.
    pub fn directory(&self) -> Directory {
        let entries = self
            .simulator
            .switchboard()
            .extensions()
            .iter()
            .map(|extension| DirectoryEntry {
                id: extension.id,
                number: extension.number.as_deref().map(Into::into),
                name: extension.name.as_str().into(),
                kind: extension.kind.into(),
                status: extension.status.unwrap_or_default().into(),
            });
        Directory::new(entries.collect())
    }

    /// Returns the response headers of a request and the response time.
    pub fn answer(&mut self, operation: Operation, sent: Moment) -> (RateLimitHeaders, Duration) {
        let group = operation.group();
        let notice = match (self.timeline.fault_phase(sent.wall.as_second()), group) {
            (FaultPhase::Outage, _) => RateLimitHeaders {
                status: 503,
                ..RateLimitHeaders::default()
            },
            (FaultPhase::Penalty(seconds), UsageGroup::Heavy) => refused(group, seconds),
            _ => self.admit(group, sent),
        };
        (notice, Duration::from_millis(self.dice.u64(LATENCY_MS)))
    }

    fn admit(&mut self, group: UsageGroup, sent: Moment) -> RateLimitHeaders {
        let now = sent.wall.as_millisecond();
        let limit = Limit::per_minute(group.documented_limit());
        let other = (group == UsageGroup::Heavy).then_some(OTHER_TOOL);
        let limiter = self
            .limiters
            .entry(group.as_str())
            .or_insert_with(|| Limiter::new(limit, other, now));
        match limiter.admit(now) {
            Decision::Admitted { remaining } => RateLimitHeaders {
                status: 200,
                remaining: Some(remaining),
                ..headers(group)
            },
            Decision::Refused {
                retry_after_seconds,
            } => refused(group, retry_after_seconds),
        }
    }
}

fn refused(group: UsageGroup, seconds: u64) -> RateLimitHeaders {
    let retry_after = Some(Duration::from_secs(seconds));
    RateLimitHeaders {
        status: 429,
        remaining: Some(0),
        retry_after,
        ..headers(group)
    }
}

fn headers(group: UsageGroup) -> RateLimitHeaders {
    RateLimitHeaders {
        group: Some(group.as_str().to_owned()),
        limit: Some(group.documented_limit()),
        window: Some(WINDOW),
        ..RateLimitHeaders::default()
    }
}
