//! The form in which the use of a rate limit is kept in the state directory. Pure.
//!
//! A file belongs to one user and app. It has a part for each process that has used the limit lately; a process
//! writes its own part and reads those of the others, of which some may have ended. Times are wall times in
//! milliseconds since 1970: the monotonic clock means nothing to another process.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Moment;

/// No time in a file is later than this after the file was written: the longest penalty, and the longest window
/// after the longest fetch.
const MAX_WAIT: Duration = Duration::from_secs(24 * 60 * 60 + 60);

/// The content of a file.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct SavedUsage {
    pub(crate) processes: Vec<SavedProcess>,
}

/// What one process has used, and which limits and penalties it knows of.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub(crate) struct SavedProcess {
    /// A random number that no other process has.
    pub(crate) id: u64,
    pub(crate) saved_at_ms: i64,
    /// Expected pages of the next fetches of all accounts; 0 after a graceful stop.
    pub(crate) pages: u32,
    /// Pages of the longest of these fetches. 0 in files of versions up to 0.1, which have no presence.
    pub(crate) longest_fetch: u32,
    /// Pages of the presence lists for which calls keep a slower pace now.
    pub(crate) presence_pages: u32,
    /// End of the penalty of all groups.
    pub(crate) blocked_until_ms: Option<i64>,
    pub(crate) groups: Vec<SavedGroup>,
}

/// The part of one usage group.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub(crate) struct SavedGroup {
    pub(crate) group: String,
    /// The limit and the window in milliseconds that RingCentral last reported, if it has.
    pub(crate) limit: Option<(u32, u64)>,
    pub(crate) blocked_until_ms: Option<i64>,
    /// The remaining requests that RingCentral last reported, and until when the report holds.
    pub(crate) remaining: Option<SavedCount>,
    /// The requests that occupy the window.
    pub(crate) requests: Vec<SavedCount>,
    /// Those of them that were pages of a presence list.
    pub(crate) presence: Vec<SavedCount>,
}

/// A number of requests and a time.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct SavedCount {
    pub(crate) count: u32,
    pub(crate) until_ms: i64,
}

/// Converts between the times of a file and those of this process.
#[derive(Clone, Copy)]
pub(crate) struct SavedTimes {
    saved_at_ms: i64,
    now: Moment,
}

impl SavedTimes {
    /// Creates a converter for times that were saved at `saved_at_ms`. If that is in the future, the clock was set
    /// back since: the file then counts as written now.
    pub(crate) fn new(saved_at_ms: i64, now: Moment) -> Self {
        Self { saved_at_ms, now }
    }

    /// Returns the moment of a saved time, or `None` if it is past.
    pub(crate) fn future(self, saved_ms: i64) -> Option<Moment> {
        let elapsed_ms = wall_ms(self.now).saturating_sub(self.saved_at_ms).max(0);
        let wait_ms = saved_ms.saturating_sub(self.saved_at_ms);
        let wait_ms = u64::try_from(wait_ms.saturating_sub(elapsed_ms)).ok()?;
        let wait = Duration::from_millis(wait_ms).min(MAX_WAIT);
        (!wait.is_zero()).then(|| self.now.after(wait))
    }
}

/// Returns the wall time of a moment, as it is saved.
pub(crate) fn wall_ms(moment: Moment) -> i64 {
    moment.wall.as_millisecond()
}

/// Returns the wall time at which a wait until `until` ends. The monotonic clock decides how long that is.
pub(crate) fn future_ms(until: Moment, now: Moment) -> i64 {
    let wait = until.instant.saturating_duration_since(now.instant);
    let wait_ms = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
    // Rounded up, so that a wait is never shortened.
    wall_ms(now).saturating_add(wait_ms).saturating_add(1)
}

/// Returns the wall time at which a block ends, or `None` if it has ended.
pub(crate) fn saved_block(until: Option<Moment>, now: Moment) -> Option<i64> {
    let until = until.filter(|until| !until.is_past(now))?;
    Some(future_ms(until, now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ringcentral::Operation;
    use crate::ringcentral::rate_limit::usage::Usage;

    const PRESENCE: Operation = Operation::Presence;

    /// Fields of the file that only versions with presence have.
    const NEW_FIELDS: [&str; 3] = ["longest_fetch", "presence_pages", "presence"];

    /// Returns the file of a process that has sent two calls and one page of presence.
    fn file(now: Moment) -> String {
        let mut usage = Usage::new();
        usage.set_pages(1, 2);
        for operation in [Operation::ActiveCalls, Operation::ActiveCalls, PRESENCE] {
            usage.record_request(operation, now);
            usage.record_response(operation, None, now);
        }
        serde_json::to_string(&usage.saved(7, now)).unwrap()
    }

    /// Returns a file as a version without presence writes it: fields that it does not know are gone.
    fn without_new_fields(value: serde_json::Value) -> serde_json::Value {
        use serde_json::Value;
        match value {
            Value::Array(values) => values.into_iter().map(without_new_fields).collect(),
            Value::Object(fields) => {
                let mut old = serde_json::Map::new();
                for (name, value) in fields {
                    if !NEW_FIELDS.contains(&name.as_str()) {
                        old.insert(name, without_new_fields(value));
                    }
                }
                Value::Object(old)
            }
            other => other,
        }
    }

    /// Returns the usage of a process that reads this file.
    fn read(text: &str, now: Moment) -> Usage {
        let mut usage = Usage::new();
        usage.adopt(serde_json::from_str(text).unwrap(), 8, now);
        usage
    }

    #[test]
    fn file_of_a_version_without_presence_is_read() {
        let now = Moment::now();
        let saved_at = wall_ms(now);
        let until = saved_at + 61_000;
        let text = format!(
            r#"{{"processes":[{{"id":7,"saved_at_ms":{saved_at},"pages":2,"blocked_until_ms":null,"groups":[
            {{"group":"heavy","limit":[10,60000],"blocked_until_ms":null,"remaining":null,
            "requests":[{{"count":3,"until_ms":{until}}}]}}]}}]}}"#
        );
        let usage = read(&text, now);
        assert_eq!(usage.requests_left(PRESENCE, now), 7);
        assert_eq!(usage.max_presence_pages(), 4);
        assert_eq!(usage.presence_share(now), 0);
        assert!(usage.available_at(PRESENCE, 1, 0, now).is_past(now));
    }

    /// An older version ignores the new fields, and writes the parts of other processes without them.
    #[test]
    fn file_with_presence_is_the_old_one_with_more_fields() {
        let now = Moment::now();
        let text = file(now);
        for field in NEW_FIELDS {
            assert!(text.contains(&format!("\"{field}\"")), "{field}");
        }
        let new = read(&text, now);
        let old = without_new_fields(serde_json::from_str(&text).unwrap());
        let old_fields = ["id", "saved_at_ms", "pages", "blocked_until_ms", "groups"];
        for field in old["processes"][0].as_object().unwrap().keys() {
            assert!(old_fields.contains(&field.as_str()), "{field}");
        }
        let old = read(&old.to_string(), now);
        for usage in [&new, &old] {
            assert_eq!(usage.requests_left(PRESENCE, now), 7, "all are counted");
        }
    }
}
