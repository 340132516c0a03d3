//! The presence of one account: its state, shared by the collector that reads the list, the task that receives events,
//! and all that show it.
//!
//! | module | content |
//! |---|---|
//! | `schedule` | when the list is read |
//! | `metrics` | the counters of events |
//! | `stream` | the task that receives events |
//! | `collector_part` | what the collector does for presence |
//!
//! The lock of the shared state is never held across an await.

mod collector_part;
pub(crate) mod facts;
pub mod metrics;
mod schedule;
mod stream;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

pub(crate) use crate::account::presence::collector_part::{
    CollectorPresence, PresenceConfig, StreamRequest, StreamTask, TokenReply,
};
pub use crate::account::presence::metrics::ConnectionResult;
use crate::account::presence::metrics::EventMetrics;
use crate::account::presence::schedule::ReadSchedule;
use crate::calls::unknown_extensions::UnknownExtensions;
use crate::calls::{Directory, NewExtensions};
use crate::clock::Moment;
use crate::config::{PresenceMode, Settings};
use crate::presence::{Discarded, ExtensionStatus, PresenceEvent, PresenceState, StatusChange};
use crate::ringcentral::events::{EventError, MAX_SILENCE};
use crate::ringcentral::wire::PresenceRow;
use crate::ringcentral::{Error, Reason};
use crate::text_format::{FamilyTexts, PerFormat, SharedTexts};

/// The shortest time after which a state that is only read is too old to be shown.
const MIN_POLL_MAX_AGE: Duration = Duration::from_secs(3 * 60);
/// The types of extensions without a phone, for which RingCentral has no presence.
const TYPES_WITHOUT_PRESENCE: [&str; 15] = [
    "Department",
    "Announcement",
    "AnnouncementOnly",
    "Voicemail",
    "TakeMessageOnly",
    "FaxUser",
    "PagingOnly",
    "SharedLinesGroup",
    "IvrMenu",
    "ApplicationExtension",
    "ParkLocation",
    "GroupCallPickup",
    "DelegatedLinesGroup",
    "Site",
    "ProxyAdmin",
];

/// The presence of one account.
pub struct Presence {
    account: String,
    mode: PresenceMode,
    /// Time between two reads of the list without a gap.
    read_interval: Duration,
    /// Age from which a state is not shown: of the last read, or with events of the last sign of the subscription.
    max_age: Duration,
    /// `None` unless presence is from events.
    metrics: Option<EventMetrics>,
    /// The number of logins of the client.
    logins: watch::Sender<u64>,
    text: Mutex<VersionedText>,
    // Never held across an await. Poisoning is ignored, since a state between two fields is shown until the next read
    // at most.
    shared: Mutex<Shared>,
}

#[derive(Default)]
struct Shared {
    state: PresenceState,
    directory: Option<Arc<Directory>>,
    /// The extensions of events that neither the last read nor the directory has.
    unknown: UnknownExtensions,
    schedule: ReadSchedule,
    stream: StreamState,
    reads_without_events: bool,
    /// Grows with each change of a status or a counter.
    version: u64,
    /// The counts of the present statuses, once they are needed.
    counts: Option<Arc<[(ExtensionStatus, u64)]>>,
}

/// The text of one version of a presence, in each format that was requested.
#[derive(Debug, Default)]
pub(crate) struct VersionedText {
    version: u64,
    text: PerFormat<PresenceText>,
}

/// The metric families of a presence as text, which scrapes share. `exposition` renders each part when a scrape first
/// needs it.
#[derive(Debug, Default)]
pub(crate) struct PresenceText {
    /// Families of the state, which scrapes leave out while it is not current.
    pub(crate) state: Option<Arc<SharedTexts>>,
    /// Families of the counters.
    pub(crate) counters: Option<Arc<SharedTexts>>,
}

impl VersionedText {
    /// Returns the text of this version, and forgets that of others in all formats.
    pub(crate) fn of_version(&mut self, version: u64) -> &mut PerFormat<PresenceText> {
        if self.version != version {
            *self = Self {
                version,
                text: PerFormat::default(),
            };
        }
        &mut self.text
    }
}

/// What is known of the subscription.
#[derive(Debug, Default)]
struct StreamState {
    subscribed_since: Option<Moment>,
    last_heard: Option<Moment>,
    failure: Option<EventError>,
    /// When the next attempt to connect starts.
    retry_at: Option<Moment>,
    /// Whether an event has arrived since the last read.
    has_event: bool,
    /// Whether a read differed from the state although no event had arrived since the one before.
    lacks_events: bool,
}

