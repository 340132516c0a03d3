//! The places for connections: how many there are, and who goes when a newcomer finds none.
//!
//! Owns: that no flood keeps a newcomer out. A connection on which we wait for the client (a handshake, a head, the next
//! request, a reader) gives up its place, the one that has kept us waiting longest first. One whose request we
//! are answering never does. Where one neighbour has more than half of the places, one of its own goes, so that its haste
//! is not at the cost of others. Refuses to know: what is said on a connection.

use std::collections::HashMap;
use std::future::{Future, pending};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::{AbortHandle, Id, JoinSet, yield_now};
use tokio::time::{Instant, sleep, timeout};

use crate::clock::Moment;
use crate::web::client_network::client_network;

/// So long a client may keep us waiting though there is no room: whoever has just come needs a moment to speak.
const MIN_IDLE: Duration = Duration::from_millis(100);
/// One of so many places is freed at once.
const EVICTION_DIVISOR: usize = 32;
/// Until we look again whether somebody has kept us waiting for long enough.
const RECHECK_INTERVAL: Duration = Duration::from_millis(20);

/// Whose turn it is on a connection: the client's, since when, or ours.
#[derive(Clone, Debug)]
pub struct ConnectionState(Arc<Mutex<Option<Instant>>>);

impl ConnectionState {
    /// The client has something to say or to read.
    #[must_use]
    pub fn idle() -> Self {
        Self(Arc::new(Mutex::new(Some(Moment::now().instant))))
    }

    /// A request has come.
    pub fn set_busy(&self) {
        *self.lock() = None;
    }

    /// Its answer is there.
    pub fn set_idle(&self) {
        *self.lock() = Some(Moment::now().instant);
    }

    fn idle_since(&self) -> Option<Instant> {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connections that are open.
pub struct ConnectionManager {
    max_connections: usize,
    tasks: JoinSet<()>,
    connections: HashMap<Id, ConnectionEntry>,
}

struct ConnectionEntry {
    network: IpAddr,
    state: ConnectionState,
    task: AbortHandle,
}

impl ConnectionManager {
    /// So many.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            max_connections: most,
            tasks: JoinSet::new(),
            connections: HashMap::new(),
        }
    }

    /// Whether there is one for a newcomer. One more than all may be there: it is served while another has to go.
    #[must_use]
    pub fn has_capacity(&self) -> bool {
        self.tasks.len() <= self.max_connections
    }

    /// Whether so many are taken that none should be kept by a client that has had its answer.
    #[must_use]
    pub fn is_half_full(&self) -> bool {
        self.connections.len() >= self.max_connections / 2
    }

    /// Runs a connection from this address.
    pub fn spawn(
        &mut self,
        from: IpAddr,
        turn: ConnectionState,
        connection: impl Future<Output = ()> + Send + 'static,
    ) {
        let task = self.tasks.spawn(connection);
        self.connections.insert(
            task.id(),
            ConnectionEntry {
                network: client_network(from),
                state: turn,
                task,
            },
        );
    }

    /// Waits until a connection has ended, or ends some if there is no room.
    pub async fn wait_or_evict(&mut self) {
        let somebody_is_going = self.tasks.len() > self.connections.len();
        if self.has_capacity() || somebody_is_going {
            self.join_next().await;
            return;
        }
        let breath = breath(!self.eviction_candidates().is_empty());
        tokio::select! {
            () = self.join_next() => {}
            () = breath => self.evict(),
        }
    }

    async fn join_next(&mut self) {
        match self.tasks.join_next_with_id().await {
            Some(Ok((id, ()))) => self.connections.remove(&id),
            Some(Err(error)) => self.connections.remove(&error.id()),
            None => pending().await,
        };
    }

    /// Waits until all have ended; who has not after `grace` is cut off.
    pub async fn drain(mut self, grace: Duration) {
        let answered = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(grace, answered).await.is_err() {
            tracing::warn!(
                connections = self.tasks.len(),
                "connections were cut off at the end"
            );
            self.tasks.shutdown().await;
        }
    }

    fn evict(&mut self) {
        for place in self
            .eviction_candidates()
            .iter()
            .filter_map(|id| self.connections.remove(id))
        {
            tracing::debug!(client = %place.network, "a connection made room for others");
            place.task.abort();
        }
    }

    /// Who have kept us waiting longest, among the crowd if there is one. A few at once, as a flood is seldom done with one.
    fn eviction_candidates(&self) -> Vec<Id> {
        let crowd = self.crowd();
        let may_go = self
            .connections
            .iter()
            .filter(|(_, place)| crowd.is_none_or(|crowd| crowd == place.network));
        let since = may_go.filter_map(|(id, place)| Some((place.state.idle_since()?, *id)));
        let now = Moment::now().instant;
        let mut waiting: Vec<_> = since
            .filter(|(since, _)| now.saturating_duration_since(*since) >= MIN_IDLE)
            .collect();
        waiting.sort_unstable_by_key(|(since, _)| *since);
        waiting
            .iter()
            .take(self.max_connections.div_ceil(EVICTION_DIVISOR))
            .map(|(_, id)| *id)
            .collect()
    }

