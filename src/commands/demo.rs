//! The command `demo`: the exporter with a simulated account on loopback.
//!
//! The exporter runs the same code as with RingCentral: it logs in, follows pages and keeps the rate limit.

use std::fmt::Write;

use anyhow::Context;
use secrecy::SecretString;
use tokio::net::TcpListener;

use crate::cli::DemoArgs;
use crate::config::{Account, Config, ConfigError, Level, Settings};
use crate::http::listener::{self, loopback_if_unspecified};
use crate::secret::SecretSource;
use crate::simulator::{Scenario, Simulator};

/// A validated `demo` command.
#[derive(Clone)]
pub struct Demo {
    scenario: Scenario,
    seed: u64,
    listen_address: String,
}

/// A demo whose simulated account is running. Dropping it stops the simulator.
pub struct RunningDemo {
    simulator: Simulator,
}

impl Demo {
    /// Validates the flags.
    ///
    /// # Errors
    /// Returns an error if a flag is invalid.
    pub fn new(args: &DemoArgs) -> Result<Self, ConfigError> {
        let scenario = args
            .scenario
            .parse()
            .map_err(|error| ConfigError(format!("--demo.scenario: {error}")))?;
        Ok(Self {
            scenario,
            seed: args.seed,
            listen_address: args.listen_address.clone(),
        })
    }

    /// Starts the simulated account and prints the addresses; `scheme` of the exporter is `http` or `https`.
    ///
    /// # Errors
    /// Returns an error if the simulator cannot listen on its address.
    pub async fn start(
        self,
        exporter: &[TcpListener],
        scheme: &str,
    ) -> anyhow::Result<RunningDemo> {
        let address = &self.listen_address;
        let listener = listener::bind(address)
            .with_context(|| format!("--demo.listen-address: cannot listen on {address}"))?;
        let simulator = Simulator::start(listener, self.scenario, self.seed)?;
        let demo = RunningDemo { simulator };
        print!("{}", demo.startup_message(exporter, scheme)?);
        Ok(demo)
    }
}

impl RunningDemo {
    /// Returns the configuration of the simulated account.
    ///
    /// # Errors
    /// Returns an error if the simulator's URL cannot be parsed.
    pub fn config(&self, settings: Settings) -> anyhow::Result<Config> {
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
            settings,
        })
    }

    fn startup_message(&self, exporter: &[TcpListener], scheme: &str) -> anyhow::Result<String> {
        let mut text = "The exporter's page is at:\n".to_owned();
        for listener in exporter {
            let address = loopback_if_unspecified(&listener.local_addr()?.to_string());
            writeln!(text, "{scheme}://{address}/")?;
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
