//! Thousands of connections from one process.

use std::future::Future;
use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::Once;
use std::time::Duration;

use procfs::process::{LimitValue, Process};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::stage::{Stage, connect};

/// Connections that stay until this is dropped. One that is closed is opened again.
pub struct Flood(JoinSet<()>);

impl Flood {
    /// So many; what each does once it is there, `act` says. Whatever comes back is read only if `act` reads it.
    pub async fn start<F, Act>(
        stage: &Stage,
        wanted: usize,
        from: fn(usize) -> Ipv4Addr,
        act: F,
    ) -> Self
    where
        F: Fn(TcpStream) -> Act + Copy + Send + 'static,
        Act: Future<Output = ()> + Send,
    {
        let mut flood = JoinSet::new();
        let to = stage.address;
        for number in 0..affordable(wanted) {
            flood.spawn(async move {
                loop {
                    if let Ok(stream) = connect(to, from(number)).await {
                        act(stream).await;
                    }
                    sleep(Duration::from_millis(20)).await;
                }
            });
        }
        sleep(Duration::from_secs(1)).await;
        Self(flood)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// Says nothing, until the other side has closed.
pub async fn silence(mut stream: TcpStream) {
    let _ = stream.read(&mut [0]).await;
}

/// As many connections as were wanted, or as this process may have: two floods may run side by side.
pub fn affordable(wanted: usize) -> usize {
    static RAISED: Once = Once::new();
    let limits = Process::myself().unwrap().limits().unwrap();
    let LimitValue::Value(most) = limits.max_open_files.hard_limit else {
        return wanted;
    };
    RAISED.call_once(|| {
        let own = [
            "--pid",
            &std::process::id().to_string(),
            &format!("--nofile={most}:"),
        ];
        assert!(
            Command::new("prlimit")
                .args(own)
                .status()
                .unwrap()
                .success()
        );
    });
    let count = wanted.min(usize::try_from(most).unwrap().saturating_sub(200) / 2);
    if count < wanted {
        println!(
            "{count} connections instead of {wanted}: this process may have {most} descriptors"
        );
    }
    count
}
