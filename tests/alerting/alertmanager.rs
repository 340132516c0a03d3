//! Alertmanager process on a free port, with a webhook as its only receiver.

use tempfile::TempDir;
use tokio::process::Command;

use crate::common::background_process::BackgroundProcess;

/// Running Alertmanager, killed on drop.
pub struct Alertmanager {
    address: String,
    process: BackgroundProcess,
    _folder: TempDir,
}

impl Alertmanager {
    /// Starts an Alertmanager that notifies the webhook after one second, also of resolved alerts.
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
        let process = BackgroundProcess::start(&mut command);
        Self {
            address: process.wait_for_address().await,
            process,
            _folder: folder,
        }
    }

    /// Returns the `host:port` address, as Prometheus expects it.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns the log output so far.
    pub fn log(&self) -> String {
        self.process.log()
    }
}