/// The presence at one moment.
#[derive(Clone, Debug)]
pub(crate) struct PresenceView {
    /// Whether and how presence is read; never `Off`.
    pub(crate) mode: PresenceMode,
    /// Whether the state is whole and current.
    pub(crate) is_up: bool,
    /// The number of extensions in each state that occurs. `None` while the state is unknown or too old.
    pub(crate) counts: Option<Arc<[(ExtensionStatus, u64)]>>,
    /// When the last complete read of the list has started.
    pub(crate) last_read: Option<Moment>,
    /// Number of pages of an unfinished read; 0 if there is none.
    pub(crate) pages: u32,
    /// The failure of the last read.
    pub(crate) read_failure: Option<Error>,
    /// When the next read may start. `None` if it may now, or nothing is to be read.
    pub(crate) next_read_at: Option<Moment>,
    /// Since when a page of the list has been due and could not be requested.
    pub(crate) read_waits_since: Option<Moment>,
    /// The time after which a read has taken too long for the state to be shown. `None` if events keep it current.
    pub(crate) max_read_time: Option<Duration>,
    /// Why there are no events at present.
    pub(crate) stream_failure: Option<EventError>,
    /// When the next attempt to connect starts.
    pub(crate) stream_retry_at: Option<Moment>,
    /// Since when a subscription exists. `None` if there is none.
    pub(crate) connected_since: Option<Moment>,
    /// When the subscription last gave a sign: an event, a pong or a heartbeat.
    pub(crate) last_heard: Option<Moment>,
    /// Grows with each change of a status or a counter.
    pub(crate) version: u64,
}

// === impl Presence ===

impl Presence {
    /// Creates the presence of an account with counters that are zero at the time `now`, `None` if the mode is `Off`.
    ///
    /// # Errors
    /// Returns an error if `account` is not a valid label value, which the configuration rules out.
    pub(crate) fn new(
        account: &str,
        mode: PresenceMode,
        settings: &Settings,
        now: Moment,
    ) -> prometheus::Result<Option<Arc<Self>>> {
        let max_age = settings.scrape.max_age;
        let (read_interval, max_age) = match mode {
            PresenceMode::Off => return Ok(None),
            PresenceMode::Poll => (
                schedule::MIN_INTERVAL,
                MIN_POLL_MAX_AGE.max(max_age.saturating_mul(2)),
            ),
            PresenceMode::Events => (settings.presence.audit_interval(), max_age),
        };
        let has_events = mode == PresenceMode::Events;
        let metrics = has_events.then(|| EventMetrics::new(account, now));
        let metrics = metrics.transpose()?;
        Ok(Some(Arc::new(Self {
            account: account.to_owned(),
            mode,
            read_interval,
            max_age,
            metrics,
            logins: watch::Sender::new(0),
            text: Mutex::default(),
            shared: Mutex::default(),
        })))
    }

    /// Returns the name of the account.
    pub(crate) fn account(&self) -> &str {
        &self.account
    }

    /// Returns whether and how presence is read; never `Off`.
    pub(crate) fn mode(&self) -> PresenceMode {
        self.mode
    }

    /// Returns whether the list should be read now, or a read that has begun should continue. With events nothing is
    /// read before there is a subscription, since the state would not stay current.
    pub(crate) fn is_read_due(&self, now: Moment) -> bool {
        let shared = self.lock();
        let interval = self.interval(&shared);
        interval.is_some_and(|interval| shared.schedule.is_due(now, interval))
    }

    /// Returns the time between two reads, `None` if nothing is to be read.
    fn interval(&self, shared: &Shared) -> Option<Duration> {
        match self.mode {
            PresenceMode::Events if !shared.may_read() => None,
            PresenceMode::Events if !shared.state.is_whole() => Some(schedule::MIN_INTERVAL),
            _ => Some(self.read_interval),
        }
    }

    fn next_read_at(&self, shared: &Shared) -> Option<Moment> {
        let interval = self.interval(shared)?;
        shared.schedule.next_start(interval)
    }

    /// Allows reads before there is a subscription, for `check`.
    pub(crate) fn allow_read_without_events(&self) {
        self.lock().reads_without_events = true;
    }

    /// Returns [`is_read_due`](Self::is_read_due), and records since when the next page has been waited for.
    pub(crate) fn update_due(&self, now: Moment) -> bool {
        let is_due = self.is_read_due(now);
        self.lock().schedule.set_due(is_due, now);
        is_due
    }

