//! HTTP clients, each for all accounts that can share it.
//!
//! Owns: which accounts can. To build one reads the system's root certificates, which takes some 20 ms, and with it go
//! its connections.

use std::sync::Arc;

use crate::config::Account;
use crate::ringcentral::transport::{http_client, is_loopback};

/// Clients by what they were built for.
#[derive(Default)]
pub struct HttpClientPool(Vec<(ClientKey, reqwest::Client)>);

/// What `http_client` heeds.
#[derive(PartialEq, Eq)]
struct ClientKey {
    scheme: String,
    loopback: bool,
    ca: Option<Arc<[u8]>>,
}

impl HttpClientPool {
    /// The one for this account: from here, or from the former ones, or a new one.
    ///
    /// # Errors
    /// When root certificates cannot be read.
    pub fn get_or_build(
        &mut self,
        account: &Account,
        former: &Self,
    ) -> anyhow::Result<reqwest::Client> {
        let purpose = ClientKey::of(account);
        if let Some(client) = self.get(&purpose) {
            return Ok(client);
        }
        let build = || http_client(&account.server, account.ca.as_deref());
        let client = former.get(&purpose).map_or_else(build, Ok)?;
        self.0.push((purpose, client.clone()));
        Ok(client)
    }

    fn get(&self, wanted: &ClientKey) -> Option<reqwest::Client> {
        self.0
            .iter()
            .find(|(purpose, _)| purpose == wanted)
            .map(|(_, client)| client.clone())
    }
}

impl ClientKey {
    fn of(account: &Account) -> Self {
        Self {
            scheme: account.server.scheme().to_owned(),
            loopback: is_loopback(&account.server),
            ca: account.ca.clone(),
        }
    }
}
