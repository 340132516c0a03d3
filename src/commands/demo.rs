//! The command `demo`: the exporter with simulated accounts on loopback.
//!
//! The exporter runs the same code as with RingCentral: it logs in, follows pages and keeps the rate limit.

use std::fmt::Write;
use std::time::Duration;

use anyhow::Context;
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::cli::DemoArgs;
use crate::commands::documentation;
use crate::config::{Account, Config, ConfigError, Level, PresenceMode, Settings};
use crate::http::listener::{self, loopback_if_unspecified};
use crate::secret::{SecretSource, redact_address, redact_value};
use crate::simulator::{Scenario, Simulator};

/// How long the start waits until its addresses are printed.
const MAX_PRINT_TIME: Duration = Duration::from_secs(1);

/// A validated `demo` command.
#[derive(Clone)]
pub struct Demo {
    scenario: Scenario,
    seed: u64,
    accounts: u16,
    presence: PresenceMode,
    listen_address: String,
}

/// A demo whose simulated accounts are running. Dropping it stops them.
pub struct RunningDemo {
    accounts: Vec<SimulatedAccount>,
}

struct SimulatedAccount {
    name: String,
    /// Seven for ten extensions: a normal day uses a quarter of them, a surge nearly all.
    concurrent_calls_limit: u64,
    presence: PresenceMode,
    simulator: Simulator,
}

impl Demo {
    /// Validates the flags.
    ///
    /// # Errors
    /// Returns an error if a flag is invalid.
    pub fn new(args: &DemoArgs) -> Result<Self, ConfigError> {
        let port = listen_port(&args.listen_address);
        if port > 0 && port.checked_add(args.accounts - 1).is_none() {
            return Err(ConfigError(format!(
                "--demo.listen-address: no ports for {} accounts from {port} on",
                args.accounts
            )));
        }
        let scenario = args.scenario.parse().map_err(|_| {
            ConfigError(format!(
                "--demo.scenario: unknown scenario {}: expected one of {}",
                redact_value(&args.scenario),
                Scenario::NAMES.join(", ")
            ))
        })?;
        Ok(Self {
            scenario,
            seed: args.seed,
            accounts: args.accounts,
            presence: args.presence,
            listen_address: args.listen_address.clone(),
        })
    }

    /// Starts the simulated accounts and prints the addresses; `scheme` of the exporter is `http` or `https`.
    ///
    /// # Errors
    /// Returns an error if a simulated account cannot listen on its address.
    pub async fn start(
        self,
        exporter: &[TcpListener],
        scheme: &str,
    ) -> anyhow::Result<RunningDemo> {
        let mut accounts = Vec::new();
        for index in 0..self.accounts {
            let address = nth_address(&self.listen_address, index);
            let listener = listener::bind(&address).with_context(|| {
                let address = redact_address(&address);
                format!("--demo.listen-address: cannot listen on {address}")
            })?;
            let seed = self.seed.wrapping_add(u64::from(index));
            accounts.push(SimulatedAccount {
                name: match self.accounts {
                    1 => "default".to_owned(),
                    _ => format!("demo-{}", index + 1),
                },
                concurrent_calls_limit: self.scenario.extensions as u64 * 7 / 10,
                presence: self.presence,
                simulator: Simulator::start(listener, self.scenario.clone(), seed)?,
            });
        }
        let demo = RunningDemo { accounts };
        let message = demo.startup_message(exporter, scheme)?;
        let print = spawn_blocking(move || documentation::print(message.as_bytes()));
        // The demo starts even if the pipe is full and not read, or cannot be written.
        let _ = timeout(MAX_PRINT_TIME, print).await;
        Ok(demo)
    }
}

impl RunningDemo {
    /// Returns the configuration of the simulated accounts.
    ///
    /// # Errors
    /// Returns an error if a simulator's URL cannot be parsed.
    pub fn config(&self, settings: Settings) -> anyhow::Result<Config> {
        let mut accounts = Vec::new();
        for account in &self.accounts {
            accounts.push(account.config()?);
        }
        settings.check_presence(&accounts, None)?;
        Ok(Config {
            accounts,
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
        for SimulatedAccount {
            name, simulator, ..
        } in &self.accounts
        {
            writeln!(
                text,
                "The simulated account {name}, for another exporter or for curl:"
            )?;
            writeln!(text, "RC_SERVER_URL={}", simulator.url())?;
            writeln!(text, "RC_CLIENT_ID={}", simulator.client_id())?;
            writeln!(text, "RC_CLIENT_SECRET={}", simulator.client_secret())?;
            writeln!(text, "RC_JWT={}", simulator.jwt())?;
        }
        Ok(text)
    }
}

impl SimulatedAccount {
    fn config(&self) -> anyhow::Result<Account> {
        let secret = |text: String| SecretSource::Value(SecretString::from(text));
        Ok(Account {
            name: self.name.clone(),
            server: self.simulator.url().parse()?,
            client_id: self.simulator.client_id(),
            client_secret: secret(self.simulator.client_secret()),
            jwt: secret(self.simulator.jwt()),
            account_id: "~".to_owned(),
            level: Level::Account,
            presence: self.presence,
            concurrent_calls_limit: Some(self.concurrent_calls_limit),
            ca: None,
        })
    }
}

/// Returns `address` with the port of the account at `index`: the next ports, or 0 for any.
fn nth_address(address: &str, index: u16) -> String {
    match (address.rsplit_once(':'), listen_port(address)) {
        (Some((host, _)), port @ 1..) => format!("{host}:{}", port.saturating_add(index)),
        _ => address.to_owned(),
    }
}

fn listen_port(address: &str) -> u16 {
    let port = address.rsplit_once(':').map(|(_, port)| port.parse());
    port.and_then(Result::ok).unwrap_or(0)
}