    /// The neighbour that has more than half of the places. By the vote of Boyer and Moore, as this is asked often.
    fn crowd(&self) -> Option<IpAddr> {
        let neighbours = || self.connections.values().map(|place| place.network);
        let (leader, _) = neighbours().fold((None, 0_usize), |(leader, lead), next| match lead {
            0 => (Some(next), 1),
            lead if leader == Some(next) => (leader, lead + 1),
            lead => (leader, lead - 1),
        });
        let count = neighbours().filter(|one| leader == Some(*one)).count();
        leader.filter(|_| count > self.connections.len() / 2)
    }
}

/// Before somebody goes all others have their turn once: who has spoken already is heard, however busy we are.
async fn breath(somebody_goes: bool) {
    if somebody_goes {
        yield_now().await
    } else {
        sleep(RECHECK_INTERVAL).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a client that has kept us waiting for so many moments.
    fn waited(moments: usize) -> ConnectionState {
        let since = Moment::now().instant - MIN_IDLE * u32::try_from(moments).unwrap();
        ConnectionState(Arc::new(Mutex::new(Some(since))))
    }

    /// Places of which these addresses have taken all and one more, each a moment after the one before.
    fn taken_by(addresses: &[&str]) -> (ConnectionManager, Vec<ConnectionState>) {
        let mut places = ConnectionManager::new(addresses.len() - 1);
        let turns: Vec<_> = (1..=addresses.len()).rev().map(waited).collect();
        for (address, turn) in addresses.iter().zip(&turns) {
            places.spawn(address.parse().unwrap(), turn.clone(), pending());
        }
        (places, turns)
    }

    async fn make_room(places: &mut ConnectionManager) {
        while !places.has_capacity() {
            places.wait_or_evict().await;
        }
    }

    /// Which of them are still there, by how long they have been waited for.
    fn left(places: &ConnectionManager, turns: &[ConnectionState]) -> Vec<bool> {
        let is_there = |turn: &ConnectionState| {
            places
                .connections
                .values()
                .any(|place| Arc::ptr_eq(&place.state.0, &turn.0))
        };
        turns.iter().map(is_there).collect()
    }

    #[tokio::test]
    async fn who_has_kept_us_waiting_longest_makes_room() {
        let (mut places, turns) = taken_by(&["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"]);
        turns[0].set_idle();
        assert!(!places.has_capacity());
        make_room(&mut places).await;
        assert_eq!(left(&places, &turns), [true, false, true, true]);
    }

    #[tokio::test]
    async fn a_request_that_is_being_answered_is_left_alone() {
        let (mut places, turns) = taken_by(&["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
        turns.iter().for_each(ConnectionState::set_busy);
        for _ in 0..10 {
            places.wait_or_evict().await;
        }
        assert_eq!(left(&places, &turns), [true, true, true]);
        *turns[1].lock() = *waited(1).lock();
        make_room(&mut places).await;
        assert_eq!(left(&places, &turns), [true, false, true]);
    }

    #[tokio::test]
    async fn a_crowd_pushes_out_its_own() {
        let addresses = [
            "192.0.2.9",
            "2001:db8::1",
            "2001:db8::2",
            "2001:db8::3",
            "192.0.2.8",
        ];
        let (mut places, turns) = taken_by(&addresses);
        make_room(&mut places).await;
        assert_eq!(
            left(&places, &turns),
            [true, false, true, true, true],
            "a network of IPv6 is one neighbour"
        );
        turns[2].set_busy();
        turns[3].set_busy();
        places.spawn(
            "2001:db8::4".parse().unwrap(),
            ConnectionState::idle(),
            pending(),
        );
        places.wait_or_evict().await;
        assert_eq!(
            left(&places, &turns),
            [true, false, true, true, true],
            "the crowd's own is too new to go"
        );
    }

    #[tokio::test]
    async fn a_newcomer_has_a_moment() {
        let mut places = ConnectionManager::new(1);
        let at_work = ConnectionState::idle();
        at_work.set_busy();
        places.spawn("192.0.2.1".parse().unwrap(), at_work, pending());
        places.spawn(
            "192.0.2.1".parse().unwrap(),
            ConnectionState::idle(),
            pending(),
        );
        let entered = Moment::now().instant;
        make_room(&mut places).await;
        assert!(entered.elapsed() >= MIN_IDLE, "{:?}", entered.elapsed());
    }

    #[tokio::test]
    async fn who_leaves_makes_room_and_is_forgotten() {
        let mut places = ConnectionManager::new(1);
        for _ in 0..2 {
            places.spawn(
                "192.0.2.1".parse().unwrap(),
                ConnectionState::idle(),
                async {},
            );
        }
        places.wait_or_evict().await;
        assert!(places.has_capacity());
        places.wait_or_evict().await;
        assert!(places.connections.is_empty());
    }
}
