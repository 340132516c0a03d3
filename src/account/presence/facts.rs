//! Facts about an account's presence, pure: what `check`, the landing page and `/status` show of it.

use serde_json::{Map, Value, json};

use crate::account::facts::{Fact, format_duration, plural, to_seconds};
use crate::account::presence::PresenceView;
use crate::clock::Moment;
use crate::config::PresenceMode;
use crate::presence::{ExtensionStatus, PresenceStatus, TelephonyStatus};

/// Extensions by what they do.
#[derive(Debug, Default, PartialEq, Eq)]
struct Summary {
    total: u64,
    ringing: u64,
    in_calls: u64,
    on_hold: u64,
    parked: u64,
    available: u64,
}

/// Returns what is known of an account's presence at `now`.
pub(crate) fn presence_facts(view: &PresenceView, now: Moment) -> Vec<Fact> {
    let mut facts = vec![state_fact(view, now)];
    if view.mode == PresenceMode::Events {
        facts.push(events_fact(view, now));
    }
    facts
}

/// Returns the mode, the extensions by what they do, and the age of the last full read.
fn state_fact(view: &PresenceView, now: Moment) -> Fact {
    let mode = view.mode.as_str();
    let mut json = Map::new();
    json.insert("presence".to_owned(), json!(mode));
    json.insert("presence_up".to_owned(), json!(view.is_up));
    let summary = view.counts.as_deref().map(Summary::new);
    let mut text = match (&summary, view.last_read) {
        (Some(summary), _) => summary.to_text(),
        (None, None) if view.read_failure.is_some() => "request failed".to_owned(),
        (None, None) if view.pages > 0 => {
            let pages = plural(view.pages.into(), "page");
            format!("{pages} of the list read, the rest follows within the rate limit")
        }
        (None, None) => "not read yet".to_owned(),
        (None, Some(_)) => "not current".to_owned(),
    };
    if let Some(last_read) = view.last_read {
        let age = now.saturating_duration_since(last_read);
        text += &format!("; list read {} ago", format_duration(age));
        let age = json!(to_seconds(age));
        json.insert("presence_read_age_seconds".to_owned(), age);
    }
    if let Some(summary) = &summary {
        summary.add_to(&mut json);
    }
    Fact::new("presence", format!("{mode}: {text}"), Value::Object(json))
}

/// Returns whether events are received, and since when.
fn events_fact(view: &PresenceView, now: Moment) -> Fact {
    let Some(since) = view.connected_since else {
        let text = match &view.stream_failure {
            Some(failure) => format!("not connected: {}", failure.cause.summary()),
            None => "not connected".to_owned(),
        };
        return Fact::new("events", text, json!({"events_connected": false}));
    };
    let connected = now.saturating_duration_since(since);
    let mut text = format!("connected for {}", format_duration(connected));
    let mut silence = None;
    if let Some(heard) = view.last_heard {
        let age = now.saturating_duration_since(heard);
        text += &format!(", last message {} ago", format_duration(age));
        silence = Some(to_seconds(age));
    }
    let json = json!({
        "events_connected": true,
        "events_connected_seconds": to_seconds(connected),
        "events_silence_seconds": silence,
    });
    Fact::new("events", text, json)
}

impl Summary {
    fn new(counts: &[(ExtensionStatus, u64)]) -> Self {
        let mut summary = Self::default();
        for (status, count) in counts {
            summary.total += count;
            match status.telephony {
                TelephonyStatus::Ringing => summary.ringing += count,
                TelephonyStatus::CallConnected => summary.in_calls += count,
                TelephonyStatus::OnHold => summary.on_hold += count,
                TelephonyStatus::ParkedCall => summary.parked += count,
                TelephonyStatus::NoCall | TelephonyStatus::Unknown => {}
            }
            if status.presence == PresenceStatus::Available {
                summary.available += count;
            }
        }
        summary
    }

    /// Returns the numbers in words; those that are rarely above 0 only if they are.
    fn to_text(&self) -> String {
        let mut text = format!("{} ringing, {} in calls", self.ringing, self.in_calls);
        for (count, state) in [(self.on_hold, "on hold"), (self.parked, "parked")] {
            if count > 0 {
                text += &format!(", {count} {state}");
            }
        }
        let total = plural(self.total, "extension");
        text + &format!(", {} available, of {total}", self.available)
    }

    fn add_to(&self, json: &mut Map<String, Value>) {
        for (key, count) in [
            ("presence_extensions", self.total),
            ("presence_ringing", self.ringing),
            ("presence_in_calls", self.in_calls),
            ("presence_on_hold", self.on_hold),
            ("presence_parked", self.parked),
            ("presence_available", self.available),
        ] {
            json.insert(key.to_owned(), json!(count));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::presence::DndStatus;
    use crate::ringcentral::events::EventError;
    use crate::ringcentral::{Cause, Error, Operation};

    fn status(telephony: TelephonyStatus, presence: PresenceStatus) -> ExtensionStatus {
        ExtensionStatus {
            telephony,
            presence,
            dnd: DndStatus::TakeAllCalls,
        }
    }

    /// Returns the lines of the facts 100 s after `begin`.
    fn lines(view: &PresenceView, begin: Moment) -> Vec<String> {
        let now = begin.after(Duration::from_secs(100));
        let facts = presence_facts(view, now);
        facts.iter().map(|fact| fact.text.clone()).collect()
    }

    #[test]
    fn presence_in_a_few_words() {
        let begin = Moment::now();
        let mut polled = PresenceView::empty(PresenceMode::Poll);
        assert_eq!(lines(&polled, begin), ["poll: not read yet"]);
        polled.last_read = Some(begin);
        let not_current = "poll: not current; list read 100 s ago";
        assert_eq!(lines(&polled, begin), [not_current]);
        use PresenceStatus::{Available, Busy};
        use TelephonyStatus::{CallConnected, NoCall, OnHold, ParkedCall, Ringing};
        let unknown = status(TelephonyStatus::Unknown, PresenceStatus::Unknown);
        let mut counts = vec![
            (status(Ringing, Available), 3),
            (status(CallConnected, Busy), 12),
            (status(NoCall, Available), 147),
            (unknown, 1),
        ];
        polled.counts = Some(counts.clone().into());
        let text =
            "poll: 3 ringing, 12 in calls, 150 available, of 163 extensions; list read 100 s ago";
        assert_eq!(lines(&polled, begin), [text]);
        counts.extend([(status(OnHold, Busy), 2), (status(ParkedCall, Busy), 1)]);
        polled.counts = Some(counts.into());
        assert!(lines(&polled, begin)[0].contains("12 in calls, 2 on hold, 1 parked, 150"));
        let mut failed = PresenceView::empty(PresenceMode::Poll);
        let error = Error::new(Operation::Presence, Cause::AppLacksPresence, "x");
        failed.read_failure = Some(error);
        assert_eq!(lines(&failed, begin), ["poll: request failed"]);
    }

    #[test]
    fn event_connection_in_a_few_words() {
        let begin = Moment::now();
        let mut events = PresenceView::empty(PresenceMode::Events);
        assert_eq!(
            lines(&events, begin),
            ["events: not read yet", "not connected"]
        );
        events.stream_failure = Some(EventError::new(Cause::TooManySubscriptions, "m"));
        assert_eq!(
            lines(&events, begin)[1],
            "not connected: the user and app have the maximum number of event subscriptions"
        );
        events.connected_since = Some(begin);
        events.last_heard = Some(begin.after(Duration::from_secs(96)));
        assert_eq!(
            lines(&events, begin)[1],
            "connected for 100 s, last message 4 s ago"
        );
    }
}
