//! The state of the gateway: event tokens, and sessions with their subscriptions and queues.
//!
//! The time is an argument. A session outlives its connection for the recovery timeout.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use fastrand::Rng;
use serde_json::{Value, json};

use crate::simulator::faults::Faults;
use crate::simulator::gateway::feed::Feed;
use crate::simulator::gateway::filters::Filter;
use crate::simulator::gateway::frames::Recovery;
use crate::simulator::gateway::journal::{ConnectionEntry, EventEntry, Journal};
use crate::simulator::gateway::queue::{Notification, Queue};
use crate::simulator::random::hash_seed;
use crate::simulator::request_log::Operation;
use crate::simulator::switchboard::Switchboard;

/// Number of notifications that a lost session keeps.
pub(super) const RECOVERY_BUFFER: usize = 100;
/// Time for which a lost session can be recovered.
pub(super) const RECOVERY_TIMEOUT_MS: i64 = 180_000;
/// Time for which a subscription counts against the limit, unless it is deleted.
pub(super) const SUBSCRIPTION_LIFETIME_MS: i64 = 86_399_000;

/// Why a connection is closed immediately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The URL has no token.
    NoToken,
    /// The token is unknown, used or expired.
    InvalidToken,
    /// The context token was not issued by the gateway.
    ForgedContext,
}

/// A new connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opened {
    /// The session that it belongs to.
    pub(super) session: u64,
    /// Its position in the journal.
    pub(super) connection: usize,
    pub(super) recovery: Recovery,
}

/// The subscription of a session.
#[derive(Clone, Debug)]
pub(super) struct Subscription {
    pub(super) id: String,
    pub(super) filters: Vec<Filter>,
    pub(super) created_ms: i64,
}

struct EventToken {
    token: String,
    login: u64,
    expires_ms: i64,
}

struct Session {
    /// The login whose token opened it.
    login: u64,
    subscription: Option<Subscription>,
    /// The present connection, as a position in the journal.
    connection: Option<usize>,
    lost_ms: i64,
    queue: Queue,
    /// Number of messages that the client could refer to.
    sequence: u64,
}

/// A subscription that counts against the limit.
struct Counted {
    id: String,
    expires_ms: i64,
}

/// The state of the gateway.
pub(in crate::simulator) struct Hub {
    seed: u64,
    rng: Rng,
    issued: u64,
    tokens: Vec<EventToken>,
    sessions: BTreeMap<u64, Session>,
    counted: Vec<Counted>,
    feed: Feed,
    journal: Journal,
}

impl Hub {
    /// Creates the state at `now`, without connections.
    pub(in crate::simulator) fn new(seed: u64, now: i64) -> Hub {
        let seed = hash_seed(seed, 0x0E3E);
        Hub {
            seed,
            rng: Rng::with_seed(seed),
            issued: 0,
            tokens: Vec::new(),
            sessions: BTreeMap::new(),
            counted: Vec::new(),
            feed: Feed::new(seed, now),
            journal: Journal::default(),
        }
    }

    /// Returns a copy of the journal of notifications.
    pub(in crate::simulator) fn events(&self) -> Vec<EventEntry> {
        self.journal.events()
    }

    /// Returns a copy of the journal of connections.
    pub(in crate::simulator) fn connections(&self) -> Vec<ConnectionEntry> {
        self.journal.connections.clone()
    }

    /// Issues a token for one connection.
    pub(super) fn issue_token(&mut self, login: u64, expires_ms: i64) -> String {
        let mut token = String::from("U0pDMTFQMDFQQVMwMXdz");
        for _ in 0..8 {
            token.push_str(&format!("{:016x}", self.rng.u64(..)));
        }
        self.tokens.push(EventToken {
            token: token.clone(),
            login,
            expires_ms,
        });
        token
    }

