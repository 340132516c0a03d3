//! One record of the presence list.

use std::borrow::Cow;

use crate::presence::{DndStatus, ExtensionStatus, PresenceStatus, TelephonyStatus};
use crate::ringcentral::wire::json::{JsonObject, JsonReader, JsonResult, JsonString, JsonValue};
use crate::ringcentral::wire::lenient::{Field, json_object};

/// The statuses of one extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PresenceRow {
    /// The extension's id.
    pub extension: u64,
    /// Its statuses; `Unknown` where a field is missing, unreadable or not documented.
    pub status: ExtensionStatus,
    /// Whether the row has a telephony status, also an unreadable one. Those of queues, menus and announcements have
    /// none.
    pub has_telephony: bool,
}

json_object! {
    /// The fields of a record that are used.
    struct PresenceRecord<'a> {
        extension: ExtensionLink<'a> = "extension",
        telephony: JsonValue<'a> = "telephonyStatus",
        presence: Cow<'a, str> = "presenceStatus",
        dnd: Cow<'a, str> = "dndStatus",
    }
}

json_object! {
    struct ExtensionLink<'a> {
        id: Cow<'a, str> = "id",
    }
}

impl PresenceRecord<'_> {
    /// Returns the row, `None` without a valid id.
    pub(crate) fn to_row(&self) -> Option<PresenceRow> {
        let link = self.extension.value.as_ref()?;
        Some(PresenceRow {
            extension: link.id.text()?.parse().ok()?,
            status: ExtensionStatus {
                telephony: TelephonyStatus::parse(self.telephony_text()),
                presence: PresenceStatus::parse(self.presence.text()),
                dnd: DndStatus::parse(self.dnd.text()),
            },
            has_telephony: self.has_telephony(),
        })
    }

    fn telephony_text(&self) -> Option<&str> {
        match &self.telephony.value {
            Some(JsonValue::String(JsonString::Text(text))) => Some(text.trim()),
            _ => None,
        }
    }

    /// Returns whether there is a telephony status: an unreadable one costs only itself, not the extension.
    fn has_telephony(&self) -> bool {
        match &self.telephony.value {
            None => self.telephony.is_repeated,
            Some(JsonValue::Scalar("null")) => false,
            Some(_) => self.telephony_text() != Some(""),
        }
    }
}

#[cfg(test)]
mod tests {
    use TelephonyStatus::{NoCall, OnHold, Unknown};

    use super::*;
    use crate::ringcentral::wire::{parse_presence, parse_presence_after};

    fn rows(records: &[u8]) -> Vec<PresenceRow> {
        let body = [b"{\"records\":[", records, b"]}"].concat();
        parse_presence(&body).unwrap().entries
    }

    /// Returns the row of a record with this text in place of the telephony status.
    fn telephony(field: &[u8]) -> (TelephonyStatus, bool) {
        let record = [b"{\"extension\":{\"id\":7}", field, b"}"].concat();
        let rows = rows(&record);
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].extension, 7);
        (rows[0].status.telephony, rows[0].has_telephony)
    }

    #[test]
    fn page_of_the_vendor_is_read() {
        let body = include_bytes!("../../../tests/fixtures/presence.json");
        let page = parse_presence(body).unwrap();
        let status = ExtensionStatus {
            telephony: NoCall,
            presence: PresenceStatus::Available,
            dnd: DndStatus::TakeAllCalls,
        };
        let row = |extension| PresenceRow {
            extension,
            status,
            has_telephony: true,
        };
        assert_eq!(page.entries, [row(170_848_004), row(170_853_004)]);
        assert_eq!((page.records, page.next), (2, None));
    }

    #[test]
    fn every_documented_value_is_read() {
        for status in TelephonyStatus::ALL {
            let field = format!(",\"telephonyStatus\":\"{}\"", status.as_str());
            assert_eq!(telephony(field.as_bytes()), (status, true));
        }
        assert_eq!(TelephonyStatus::ALL.len(), 6);
        for status in PresenceStatus::ALL {
            assert_eq!(PresenceStatus::parse(Some(status.as_str())), status);
        }
        for status in DndStatus::ALL {
            assert_eq!(DndStatus::parse(Some(status.as_str())), status);
        }
    }

    #[test]
    fn odd_telephony_status_costs_only_itself() {
        for (field, has_telephony) in [
            (&b""[..], false),
            (b",\"telephonyStatus\":null", false),
            (b",\"telephonyStatus\":\"\"", false),
            (b",\"telephonyStatus\":\"  \"", false),
            (b",\"telephonyStatus\":\"Dancing\"", true),
            (b",\"telephonyStatus\":\"ringing\"", true),
            (b",\"telephonyStatus\":\"Ring\xffing\"", true),
            (b",\"telephonyStatus\":5", true),
            (b",\"telephonyStatus\":true", true),
            (b",\"telephonyStatus\":{\"a\":[1]}", true),
            (
                b",\"telephonyStatus\":\"Ringing\",\"telephonyStatus\":\"OnHold\"",
                true,
            ),
        ] {
            let text = String::from_utf8_lossy(field);
            assert_eq!(telephony(field), (Unknown, has_telephony), "{text}");
        }
        assert_eq!(
            telephony(b",\"telephonyStatus\":\" OnHold \""),
            (OnHold, true)
        );
    }

    #[test]
    fn record_without_readable_id_is_skipped() {
        for (record, id) in [
            (&b"{\"extension\":{\"id\":\"8\"}}"[..], Some(8)),
            (b"{\"extension\":{\"id\":8.0}}", Some(8)),
            (
                b"{\"extension\":{\"id\":8},\"dndStatus\":\"\xff\"}",
                Some(8),
            ),
            (b"{\"extension\":{\"id\":8},\"presenceStatus\":[]}", Some(8)),
            (b"{\"extension\":{\"id\":8,\"\xff\":1},\"\xff\":2}", Some(8)),
            (b"{\"extension\":{\"id\":-8}}", None),
            (b"{\"extension\":{\"id\":\"x\"}}", None),
            (b"{\"extension\":{\"id\":8,\"id\":9}}", None),
            (b"{\"extension\":{}}", None),
            (b"{\"extension\":{\"id\":8},\"extension\":{\"id\":9}}", None),
            (b"{\"extension\":8}", None),
            (b"{\"id\":8}", None),
            (b"null", None),
            (b"[]", None),
            (b"\"8\"", None),
        ] {
            let records = [record, b",{\"extension\":{\"id\":1}}"].concat();
            let mut ids: Vec<_> = rows(&records).iter().map(|row| row.extension).collect();
            let text = String::from_utf8_lossy(record);
            assert_eq!(ids.pop(), Some(1), "{text}");
            assert_eq!(ids.pop(), id, "{text}");
        }
    }

    #[test]
    fn long_pages_and_lists_are_not_read() {
        let records = |count: usize| vec!["{}"; count].join(",");
        let body = |count| format!("{{\"records\":[{}]}}", records(count));
        assert_eq!(
            parse_presence(body(10_000).as_bytes()).unwrap().records,
            10_000
        );
        assert!(parse_presence(body(10_001).as_bytes()).is_err());
        assert!(parse_presence_after(body(2).as_bytes(), 99_998).is_ok());
        assert!(parse_presence_after(body(2).as_bytes(), 99_999).is_err());
    }
}
