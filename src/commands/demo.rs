//! The demo: the ordinary exporter, pointed at a simulated account on loopback.
//!
//! Owns: starting the simulated account, and telling where everything is. The exporter itself notices nothing: it
//! logs in, walks pages and keeps limits as it would with the real thing.

use std::fmt::Write;

use anyhow::Context;
use secrecy::SecretString;
use tokio::net::TcpListener;

use crate::cli::DemoArgs;
use crate::config::{Account, Config, ConfigError, Level, Settings};
use crate::http::listener;
use crate::secret::SecretSource;
use crate::simulator::{Scenario, Simulator};

/// What to simulate, validated.
#[derive(Clone)]
pub struct Demo {
    scenario: Scenario,
    seed: u64,
    listen: String,
}

/// A demo whose simulated account is there. It ends when this is dropped.
pub struct RunningDemo {
    simulator: Simulator,
}

impl Demo {
    /// Validates the flags.
    ///
    /// # Errors
    /// The first mistake that is found.
    pub fn new(args: &DemoArgs) -> Result<Self, ConfigError> {
        let scenario = args
            .scenario
            .parse()
            .map_err(|error| ConfigError(format!("--demo.scenario: {error}")))?;
        Ok(Self {
            scenario,
            seed: args.seed,
            listen: args.listen_address.clone(),
        })
    }

    /// Starts the simulated account and prints where to look; `scheme` is the exporter's own, `http` or `https`.
    ///
    /// # Errors
    /// When its address cannot be had.
    pub async fn start(
        self,
        exporter: &[TcpListener],
        scheme: &str,
    ) -> anyhow::Result<RunningDemo> {
        let address = &self.listen;
        let listener = listener::bind(address)
            .with_context(|| format!("--demo.listen-address: cannot listen on {address}"))?;
        let simulator = Simulator::start(listener, self.scenario, self.seed)?;
        let demo = RunningDemo { simulator };
        print!("{}", demo.startup_message(exporter, scheme)?);
        Ok(demo)
    }
}

impl RunningDemo {
    /// The configuration that a user of the account would give by variables.
    ///
    /// # Errors
    /// Never: the simulated account knows its own address.
    pub fn config(&self, common: Settings) -> anyhow::Result<Config> {
        let secret = |text: String| SecretSource::Value(SecretString::from(text));
        let account = Account {
            name: "default".to_owned(),
            server: self.simulator.url().parse()?,
            client_id: self.simulator.client_id(),
            client_secret: secret(self.simulator.client_secret()),
            jwt: secret(self.simulator.jwt()),
            account_id: "~".to_owned(),
            level: Level::Account,
            concurrent_calls_limit: None,
            ca: None,
        };
        Ok(Config {
            accounts: vec![account],
            accounts_file: None,
            settings: common,
        })
    }

    fn startup_message(&self, exporter: &[TcpListener], scheme: &str) -> anyhow::Result<String> {
        let mut text = "The exporter's page is at:\n".to_owned();
        for listener in exporter {
            writeln!(text, "{scheme}://{}/", reachable(listener.local_addr()?))?;
        }
        writeln!(
            text,
            "The simulated account, for another exporter or for curl:"
        )?;
        writeln!(text, "RC_SERVER_URL={}", self.simulator.url())?;
        writeln!(text, "RC_CLIENT_ID={}", self.simulator.client_id())?;
        writeln!(text, "RC_CLIENT_SECRET={}", self.simulator.client_secret())?;
        writeln!(text, "RC_JWT={}", self.simulator.jwt())?;
        Ok(text)
    }
}

/// An address that a browser can open: all interfaces include loopback.
fn reachable(address: std::net::SocketAddr) -> String {
    if address.ip().is_unspecified() {
        format!("localhost:{}", address.port())
    } else {
        address.to_string()
    }
}