    /// Opens a connection with an event token, and recovers the session of `context` if it can.
    pub(super) fn open(
        &mut self,
        token: Option<&str>,
        context: Option<&str>,
        now: i64,
    ) -> Result<Opened, Refusal> {
        let token = token.ok_or(Refusal::NoToken)?;
        let position = self.tokens.iter().position(|issued| issued.token == token);
        let issued = self.tokens.remove(position.ok_or(Refusal::InvalidToken)?);
        if issued.expires_ms <= now {
            return Err(Refusal::InvalidToken);
        }
        self.remove_unrecoverable(now);
        let (recovered, recovery) = match context {
            None => (None, Recovery::NotAsked),
            Some(context) => self.recover(context, issued.login)?,
        };
        let connection = self.journal.connections.len();
        self.journal.connections.push(ConnectionEntry {
            opened_ms: now,
            closed_ms: None,
            silent_ms: None,
            recovered: recovered.is_some(),
            close_code: None,
        });
        let session = recovered.unwrap_or_else(|| self.new_session(issued.login));
        if let Some(session) = self.sessions.get_mut(&session) {
            session.connection = Some(connection);
        }
        Ok(Opened {
            session,
            connection,
            recovery,
        })
    }

    fn new_session(&mut self, login: u64) -> u64 {
        self.issued += 1;
        let session = Session {
            login,
            subscription: None,
            connection: None,
            lost_ms: i64::MAX,
            queue: Queue::default(),
            sequence: 0,
        };
        self.sessions.insert(self.issued, session);
        self.issued
    }

    /// Returns the session that the context token names, if it can be recovered.
    fn recover(&self, context: &str, login: u64) -> Result<(Option<u64>, Recovery), Refusal> {
        let id = self.read_context(context).ok_or(Refusal::ForgedContext)?;
        match self.sessions.get(&id) {
            Some(session) if session.login != login => Ok((None, Recovery::Failed("WSG-1003"))),
            Some(session) if session.subscription.is_some() => Ok((Some(id), Recovery::Successful)),
            _ => Ok((None, Recovery::Failed("WSG-1005"))),
        }
    }

    /// Returns the context of a session for `meta.wsc`, with the next sequence.
    pub(super) fn next_context(&mut self, session: u64) -> Value {
        let token = self.context_token(session);
        let sequence = match self.sessions.get_mut(&session) {
            Some(session) => {
                session.sequence += 1;
                session.sequence
            }
            None => 0,
        };
        json!({"token": token, "sequence": sequence})
    }

    fn context_token(&self, session: u64) -> String {
        let proof = hash_seed(self.seed, session);
        BASE64_URL_SAFE_NO_PAD.encode(format!("SIM|{session}|{proof:016x}"))
    }

    fn read_context(&self, token: &str) -> Option<u64> {
        let text = BASE64_URL_SAFE_NO_PAD.decode(token).ok()?;
        let text = String::from_utf8(text).ok()?;
        let session = text.split('|').nth(1)?.parse().ok()?;
        (self.context_token(session) == token).then_some(session)
    }

    /// Returns whether each later connection is closed or silent.
    pub(super) fn is_newest(&self, opened: Opened) -> bool {
        let mut later = self.journal.connections.iter().skip(opened.connection + 1);
        later.all(|entry| entry.closed_ms.is_some() || entry.silent_ms.is_some())
    }

    /// Records that nothing is sent to a connection any more.
    pub(super) fn silence(&mut self, opened: Opened, now: i64) {
        if let Some(entry) = self.journal.connections.get_mut(opened.connection) {
            entry.silent_ms = Some(now);
        }
    }

    /// Records the end of a connection. A session that another connection has recovered stays connected.
    pub(super) fn close(&mut self, opened: Opened, close_code: Option<u16>, now: i64) {
        if let Some(entry) = self.journal.connections.get_mut(opened.connection) {
            entry.closed_ms = Some(now);
            entry.close_code = close_code;
        }
        if let Some(session) = self.sessions.get_mut(&opened.session)
            && session.connection == Some(opened.connection)
        {
            session.connection = None;
            session.lost_ms = now;
        }
    }

    /// Removes sessions that were lost for longer than the recovery timeout.
    fn remove_unrecoverable(&mut self, now: i64) {
        self.sessions.retain(|_, session| {
            session.connection.is_some() || now - session.lost_ms <= RECOVERY_TIMEOUT_MS
        });
    }

    /// Returns the login of a session, if this connection is still its own.
    pub(super) fn login(&self, opened: Opened) -> Option<u64> {
        let session = self.sessions.get(&opened.session)?;
        (session.connection == Some(opened.connection)).then_some(session.login)
    }

