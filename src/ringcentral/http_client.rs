//! The HTTP client of a server: its proxy, the addresses of its name, and which connections are
//! reused.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, RequestBuilder, Response, Url};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;
use tower::util::MapResultLayer;

use crate::config::{NameLookup, Network, Proxy};
use crate::ringcentral::transport_error::Route;

/// The value of `User-Agent`.
const USER_AGENT: &str = concat!(
    "ringcentral-exporter/",
    env!("CARGO_PKG_VERSION"),
    " (Prometheus exporter)"
);
/// How long an idle connection is reused: long enough for the pages of a fetch, short enough that
/// each fetch looks up the name again. The pool closes idle connections at intervals of this time,
/// so each is closed at the latest after 5 s.
const IDLE_TIMEOUT: Duration = Duration::from_millis(2500);
/// The maximum time to connect to one address. It is the kernel's limit for data without an
/// acknowledgement, so it also ends an established connection whose route is lost for this time.
const ADDRESS_TIMEOUT: Duration = Duration::from_secs(3);
/// The same limit for connections to the event gateway, whose route may be lost for as long as they may be silent. It is
/// less than that, so that the kernel's error is reported.
const GATEWAY_TIMEOUT: Duration = Duration::from_secs(80);
/// The maximum time to connect to a server, with TLS. `reqwest` divides it over the addresses of a
/// name, so that all of them are tried within the 10 s of a request.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(9);

tokio::task_local! {
    /// Whether the current request has opened a connection, or could not.
    static OPENS_CONNECTION: Arc<AtomicBool>;
}

/// The HTTP client of a server, which its accounts share.
#[derive(Clone)]
pub struct HttpClient(Arc<Shared>);

struct Shared {
    ca: Option<Arc<[u8]>>,
    network: Network,
    setup: ClientSetup,
    /// The client whose pool has no connection from before the last failure.
    client: Mutex<Client>,
}

/// What a client is built from. Its root certificates are shared by all clients that are built.
struct ClientSetup {
    server: Url,
    proxy: Option<Proxy>,
    addresses: Addresses,
    tls: ClientConfig,
    /// The kernel's limit for data without an acknowledgement.
    acknowledge_timeout: Duration,
}

/// Why a request got no response.
pub(crate) struct SendError {
    pub(crate) error: reqwest::Error,
    /// Whether the connection was open before the request.
    pub(crate) was_reused: bool,
}

/// Builds an HTTP client for a server, which trusts the root certificates of the system and those
/// of `ca` (PEM), and uses no proxy.
///
/// A server without TLS needs no root certificates, so the system may have none.
///
/// # Errors
/// Returns an error if the root certificates of the system or of `ca` cannot be read.
pub fn http_client(server: &Url, ca: Option<&[u8]>) -> anyhow::Result<Client> {
    ClientSetup::new(server, ca, None, Addresses::default())?.build()
}

