//! Three simulated accounts for the queries, each with its own exporter process.

use std::time::Duration;

use ringcentral_exporter::simulator::{Fault, FaultKind, Operation, Scenario, Simulator};
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

use crate::common::exporter_process::{ExporterProcess, command_for_simulator};
use crate::common::{MAX_WAIT, get};

/// Simulated account and the exporter process that monitors it, both stopped on drop.
pub struct TestAccount {
    pub name: &'static str,
    pub url: String,
    simulator: Simulator,
    _exporter: ExporterProcess,
}

impl TestAccount {
    /// Starts an account with many calls and an exporter with all optional metrics, with presence by events.
    pub async fn busy() -> Self {
        let flags = [
            "--ringcentral.presence=events",
            "--metrics.extension-presence",
            "--metrics.extension-info",
            "--metrics.extension-calls",
            "--ringcentral.concurrent-calls-limit=100",
        ];
        Self::start("busy", 60.0, &flags).await
    }

    /// Starts an account without calls and an exporter without optional metrics.
    pub async fn quiet() -> Self {
        Self::start("quiet", 0.0, &[]).await
    }

    /// Starts an account whose calls expire soon after [`start_failing`](Self::start_failing).
    pub async fn failing() -> Self {
        Self::start(
            "failing",
            60.0,
            &["--scrape.max-age=15s", "--scrape.min-interval=7s"],
        )
        .await
    }

    /// Starts the simulator and the exporter.
    async fn start(name: &'static str, calls_per_minute: f64, flags: &[&str]) -> Self {
        let scenario = Scenario {
            calls_per_minute,
            ..Scenario::normal()
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let simulator = Simulator::start(listener, scenario, 1).unwrap();
        let common_flags = [
            "--web.listen-address=127.0.0.1:0",
            "--ringcentral.account-name",
            name,
        ];
        let mut exporter = ExporterProcess::start(command_for_simulator(
            &simulator,
            &[&common_flags, flags].concat(),
        ));
        let url = exporter.wait_for_url().await;
        Self {
            name,
            url,
            simulator,
            _exporter: exporter,
        }
    }

    /// Makes RingCentral close every connection of this account from now on.
    pub fn start_failing(&self) {
        for operation in [
            Operation::ActiveCalls,
            Operation::Token,
            Operation::Extensions,
        ] {
            self.simulator
                .inject(Fault::always(operation, FaultKind::CloseBeforeResponse));
        }
    }

    /// Returns the first exposition that contains this series.
    pub async fn wait_for_series(&self, name: &str) -> String {
        let text = async {
            loop {
                let text = get(&format!("{}/metrics", self.url)).await;
                if text.contains(&format!("\n{name}{{")) {
                    return text;
                }
                sleep(Duration::from_millis(200)).await;
            }
        };
        timeout(MAX_WAIT, text).await.expect(name)
    }

    /// Returns the label `instance` of the exporter.
    pub fn instance(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }
}

/// Runs a future on a new runtime, because a value that several tests share must outlive their runtimes.
pub fn run_on_new_runtime<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}
