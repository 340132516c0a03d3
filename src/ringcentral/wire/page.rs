//! A page of the active-calls list or of the extension list.

use std::borrow::Cow;

use smol_str::{SmolStr, format_smolstr};

use crate::calls::Call;
use crate::calls::directory::DirectoryEntry;
use crate::ringcentral::wire::ParseError;
use crate::ringcentral::wire::extension::ExtensionRecord;
use crate::ringcentral::wire::json::{
    JsonError, JsonObject, JsonReader, JsonResult, JsonValue, Validity, read_document,
};
use crate::ringcentral::wire::lenient::{Field, LenientString, ReadValue, json_object};
use crate::ringcentral::wire::record::{CallRecord, id_after};

/// One page of the active-calls list.
#[derive(Clone, Debug, PartialEq)]
pub struct CallPage {
    /// The calls, in the order of the list, without faxes.
    pub calls: Vec<Call>,
    /// Number of records that were skipped because they are not objects or have a key twice.
    pub skipped: usize,
    /// Address of the next page as sent, absolute or relative.
    pub next: Option<String>,
    /// The account's own id, from the page's or a record's address.
    pub account_id: Option<String>,
}

/// One page of the account's extension list.
#[derive(Debug, PartialEq)]
pub struct ExtensionPage {
    /// The extensions that have an id.
    pub entries: Vec<DirectoryEntry>,
    /// Address of the next page as sent.
    pub next: Option<String>,
}

#[derive(Default)]
struct PageBody<'a, R> {
    records: Field<R>,
    navigation: Field<Navigation<'a>>,
    uri: Field<LenientString<'a>>,
}

json_object! {
    struct Navigation<'a> {
        next_page: PageLink<'a> = "nextPage",
    }
}

json_object! {
    struct PageLink<'a> {
        uri: PageUri<'a> = "uri",
    }
}

/// The address of a page; a value that is not a string is an error.
#[derive(Default)]
struct PageUri<'a>(Cow<'a, str>);

/// The records of a page of calls.
#[derive(Default)]
struct CallRecords {
    /// Number of the page, from 1.
    page_number: u32,
    /// Number of records so far.
    count: usize,
    calls: Vec<Call>,
    skipped: usize,
    account_id: Option<String>,
}

/// The records of a page of extensions.
#[derive(Default)]
struct ExtensionRecords(Vec<DirectoryEntry>);

/// Parses page `page_number` (from 1) of the active-calls list.
///
/// # Errors
/// Returns an error if the body is not JSON in UTF-8, has no list of records, or names a next page without its
/// address.
pub fn parse_page(body: &[u8], page_number: u32) -> Result<CallPage, ParseError> {
    let mut page = PageBody::<CallRecords>::default();
    page.records.value.page_number = page_number;
    page.read("page of calls", body)?;
    let uri = page.uri.text();
    let account_id = uri.and_then(|uri| id_after("/account/", uri));
    let account_id = account_id.map(str::to_owned);
    let next = page.next();
    let records = page.records.value;
    Ok(CallPage {
        calls: records.calls,
        skipped: records.skipped,
        next,
        account_id: account_id.or(records.account_id),
    })
}

/// Parses a page of the account's extension list. Extensions without a valid id are skipped.
///
/// # Errors
/// Returns an error if the body is not JSON in UTF-8, has no list of records, or names a next page without its
/// address.
pub fn parse_extensions(body: &[u8]) -> Result<ExtensionPage, ParseError> {
    let mut page = PageBody::<ExtensionRecords>::default();
    page.read("page of extensions", body)?;
    Ok(ExtensionPage {
        next: page.next(),
        entries: page.records.value.0,
    })
}

impl<'a, R: ReadValue<'a>> PageBody<'a, R> {
    fn read(&mut self, subject: &str, body: &'a [u8]) -> Result<(), ParseError> {
        let Ok(text) = str::from_utf8(body) else {
            return Err(ParseError(format!("cannot parse {subject}: invalid UTF-8")));
        };
        read_document(subject, text, self)?;
        if !self.records.is_present {
            return Err(ParseError(format!(
                "cannot parse {subject}: missing records"
            )));
        }
        Ok(())
    }

    /// Returns the address of the next page.
    fn next(&self) -> Option<String> {
        let uri = &self.navigation.value.next_page.value.uri;
        uri.is_present.then(|| uri.value.0.to_string())
    }
}

impl<'a, R: ReadValue<'a>> JsonObject<'a> for PageBody<'a, R> {
    fn read_field(&mut self, key: &str, json: &mut JsonReader<'a>) -> JsonResult<Validity> {
        match key {
            "records" => self.records.read(json),
            "navigation" => self.navigation.read(json),
            "uri" => self.uri.read(json),
            _ => json.skip_value(),
        }
    }
}

impl<'a> ReadValue<'a> for Navigation<'a> {
    fn read_value(&mut self, json: &mut JsonReader<'a>) -> JsonResult<Validity> {
        match json.peek() {
            Some(b'n') => json.skip_value(),
            _ => json.read_object(self),
        }
    }
}

