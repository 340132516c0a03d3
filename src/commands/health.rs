//! The command `health`: asks the running exporter whether it is there, for a container's health check.
//!
//! Owns: where the exporter must be listening, by the flags that it was given, and one line on failure. With TLS the
//! certificate is not verified: we ask our own process over loopback, its certificate is for another name, and nothing
//! secret is sent or believed. So no root certificates are loaded. Refuses to know: RingCentral, which is never asked;
//! credentials; who may see the metrics, since health paths need no login; and what stands in the web configuration, which
//! may no longer be what the exporter runs with.

use std::time::Duration;

use crate::cli::HealthArgs;
use crate::config::ConfigError;
use crate::ringcentral::transport_error::TransportError;

const PATH: &str = "/-/healthy";
const PATIENCE: Duration = Duration::from_secs(3);
/// What the exporter says there; another program on its port would not.
const HEALTHY: &str = "healthy\n";

/// Whom to ask, validated.
pub struct HealthCheck {
    address: String,
    may_speak_tls: bool,
}

impl HealthCheck {
    /// Validates the flags.
    ///
    /// # Errors
    /// When the address has another form than `serve` accepts.
    pub fn new(args: &HealthArgs) -> Result<Self, ConfigError> {
        let first = args.listen_address.first().map_or(":10072", String::as_str);
        let address = reachable(first);
        let may_speak_tls = args
            .web_config_file
            .as_deref()
            .is_some_and(|file| !file.is_empty());
        Ok(Self {
            address,
            may_speak_tls,
        })
    }

    /// Asks, for three seconds at most. With a web configuration by https first: it says whether there is TLS, but the
    /// exporter may run with an older one, where the present file is bad.
    ///
    /// # Errors
    /// Why the exporter cannot be called healthy, in one line.
    pub async fn run(self) -> anyhow::Result<()> {
        if !self.may_speak_tls {
            return self.ask("http").await;
        }
        let Err(by_https) = self.ask("https").await else {
            return Ok(());
        };
        self.ask("http").await.map_err(|_| by_https)
    }

    async fn ask(&self, scheme: &str) -> anyhow::Result<()> {
        let url = format!("{scheme}://{}{PATH}", self.address);
        let asked = async {
            client()?
                .get(&url)
                .send()
                .await?
                .error_for_status()?
                .text()
                .await
        };
        match asked.await {
            Ok(text) if text == HEALTHY => Ok(()),
            Ok(_) => anyhow::bail!("{url}: another program answers there"),
            Err(error) => anyhow::bail!("{url}: {}", why(&error)),
        }
    }
}

/// What listens on all interfaces listens on loopback.
fn reachable(address: &str) -> String {
    let (host, port) = address.rsplit_once(':').unwrap_or(("", address));
    match host {
        "" | "0.0.0.0" => format!("127.0.0.1:{port}"),
        "[::]" => format!("[::1]:{port}"),
        _ => address.to_owned(),
    }
}

fn client() -> reqwest::Result<reqwest::Client> {
    // A second call finds the provider there already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(PATIENCE);
    builder
        .tls_certs_only([])
        .tls_danger_accept_invalid_certs(true)
        .http1_only()
        .build()
}

fn why(error: &reqwest::Error) -> String {
    match error.status() {
        Some(status) => format!("the answer is {}", status.as_u16()),
        None if error.is_timeout() => format!("no answer in {} s", PATIENCE.as_secs()),
        None => advised(TransportError::from_reqwest(error, false).what),
    }
}

/// The one refusal that no flag of ours can mend.
fn advised(what: String) -> String {
    if what.ends_with("CertificateRequired") {
        return "clients need a certificate, and a health check has none: use a TCP probe"
            .to_owned();
    }
    what
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_interfaces_are_asked_on_loopback_and_one_that_is_named_by_its_name() {
        let cases = [
            (":10072", "127.0.0.1:10072"),
            ("0.0.0.0:80", "127.0.0.1:80"),
            ("[::]:80", "[::1]:80"),
            ("localhost:80", "localhost:80"),
            ("[fd00::1]:80", "[fd00::1]:80"),
        ];
        for (given, asked) in cases {
            assert_eq!(reachable(given), asked);
        }
    }
}
