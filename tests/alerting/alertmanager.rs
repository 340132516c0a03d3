//! A real Alertmanager on a free port, with one receiver: a webhook.
//!
//! Knows how it is configured; what it sends is none of its business.

use tempfile::TempDir;
use tokio::process::Command;

use crate::common::background_process::BackgroundProcess;

/// A running Alertmanager; it is killed when this is dropped.
pub struct Alertmanager {
    address: String,
    daemon: BackgroundProcess,
    _folder: TempDir,
}

impl Alertmanager {
    /// It hands on at once what it is told, the end of an alert too.
    pub async fn start(webhook: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "route: {{receiver: phone, group_by: [alertname, account], group_wait: 1s, group_interval: 1s}}\n\
             receivers: [{{name: phone, webhook_configs: [{{url: {webhook:?}, send_resolved: true}}]}}]\n"
        );
        let file = folder.path().join("alertmanager.yml");
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new("prometheus-alertmanager");
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.path={}",
                folder.path().join("data").display()
            ))
            .args([
                "--web.listen-address=127.0.0.1:0",
                "--cluster.listen-address=",
            ]);
        let daemon = BackgroundProcess::start(&mut command);
        Self {
            address: daemon.wait_for_address().await,
            daemon,
            _folder: folder,
        }
    }

    /// Its address, as Prometheus wants it.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.daemon.log()
    }
}
