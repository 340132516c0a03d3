//! A page of the active-calls list or of the extension list.

use std::borrow::Cow;
use std::mem;

use smol_str::{SmolStr, format_smolstr};

use crate::calls::Call;
use crate::calls::directory::DirectoryEntry;
use crate::ringcentral::wire::ParseError;
use crate::ringcentral::wire::extension::ExtensionRecord;
use crate::ringcentral::wire::json::{
    JsonError, JsonObject, JsonReader, JsonResult, JsonValue, read_document,
};
use crate::ringcentral::wire::lenient::{Field, ReadValue, json_object};
use crate::ringcentral::wire::record::{CallRecord, id_after};

/// One page of the active-calls list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallPage {
    /// The calls, in the order of the list, without faxes.
    pub calls: Vec<Call>,
    /// Number of records that were skipped because they are not objects or have a key twice.
    pub skipped: usize,
    /// Number of faxes, which are records but not calls.
    pub faxes: usize,
    /// Maximum number of records of a page, if the page says it.
    pub per_page: Option<usize>,
    /// Address of the next page as sent, absolute or relative.
    pub next: Option<String>,
    /// The account's own id, from the page's or a record's address.
    pub account_id: Option<String>,
}

/// One page of the account's extension list.
#[derive(Debug, Default, PartialEq)]
pub struct ExtensionPage {
    /// The extensions that have an id.
    pub entries: Vec<DirectoryEntry>,
    /// Address of the next page as sent.
    pub next: Option<String>,
}

/// The parts of a page that are not records.
struct PageLinks {
    next: Option<String>,
    account_id: Option<String>,
    per_page: Option<usize>,
}

/// A page of any list.
struct PageBody<'a, F> {
    read_record: F,
    has_records: bool,
    navigation: Field<Nullable<Navigation<'a>>>,
    paging: Field<Paging<'a>>,
    uri: Field<Cow<'a, str>>,
}

json_object! {
    struct Navigation<'a> {
        next_page: Nullable<PageLink<'a>> = "nextPage",
    }
}

json_object! {
    struct Paging<'a> {
        per_page: Cow<'a, str> = "perPage",
    }
}

json_object! {
    struct PageLink<'a> {
        uri: JsonValue<'a> = "uri",
    }
}

/// An object that may be `null`; a value of another type is an error.
struct Nullable<T>(T);

impl CallPage {
    /// Returns the number of all records, with faxes and skipped ones.
    #[must_use]
    pub fn records(&self) -> usize {
        self.calls.len() + self.skipped + self.faxes
    }
}

/// Parses page `page_number` (from 1) of the active-calls list.
///
/// # Errors
/// Returns an error if the body is not JSON in UTF-8, has no list of records, or names a next page without its
/// address.
pub fn parse_page(body: &[u8], page_number: u32) -> Result<CallPage, ParseError> {
    let mut page = CallPage::default();
    let links = read_page("page of calls", body, |json| {
        let Some(record) = read_record::<CallRecord<'_>>(json)? else {
            page.skipped += 1;
            return Ok(());
        };
        if page.account_id.is_none() {
            page.account_id = record.account_id().map(str::to_owned);
        }
        // Records without an id cannot be distinguished, so the position stands for the id.
        let id = match record.id() {
            Some(id) => SmolStr::from(id),
            None => format_smolstr!("#{page_number}-{}", page.calls.len() + page.skipped),
        };
        match record.to_call(id) {
            Some(call) => page.calls.push(call),
            None => page.faxes += 1,
        }
        Ok(())
    })?;
    page.account_id = links.account_id.or(page.account_id);
    page.per_page = links.per_page;
    page.next = links.next;
    Ok(page)
}

/// Parses a page of the account's extension list. Extensions without a valid id are skipped.
///
/// # Errors
/// Returns an error if the body is not JSON in UTF-8, has no list of records, or names a next page without its
/// address.
pub fn parse_extensions(body: &[u8]) -> Result<ExtensionPage, ParseError> {
    let mut page = ExtensionPage::default();
    let links = read_page("page of extensions", body, |json| {
        if let Some(record) = read_record::<ExtensionRecord<'_>>(json)? {
            page.entries.extend(record.to_entry());
        }
        Ok(())
    })?;
    page.next = links.next;
    Ok(page)
}