    /// Queues notifications about all changes up to `now`.
    pub(super) fn advance(&mut self, switchboard: &Switchboard, faults: &mut Faults, now: i64) {
        self.remove_unrecoverable(now);
        let mut sessions = self.sessions.values();
        if !sessions.any(|session| session.subscription.is_some()) {
            self.feed.skip_to(now);
            return;
        }
        for sequenced in self.feed.advance_to(switchboard, now) {
            for session in self.sessions.values_mut() {
                if let Some(subscription) = &session.subscription
                    && subscription.matches(sequenced.change.extension_id)
                {
                    let fault = faults.take_next(Operation::Notification);
                    session.queue.insert(
                        &mut self.rng,
                        &subscription.id,
                        sequenced,
                        fault,
                        &mut self.journal,
                    );
                }
            }
        }
    }

    /// Returns the notifications that are due, and records them as sent.
    pub(super) fn take_due(&mut self, session: u64, now: i64) -> Vec<Notification> {
        let Some(session) = self.sessions.get_mut(&session) else {
            return Vec::new();
        };
        let due = session.queue.take_due(now);
        for notification in &due {
            self.journal.record_sent(notification.number, now);
        }
        due
    }

    /// Drops all but the newest notifications that a recovered connection has missed.
    pub(super) fn trim_to_recovery_buffer(&mut self, session: u64, now: i64) {
        if let Some(session) = self.sessions.get_mut(&session) {
            session.queue.keep_newest(RECOVERY_BUFFER, now);
        }
    }

    /// Returns the subscription of a session.
    pub(super) fn subscription(&self, session: u64) -> Option<&Subscription> {
        self.sessions.get(&session)?.subscription.as_ref()
    }

    /// Returns the number of subscriptions that count against the limit, besides that of `session`.
    pub(super) fn other_subscriptions(&mut self, session: u64, now: i64) -> usize {
        self.counted.retain(|counted| now < counted.expires_ms);
        let own = self.subscription(session).map(|own| own.id.clone());
        let mut others = self.counted.iter().map(|counted| &counted.id);
        match own {
            Some(own) => others.filter(|id| **id != own).count(),
            None => others.by_ref().count(),
        }
    }

    /// Replaces the subscription of a session by a new one.
    pub(super) fn subscribe(
        &mut self,
        session: u64,
        filters: Vec<Filter>,
        now: i64,
    ) -> Option<&Subscription> {
        self.unsubscribe(session);
        let (high, low) = (self.rng.u64(..), self.rng.u64(..));
        let id = format!(
            "{:08x}-{:04x}-4{:03x}-9{:03x}-{:012x}",
            high >> 32,
            high & 0xFFFF,
            (high >> 16) & 0xFFF,
            low & 0xFFF,
            low >> 16
        );
        self.counted.push(Counted {
            id: id.clone(),
            expires_ms: now + SUBSCRIPTION_LIFETIME_MS,
        });
        let session = self.sessions.get_mut(&session)?;
        session.subscription = Some(Subscription {
            id,
            filters,
            created_ms: now,
        });
        session.subscription.as_ref()
    }

    /// Replaces the filters of a session's subscription.
    pub(super) fn set_filters(
        &mut self,
        session: u64,
        filters: Vec<Filter>,
    ) -> Option<&Subscription> {
        let subscription = self.sessions.get_mut(&session)?.subscription.as_mut()?;
        subscription.filters = filters;
        Some(subscription)
    }

    /// Deletes any subscription of the user and app; returns whether there was one.
    pub(super) fn delete_subscription(&mut self, id: &str, now: i64) -> bool {
        self.counted.retain(|counted| now < counted.expires_ms);
        let has_id = |session: &Session| session.subscription.as_ref().is_some_and(|s| s.id == id);
        let mut sessions = self.sessions.iter();
        let owner = sessions.find_map(|(number, session)| has_id(session).then_some(*number));
        if let Some(owner) = owner {
            self.unsubscribe(owner);
            return true;
        }
        let count = self.counted.len();
        self.counted.retain(|counted| counted.id != id);
        self.counted.len() < count
    }

    /// Deletes the subscription of a session, with what is queued for it.
    fn unsubscribe(&mut self, session: u64) {
        let Some(session) = self.sessions.get_mut(&session) else {
            return;
        };
        session.queue.clear();
        if let Some(subscription) = session.subscription.take() {
            self.counted.retain(|counted| counted.id != subscription.id);
        }
    }
}

impl Subscription {
    /// Returns whether one of the filters matches.
    fn matches(&self, extension_id: u64) -> bool {
        self.filters
            .iter()
            .any(|filter| filter.matches(extension_id))
    }
}
