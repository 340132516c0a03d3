//! A client that holds thousands of connections open.

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

use crate::harness::{TestExporter, connect};

/// Open connections, until this is dropped. A closed connection is replaced by a new one.
pub struct Flood(JoinSet<()>);

impl Flood {
    /// Opens up to `max` connections from the addresses that `from` returns, and runs `behaviour`
    /// on each of them.
    pub async fn start<F, Behaviour>(
        exporter: &TestExporter,
        max: usize,
        from: fn(usize) -> Ipv4Addr,
        behaviour: F,
    ) -> Self
    where
        F: Fn(TcpStream) -> Behaviour + Copy + Send + 'static,
        Behaviour: Future<Output = ()> + Send,
    {
        let mut flood = JoinSet::new();
        let to = exporter.address;
        for number in 0..limit_to_descriptors(max) {
            flood.spawn(async move {
                loop {
                    if let Ok(stream) = connect(to, from(number)).await {
                        behaviour(stream).await;
                    }
                    sleep(Duration::from_millis(20)).await;
                }
            });
        }
        sleep(Duration::from_secs(1)).await;
        Self(flood)
    }

    /// Returns the number of connections.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// Sends nothing and waits until the server closes the connection.
pub async fn idle(mut stream: TcpStream) {
    let _ = stream.read(&mut [0]).await;
}

/// Raises the descriptor limit of this process and returns `count`, or the number of connections
/// that the limit allows. Half of the limit is left for a second flood in the same process.
pub fn limit_to_descriptors(count: usize) -> usize {
    static RAISED: Once = Once::new();
    let limits = Process::myself().unwrap().limits().unwrap();
    let LimitValue::Value(max) = limits.max_open_files.hard_limit else {
        return count;
    };
    RAISED.call_once(|| {
        let arguments = [
            "--pid",
            &std::process::id().to_string(),
            &format!("--nofile={max}:"),
        ];
        assert!(
            Command::new("prlimit")
                .args(arguments)
                .status()
                .unwrap()
                .success()
        );
    });
    let allowed = count.min(usize::try_from(max).unwrap().saturating_sub(200) / 2);
    if allowed < count {
        println!("{allowed} connections instead of {count}: the descriptor limit is {max}");
    }
    allowed
}
