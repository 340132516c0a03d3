//! A simulated RingCentral account: an HTTP server with the API and the calls of a company.
//!
//! The demo and the tests use its URL in place of RingCentral's. It shares no code with the API
//! client, so that one mistake cannot cancel out in tests.
//!
//! ```text
//! calls:     random -> company, load_profile -> calls, queue -> timeline -> switchboard -> record
//! state:     limiter, tokens, jwt, faults, request_log -> state
//! responses: query -> request -> account -> login, lists -> wire -> response
//! presence:  settings, phases -> presence -> wire
//! HTTP:      server -> api -> delivery
//! events:    server -> gateway: frames, subscriptions -> hub -> connection
//! ```
//!
//! [`scenario`] has the settings. The time is an argument, read from the scenario's clock.
//! [`switchboard`] is a function of seed and time, so tests can compare with the list of any
//! earlier instant.
//!
//! Two paths are not part of RingCentral's API and require no login: `/simulator/journal`, the
//! latest requests, and `/simulator/listed?at=UNIX_MS`, the full list of an instant.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub mod company;
pub mod faults;
pub mod gateway;
pub mod limiter;
pub mod load_profile;
pub mod presence;
pub mod record;
pub mod request_log;
pub mod response;
pub mod scenario;
pub mod switchboard;

mod account;
mod api;
mod calls;
mod delivery;
mod jwt;
mod lists;
mod login;
mod query;
mod queue;
mod random;
mod request;
mod server;
mod state;
mod timeline;
mod tokens;
mod wire;

pub use faults::{Fault, FaultKind, GatewayFault, Times};
pub use gateway::{ConnectionEntry, EventEntry, EventFate};
pub use record::Record;
pub use request_log::{JournalEntry, Operation};
pub use response::SimResponse;
pub use scenario::Scenario;
pub use switchboard::Switchboard;

use account::Account;

/// A running simulated account. Dropping it stops the server.
pub struct Simulator {
    address: SocketAddr,
    account: Arc<Account>,
    server: JoinHandle<()>,
}

impl Simulator {
    /// Starts a server on `listener` with the company of `scenario` and `seed`. Requires a Tokio
    /// runtime.
    ///
    /// # Errors
    /// Returns an error if the local address of the listener cannot be read.
    pub fn start(listener: TcpListener, scenario: Scenario, seed: u64) -> io::Result<Simulator> {
        let address = listener.local_addr()?;
        let clock = match &scenario.clock {
            Some(clock) => Arc::clone(clock),
            None => scenario::system_clock(),
        };
        let account = Arc::new(Account::new(scenario, seed, clock));
        let server = tokio::spawn(server::run(listener, Arc::clone(&account)));
        Ok(Simulator {
            address,
            account,
            server,
        })
    }

    /// Returns the base URL of the API.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the client id of the app.
    pub fn client_id(&self) -> String {
        self.account.client_id.clone()
    }

    /// Returns the client secret of the app.
    pub fn client_secret(&self) -> String {
        self.account.client_secret.clone()
    }

    /// Returns the latest valid JWT.
    pub fn jwt(&self) -> String {
        self.account
            .state()
            .jwts
            .last()
            .cloned()
            .unwrap_or_default()
    }

    /// Returns the id of the account.
    pub fn account_id(&self) -> u64 {
        self.account.switchboard.company().account_id
    }

    /// Returns the id of the extension to which the JWT belongs.
    pub fn owner_id(&self) -> u64 {
        self.account.switchboard.company().owner_id()
    }

    /// Returns the phone system of the company, with its calls and extensions.
    pub fn switchboard(&self) -> &Switchboard {
        &self.account.switchboard
    }

    /// Returns the full list at an instant.
    pub fn listed_at(&self, unix_ms: i64) -> Vec<Record> {
        self.account.switchboard.listed_at(unix_ms)
    }

    /// Returns the time of the account's clock in Unix milliseconds.
    pub fn now(&self) -> i64 {
        self.account.now()
    }

    /// Returns the last 10,000 requests to the API, oldest first.
    pub fn journal(&self) -> Vec<JournalEntry> {
        self.account.state().journal.entries()
    }

    /// Returns the last 200,000 notifications of event connections up to now, in the order of the changes.
    pub fn events(&self) -> Vec<EventEntry> {
        self.account.advance_events(self.now());
        self.account.state().hub.events()
    }

    /// Returns all event connections, oldest first.
    pub fn event_connections(&self) -> Vec<ConnectionEntry> {
        self.account.state().hub.connections()
    }

    /// Adds a fault after those that are injected already.
    pub fn inject(&self, fault: Fault) {
        self.account.state().faults.inject(fault);
    }

    /// Removes all faults. Requests that already hang continue to hang.
    pub fn clear_faults(&self) {
        self.account.state().faults.clear();
    }

    /// Issues a JWT and invalidates all previous ones.
    pub fn rotate_jwt(&self) -> String {
        self.account.rotate_jwt()
    }

    /// Issues a JWT; previous ones stay valid.
    pub fn issue_jwt(&self) -> String {
        self.account.issue_jwt()
    }

    /// Replaces the valid JWTs by this one; it is accepted until its `exp`, if it has one.
    pub fn set_jwt(&self, jwt: impl Into<String>) {
        self.account.state().jwts = vec![jwt.into()];
    }

    /// Ends all sessions, which makes all access tokens unknown.
    pub fn evict_tokens(&self) {
        self.account.state().tokens.evict_all();
    }

    /// Stops the server, aborts all connections and waits until the port is free.
    pub async fn shutdown(mut self) {
        self.server.abort();
        // The task never ends on its own, so the only error is the cancellation.
        let _cancelled = (&mut self.server).await;
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.server.abort();
    }
}
