//! The three accounts on which the queries are tried, and their exporters.
//!
//! Owns how each is started; what their dashboards must show is for `exists` and `queries` to say.

use ringcentral_exporter::simulator::{Fault, FaultKind, Operation, Scenario, Simulator};
use tokio::net::TcpListener;

use crate::common::exporter_process::{ExporterProcess, command_for_simulator};

/// A simulated account, and the exporter that watches it; both end when this is dropped.
pub struct Account {
    pub name: &'static str,
    pub url: String,
    simulator: Simulator,
    _exporter: ExporterProcess,
}

impl Account {
    /// Many calls, and everything that can be asked for.
    pub async fn busy() -> Self {
        let flags = [
            "--metrics.extension-info",
            "--metrics.extension-calls",
            "--ringcentral.concurrent-calls-limit=100",
        ];
        Self::start("busy", 60.0, &flags).await
    }

    /// No call at all, and nothing asked for.
    pub async fn quiet() -> Self {
        Self::start("quiet", 0.0, &[]).await
    }

    /// One whose calls are soon forgotten when it [fails](Self::fails).
    pub async fn failing() -> Self {
        Self::start(
            "failing",
            60.0,
            &["--scrape.max-age=15s", "--scrape.min-interval=7s"],
        )
        .await
    }

    async fn start(name: &'static str, calls_per_minute: f64, flags: &[&str]) -> Self {
        let scenario = Scenario {
            calls_per_minute,
            ..Scenario::normal()
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let simulator = Simulator::start(listener, scenario, 1).unwrap();
        let named = [
            "--web.listen-address=127.0.0.1:0",
            "--ringcentral.account-name",
            name,
        ];
        let mut exporter =
            ExporterProcess::start(command_for_simulator(&simulator, &[&named, flags].concat()));
        let url = exporter.wait_for_url().await;
        Self {
            name,
            url,
            simulator,
            _exporter: exporter,
        }
    }

    /// From now on it breaks every connection.
    pub fn fails(&self) {
        for operation in [
            Operation::ActiveCalls,
            Operation::Token,
            Operation::Extensions,
        ] {
            self.simulator
                .inject(Fault::always(operation, FaultKind::CloseBeforeAnswer));
        }
    }

    /// What Prometheus calls its exporter.
    pub fn instance(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }
}

/// Does this on a runtime of its own: what several tests share belongs to none of theirs.
pub fn on_a_runtime<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}
