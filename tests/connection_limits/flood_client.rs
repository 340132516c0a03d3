//! A client that holds thousands of connections open.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;

use procfs::process::{LimitValue, Process};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use crate::common::MAX_WAIT;
use crate::harness::{TestExporter, connect};

/// The time after which the exporter closes an idle connection, less half a second.
const IDLE_TIMEOUT: Duration = Duration::from_millis(4_500);

/// Open connections, until this is dropped. A closed connection is replaced by a new one. They have a
/// thread of their own, so that they do not delay the requests of the test's other clients.
pub struct Flood {
    connections: usize,
    /// The number of connections that ended before [`IDLE_TIMEOUT`].
    evicted: Arc<AtomicUsize>,
    /// Ends the thread when it is dropped.
    _stop: oneshot::Sender<()>,
}

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
        Behaviour: Future<Output = ()> + Send + 'static,
    {
        let connections = limit_to_descriptors(max);
        let to = exporter.address;
        let (stop, stopped) = oneshot::channel();
        let evicted = Arc::new(AtomicUsize::new(0));
        let counter = evicted.clone();
        std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            for number in 0..connections {
                runtime.spawn(hold_connection(
                    to,
                    from(number),
                    behaviour,
                    counter.clone(),
                ));
            }
            let _ = runtime.block_on(stopped);
        });
        sleep(Duration::from_secs(1)).await;
        Self {
            connections,
            evicted,
            _stop: stop,
        }
    }

    /// Waits until the exporter has evicted connections: all slots are in use, and it does not wait
    /// until they are idle for too long.
    pub async fn wait_for_evictions(&self) {
        let poll = async {
            while self.evicted.load(Ordering::Relaxed) == 0 {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(MAX_WAIT, poll).await.expect("no eviction");
    }

    /// Returns the number of connections.
    pub fn len(&self) -> usize {
        self.connections
    }
}

/// Connects and runs `behaviour`, repeatedly.
async fn hold_connection<F, Behaviour>(
    to: SocketAddr,
    from: Ipv4Addr,
    behaviour: F,
    evicted: Arc<AtomicUsize>,
) where
    F: Fn(TcpStream) -> Behaviour,
    Behaviour: Future<Output = ()>,
{
    loop {
        if let Ok(stream) = connect(to, from).await {
            let opened = Instant::now();
            behaviour(stream).await;
            if opened.elapsed() < IDLE_TIMEOUT {
                evicted.fetch_add(1, Ordering::Relaxed);
            }
        }
        sleep(Duration::from_millis(20)).await;
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