impl<'a> ReadValue<'a> for PageLink<'a> {
    fn read_value(&mut self, json: &mut JsonReader<'a>) -> JsonResult<Validity> {
        if json.peek() == Some(b'n') {
            return json.skip_value();
        }
        let validity = json.read_object(self)?;
        if self.uri.is_present {
            Ok(validity)
        } else {
            Err(JsonError::UnexpectedStructure)
        }
    }
}

impl<'a> ReadValue<'a> for PageUri<'a> {
    fn read_value(&mut self, json: &mut JsonReader<'a>) -> JsonResult<Validity> {
        if let JsonValue::String(uri) = json.read_value()?
            && let Some(uri) = uri.decode()
        {
            self.0 = uri;
            return Ok(Validity::Valid);
        }
        Err(JsonError::UnexpectedStructure)
    }
}

impl<'a> ReadValue<'a> for CallRecords {
    fn read_value(&mut self, json: &mut JsonReader<'a>) -> JsonResult<Validity> {
        json.read_array(|json| self.read_record(json))?;
        Ok(Validity::Valid)
    }
}

impl CallRecords {
    fn read_record<'a>(&mut self, json: &mut JsonReader<'a>) -> JsonResult<()> {
        let index = self.count;
        self.count += 1;
        let mut record = CallRecord::default();
        if read_record(&mut record, json)? == Validity::Malformed {
            self.skipped += 1;
            return Ok(());
        }
        if self.account_id.is_none() {
            self.account_id = record.account_id().map(str::to_owned);
        }
        // Records without an id cannot be distinguished, so the position stands for the id.
        let id = match record.id() {
            Some(id) => SmolStr::from(id),
            None => format_smolstr!("#{}-{index}", self.page_number),
        };
        self.calls.extend(record.to_call(id));
        Ok(())
    }
}

impl<'a> ReadValue<'a> for ExtensionRecords {
    fn read_value(&mut self, json: &mut JsonReader<'a>) -> JsonResult<Validity> {
        json.read_array(|json| {
            let mut record = ExtensionRecord::default();
            if read_record(&mut record, json)? == Validity::Valid {
                self.0.extend(record.to_entry());
            }
            Ok(())
        })?;
        Ok(Validity::Valid)
    }
}

/// Reads a record. One that is not an object is malformed.
fn read_record<'a>(
    record: &mut impl JsonObject<'a>,
    json: &mut JsonReader<'a>,
) -> JsonResult<Validity> {
    if json.peek() == Some(b'{') {
        return json.read_object(record);
    }
    json.skip_value()?;
    Ok(Validity::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(json: &str) -> Result<CallPage, String> {
        parse_page(json.as_bytes(), 1).map_err(|error| error.to_string())
    }

    #[test]
    fn incomplete_list_is_an_error() {
        for body in [
            "",
            "<html>",
            "null",
            "[]",
            "[[], null]",
            "{}",
            r#"{"records":null}"#,
            r#"{"records":{}}"#,
            r#"{"records":[],"navigation":{"nextPage":{"uri":5}}}"#,
            r#"{"records":[],"navigation":{"nextPage":{"uri":null}}}"#,
            r#"{"records":[],"navigation":{"nextPage":{"uri":"\ud800"}}}"#,
            r#"{"records":[],"navigation":{"nextPage":{}}}"#,
            r#"{"records":[],"navigation":"page 2"}"#,
            r#"{"records":[{"id":"a"}"#,
            r#"{"records":[],"records":[]}"#,
            r#"{"records":[],"\ud800":1}"#,
            r#"{"records":[]} {"#,
        ] {
            assert!(
                page(body)
                    .unwrap_err()
                    .starts_with("cannot parse page of calls: "),
                "{body}"
            );
        }
    }

    #[test]
    fn page_with_invalid_utf8_is_an_error() {
        let message = parse_page(b"{\"records\":[],\"paging\":\"\xff\"}", 1)
            .unwrap_err()
            .to_string();
        assert_eq!(message, "cannot parse page of calls: invalid UTF-8");
    }

    #[test]
    fn missing_or_null_navigation_is_the_last_page() {
        for body in [
            r#"{"records":[]}"#,
            r#"{"records":[],"navigation":null,"paging":5,"uri":null}"#,
            r#"{"records":[],"navigation":{"firstPage":{"uri":"x"},"nextPage":null}}"#,
        ] {
            assert_eq!(page(body).unwrap().next, None, "{body}");
        }
    }

    #[test]
    fn malformed_record_costs_only_itself() {
        let body = r#"{"records":[{"id":"a"},null,5,1e999,"x","\ud800",[],{"id":"b","id":"b"},{"\ud800":1},
            {"from":{"extensionId":1,"extensionId":2}},{"id":"c"},{}]}"#;
        let page = page(body).unwrap();
        let ids: Vec<_> = page.calls.iter().map(|call| call.id.as_str()).collect();
        assert_eq!((ids, page.skipped), (vec!["a", "c", "#1-11"], 9));
    }

    #[test]
    fn malformed_extension_costs_only_itself() {
        let body =
            br#"{"records":[{"id":1e999},{"id":5,"name":"\ud800"},7,{"id":8,"id":8},{"id":"9"}]}"#;
        let page = parse_extensions(body).unwrap();
        let ids: Vec<_> = page.entries.iter().map(|entry| entry.id).collect();
        assert_eq!(ids, [5, 9]);
    }
}
