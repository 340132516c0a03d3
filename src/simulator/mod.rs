//! A RingCentral account of our own: a company that phones all day, behind RingCentral's API.
//!
//! The demo and the tests point the ordinary client at its address; nothing here knows the client
//! and nothing is shared with it, so that no mistake can agree with itself.
//!
//! ```text
//! dice -> company, curve -> calls, queue -> life -> switchboard -> record    which calls: pure
//! query, reply, limiter, tokens, jwt, faults, journal -> desk               what an API needs: pure
//! ask -> account -> login, lists -> wire                                    the right answer
//! server -> api -> body                                                     HTTP and faults
//! ```
//!
//! [`scenario`] holds the knobs. Time is always an argument, read once per request from the
//! scenario's clock; [`switchboard`] is a function of it, so what was listed at any instant can
//! still be asked afterwards: that is how tests know the truth.
//!
//! Two paths are no part of RingCentral's API and ask for no login: `/simulator/journal`, the
//! requests so far, and `/simulator/listed?at=UNIX_MS`, the full list of an instant.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub mod company;
pub mod faults;
pub mod limiter;
pub mod load_profile;
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

pub use faults::{Fault, FaultKind, Times};
pub use record::Record;
pub use request_log::{JournalEntry, Operation};
pub use response::SimResponse;
pub use scenario::Scenario;
pub use switchboard::Switchboard;

use account::Account;

/// A running simulated account; it stops when this is dropped.
pub struct Simulator {
    address: SocketAddr,
    account: Arc<Account>,
    server: JoinHandle<()>,
}

impl Simulator {
    /// Serves a company of `scenario` and `seed` on `listener`: must be called inside a Tokio
    /// runtime, of whichever flavour.
    ///
    /// # Errors
    /// When the listener does not know its own address.
    pub fn start(listener: TcpListener, scenario: Scenario, seed: u64) -> io::Result<Simulator> {
        let address = listener.local_addr()?;
        let clock = scenario
            .clock
            .clone()
            .unwrap_or_else(scenario::system_clock);
        let account = Arc::new(Account::open(scenario, seed, clock));
        let server = tokio::spawn(server::run(listener, Arc::clone(&account)));
        Ok(Simulator {
            address,
            account,
            server,
        })
    }

    /// Where the API is: what the client takes for RingCentral's server.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The app's id.
    pub fn client_id(&self) -> String {
        self.account.client_id.clone()
    }

    /// The app's secret.
    pub fn client_secret(&self) -> String {
        self.account.client_secret.clone()
    }

    /// The JWT that the account accepts at present, of several the newest.
    pub fn jwt(&self) -> String {
        self.account.desk().jwts.last().cloned().unwrap_or_default()
    }

    /// The account's id.
    pub fn account_id(&self) -> u64 {
        self.account.switchboard.company().account_id
    }

    /// The extension whose JWT it is.
    pub fn owner_id(&self) -> u64 {
        self.account.switchboard.company().owner_id()
    }

    /// The company's phone system: the truth about its calls and extensions.
    pub fn switchboard(&self) -> &Switchboard {
        &self.account.switchboard
    }

    /// What a full list holds at an instant.
    pub fn listed_at(&self, unix_ms: i64) -> Vec<Record> {
        self.account.switchboard.listed_at(unix_ms)
    }

    /// The time by the account's clock, in unix milliseconds.
    pub fn now(&self) -> i64 {
        self.account.now()
    }

    /// The requests to the API so far (the last 10,000), oldest first.
    pub fn journal(&self) -> Vec<JournalEntry> {
        self.account.desk().journal.entries()
    }

    /// Puts a fault in front of the account, behind those that are there already.
    pub fn inject(&self, fault: Fault) {
        self.account.desk().faults.inject(fault);
    }

    /// Takes all faults away. A request that hangs goes on hanging.
    pub fn clear_faults(&self) {
        self.account.desk().faults.clear();
    }

    /// Gives the user a new JWT and returns it; logins with any before fail from now on.
    pub fn rotate_jwt(&self) -> String {
        self.account.rotate_jwt()
    }

    /// Gives the user a further JWT and returns it; those before stay good.
    pub fn issue_jwt(&self) -> String {
        self.account.issue_jwt()
    }

    /// Accepts this JWT and no other; its `exp`, if it has one, counts.
    pub fn set_jwt(&self, jwt: impl Into<String>) {
        self.account.desk().jwts = vec![jwt.into()];
    }

    /// Ends all sessions: every access token is unknown from now on.
    pub fn evict_tokens(&self) {
        self.account.desk().tokens.evict_all();
    }

    /// Stops accepting, breaks all connections off, and returns when the port is free.
    pub async fn shutdown(mut self) {
        self.server.abort();
        // The one error there can be is that it was aborted.
        let _aborted = (&mut self.server).await;
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.server.abort();
    }
}
