//! The program with a web configuration, beside a simulated account.

use std::time::Duration;

use ringcentral_exporter::simulator::{Scenario, Simulator};
use tokio::net::TcpListener;

use crate::common::exporter_process::{ExporterProcess, command_for_simulator};
use crate::curl::{Answer, curl};
use crate::pki::Pki;

/// TLS with our certificate, and nothing else.
pub const TLS: &str = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";

/// A running program.
pub struct Stage {
    pub pki: Pki,
    pub program: ExporterProcess,
    pub simulator: Simulator,
    /// Without a scheme.
    pub address: String,
    scheme: &'static str,
}

impl Stage {
    /// With this file, and these flags besides.
    pub async fn start(web: &str, flags: &[&str]) -> Self {
        Self::around(Pki::new(), web, flags).await
    }

    pub async fn around(pki: Pki, web: &str, flags: &[&str]) -> Self {
        pki.write("web.yml", web);
        let simulator = simulator().await;
        let file = pki.arg("web.yml");
        let all = [
            &[
                "--web.listen-address",
                "127.0.0.1:0",
                "--log.level",
                "debug",
            ],
            flags,
        ]
        .concat();
        let all = [&["--web.config.file", file.as_str()], all.as_slice()].concat();
        let mut program = ExporterProcess::start(command_for_simulator(&simulator, &all));
        let url = program.wait_for_url().await;
        let scheme = if program.log.contains("tls=true") {
            "https"
        } else {
            "http"
        };
        let port = url.rsplit_once(':').unwrap().1;
        Self {
            address: format!("localhost:{port}"),
            scheme,
            pki,
            program,
            simulator,
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// curl with our CA and these arguments.
    pub async fn curl(&self, path: &str, arguments: &[&str]) -> Answer {
        let (ca, url) = (self.pki.arg("ca.crt"), self.url(path));
        curl(&[&["--ipv4", "--cacert", &ca], arguments, &[&url]].concat()).await
    }

    /// curl until the answer is as wanted, for five seconds: files are looked at once a second, and given one.
    pub async fn curl_until(
        &self,
        path: &str,
        arguments: &[&str],
        wanted: impl Fn(&Answer) -> bool,
    ) -> Answer {
        for _ in 0..25 {
            let answer = self.curl(path, arguments).await;
            if wanted(&answer) {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!(
            "it did not come to that: {:?}",
            self.curl(path, arguments).await
        );
    }

    pub fn web(&self, text: &str) {
        self.pki.write("web.yml", text);
    }
}

pub async fn simulator() -> Simulator {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Simulator::start(listener, Scenario::normal(), 1).unwrap()
}

/// A user with this password, hashed at this cost.
pub fn users(name: &str, password: &str, cost: u32) -> String {
    format!(
        "basic_auth_users:\n  {name}: {}\n",
        bcrypt::hash(password, cost).unwrap()
    )
}
