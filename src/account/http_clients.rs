//! HTTP clients, shared by the accounts that need the same TLS configuration.
//!
//! Building a client reads the system's root certificates, which takes about 20 ms, and each client has its own
//! connections.

use std::sync::Arc;

use crate::config::Account;
use crate::ringcentral::transport::{http_client, is_loopback};

/// HTTP clients by the settings that they were built with.
#[derive(Default)]
pub(crate) struct HttpClientPool(Vec<(ClientKey, reqwest::Client)>);

/// The settings of an account that `http_client` uses.
#[derive(PartialEq, Eq)]
struct ClientKey {
    scheme: String,
    loopback: bool,
    ca: Option<Arc<[u8]>>,
}

impl HttpClientPool {
    /// Returns the client for an account: from this pool, else from the previous one, else a new client.
    ///
    /// # Errors
    /// Returns an error if the root certificates cannot be read.
    pub(crate) fn get_or_build(
        &mut self,
        account: &Account,
        previous: &Self,
    ) -> anyhow::Result<reqwest::Client> {
        let key = ClientKey {
            scheme: account.server.scheme().to_owned(),
            loopback: is_loopback(&account.server),
            ca: account.ca.clone(),
        };
        if let Some(client) = self.get(&key) {
            return Ok(client);
        }
        let client = match previous.get(&key) {
            Some(client) => client,
            None => http_client(&account.server, account.ca.as_deref())?,
        };
        self.0.push((key, client.clone()));
        Ok(client)
    }

    fn get(&self, wanted: &ClientKey) -> Option<reqwest::Client> {
        let (_, client) = self.0.iter().find(|(key, _)| key == wanted)?;
        Some(client.clone())
    }
}
