//! The records of a page, to calls.
//!
//! Owns: that one odd record costs that record alone; and that a list without any, as nearly all are, is read at one go.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::calls::Call;
use crate::ringcentral::wire::lenient::Strict;
use crate::ringcentral::wire::record::{Record, id_after};

/// What the records of a page tell.
#[derive(Default)]
pub struct Calls {
    pub calls: Vec<Call>,
    /// Records that are no objects, or have a key twice, and so were left out.
    pub unreadable: usize,
    /// The account's own id, from the first address that has it.
    pub account_id: Option<String>,
}

impl Calls {
    /// Reads those that can be read, of the page at this place in the walk.
    pub fn one_by_one(records: &[&RawValue], number: u32) -> Self {
        let mut calls = Self {
            calls: Vec::with_capacity(records.len()),
            ..Self::default()
        };
        for (index, raw) in records.iter().enumerate() {
            match serde_json::from_str::<Strict<Record<'_>>>(raw.get()) {
                Ok(Strict(record)) => calls.take(&record, &format!("#{number}-{index}")),
                Err(_) => calls.unreadable += 1,
            }
        }
        calls
    }

    fn take(&mut self, record: &Record<'_>, place: &str) {
        if self.account_id.is_none() {
            self.account_id = record
                .uri()
                .and_then(|uri| id_after("/account/", uri))
                .map(str::to_owned);
        }
        self.calls.extend(record.call(place));
    }
}

/// The calls of a list whose records can all be read and have an id of their own; else an error, and the list is to be
/// read one by one.
pub struct SoundCalls(pub Calls);

struct SoundCallsVisitor;

impl<'de> Visitor<'de> for SoundCallsVisitor {
    type Value = SoundCalls;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut records: A) -> Result<Self::Value, A::Error> {
        let mut calls = Calls::default();
        while let Some(Strict(record)) = records.next_element::<Strict<Record<'de>>>()? {
            if !record.has_id() {
                return Err(A::Error::custom("a record without an id"));
            }
            // It has an id, so its place is not asked for.
            calls.take(&record, "");
        }
        Ok(SoundCalls(calls))
    }
}

impl<'de> Deserialize<'de> for SoundCalls {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(SoundCallsVisitor)
    }
}
