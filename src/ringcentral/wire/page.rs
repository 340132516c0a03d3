//! A page of the active-calls list, of the extension list or of the presence list.

use std::borrow::Cow;

use smol_str::format_smolstr;

use crate::calls::Call;
use crate::calls::directory::DirectoryEntry;
use crate::ringcentral::wire::ParseError;
use crate::ringcentral::wire::extension::ExtensionRecord;
use crate::ringcentral::wire::json::{
    JsonError, JsonObject, JsonReader, JsonResult, JsonString, JsonValue, read_document,
};
use crate::ringcentral::wire::lenient::{Field, ReadValue, json_object};
use crate::ringcentral::wire::presence::{PresenceRecord, PresenceRow};
use crate::ringcentral::wire::record::{CallRecord, id_after};

/// The maximum number of records of a page, those that are skipped included.
const MAX_PAGE_RECORDS: usize = 10_000;
/// The size of a record in bytes by which memory for the calls of a page is allocated. Most are larger.
const EXPECTED_RECORD_LEN: usize = 512;
/// The maximum number of records of all pages of a list.
const MAX_LIST_RECORDS: usize = 100_000;

/// One page of the active-calls list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallPage {
    /// The calls, in the order of the list, without faxes.
    pub calls: Vec<Call>,
    /// Number of records that were skipped because they are not objects or have two ids.
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

/// One page of a list of extensions.
#[derive(Debug, PartialEq)]
pub struct ListPage<T> {
    /// The records that have an id.
    pub entries: Vec<T>,
    /// Number of all records, with those that have no id.
    pub records: usize,
    /// Address of the next page as sent.
    pub next: Option<String>,
}

/// One page of the account's extension list.
pub type ExtensionPage = ListPage<DirectoryEntry>;

/// One page of the account's presence list.
pub type PresencePage = ListPage<PresenceRow>;

/// The parts of a page that are not records.
struct PageLinks {
    next: Option<String>,
    account_id: Option<String>,
    per_page: Option<usize>,
}

/// A page of any list.
struct PageBody<'a, F> {
    read_record: F,
    limit: RecordLimit,
    has_records: bool,
    navigation: Field<OptionalObject<Navigation<'a>>>,
    paging: Field<Paging<'a>>,
    uri: Field<Cow<'a, str>>,
}

/// The number of records so far, on this page and on those before it.
struct RecordLimit {
    on_page: usize,
    in_list: usize,
}

#[derive(Default)]
struct Navigation<'a> {
    next_page: Field<OptionalObject<PageLink<'a>>>,
}

json_object! {
    struct Paging<'a> {
        per_page: Cow<'a, str> = "perPage",
    }
}

/// The address of a page.
#[derive(Default)]
struct PageLink<'a> {
    uri: Field<JsonValue<'a>>,
    has_other_fields: bool,
}

/// An object, in place of which `null`, `false` and an empty text stand for none. Any other value is an error, since a
/// list that seems to end early would show too few calls.
struct OptionalObject<T>(T);

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
/// Returns an error if the body is not JSON, has no list of records or more than 10,000 of them, or names a next page
/// without its address.
pub fn parse_page(body: &[u8], page_number: u32) -> Result<CallPage, ParseError> {
    parse_page_after(body, page_number, 0)
}

