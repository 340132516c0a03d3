//! The command `health`: requests `/-/healthy` from the running exporter, for a container's health check.
//!
//! It connects over loopback to the address of `--web.listen-address`. With TLS the certificate is not verified: it is
//! issued for another name, and the request contains no secret. So no root certificates are loaded. The web configuration
//! is not read, since the exporter may still run with an older version of it.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use reqwest::StatusCode;

use crate::cli::HealthArgs;
use crate::http::listener::loopback_if_unspecified;
use crate::ringcentral::transport_error::{Route, TransportError};
use crate::secret::redact_address;

const PATH: &str = "/-/healthy";
const TIMEOUT: Duration = Duration::from_secs(3);
/// Response body of the exporter; another program on the port would send a different one.
const EXPECTED_BODY: &str = "healthy\n";

/// A validated `health` command.
pub struct HealthCheck {
    address: String,
    try_https: bool,
}

impl HealthCheck {
    /// Creates the command from its flags.
    #[must_use]
    pub fn new(args: &HealthArgs) -> Self {
        let address = args.listen_address.first().map_or(":10072", String::as_str);
        let web_config_file = args.web_config_file.as_deref().unwrap_or_default();
        Self {
            address: loopback_if_unspecified(address),
            try_https: !web_config_file.is_empty(),
        }
    }

    /// Probes the exporter, at most 3 s for each scheme. With a web configuration HTTPS is tried first, then HTTP: the
    /// exporter may run with an older web configuration without TLS.
    ///
    /// # Errors
    /// Returns an error if the exporter does not respond as healthy, in one line.
    pub async fn run(self) -> anyhow::Result<()> {
        if !self.try_https {
            return self.probe("http").await;
        }
        let Err(https_error) = self.probe("https").await else {
            return Ok(());
        };
        self.probe("http").await.map_err(|_| https_error)
    }

    async fn probe(&self, scheme: &str) -> anyhow::Result<()> {
        let result = get(&format!("{scheme}://{}{PATH}", self.address)).await;
        let url = format!("{scheme}://{}{PATH}", redact_address(&self.address));
        let error = match result {
            Ok(body) if body == EXPECTED_BODY => return Ok(()),
            Ok(_) => anyhow::bail!("{url}: unexpected response: another program uses this address"),
            Err(error) => error,
        };
        // A port that requires TLS responds with 400, or in earlier versions not with HTTP.
        let is_refused = matches!(error.status(), None | Some(StatusCode::BAD_REQUEST));
        let may_need_tls = is_refused && !error.is_timeout() && !error.is_connect();
        if !self.try_https && may_need_tls && self.responds_over_tls().await {
            anyhow::bail!("{url}: the exporter uses TLS: add --web.config.file");
        }
        anyhow::bail!("{url}: {}", describe_error(&error))
    }

    async fn responds_over_tls(&self) -> bool {
        match get(&format!("https://{}{PATH}", self.address)).await {
            Ok(_) => true,
            Err(error) => {
                requires_client_cert(&TransportError::from_reqwest(&error, Route::Direct))
            }
        }
    }
}

async fn get(url: &str) -> reqwest::Result<String> {
    let response = client()?.get(url).send().await?;
    response.error_for_status()?.text().await
}

fn client() -> reqwest::Result<reqwest::Client> {
    // Fails only if a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // The port of these addresses is ignored.
    let loopback = [
        (Ipv4Addr::LOCALHOST, 0).into(),
        (Ipv6Addr::LOCALHOST, 0).into(),
    ];
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(TIMEOUT)
        // A container without /etc/hosts cannot resolve this name.
        .resolve_to_addrs("localhost", &loopback)
        .tls_certs_only([])
        .tls_danger_accept_invalid_certs(true)
        .http1_only()
        .build()
}

fn describe_error(error: &reqwest::Error) -> String {
    if let Some(status) = error.status() {
        return format!("unexpected status {}", status.as_u16());
    }
    if error.is_timeout() {
        return format!("no response within {} s", TIMEOUT.as_secs());
    }
    let error = TransportError::from_reqwest(error, Route::Direct);
    if requires_client_cert(&error) {
        return "client certificate required, which `health` does not have: use a TCP probe"
            .to_owned();
    }
    error.message
}

/// Returns whether the TLS alert says that a client certificate is missing.
fn requires_client_cert(error: &TransportError) -> bool {
    error.message.ends_with("CertificateRequired")
}