    /// Records that the first page of the list is requested: what events report from now on is newer.
    pub(crate) fn start_read(&self, now: Moment) {
        let mut shared = self.lock();
        shared.state.start_read();
        shared.schedule.start(now);
    }

    /// Returns whether the pages of the present read are older than a gap or of another account, or without events too old
    /// to be shown, so that it has to start again.
    pub(crate) fn is_read_outdated(&self, now: Moment) -> bool {
        let shared = self.lock();
        let age = shared.schedule.age_of_read(now);
        let is_too_old = |max| age.is_some_and(|age| age > max);
        shared.schedule.is_outdated() || self.max_read_time().is_some_and(is_too_old)
    }

    fn max_read_time(&self) -> Option<Duration> {
        (self.mode == PresenceMode::Poll).then_some(self.max_age)
    }

    /// Replaces the state by a list that was read completely, unless it is outdated.
    pub(crate) fn finish_read(&self, rows: Vec<PresenceRow>, now: Moment) {
        let mut shared = self.lock();
        let schedule = &mut shared.schedule;
        let is_news = schedule.last_read().is_none() || schedule.failure().is_some();
        if !schedule.finish(now) {
            return;
        }
        let corrections = shared.finish_read(rows);
        let stream = &mut shared.stream;
        stream.lacks_events |= corrections > 0 && !stream.has_event;
        stream.has_event = false;
        if let Some(metrics) = &self.metrics {
            metrics.record_corrections(corrections);
        }
        let extensions = shared.state.statuses().count();
        drop(shared);
        self.log_read(extensions, corrections, is_news);
    }

    /// Logs a complete read of the list: at level info the first one, the first one after a failure, and those that differ
    /// from the events.
    fn log_read(&self, extensions: usize, corrections: u64, is_news: bool) {
        let account = &self.account;
        if corrections > 0 {
            tracing::info!(
                account,
                extensions,
                corrections,
                "presence list fetched, events corrected"
            );
        } else if is_news {
            tracing::info!(account, extensions, "presence list fetched");
        } else {
            tracing::debug!(account, extensions, "presence list fetched");
        }
    }

    /// Records that a part of the list was read: this number of pages.
    pub(crate) fn pause_read(&self, pages: u32, now: Moment) {
        self.lock().schedule.pause(pages, now);
    }

    /// Records that a part of the list could not be read. Of consecutive failures only the first is logged as a
    /// warning.
    pub(crate) fn fail_read(&self, error: Error, now: Moment) {
        if error.reason == Reason::Budget {
            // The request was not sent, so that nothing has failed, and what failed before is not repaired.
            return;
        }
        let is_first = self.lock().schedule.fail(error.clone(), now);
        if is_first {
            tracing::warn!(
                account = self.account,
                reason = error.reason.as_str(),
                cause = error.cause.as_str(),
                request_id = error.request_id.as_deref(),
                retry_in_seconds = schedule::retry_interval(&error).as_secs(),
                hint = error.hint(),
                %error,
                "presence list fetch failed"
            );
        } else {
            tracing::debug!(account = self.account, %error, "presence list fetch failed again");
        }
    }

    /// Sets the extensions of the account. Returns what the directory has of those for which
    /// [`has_unknown_extension`](Self::has_unknown_extension) was true.
    pub(crate) fn set_directory(&self, directory: Arc<Directory>) -> NewExtensions {
        let mut shared = self.lock();
        let new = shared.unknown.apply(&directory);
        shared.state.retain(|extension| {
            let entry = directory.by_internal_id(extension);
            entry.is_none_or(|entry| has_presence(&entry.kind))
        });
        shared.directory = Some(directory);
        shared.record_change();
        new
    }

    /// Returns whether an event has named an extension that may be newer than the directory.
    pub(crate) fn has_unknown_extension(&self) -> bool {
        self.lock().unknown.has_new()
    }

    /// Forgets everything about the account, whose JWT now belongs to another one. Counters continue.
    pub(crate) fn reset(&self) {
        self.end_stream();
        let mut shared = self.lock();
        shared.state = PresenceState::default();
        shared.directory = None;
        shared.unknown = UnknownExtensions::default();
        shared.schedule.reset();
        shared.record_change();
    }

    /// Records the number of the client's logins, each of which is another OAuth session.
    pub(crate) fn set_login_count(&self, count: u64) {
        self.logins
            .send_if_modified(|logins| std::mem::replace(logins, count) != count);
    }

    /// Returns a receiver for the number of the client's logins.
    pub(crate) fn logins(&self) -> watch::Receiver<u64> {
        self.logins.subscribe()
    }