/// Parses a page of the active-calls list that follows pages with this number of records, see [`parse_page`].
///
/// # Errors
/// Also returns an error if the list has more than 100,000 records.
pub fn parse_page_after(
    body: &[u8],
    page_number: u32,
    earlier_records: usize,
) -> Result<CallPage, ParseError> {
    let mut page = CallPage {
        calls: Vec::with_capacity((body.len() / EXPECTED_RECORD_LEN).min(MAX_PAGE_RECORDS)),
        ..CallPage::default()
    };
    let links = read_page("page of calls", body, earlier_records, |json| {
        let record = CallRecord::read_value(json)?;
        let Some(record) = record.filter(|record| !record.has_two_ids()) else {
            page.skipped += 1;
            return Ok(());
        };
        if page.account_id.is_none() {
            page.account_id = record.account_id().map(str::to_owned);
        }
        // Records without an id cannot be distinguished, so the position stands for the id.
        let id = match record.id() {
            Some(id) => id,
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
/// Returns an error if the body is not JSON, has no list of records or more than 10,000 of them, or names a next page
/// without its address.
pub fn parse_extensions(body: &[u8]) -> Result<ExtensionPage, ParseError> {
    parse_extensions_after(body, 0)
}

/// Parses a page of the extension list that follows pages with this number of records, see [`parse_extensions`].
///
/// # Errors
/// Also returns an error if the list has more than 100,000 records.
pub fn parse_extensions_after(
    body: &[u8],
    earlier_records: usize,
) -> Result<ExtensionPage, ParseError> {
    read_entries("page of extensions", body, earlier_records, |json| {
        let record = ExtensionRecord::read_value(json)?;
        Ok(record.and_then(|record| record.to_entry()))
    })
}

/// Parses a page of the presence list. Rows without a valid extension id are skipped.
///
/// # Errors
/// Returns an error if the body is not JSON, has no list of records or more than 10,000 of them, or names a next page
/// without its address.
pub fn parse_presence(body: &[u8]) -> Result<PresencePage, ParseError> {
    parse_presence_after(body, 0)
}

/// Parses a page of the presence list that follows pages with this number of records, see [`parse_presence`].
///
/// # Errors
/// Also returns an error if the list has more than 100,000 records.
pub fn parse_presence_after(
    body: &[u8],
    earlier_records: usize,
) -> Result<PresencePage, ParseError> {
    read_entries("page of presence", body, earlier_records, |json| {
        let record = PresenceRecord::read_value(json)?;
        Ok(record.and_then(|record| record.to_row()))
    })
}

/// Reads a page of a list of extensions; `read_entry` reads one record, `None` if it has no id.
fn read_entries<'a, T>(
    subject: &str,
    body: &'a [u8],
    earlier_records: usize,
    mut read_entry: impl FnMut(&mut JsonReader<'a>) -> JsonResult<Option<T>>,
) -> Result<ListPage<T>, ParseError> {
    let mut entries = Vec::new();
    let mut records = 0;
    let links = read_page(subject, body, earlier_records, |json| {
        records += 1;
        entries.extend(read_entry(json)?);
        Ok(())
    })?;
    Ok(ListPage {
        entries,
        records,
        next: links.next,
    })
}

/// Reads a page of a list; `read_record` reads one record.
fn read_page<'a>(
    subject: &str,
    body: &'a [u8],
    earlier_records: usize,
    read_record: impl FnMut(&mut JsonReader<'a>) -> JsonResult,
) -> Result<PageLinks, ParseError> {
    let error = |problem: &str| ParseError(format!("cannot parse {subject}: {problem}"));
    let mut page = PageBody {
        read_record,
        limit: RecordLimit {
            on_page: 0,
            in_list: earlier_records,
        },
        has_records: false,
        navigation: Field::default(),
        paging: Field::default(),
        uri: Field::default(),
    };
    read_document(subject, body, &mut page)?;
    if !page.has_records {
        return Err(error("missing records"));
    }
    let account_id = page.uri.text().and_then(|uri| id_after("/account/", uri));
    let account_id = account_id.map(str::to_owned);
    let mut next = None;
    if let Some(OptionalObject(navigation)) = page.navigation.value
        && let Some(OptionalObject(link)) = navigation.next_page.value
    {
        let missing = || error("missing address of the next page");
        next = link.address().map_err(|NoAddress| missing())?;
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

impl<'a, F> JsonObject<'a> for PageBody<'a, F>
where
    F: FnMut(&mut JsonReader<'a>) -> JsonResult,
{
    fn read_field(&mut self, key: &str, json: &mut JsonReader<'a>) -> JsonResult {
        match key {
            "records" if self.has_records => Err(JsonError::UnexpectedStructure),
            "records" => {
                self.has_records = true;
                json.read_array(|json| {
                    self.limit.count_record()?;
                    (self.read_record)(json)
                })
            }
            "navigation" => read_once(&mut self.navigation, json),
            "paging" => self.paging.read(json),
            "uri" => self.uri.read(json),
            _ => json.skip_value(),
        }
    }

    fn skip_unreadable_key(&mut self, json: &mut JsonReader<'a>) -> JsonResult {
        // The key may be `navigation`, without which the list would seem to end.
        match Navigation::read_value(json)? {
            Some(navigation) if navigation.next_page.value.is_some() => {
                Err(JsonError::UnexpectedStructure)
            }
            _ => Ok(()),
        }
    }
}

/// Reads a field that decides whether the list ends, so that it must not occur twice.
fn read_once<'a, T: ReadValue<'a>>(field: &mut Field<T>, json: &mut JsonReader<'a>) -> JsonResult {
    field.read(json)?;
    if field.is_repeated {
        return Err(JsonError::UnexpectedStructure);
    }
    Ok(())
}

impl RecordLimit {
    /// Counts a record before it is read, so that nothing is kept of one that is too many.
    fn count_record(&mut self) -> JsonResult {
        self.on_page += 1;
        self.in_list += 1;
        if self.on_page > MAX_PAGE_RECORDS {
            return Err(JsonError::PageTooLong);
        }
        if self.in_list > MAX_LIST_RECORDS {
            return Err(JsonError::ListTooLong);
        }
        Ok(())
    }
}

impl<'a> JsonObject<'a> for Navigation<'a> {
    fn read_field(&mut self, key: &str, json: &mut JsonReader<'a>) -> JsonResult {
        match key {
            "nextPage" => read_once(&mut self.next_page, json),
            _ => json.skip_value(),
        }
    }

    fn skip_unreadable_key(&mut self, json: &mut JsonReader<'a>) -> JsonResult {
        // The key may be `nextPage`, which is an object.
        if json.peek() == Some(b'{') {
            return Err(JsonError::UnexpectedStructure);
        }
        json.skip_value()
    }
}

impl<'a> JsonObject<'a> for PageLink<'a> {
    fn read_field(&mut self, key: &str, json: &mut JsonReader<'a>) -> JsonResult {
        if key == "uri" {
            return read_once(&mut self.uri, json);
        }
        self.has_other_fields = true;
        json.skip_value()
    }

    fn skip_unreadable_key(&mut self, json: &mut JsonReader<'a>) -> JsonResult {
        self.has_other_fields = true;
        json.skip_value()
    }
}

/// A link that is not empty and has no valid address.
struct NoAddress;

impl PageLink<'_> {
    /// Returns the address, `None` if the link is empty.
    fn address(self) -> Result<Option<String>, NoAddress> {
        match self.uri.value {
            None if self.has_other_fields => Err(NoAddress),
            None | Some(JsonValue::Scalar("null" | "false")) => Ok(None),
            Some(JsonValue::String(JsonString::Text(uri))) if uri.trim().is_empty() => Ok(None),
            Some(JsonValue::String(JsonString::Text(uri))) => Ok(Some(uri.into_owned())),
            Some(_) => Err(NoAddress),
        }
    }
}

impl<'a, T: ReadValue<'a>> ReadValue<'a> for OptionalObject<T> {
    fn read_value(json: &mut JsonReader<'a>) -> JsonResult<Option<Self>> {
        if json.peek() == Some(b'{') {
            return Ok(T::read_value(json)?.map(Self));
        }
        match json.read_value()? {
            JsonValue::Scalar("null" | "false") => Ok(None),
            JsonValue::String(JsonString::Text(text)) if text.trim().is_empty() => Ok(None),
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
            r#"{"records":[],"navigation":{"nextPage":{"uri":"\ud800"}}}"#,
            r#"{"records":[],"navigation":"page 2"}"#,
            r#"{"records":[{"id":"a"}"#,
            r#"{"records":[],"records":[]}"#,
            r#"{"records":[],"records":null}"#,
            r#"{"records":[],"navigation":{},"navigation":{}}"#,
            r#"{"records":[],"navigation":null,"navigation":null}"#,
            r#"{"records":[],"\ud800":{"nextPage":{"uri":"/p2"}}}"#,
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
    fn empty_next_page_ends_the_list() {
        let ends = Ok(None);
        let continues = Ok(Some("/p2".to_owned()));
        let fails = Err(());
        for (next_page, expected) in [
            // Forms in which programs write that there is none.
            ("null", &ends),
            ("false", &ends),
            (r#""""#, &ends),
            (r#"" ""#, &ends),
            ("{}", &ends),
            (r#"{"uri":null}"#, &ends),
            (r#"{"uri":false}"#, &ends),
            (r#"{"uri":""}"#, &ends),
            (r#"{"uri":" "}"#, &ends),
            (r#"{"uri":"/p2"}"#, &continues),
            (r#"{"uri":"/p2","page":2}"#, &continues),
            // There is one, and it is unknown where.
            (r#"{"page":2}"#, &fails),
            (r#"{"href":"/p2"}"#, &fails),
            (r#""/p2""#, &fails),
            ("true", &fails),
            ("2", &fails),
            ("0", &fails),
            ("1e999", &fails),
            // Forms that nothing is known of.
            ("[]", &fails),
            (r#"["/p2"]"#, &fails),
            (r#""\ud800""#, &fails),
            (r#"{"uri":2}"#, &fails),
            (r#"{"uri":0}"#, &fails),
            (r#"{"uri":true}"#, &fails),
            (r#"{"uri":[]}"#, &fails),
            (r#"{"uri":{}}"#, &fails),
            (r#"{"uri":"\ud800"}"#, &fails),
            (r#"{"\ud800":"/p2"}"#, &fails),
            (r#"{"uri":null,"uri":"/p2"}"#, &fails),
            (r#"null,"nextPage":{"uri":"/p2"}"#, &fails),
            (r#"null,"\ud800":{"uri":"/p2"}"#, &fails),
            (r#"null,"nextPage":null"#, &fails),
            (r#"{"uri":"/p2","uri":"/p2"}"#, &fails),
            // A malformed field next to it.
            (r#"null,"\ud800":"/p2""#, &ends),
            (r#"null,"firstPage":1,"firstPage":2"#, &ends),
            (r#"{"uri":"/p2","\ud800":{}}"#, &continues),
            (r#"{"uri":"/p2","page":2,"page":3}"#, &continues),
        ] {
            let body = format!(r#"{{"records":[],"navigation":{{"nextPage":{next_page}}}}}"#);
            let next = page(&body).map(|page| page.next).map_err(|_| ());
            assert_eq!(&next, expected, "{next_page}");
        }
        let long = format!(r#"{{"uri":"/{}"}}"#, "a".repeat(10_000));
        let body = format!(r#"{{"records":[],"navigation":{{"nextPage":{long}}}}}"#);
        assert!(page(&body).is_err());
    }

    #[test]
    fn records_beyond_a_limit_are_an_error() {
        let body = |record: &str, count: usize| {
            format!(r#"{{"records":[{}]}}"#, vec![record; count].join(","))
        };
        for record in [
            "{}",
            "1",
            "null",
            "[]",
            r#"{"type":"Fax"}"#,
            r#"{"id":"a"}"#,
            r#"{"id":1,"id":2}"#,
        ] {
            let longest = body(record, MAX_PAGE_RECORDS);
            assert_eq!(
                page(&longest).unwrap().records(),
                MAX_PAGE_RECORDS,
                "{record}"
            );
            assert_eq!(
                parse_extensions(longest.as_bytes()).unwrap().records,
                MAX_PAGE_RECORDS
            );
            // What follows is not read.
            let long = format!("{}, not JSON", body(record, MAX_PAGE_RECORDS + 1));
            let errors = [
                page(&long).unwrap_err(),
                parse_extensions(long.as_bytes()).unwrap_err().to_string(),
            ];
            for error in errors {
                assert!(
                    error.contains(": more than 10,000 records in a page at"),
                    "{error}"
                );
            }
        }
        let two = body("{}", 2);
        for (earlier, is_valid) in [(MAX_LIST_RECORDS - 2, true), (MAX_LIST_RECORDS - 1, false)] {
            let calls = parse_page_after(two.as_bytes(), 2, earlier).map(|page| page.records());
            let extensions =
                parse_extensions_after(two.as_bytes(), earlier).map(|page| page.records);
            for result in [calls, extensions] {
                let expected = " more than 100,000 records in the list at";
                let is_expected = match &result {
                    Ok(records) => is_valid && *records == 2,
                    Err(error) => !is_valid && error.to_string().contains(expected),
                };
                assert!(is_expected, "{result:?}");
            }
        }
    }

    #[test]
    fn unreadable_bytes_cost_only_their_field() {
        let broken = [
            &b"\xff"[..],
            b"\xc3",
            b"\xe2\x82",
            b"\xc0\x80",
            b"\xed\xa0\x80",
            b"\0",
            b"\n",
            br"\x",
        ];
        let intact = parse_page(
            br#"{"records":[{"id":"a","from":{}},{"id":"b","result":"Busy"}]}"#,
            1,
        );
        let intact = intact.unwrap();
        for bytes in broken {
            for (before, after) in [
                (
                    r#"{"records":[{"id":"a","from":{"name":"Ren"#,
                    r#""}},{"id":"b","result":"Busy"}]}"#,
                ),
                (
                    r#"{"records":[{"id":"a","from":{"na"#,
                    r#"me":1}},{"id":"b","result":"Busy"}]}"#,
                ),
                (
                    r#"{"records":[{"id":"a","result":"Acc"#,
                    r#"epted"},{"id":"b","result":"Busy"}]}"#,
                ),
                (
                    r#"{"records":[{"id":"a","resu"#,
                    r#"lt":"Accepted"},{"id":"b","result":"Busy"}]}"#,
                ),
                (
                    r#"{"records":[{"id":"a","legs":[{"from":{"name":""#,
                    r#""}}]},{"id":"b","result":"Busy"}]}"#,
                ),
                (
                    r#"{"records":[{"id":"a"},{"id":"b","result":"Busy"}],"uri":""#,
                    r#""}"#,
                ),
                (
                    r#"{"records":[{"id":"a"},{"id":"b","result":"Busy"}],"x":""#,
                    r#""}"#,
                ),
            ] {
                let body = [before.as_bytes(), bytes, after.as_bytes()].concat();
                assert_eq!(
                    parse_page(&body, 1).as_ref(),
                    Ok(&intact),
                    "{before}{bytes:?}{after}"
                );
            }
            let body = [
                br#"{"records":[{"id":1,"name":"R"#,
                bytes,
                br#""},{"id":2,"name":"B"}]}"#,
            ]
            .concat();
            let names: Vec<_> = parse_extensions(&body)
                .unwrap()
                .entries
                .into_iter()
                .map(|entry| entry.name)
                .collect();
            assert_eq!(names, ["".into(), "B".into()], "{bytes:?}");
        }
    }

    #[test]
    fn missing_or_null_navigation_is_the_last_page() {
        for body in [
            r#"{"records":[]}"#,
            r#"{"records":[],"navigation":null,"paging":5,"uri":null}"#,
            r#"{"records":[],"navigation":false}"#,
            r#"{"records":[],"navigation":""}"#,
            r#"{"records":[],"navigation":{}}"#,
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
    fn malformed_field_of_a_page_costs_only_itself() {
        let long_key = format!(r#""{}":1"#, "a".repeat(10_000));
        let intact = page(r#"{"records":[{"id":"a"}]}"#).unwrap();
        for malformed in [
            r#""paging":{"perPage":1,"perPage":1}"#,
            r#""paging":{},"paging":{"perPage":1},"paging":{"perPage":1}"#,
            r#""paging":{"\ud800":1}"#,
            r#""uri":"/account/1","uri":"/account/1""#,
            r#""groupId":1,"groupId":2"#,
            r#""n\xffme":1"#,
            r#""\ud800":1"#,
            r#""\ud800":"a","\ud800":null"#,
            r#""\ud800":{},"\udfff":[{"nextPage":{}}]"#,
            r#""\ud800":{"nextPage":null,"firstPage":{"uri":"/p1"}}"#,
            &long_key,
        ] {
            for body in [
                format!(r#"{{"records":[{{"id":"a"}}],{malformed}}}"#),
                format!(r#"{{{malformed},"records":[{{"id":"a"}}]}}"#),
            ] {
                assert_eq!(page(&body).as_ref(), Ok(&intact), "{malformed}");
                assert!(parse_extensions(body.as_bytes()).is_ok(), "{malformed}");
            }
        }
        let bytes = b"{\"records\":[{\"id\":\"a\"}],\"n\xffme\":1}";
        assert_eq!(parse_page(bytes, 1), Ok(intact));
    }

    #[test]
    fn repeated_field_of_a_record_costs_only_itself() {
        let record = |fields: &str| {
            let body = format!(r#"{{"records":[{{"id":"a",{fields}}}]}}"#);
            page(&body).unwrap().calls.pop()
        };
        for (repeated, rest) in [
            (r#""uri":"/x","uri":"/y""#, r#""result":"Busy""#),
            (
                r#""sessionId":"1","sessionId":"2""#,
                r#""telephonySessionId":"s""#,
            ),
            (
                r#""telephonySessionId":"1","telephonySessionId":"1""#,
                r#""sessionId":"s""#,
            ),
            (r#""startTime":1,"startTime":2"#, r#""result":"Busy""#),
            (r#""type":"Voice","type":"Voice""#, r#""result":"Busy""#),
            (
                r#""direction":"Inbound","direction":"Outbound""#,
                r#""result":"Busy""#,
            ),
            (r#""result":"Busy","result":"Busy""#, r#""finished":true"#),
            (r#""duration":1,"duration":2"#, r#""durationMs":5000"#),
            (
                r#""durationMs":1,"durationMs":2,"durationMs":3"#,
                r#""duration":5"#,
            ),
            (r#""finished":true,"finished":false"#, r#""result":"Busy""#),
            (r#""from":{},"from":{}"#, r#""extension":{"id":5}"#),
            (
                r#""from":{"extensionId":1,"extensionId":1}"#,
                r#""extension":{"id":5}"#,
            ),
            (
                r#""to":{"extensionNumber":1,"extensionNumber":1}"#,
                r#""result":"Busy""#,
            ),
            (
                r#""extension":{"id":5},"extension":{"id":5}"#,
                r#""result":"Busy""#,
            ),
            (r#""extension":{"id":5,"id":6}"#, r#""result":"Busy""#),
            (r#""name":1,"name":1"#, r#""result":"Busy""#),
        ] {
            let intact = record(rest);
            assert!(intact.is_some());
            assert_eq!(record(&format!("{repeated},{rest}")), intact, "{repeated}");
            assert_eq!(record(&format!("{rest},{repeated}")), intact, "{repeated}");
        }
    }

    #[test]
    fn malformed_record_costs_only_itself() {
        let body = r#"{"records":[{"id":"a"},null,5,1e999,"x","\ud800",[],{"id":"b","id":"b"},{"\ud800":1},
            {"from":{"extensionId":1,"extensionId":2}},{"id":"c"},{}]}"#;
        let page = page(body).unwrap();
        let ids: Vec<_> = page.calls.iter().map(|call| call.id.as_str()).collect();
        let expected = vec!["a", "#1-8", "#1-9", "c", "#1-11"];
        assert_eq!((ids, page.skipped), (expected, 7));
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
