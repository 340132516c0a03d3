//! Open connections: their maximum number, and eviction of idle ones when it is reached.
//!
//! A connection is idle while the server waits for the client: for a handshake, for a request, or
//! for the client to read a response. It is busy while a request is being handled, and then it is
//! never evicted.

use std::collections::HashMap;
use std::future::{Future, pending};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::task::{AbortHandle, Id, JoinSet, yield_now};
use tokio::time::{Instant, sleep_until, timeout};

use crate::clock::Moment;

/// Soft limit of open files that allows 1,000 concurrent scrapers. Many systems set 1,024, for
/// programs that use `select`; this one does not.
const TARGET_FD_LIMIT: u64 = 1400;
/// Maximum number of connections. The other quarter of the descriptors is for RingCentral and for
/// files.
const MAX_CONNECTIONS: u64 = TARGET_FD_LIMIT / 4 * 3;
/// Idle time before a connection may be evicted, so that a new client has time to send its request.
const MIN_IDLE: Duration = Duration::from_millis(100);
/// Divisor of the maximum number of connections: how many may be evicted together.
const EVICTION_DIVISOR: usize = 32;
/// Maximum time from the start of a response to its end: that of the longest scrape. Each response keeps the text that
/// it started with.
const MAX_RESPONSE_TIME: Duration = Duration::from_secs(60);
/// Interval between checks while there is no capacity and no connection has been idle for
/// `MIN_IDLE`.
const RECHECK_INTERVAL: Duration = Duration::from_millis(20);

/// Raises the soft limit of open files if necessary, and returns how many connections it allows.
pub(crate) fn raise_fd_limit() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    let target = limit.maximum.unwrap_or(u64::MAX).min(TARGET_FD_LIMIT);
    if limit.current.is_some_and(|current| current < target) {
        limit.current = Some(target);
        // On failure the previous limit applies.
        let _ = setrlimit(Resource::Nofile, limit);
    }
    let current = getrlimit(Resource::Nofile)
        .current
        .unwrap_or(TARGET_FD_LIMIT);
    usize::try_from(MAX_CONNECTIONS.min(current / 4 * 3)).unwrap_or(usize::MAX)
}

/// Whether a connection is idle, and since when. Shared by its task and the manager; `None` while
/// it is busy.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionState(Arc<Mutex<Option<Instant>>>);

impl ConnectionState {
    /// Creates the state of a connection that is idle from now on.
    pub(crate) fn idle() -> Self {
        Self(Arc::new(Mutex::new(Some(Moment::now().instant))))
    }

    /// Marks the connection as busy.
    pub(crate) fn set_busy(&self) {
        *self.lock() = None;
    }

    /// Marks the connection as idle from now on.
    pub(crate) fn set_idle(&self) {
        *self.lock() = Some(Moment::now().instant);
    }

    /// Waits until a response has taken too long. The connection is idle while a response is sent; without one, it is
    /// closed after a few seconds.
    pub(crate) async fn response_timeout(&self) {
        loop {
            let now = Moment::now().instant;
            let deadline = self.idle_since().unwrap_or(now) + MAX_RESPONSE_TIME;
            if deadline <= now {
                return;
            }
            sleep_until(deadline).await;
        }
    }