    /// Records a subscription, the first one or another one after it or in place of it.
    pub(crate) fn record_subscribed(&self, now: Moment) {
        let stream = &mut self.lock().stream;
        stream.subscribed_since.get_or_insert(now);
        stream.last_heard = Some(now);
        stream.failure = None;
        stream.retry_at = None;
        stream.lacks_events = false;
    }

    /// Returns whether the subscription seems to send nothing: a read differed from the state although no event had
    /// arrived since the one before.
    pub(crate) fn lacks_events(&self) -> bool {
        self.lock().stream.lacks_events
    }

    /// Returns the age from which a state is not shown.
    pub(crate) fn max_age(&self) -> Duration {
        self.max_age
    }

    /// Records a sign of the subscription: an event, a pong or a heartbeat.
    pub(crate) fn record_heard(&self, now: Moment) {
        self.lock().stream.last_heard = Some(now);
    }

    /// Applies and counts an event.
    pub(crate) fn apply(&self, event: &PresenceEvent, received: Moment) {
        let mut shared = self.lock();
        // Events of a renewed connection wait for those of the one that it replaces.
        shared.stream.last_heard = shared.stream.last_heard.max(Some(received));
        shared.stream.has_event = true;
        let result = shared.apply(event);
        if let Some(metrics) = &self.metrics {
            metrics.record_event(event, result);
        }
    }

    /// Counts a notification that could not be parsed.
    pub(crate) fn record_unreadable(&self) {
        let mut shared = self.lock();
        shared.record_change();
        shared.stream.has_event = true;
        if let Some(metrics) = &self.metrics {
            metrics.record_unreadable();
        }
    }

    /// Records that events may have been missed: the state is whole again after the next read.
    pub(crate) fn record_gap(&self) {
        let mut shared = self.lock();
        shared.state.record_gap();
        shared.schedule.record_gap();
        shared.record_change();
        if let Some(metrics) = &self.metrics {
            metrics.record_gap();
        }
    }

    /// Records that a subscription has ended with its connection: events may be missed from now on.
    pub(crate) fn record_loss(&self) {
        self.lock().stream.subscribed_since = None;
        self.record_connection(ConnectionResult::Lost);
        self.record_gap();
    }

    /// Counts the result of a connection attempt, or the loss of a connection.
    pub(crate) fn record_connection(&self, result: ConnectionResult) {
        let mut shared = self.lock();
        shared.record_change();
        if let Some(metrics) = &self.metrics {
            metrics.record_connection(result);
        }
    }

    /// Records that the stream was stopped. If it had a subscription, events may be missed from now on.
    pub(crate) fn end_stream(&self) {
        let stream = std::mem::take(&mut self.lock().stream);
        if stream.subscribed_since.is_some() {
            self.record_gap();
        }
    }

    /// Sets why there are no events at present, and when the next attempt to connect starts.
    pub(crate) fn set_stream_failure(&self, failure: EventError, retry_at: Option<Moment>) {
        let stream = &mut self.lock().stream;
        stream.failure = Some(failure);
        stream.retry_at = retry_at;
    }

    /// Sets that the next attempt to connect has to wait, unless there was a failure.
    pub(crate) fn set_stream_wait(&self, wait: EventError, retry_at: Moment) {
        let stream = &mut self.lock().stream;
        stream.failure.get_or_insert(wait);
        stream.retry_at = Some(retry_at);
    }

    /// Returns the presence at this moment.
    pub(crate) fn view(&self, now: Moment) -> PresenceView {
        let mut shared = self.lock();
        let is_current = self.is_current(&shared, now);
        PresenceView {
            mode: self.mode,
            is_up: self.is_up(&shared, now),
            counts: is_current.then(|| shared.counts()),
            last_read: shared.schedule.last_read_start(),
            pages: shared.schedule.pages(),
            read_failure: shared.schedule.failure().cloned(),
            next_read_at: self.next_read_at(&shared),
            read_waits_since: shared.schedule.waits_since(),
            max_read_time: self.max_read_time(),
            stream_failure: shared.stream.failure.clone(),
            stream_retry_at: shared.stream.retry_at,
            connected_since: shared.stream.subscribed_since,
            last_heard: shared.stream.last_heard,
            version: shared.version,
        }
    }

    /// Returns the status of each extension, sorted by id. `None` while the state is unknown or too old.
    pub(crate) fn statuses(&self, now: Moment) -> Option<Vec<(u64, ExtensionStatus)>> {
        let shared = self.lock();
        if !self.is_current(&shared, now) {
            return None;
        }
        Some(shared.state.statuses().collect())
    }