/// Returns the TLS configuration with the root certificates of the system and those of `ca`.
///
/// Reading the system's takes about 20 ms. A server without TLS needs none.
fn tls_config(uses_tls: bool, ca: Option<&[u8]>) -> anyhow::Result<ClientConfig> {
    // This fails if a provider is already installed, which is the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = ClientConfig::builder();
    let mut config = if uses_tls {
        let certificates: Result<Vec<_>, _> =
            CertificateDer::pem_slice_iter(ca.unwrap_or_default()).collect();
        let provider = builder.crypto_provider().clone();
        let verifier = Verifier::new_with_extra_roots(certificates?, provider)?;
        let builder = builder.dangerous();
        builder.with_custom_certificate_verifier(Arc::new(verifier))
    } else {
        builder.with_root_certificates(RootCertStore::empty())
    }
    .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Returns whether the connection to the server or to its proxy uses TLS.
fn uses_tls(server: &Url, proxy: Option<&Proxy>) -> bool {
    server.scheme() == "https" || proxy.is_some_and(Proxy::uses_tls)
}

/// Returns a proxy for all requests of a client.
fn with_authorization(proxy: &Proxy) -> reqwest::Result<reqwest::Proxy> {
    let all = reqwest::Proxy::all(proxy.url.clone())?;
    Ok(match &proxy.authorization {
        Some(authorization) => all.custom_http_auth(authorization.clone()),
        None => all,
    })
}

/// Notes that the current request has opened a connection, or could not, and returns it unchanged.
/// A request for which another connection becomes idle meanwhile uses that one, and notes nothing.
fn note_connection<T>(connection: T) -> T {
    // Outside of a request nothing has to be noted.
    let _ = OPENS_CONNECTION.try_with(|opens| opens.store(true, Ordering::Relaxed));
    connection
}

// === impl HttpClient ===

impl HttpClient {
    /// Builds the client for a server.
    ///
    /// # Errors
    /// Returns an error if the root certificates of the system or of `ca` cannot be read, or the
    /// proxy for the server is not supported.
    pub fn new(server: &Url, ca: Option<Arc<[u8]>>, network: &Network) -> anyhow::Result<Self> {
        let proxy = network.proxies.for_server(server)?.cloned();
        let addresses = Addresses {
            lookup: network.lookup.clone(),
            order: Arc::default(),
        };
        let setup = ClientSetup::new(server, ca.as_deref(), proxy, addresses)?;
        Self::with_setup(ca, network.clone(), setup)
    }

    /// Builds a client for the event gateway with the same root certificates and the proxy for that server. Reads the
    /// root certificates only if this client has none. If `former` is the client for that gateway it is returned, since
    /// it knows which address to try next.
    ///
    /// # Errors
    /// Returns an error as [`new`](Self::new) does.
    pub(crate) fn for_gateway(&self, gateway: &Url, former: Option<&Self>) -> anyhow::Result<Self> {
        let Shared {
            ca, network, setup, ..
        } = &*self.0;
        if let Some(former) = former
            && former.can_serve(gateway, ca.as_ref())
        {
            return Ok(former.clone());
        }
        let proxy = network.proxies.for_server(gateway)?.cloned();
        let tls = match setup.uses_tls() {
            true => setup.tls.clone(),
            false => tls_config(uses_tls(gateway, proxy.as_ref()), ca.as_deref())?,
        };
        let setup = ClientSetup {
            server: gateway.clone(),
            proxy,
            addresses: Addresses {
                lookup: network.lookup.clone(),
                order: Arc::default(),
            },
            tls,
            acknowledge_timeout: GATEWAY_TIMEOUT,
        };
        Self::with_setup(ca.clone(), network.clone(), setup)
    }

    fn with_setup(
        ca: Option<Arc<[u8]>>,
        network: Network,
        setup: ClientSetup,
    ) -> anyhow::Result<Self> {
        let client = Mutex::new(setup.build()?);
        Ok(Self(Arc::new(Shared {
            ca,
            network,
            setup,
            client,
        })))
    }

    /// Returns whether requests to `server` with the root certificates `ca` can use this client.
    pub(crate) fn can_serve(&self, server: &Url, ca: Option<&Arc<[u8]>>) -> bool {
        self.0.setup.server == *server && self.0.ca.as_ref() == ca
    }

    /// Returns the way of the requests.
    pub(crate) fn route(&self) -> Route {
        match self.0.setup.proxy {
            None => Route::Direct,
            Some(_) if self.0.setup.server.scheme() == "http" => Route::Proxy,
            Some(_) => Route::Tunnel,
        }
    }

    /// Returns the client for the next request.
    pub(crate) fn for_request(&self) -> Client {
        lock(&self.0.client).clone()
    }

    /// Builds a client without connections. Nothing is read from files.
    pub(crate) fn without_connections(&self) -> Client {
        // A client was built from the same values before, so this cannot fail.
        let built = self.0.setup.build();
        built.unwrap_or_else(|_| self.for_request())
    }

    /// Records a response from an address that proves it to be RingCentral's. Later connections
    /// try it first.
    pub(crate) fn record_success(&self, address: Option<SocketAddr>) {
        if let Some(address) = address {
            lock(&self.0.setup.addresses.order).first = Some(address.ip());
        }
    }

    /// Records a failure: later requests open connections, which begin with another address. The
    /// name may have moved, or the address may be the wrong one.
    pub(crate) fn record_failure(&self) {
        let mut order = lock(&self.0.setup.addresses.order);
        order.first = None;
        order.failures = order.failures.wrapping_add(1);
        drop(order);
        let client = self.without_connections();
        *lock(&self.0.client) = client;
    }
}

// === impl ClientSetup ===

impl ClientSetup {
    fn new(
        server: &Url,
        ca: Option<&[u8]>,
        proxy: Option<Proxy>,
        addresses: Addresses,
    ) -> anyhow::Result<Self> {
        let uses_tls = uses_tls(server, proxy.as_ref());
        let tls = tls_config(uses_tls, ca).context(
            "cannot set up TLS: does the system have root certificates (package ca-certificates)?",
        )?;
        Ok(Self {
            server: server.clone(),
            proxy,
            addresses,
            tls,
            acknowledge_timeout: ADDRESS_TIMEOUT,
        })
    }

    /// Returns whether the TLS configuration has root certificates.
    fn uses_tls(&self) -> bool {
        uses_tls(&self.server, self.proxy.as_ref())
    }

    /// Builds a client without connections.
    fn build(&self) -> anyhow::Result<Client> {
        let mut builder = Client::builder()
            .user_agent(USER_AGENT)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .dns_resolver(self.addresses.clone())
            .connector_layer(MapResultLayer::new(note_connection))
            .tls_backend_preconfigured(self.tls.clone())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .no_proxy()
            .http1_only();
        #[cfg(target_os = "linux")]
        {
            builder = builder.tcp_user_timeout(self.acknowledge_timeout);
        }
        if let Some(proxy) = &self.proxy {
            builder = builder.proxy(with_authorization(proxy)?);
        }
        Ok(builder.build()?)
    }
}

/// Sends a request and waits for the head of its response.
pub(crate) async fn send(request: RequestBuilder) -> Result<Response, SendError> {
    let opens_connection = Arc::new(AtomicBool::new(false));
    let sent = OPENS_CONNECTION.scope(opens_connection.clone(), request.send());
    sent.await.map_err(|error| SendError {
        error,
        was_reused: !opens_connection.load(Ordering::Relaxed),
    })
}

// === impl Addresses ===

/// Looks up the name of a server or proxy for each new connection, and orders its addresses.
#[derive(Clone, Default)]
struct Addresses {
    /// Looks up names in tests.
    lookup: Option<Arc<dyn NameLookup>>,
    order: Arc<Mutex<AddressOrder>>,
}

/// Which address of a name is tried first.
#[derive(Default)]
struct AddressOrder {
    /// The address of the last valid response. So an address that drops packets costs its 3 s once
    /// and not for each connection.
    first: Option<IpAddr>,
    /// The number of failures, by which the addresses are rotated.
    failures: usize,
}

impl Addresses {
    async fn look_up(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
        if let Some(lookup) = &self.lookup {
            let addresses = lookup.look_up(name).into_iter();
            return Ok(addresses.map(|ip| (ip, 0).into()).collect());
        }
        Ok(tokio::net::lookup_host((name, 0)).await?.collect())
    }
}

impl Resolve for Addresses {
    fn resolve(&self, name: Name) -> Resolving {
        let this = self.clone();
        Box::pin(async move {
            let mut addresses = this.look_up(name.as_str()).await?;
            lock(&this.order).apply(&mut addresses);
            let addresses: Addrs = Box::new(addresses.into_iter());
            Ok(addresses)
        })
    }
}

impl AddressOrder {
    /// Puts the addresses in the order in which they are tried, each once.
    fn apply(&self, addresses: &mut Vec<SocketAddr>) {
        let mut seen = HashSet::new();
        addresses.retain(|address| seen.insert(*address));
        let is_first = |address: &SocketAddr| Some(address.ip()) == self.first;
        if let Some(index) = addresses.iter().position(is_first) {
            addresses.rotate_left(index);
        } else if self.failures > 0 && !addresses.is_empty() {
            // A name server may rotate them too, so without an order of their own one could be
            // first each time.
            addresses.sort_unstable();
            let len = addresses.len();
            addresses.rotate_left(self.failures % len);
        }
    }
}

/// Locks a value whose changes cannot fail halfway, so that poisoning can be ignored.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(order: &AddressOrder, last_bytes: &[u8]) -> Vec<u8> {
        let address = |last: &u8| SocketAddr::from(([10, 0, 0, *last], 0));
        let mut addresses: Vec<_> = last_bytes.iter().map(address).collect();
        order.apply(&mut addresses);
        let mut result = Vec::new();
        for address in addresses {
            if let IpAddr::V4(ip) = address.ip() {
                result.push(ip.octets()[3]);
            }
        }
        result
    }

    #[test]
    fn address_of_last_response_is_tried_first() {
        let mut order = AddressOrder::default();
        assert_eq!(ordered(&order, &[3, 1, 2]), [3, 1, 2]);
        assert_eq!(ordered(&order, &[3, 1, 3, 2, 1]), [3, 1, 2]);
        assert!(ordered(&order, &[]).is_empty());
        order.first = Some([10, 0, 0, 2].into());
        assert_eq!(ordered(&order, &[3, 1, 2]), [2, 3, 1]);
        assert_eq!(ordered(&order, &[3, 1]), [3, 1], "it has moved");
    }

    #[test]
    fn gateway_has_its_own_limit_and_keeps_its_client() {
        let url = |text| Url::parse(text).unwrap();
        let network = Network::default();
        let api = HttpClient::new(&url("http://s.example"), None, &network).unwrap();
        let gateway = url("http://g.example/ws");
        let first = api.for_gateway(&gateway, None).unwrap();
        let timeout = |client: &HttpClient| client.0.setup.acknowledge_timeout.as_secs();
        assert_eq!((timeout(&api), timeout(&first)), (3, 80));
        first.record_failure();
        let second = api.for_gateway(&gateway, Some(&first)).unwrap();
        assert!(Arc::ptr_eq(&first.0, &second.0));
        let other = api.for_gateway(&url("http://h.example/ws"), Some(&first));
        assert!(!Arc::ptr_eq(&first.0, &other.unwrap().0));
        let other_roots = HttpClient::new(&url("http://s.example"), Some((*b"").into()), &network);
        let other = other_roots.unwrap().for_gateway(&gateway, Some(&first));
        assert!(!Arc::ptr_eq(&first.0, &other.unwrap().0));
    }

    #[test]
    fn each_failure_begins_with_another_address() {
        let mut first = Vec::new();
        for failures in 1..=4 {
            let order = AddressOrder {
                first: None,
                failures,
            };
            // A name server that rotates its response.
            let mut response = vec![1, 2, 3];
            response.rotate_right(failures % 3);
            first.push(ordered(&order, &response)[0]);
            assert!(ordered(&order, &[]).is_empty());
        }
        assert_eq!(first, [2, 3, 1, 2]);
    }
}