    fn idle_since(&self) -> Option<Instant> {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The tasks of all open connections.
pub(crate) struct ConnectionManager {
    max_connections: usize,
    /// Includes evicted connections until they are joined.
    tasks: JoinSet<()>,
    connections: HashMap<Id, ConnectionEntry>,
}

struct ConnectionEntry {
    peer_addr: SocketAddr,
    state: ConnectionState,
    task: AbortHandle,
}

impl ConnectionManager {
    /// Creates a manager for up to `max_connections` connections.
    pub(crate) fn new(max_connections: usize) -> Self {
        Self {
            max_connections,
            tasks: JoinSet::new(),
            connections: HashMap::new(),
        }
    }

    /// Returns whether another connection may be accepted. One more than the maximum is allowed, so
    /// that a new client is served while an idle connection is evicted.
    pub(crate) fn has_capacity(&self) -> bool {
        self.tasks.len() <= self.max_connections
    }

    /// Returns whether at least half of the maximum is in use.
    pub(crate) fn is_half_full(&self) -> bool {
        self.connections.len() >= self.max_connections / 2
    }

    /// Spawns the task of a connection.
    pub(crate) fn spawn(
        &mut self,
        peer_addr: SocketAddr,
        state: ConnectionState,
        connection: impl Future<Output = ()> + Send + 'static,
    ) {
        let task = self.tasks.spawn(connection);
        let entry = ConnectionEntry {
            peer_addr,
            state,
            task,
        };
        self.connections.insert(entry.task.id(), entry);
    }

    /// Waits until a connection has ended, or evicts some if there is no capacity.
    pub(crate) async fn wait_or_evict(&mut self) {
        let eviction_pending = self.tasks.len() > self.connections.len();
        if self.has_capacity() || eviction_pending {
            self.join_next().await;
            return;
        }
        // Other tasks run first: a connection whose request has arrived becomes busy and is not
        // evicted.
        yield_now().await;
        if self.evict() == 0 {
            let _ = timeout(RECHECK_INTERVAL, self.join_next()).await;
        }
    }

    async fn join_next(&mut self) {
        match self.tasks.join_next_with_id().await {
            Some(Ok((id, ()))) => self.connections.remove(&id),
            Some(Err(error)) => self.connections.remove(&error.id()),
            None => pending().await,
        };
    }

    /// Waits until all connections have ended, and aborts those that are open after `grace_period`.
    pub(crate) async fn drain(mut self, grace_period: Duration) {
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(grace_period, ended).await.is_err() {
            let connections = self.tasks.len();
            tracing::warn!(connections, "connections aborted at shutdown");
            self.tasks.shutdown().await;
        }
    }

    /// Evicts the connections that have been idle longest, and returns how many.
    fn evict(&mut self) -> usize {
        let now = Moment::now().instant;
        let mut idle = Vec::new();
        for (id, connection) in &self.connections {
            if let Some(since) = connection.state.idle_since()
                && now.saturating_duration_since(since) >= MIN_IDLE
            {
                idle.push((since, *id));
            }
        }
        idle.sort_unstable_by_key(|(since, _)| *since);
        idle.truncate(self.max_connections.div_ceil(EVICTION_DIVISOR));
        for (_, id) in &idle {
            if let Some(connection) = self.connections.remove(id) {
                tracing::debug!(client = %connection.peer_addr, "idle connection evicted");
                connection.task.abort();
            }
        }
        idle.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: SocketAddr =
        SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1);

    /// Creates the state of a connection that has been idle for `periods` times `MIN_IDLE`.
    fn idle_for(periods: usize) -> ConnectionState {
        let since = Moment::now().instant - MIN_IDLE * u32::try_from(periods).unwrap();
        ConnectionState(Arc::new(Mutex::new(Some(since))))
    }

    /// Creates a manager with one connection more than its maximum. The first has been idle
    /// longest.
    fn full_manager(connections: usize) -> (ConnectionManager, Vec<ConnectionState>) {
        let mut manager = ConnectionManager::new(connections - 1);
        let states: Vec<_> = (1..=connections).rev().map(idle_for).collect();
        for state in &states {
            manager.spawn(PEER, state.clone(), pending());
        }
        (manager, states)
    }

    async fn evict_until_capacity(manager: &mut ConnectionManager) {
        while !manager.has_capacity() {
            manager.wait_or_evict().await;
        }
    }

    /// Returns which of the connections with these states are open.
    fn open(manager: &ConnectionManager, states: &[ConnectionState]) -> Vec<bool> {
        let is_open = |state: &ConnectionState| {
            let mut connections = manager.connections.values();
            connections.any(|connection| Arc::ptr_eq(&connection.state.0, &state.0))
        };
        states.iter().map(is_open).collect()
    }

    #[tokio::test]
    async fn longest_idle_connection_is_evicted() {
        let (mut manager, states) = full_manager(4);
        states[0].set_idle();
        assert!(!manager.has_capacity());
        evict_until_capacity(&mut manager).await;
        assert_eq!(open(&manager, &states), [true, false, true, true]);
    }

    #[tokio::test]
    async fn large_manager_evicts_several_longest_idle() {
        let (mut manager, states) = full_manager(EVICTION_DIVISOR * 3 + 1);
        manager.wait_or_evict().await;
        let open = open(&manager, &states);
        assert_eq!(open[..4], [false, false, false, true]);
        assert_eq!(open.iter().filter(|open| !**open).count(), 3);
    }

    #[tokio::test]
    async fn busy_connection_is_never_evicted() {
        let (mut manager, states) = full_manager(3);
        states.iter().for_each(ConnectionState::set_busy);
        for _ in 0..10 {
            manager.wait_or_evict().await;
        }
        assert_eq!(open(&manager, &states), [true, true, true]);
        *states[1].lock() = *idle_for(1).lock();
        evict_until_capacity(&mut manager).await;
        assert_eq!(open(&manager, &states), [true, false, true]);
    }

    #[tokio::test]
    async fn new_connection_is_kept_for_min_idle() {
        let mut manager = ConnectionManager::new(1);
        let busy = ConnectionState::idle();
        busy.set_busy();
        manager.spawn(PEER, busy, pending());
        manager.spawn(PEER, ConnectionState::idle(), pending());
        let started = Moment::now().instant;
        evict_until_capacity(&mut manager).await;
        assert!(started.elapsed() >= MIN_IDLE, "{:?}", started.elapsed());
    }

    #[tokio::test]
    async fn closed_connection_frees_its_slot() {
        let mut manager = ConnectionManager::new(1);
        for _ in 0..2 {
            manager.spawn(PEER, ConnectionState::idle(), async {});
        }
        manager.wait_or_evict().await;
        assert!(manager.has_capacity());
        manager.wait_or_evict().await;
        assert!(manager.connections.is_empty());
    }
}