    /// Returns the extensions of the account, if the list was read.
    pub(crate) fn directory(&self) -> Option<Arc<Directory>> {
        self.lock().directory.clone()
    }

    /// Returns the text that scrapes share.
    pub(crate) fn text(&self) -> MutexGuard<'_, VersionedText> {
        self.text.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds the families of the counters, if events are received.
    pub(crate) fn add_counters_to(&self, families: &mut FamilyTexts) {
        if let Some(metrics) = &self.metrics {
            metrics.add_to(families);
        }
    }

    /// Returns whether the state may be shown.
    fn is_current(&self, shared: &Shared, now: Moment) -> bool {
        let newest = match self.mode {
            PresenceMode::Events => shared.stream.last_heard,
            _ => shared.schedule.last_read(),
        };
        let age = newest.map(|newest| now.saturating_duration_since(newest));
        shared.state.is_whole() && age.is_some_and(|age| age <= self.max_age)
    }

    fn is_up(&self, shared: &Shared, now: Moment) -> bool {
        if !self.is_current(shared, now) {
            return false;
        }
        if self.mode != PresenceMode::Events {
            return shared.schedule.failure().is_none();
        }
        let stream = &shared.stream;
        let is_silent = |heard| now.saturating_duration_since(heard) > MAX_SILENCE;
        stream.subscribed_since.is_some()
            && stream.failure.is_none()
            && !stream.last_heard.is_none_or(is_silent)
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
impl PresenceView {
    /// Creates a view of presence of which nothing is known yet.
    pub(crate) fn empty(mode: PresenceMode) -> Self {
        Self {
            mode,
            is_up: false,
            counts: None,
            last_read: None,
            pages: 0,
            read_failure: None,
            next_read_at: None,
            read_waits_since: None,
            max_read_time: None,
            stream_failure: None,
            stream_retry_at: None,
            connected_since: None,
            last_heard: None,
            version: 0,
        }
    }
}

// === impl Shared ===

impl Shared {
    /// Returns whether events keep the state current after a read, or `check` only wants to know whether it succeeds.
    fn may_read(&self) -> bool {
        self.stream.subscribed_since.is_some() || self.reads_without_events
    }

    /// Records that a status or a counter changes.
    fn record_change(&mut self) {
        self.version += 1;
        self.counts = None;
    }

    /// Replaces the state by a list. Returns the number of corrections.
    fn finish_read(&mut self, rows: Vec<PresenceRow>) -> u64 {
        self.record_change();
        let directory = self.directory.as_deref();
        let rows = rows.into_iter();
        let listed = rows.filter(|row| row_has_presence(row, directory));
        let listed = listed.map(|row| (row.extension, row.status));
        self.state.finish_read(listed, |id| knows(directory, id))
    }

    /// Applies an event. Returns the change that it reports or why it was not applied.
    fn apply(&mut self, event: &PresenceEvent) -> Result<Option<StatusChange>, Discarded> {
        self.record_change();
        let directory = self.directory.as_deref();
        let result = self.state.apply(event, |id| knows(directory, id));
        if result == Err(Discarded::UnknownExtension)
            && let Some(directory) = directory
            && directory.by_internal_id(event.extension).is_none()
        {
            self.unknown.insert(&event.extension.to_string().into());
        }
        result
    }

    /// Returns the number of extensions in each state that occurs.
    fn counts(&mut self) -> Arc<[(ExtensionStatus, u64)]> {
        let state = &self.state;
        let count = || state.counts().into_iter().collect();
        self.counts.get_or_insert_with(count).clone()
    }
}

/// Returns whether a row of the list is that of an extension with presence: by its type, or if that is not known, by
/// its telephony status.
fn row_has_presence(row: &PresenceRow, directory: Option<&Directory>) -> bool {
    match directory.and_then(|directory| directory.by_internal_id(row.extension)) {
        Some(entry) => has_presence(&entry.kind),
        None => row.has_telephony,
    }
}

/// Returns whether the directory has this extension, with a type that has presence.
fn knows(directory: Option<&Directory>, extension: u64) -> bool {
    let entry = directory.and_then(|directory| directory.by_internal_id(extension));
    entry.is_some_and(|entry| has_presence(&entry.kind))
}

fn has_presence(kind: &str) -> bool {
    !TYPES_WITHOUT_PRESENCE.contains(&kind)
}

#[cfg(test)]
pub(crate) mod tests;
