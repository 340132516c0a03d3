//! Facts about an account's presence, pure: what `check`, the landing page and `/status` show of it.

use serde_json::{Value, json};

use crate::account::facts::{Fact, format_duration, format_wait, plural, to_seconds};
use crate::account::presence::PresenceView;
use crate::clock::Moment;
use crate::config::PresenceMode;
use crate::presence::{ExtensionStatus, PresenceStatus, TelephonyStatus};
use crate::ringcentral::status::{ApiStatus, time_until};

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
pub(crate) fn presence_facts(view: &PresenceView, api: &ApiStatus, now: Moment) -> Vec<Fact> {
    let mut facts = vec![list_fact(view, now)];
    if view.mode == PresenceMode::Events {
        facts.push(match view.connected_since {
            Some(since) => connected_fact(view, since, now),
            None => unconnected_fact(view, api, now),
        });
    }
    facts
}

/// Returns the mode, the extensions by what they do, and the age of the last full read.
fn list_fact(view: &PresenceView, now: Moment) -> Fact {
    let mode = view.mode.as_str();
    let mut json = json!({"presence": mode, "presence_up": view.is_up});
    let mut text = format!("{mode}: {}", list_text(view));
    if let Some(last_read) = view.last_read {
        let age = now.saturating_duration_since(last_read);
        text += &format!("; list read {} ago", format_duration(age));
        json["presence_read_age_seconds"] = json!(to_seconds(age));
    }
    let is_wanted = view.counts.is_none() || view.read_failure.is_some();
    if let Some(wait) = time_until(view.next_read_at, now).filter(|_| is_wanted) {
        text += &format!("; next read in {}", format_wait(wait));
        json["presence_next_read_in_seconds"] = json!(to_seconds(wait));
    }
    if let Some(counts) = &view.counts {
        Summary::new(counts).add_to(&mut json);
    }
    Fact::new("presence", text, json)
}

fn list_text(view: &PresenceView) -> String {
    if let Some(counts) = &view.counts {
        return Summary::new(counts).to_text();
    }
    if view.last_read.is_some() {
        return "not current".to_owned();
    }
    if view.read_failure.is_some() {
        return "request failed".to_owned();
    }
    if view.pages > 0 {
        let pages = plural(view.pages.into(), "page");
        return format!("{pages} of the list read, the rest follows within the rate limit");
    }
    "not read yet".to_owned()
}

/// Returns since when events are received.
fn connected_fact(view: &PresenceView, since: Moment, now: Moment) -> Fact {
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

/// Returns why no events are received, and when the next attempt to connect starts.
fn unconnected_fact(view: &PresenceView, api: &ApiStatus, now: Moment) -> Fact {
    let mut text = match &view.stream_failure {
        Some(failure) => format!("not connected: {}", failure.cause.summary()),
        None => "not connected yet".to_owned(),
    };
    let mut json = json!({"events_connected": false});
    // An attempt begins with the request for a token.
    let retry_at = view.stream_retry_at.max(api.next_event_token_at);
    if view.stream_retry_at.is_some()
        && let Some(wait) = time_until(retry_at, now)
    {
        text += &format!("; next attempt in {}", format_wait(wait));
        json["events_next_attempt_in_seconds"] = json!(to_seconds(wait));
    }
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
        let total = plural(self.total, "extension");
        let (ringing, in_calls) = (self.ringing, self.in_calls);
        let mut text = format!("{total} with presence, {ringing} ringing, {in_calls} in calls");
        for (count, state) in [(self.on_hold, "on hold"), (self.parked, "parked")] {
            if count > 0 {
                text += &format!(", {count} {state}");
            }
        }
        text + &format!(", {} available", self.available)
    }

    fn add_to(&self, json: &mut Value) {
        for (key, count) in [
            ("presence_extensions", self.total),
            ("presence_ringing", self.ringing),
            ("presence_in_calls", self.in_calls),
            ("presence_on_hold", self.on_hold),
            ("presence_parked", self.parked),
            ("presence_available", self.available),
        ] {
            json[key] = json!(count);
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
        let facts = presence_facts(view, &ApiStatus::default(), now);
        facts.iter().map(|fact| fact.text.clone()).collect()
    }

    #[test]
    fn presence_in_a_few_words() {
        let begin = Moment::now();
        let mut polled = PresenceView::empty(PresenceMode::Poll);
        assert_eq!(lines(&polled, begin), ["poll: not read yet"]);
        polled.last_read = Some(begin);
        polled.next_read_at = Some(begin.after(Duration::from_secs(130)));
        let not_current = "poll: not current; list read 100 s ago; next read in 30 s";
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
        polled.next_read_at = Some(begin.after(Duration::from_secs(101)));
        let text = "poll: 163 extensions with presence, 3 ringing, 12 in calls, 150 available; list read 100 s ago";
        assert_eq!(lines(&polled, begin), [text]);
        counts.extend([(status(OnHold, Busy), 2), (status(ParkedCall, Busy), 1)]);
        polled.counts = Some(counts.into());
        assert!(lines(&polled, begin)[0].contains("12 in calls, 2 on hold, 1 parked, 150"));
        let mut failed = PresenceView::empty(PresenceMode::Poll);
        let error = Error::new(Operation::Presence, Cause::AppLacksPresence, "x");
        failed.read_failure = Some(error);
        assert_eq!(lines(&failed, begin), ["poll: request failed"]);
        failed.next_read_at = Some(begin.after(Duration::from_secs(400)));
        let text = "poll: request failed; next read in 5 min";
        assert_eq!(lines(&failed, begin), [text]);
    }

    #[test]
    fn event_connection_in_a_few_words() {
        let begin = Moment::now();
        let mut events = PresenceView::empty(PresenceMode::Events);
        assert_eq!(
            lines(&events, begin),
            ["events: not read yet", "not connected yet"]
        );
        events.stream_failure = Some(EventError::new(Cause::TooManySubscriptions, "m"));
        assert_eq!(
            lines(&events, begin)[1],
            "not connected: the user and app have the maximum number of event subscriptions"
        );
        let at = |seconds| Some(begin.after(Duration::from_secs(seconds)));
        let now = begin.after(Duration::from_secs(100));
        for (retry_at, token_at, next) in [
            (None, at(160), None),
            (at(100), at(100), None),
            (at(105), at(100), Some("5 s")),
            (at(105), at(147), Some("47 s")),
        ] {
            events.stream_retry_at = retry_at;
            let api = ApiStatus {
                next_event_token_at: token_at,
                ..ApiStatus::default()
            };
            let text = &presence_facts(&events, &api, now)[1].text;
            let shown = text.split_once("; next attempt in ").map(|it| it.1);
            assert_eq!(shown, next, "{text}");
        }
        events.connected_since = Some(begin);
        events.last_heard = Some(begin.after(Duration::from_secs(96)));
        assert_eq!(
            lines(&events, begin)[1],
            "connected for 100 s, last message 4 s ago"
        );
    }
}
