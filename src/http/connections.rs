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
use crate::web::client_network::neighbour;

/// So long a client may keep us waiting though there is no room: whoever has just come needs a moment to speak.
const MOMENT: Duration = Duration::from_millis(100);
/// One of so many places is freed at once.
const A_FEW: usize = 32;
/// Until we look again whether somebody has kept us waiting for long enough.
const LOOK: Duration = Duration::from_millis(20);

/// Whose turn it is on a connection: the client's, since when, or ours.
#[derive(Clone, Debug)]
pub struct Turn(Arc<Mutex<Option<Instant>>>);

impl Turn {
    /// The client has something to say or to read.
    #[must_use]
    pub fn of_client() -> Self {
        Self(Arc::new(Mutex::new(Some(Moment::now().instant))))
    }

    /// A request has come.
    pub fn take(&self) {
        *self.lock() = None;
    }

    /// Its answer is there.
    pub fn give_back(&self) {
        *self.lock() = Some(Moment::now().instant);
    }

    fn of_client_since(&self) -> Option<Instant> {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connections that are open.
pub struct Places {
    most: usize,
    tasks: JoinSet<()>,
    taken: HashMap<Id, Place>,
}

struct Place {
    neighbour: IpAddr,
    turn: Turn,
    task: AbortHandle,
}

impl Places {
    /// So many.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            most,
            tasks: JoinSet::new(),
            taken: HashMap::new(),
        }
    }

    /// Whether there is one for a newcomer. One more than all may be there: it is served while another has to go.
    #[must_use]
    pub fn have_room(&self) -> bool {
        self.tasks.len() <= self.most
    }

    /// Whether so many are taken that none should be kept by a client that has had its answer.
    #[must_use]
    pub fn are_crowded(&self) -> bool {
        self.taken.len() >= self.most / 2
    }

    /// Runs a connection from this address.
    pub fn enter(
        &mut self,
        from: IpAddr,
        turn: Turn,
        connection: impl Future<Output = ()> + Send + 'static,
    ) {
        let task = self.tasks.spawn(connection);
        self.taken.insert(
            task.id(),
            Place {
                neighbour: neighbour(from),
                turn,
                task,
            },
        );
    }

    /// Waits until a connection has ended, or ends some if there is no room.
    pub async fn change(&mut self) {
        let somebody_is_going = self.tasks.len() > self.taken.len();
        if self.have_room() || somebody_is_going {
            self.left().await;
            return;
        }
        let breath = breath(!self.who_go().is_empty());
        tokio::select! {
            () = self.left() => {}
            () = breath => self.push_out(),
        }
    }

    async fn left(&mut self) {
        match self.tasks.join_next_with_id().await {
            Some(Ok((id, ()))) => self.taken.remove(&id),
            Some(Err(error)) => self.taken.remove(&error.id()),
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

    fn push_out(&mut self) {
        for place in self.who_go().iter().filter_map(|id| self.taken.remove(id)) {
            tracing::debug!(client = %place.neighbour, "a connection made room for others");
            place.task.abort();
        }
    }

    /// Who have kept us waiting longest, among the crowd if there is one. A few at once, as a flood is seldom done with one.
    fn who_go(&self) -> Vec<Id> {
        let crowd = self.crowd();
        let may_go = self
            .taken
            .iter()
            .filter(|(_, place)| crowd.is_none_or(|crowd| crowd == place.neighbour));
        let since = may_go.filter_map(|(id, place)| Some((place.turn.of_client_since()?, *id)));
        let now = Moment::now().instant;
        let mut waiting: Vec<_> = since
            .filter(|(since, _)| now.saturating_duration_since(*since) >= MOMENT)
            .collect();
        waiting.sort_unstable_by_key(|(since, _)| *since);
        waiting
            .iter()
            .take(self.most.div_ceil(A_FEW))
            .map(|(_, id)| *id)
            .collect()
    }

    /// The neighbour that has more than half of the places. By the vote of Boyer and Moore, as this is asked often.
    fn crowd(&self) -> Option<IpAddr> {
        let neighbours = || self.taken.values().map(|place| place.neighbour);
        let (leader, _) = neighbours().fold((None, 0_usize), |(leader, lead), next| match lead {
            0 => (Some(next), 1),
            lead if leader == Some(next) => (leader, lead + 1),
            lead => (leader, lead - 1),
        });
        let count = neighbours().filter(|one| leader == Some(*one)).count();
        leader.filter(|_| count > self.taken.len() / 2)
    }
}

/// Before somebody goes all others have their turn once: who has spoken already is heard, however busy we are.
async fn breath(somebody_goes: bool) {
    if somebody_goes {
        yield_now().await
    } else {
        sleep(LOOK).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a client that has kept us waiting for so many moments.
    fn waited(moments: usize) -> Turn {
        let since = Moment::now().instant - MOMENT * u32::try_from(moments).unwrap();
        Turn(Arc::new(Mutex::new(Some(since))))
    }

    /// Places of which these addresses have taken all and one more, each a moment after the one before.
    fn taken_by(addresses: &[&str]) -> (Places, Vec<Turn>) {
        let mut places = Places::new(addresses.len() - 1);
        let turns: Vec<_> = (1..=addresses.len()).rev().map(waited).collect();
        for (address, turn) in addresses.iter().zip(&turns) {
            places.enter(address.parse().unwrap(), turn.clone(), pending());
        }
        (places, turns)
    }

    async fn make_room(places: &mut Places) {
        while !places.have_room() {
            places.change().await;
        }
    }

    /// Which of them are still there, by how long they have been waited for.
    fn left(places: &Places, turns: &[Turn]) -> Vec<bool> {
        let is_there = |turn: &Turn| {
            places
                .taken
                .values()
                .any(|place| Arc::ptr_eq(&place.turn.0, &turn.0))
        };
        turns.iter().map(is_there).collect()
    }

    #[tokio::test]
    async fn who_has_kept_us_waiting_longest_makes_room() {
        let (mut places, turns) = taken_by(&["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"]);
        turns[0].give_back();
        assert!(!places.have_room());
        make_room(&mut places).await;
        assert_eq!(left(&places, &turns), [true, false, true, true]);
    }

    #[tokio::test]
    async fn a_request_that_is_being_answered_is_left_alone() {
        let (mut places, turns) = taken_by(&["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
        turns.iter().for_each(Turn::take);
        for _ in 0..10 {
            places.change().await;
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
        turns[2].take();
        turns[3].take();
        places.enter("2001:db8::4".parse().unwrap(), Turn::of_client(), pending());
        places.change().await;
        assert_eq!(
            left(&places, &turns),
            [true, false, true, true, true],
            "the crowd's own is too new to go"
        );
    }

    #[tokio::test]
    async fn a_newcomer_has_a_moment() {
        let mut places = Places::new(1);
        let at_work = Turn::of_client();
        at_work.take();
        places.enter("192.0.2.1".parse().unwrap(), at_work, pending());
        places.enter("192.0.2.1".parse().unwrap(), Turn::of_client(), pending());
        let entered = Moment::now().instant;
        make_room(&mut places).await;
        assert!(entered.elapsed() >= MOMENT, "{:?}", entered.elapsed());
    }

    #[tokio::test]
    async fn who_leaves_makes_room_and_is_forgotten() {
        let mut places = Places::new(1);
        for _ in 0..2 {
            places.enter("192.0.2.1".parse().unwrap(), Turn::of_client(), async {});
        }
        places.change().await;
        assert!(places.have_room());
        places.change().await;
        assert!(places.taken.is_empty());
    }
}