/// Reads a page of a list; `read_record` reads one record.
fn read_page<'a>(
    subject: &str,
    body: &'a [u8],
    read_record: impl FnMut(&mut JsonReader<'a>) -> JsonResult,
) -> Result<PageLinks, ParseError> {
    let error = |problem: &str| ParseError(format!("cannot parse {subject}: {problem}"));
    let text = str::from_utf8(body).map_err(|_| error("invalid UTF-8"))?;
    let mut page = PageBody {
        read_record,
        has_records: false,
        navigation: Field::default(),
        paging: Field::default(),
        uri: Field::default(),
    };
    read_document(subject, text, &mut page)?;
    if !page.has_records {
        return Err(error("missing records"));
    }
    let account_id = page.uri.text().and_then(|uri| id_after("/account/", uri));
    let account_id = account_id.map(str::to_owned);
    let mut next = None;
    if let Some(Nullable(navigation)) = page.navigation.value
        && let Some(Nullable(link)) = navigation.next_page.value
    {
        let Some(JsonValue::String(Some(uri))) = link.uri.value else {
            return Err(error("missing address of the next page"));
        };
        next = Some(uri.into_owned());
    }
    let per_page = page
        .paging
        .value
        .and_then(|paging| paging.per_page.text()?.parse().ok());
    Ok(PageLinks {
        next,
        account_id,
        per_page,
    })
}

/// Reads a record, `None` if it is malformed or not an object. The page stays valid.
#[inline]
fn read_record<'a, T: ReadValue<'a>>(json: &mut JsonReader<'a>) -> JsonResult<Option<T>> {
    let is_page_malformed = mem::replace(&mut json.is_malformed, false);
    let record = T::read_value(json)?;
    let is_record_malformed = mem::replace(&mut json.is_malformed, is_page_malformed);
    if is_record_malformed {
        return Ok(None);
    }
    Ok(record)
}

impl<'a, F> JsonObject<'a> for PageBody<'a, F>
where
    F: FnMut(&mut JsonReader<'a>) -> JsonResult,
{
    fn read_field(&mut self, key: &str, json: &mut JsonReader<'a>) -> JsonResult {
        match key {
            "records" => {
                json.is_malformed |= mem::replace(&mut self.has_records, true);
                json.read_array(&mut self.read_record)
            }
            "navigation" => self.navigation.read(json),
            "paging" => self.paging.read(json),
            "uri" => self.uri.read(json),
            _ => json.skip_value(),
        }
    }
}

impl<'a> ReadValue<'a> for JsonValue<'a> {
    fn read_value(json: &mut JsonReader<'a>) -> JsonResult<Option<Self>> {
        json.read_value().map(Some)
    }
}

impl<'a, T: ReadValue<'a>> ReadValue<'a> for Nullable<T> {
    fn read_value(json: &mut JsonReader<'a>) -> JsonResult<Option<Self>> {
        match json.peek() {
            Some(b'{' | b'n') => Ok(T::read_value(json)?.map(Self)),
            _ => Err(JsonError::UnexpectedStructure),
        }
    }
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
    fn all_records_count_for_the_fullness_of_a_page() {
        let list = page(r#"{"records":[{"id":"a"},{"type":"Fax"},7],"paging":{"perPage":100}}"#);
        let list = list.unwrap();
        assert_eq!(list.records(), 3);
        assert_eq!(list.per_page, Some(100));
        for paging in [
            "5",
            "null",
            "{}",
            r#"{"perPage":"many"}"#,
            r#"{"perPage":-1}"#,
        ] {
            let list = page(&format!(r#"{{"records":[],"paging":{paging}}}"#)).unwrap();
            assert_eq!(list.per_page, None, "{paging}");
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
