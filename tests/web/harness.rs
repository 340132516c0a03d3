//! The test harness: an exporter process with a web configuration, and its simulated account.

use std::time::Duration;

use ringcentral_exporter::simulator::{Scenario, Simulator};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

use crate::common::MAX_WAIT;
use crate::common::exporter_process::{ExporterProcess, command_for_simulator};
use crate::curl::{CurlResponse, curl};
use crate::pki::Pki;

/// A web configuration with TLS only.
pub const TLS: &str = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";

/// A running exporter.
pub struct TestExporter {
    pub pki: Pki,
    pub process: ExporterProcess,
    pub simulator: Simulator,
    /// The address for clients, `localhost:PORT`.
    pub address: String,
    scheme: &'static str,
}

impl TestExporter {
    /// Starts an exporter with this web configuration and further flags.
    pub async fn start(web_config: &str, flags: &[&str]) -> Self {
        Self::start_with_pki(Pki::new(), web_config, flags).await
    }

    /// Starts an exporter whose web configuration refers to files of `pki`.
    pub async fn start_with_pki(pki: Pki, web_config: &str, flags: &[&str]) -> Self {
        pki.write("web.yml", web_config);
        let simulator = start_simulator().await;
        let file = pki.arg("web.yml");
        let required = [
            "--web.config.file",
            &file,
            "--web.listen-address",
            "127.0.0.1:0",
            "--log.level",
            "debug",
        ];
        let flags = [&required, flags].concat();
        let mut process = ExporterProcess::start(command_for_simulator(&simulator, &flags));
        let url = process.wait_for_url().await;
        let scheme = if process.log.contains("tls=true") {
            "https"
        } else {
            "http"
        };
        let port = url.rsplit_once(':').unwrap().1;
        Self {
            address: format!("localhost:{port}"),
            scheme,
            pki,
            process,
            simulator,
        }
    }

    /// Returns the URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// Runs curl with the CA certificate and further arguments.
    pub async fn curl(&self, path: &str, arguments: &[&str]) -> CurlResponse {
        let (ca, url) = (self.pki.arg("ca.crt"), self.url(path));
        curl(&[&["--ipv4", "--cacert", &ca], arguments, &[&url]].concat()).await
    }

    /// Runs curl until the response matches, for at most a minute. The exporter checks files for changes
    /// once a second and applies a change one second later.
    pub async fn curl_until(
        &self,
        path: &str,
        arguments: &[&str],
        matches: impl Fn(&CurlResponse) -> bool,
    ) -> CurlResponse {
        let deadline = Instant::now() + MAX_WAIT;
        loop {
            let response = self.curl(path, arguments).await;
            if matches(&response) {
                return response;
            }
            assert!(
                Instant::now() < deadline,
                "no matching response: {response:?}"
            );
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// Replaces the web configuration file.
    pub fn write_web_config(&self, text: &str) {
        self.pki.write("web.yml", text);
    }
}

/// Starts a simulated account.
pub async fn start_simulator() -> Simulator {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Simulator::start(listener, Scenario::normal(), 1).unwrap()
}

/// Returns a web configuration with one user, whose password is hashed at this bcrypt cost.
pub fn basic_auth_config(name: &str, password: &str, cost: u32) -> String {
    format!(
        "basic_auth_users:\n  {name}: {}\n",
        bcrypt::hash(password, cost).unwrap()
    )
}
