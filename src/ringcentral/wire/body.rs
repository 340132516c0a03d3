//! Whole bodies: a page of the list, a token, an error.
//!
//! Owns: what a body must have to be believed.

use secrecy::SecretString;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::calls::Call;
use crate::calls::directory::DirectoryEntry;
use crate::ringcentral::wire::extension::ExtensionRecord;
use crate::ringcentral::wire::lenient::{Object, Strict, Text};
use crate::ringcentral::wire::list::{Calls, SoundCalls};
use crate::ringcentral::wire::record::id_after;

/// A body that cannot be believed; says why, in words that hold nothing of its content.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseError(pub String);

/// One page of the list.
#[derive(Clone, Debug, PartialEq)]
pub struct CallPage {
    /// Its calls, in the order of the list. Faxes are left out.
    pub calls: Vec<Call>,
    /// Records that are no objects, or have a key twice, and so were left out.
    pub skipped: usize,
    /// Where the next page is, as sent: absolute or relative.
    pub next: Option<String>,
    /// The account's own id, from the page's or a record's address.
    pub account_id: Option<String>,
}

/// One page of the account's extensions.
#[derive(Debug, PartialEq)]
pub struct ExtensionPage {
    /// Those that have an id.
    pub entries: Vec<DirectoryEntry>,
    /// Where the next page is, as sent.
    pub next: Option<String>,
}

/// A login that was granted.
#[derive(Debug)]
pub struct TokenResponse {
    /// The access token: a secret.
    pub access_token: SecretString,
    /// Its life in seconds, if the reply tells it.
    pub expires_in: Option<u64>,
    /// The user whose it is, if the reply tells: the id of an extension.
    pub user: Option<String>,
}

/// An error body, as far as it is safe to repeat: codes and names, no free text.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ApiError {
    /// Like `CMN-408`.
    pub code: Option<String>,
    /// OAuth's own word, like `invalid_client`.
    pub error: Option<String>,
    /// The permission that is missing.
    pub permission: Option<String>,
    /// The parameter that is at fault.
    pub parameter: Option<String>,
}

#[derive(Deserialize)]
#[serde(bound = "R: Deserialize<'de>")]
struct PageBody<'a, R> {
    records: R,
    navigation: Option<Navigation>,
    #[serde(borrow, default)]
    uri: Text<'a>,
}

impl<'a, R> PageBody<'a, R> {
    fn map<S>(self, read: impl FnOnce(R) -> S) -> PageBody<'a, S> {
        PageBody {
            records: read(self.records),
            navigation: self.navigation,
            uri: self.uri,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Navigation {
    next_page: Option<Link>,
}

#[derive(Deserialize)]
struct Link {
    uri: String,
}

/// Reads a page of the active-calls list; `number` is its place in the walk, from 1.
///
/// # Errors
/// When the body is no JSON in UTF-8, has no list of records, or names a next page without its address.
pub fn parse_page(body: &[u8], number: u32) -> Result<CallPage, ParseError> {
    let what = "a page of calls";
    let body = text(what, body)?;
    let page = match object::<PageBody<'_, SoundCalls>>(what, body) {
        Ok(page) => page.map(|sound| sound.0),
        Err(_) => object::<PageBody<'_, Vec<&RawValue>>>(what, body)?
            .map(|records| Calls::one_by_one(&records, number)),
    };
    let Calls {
        calls,
        unreadable,
        account_id,
    } = page.records;
    let told = page
        .uri
        .as_deref()
        .and_then(|uri| id_after("/account/", uri))
        .map(str::to_owned);
    Ok(CallPage {
        calls,
        skipped: unreadable,
        next: address(page.navigation),
        account_id: told.or(account_id),
    })
}

/// Reads a page of the account's extensions. An extension whose id cannot be read is of no use, and left out.
///
/// # Errors
/// As for a page of calls.
pub fn parse_extensions(body: &[u8]) -> Result<ExtensionPage, ParseError> {
    let what = "a page of extensions";
    let page: PageBody<'_, Vec<&RawValue>> = object(what, text(what, body)?)?;
    let entries = page.records.iter().filter_map(|raw| entry(raw)).collect();
    Ok(ExtensionPage {
        entries,
        next: address(page.navigation),
    })
}

/// Reads the reply to a login.
///
/// # Errors
/// When the body is no JSON or has no `access_token`.
pub fn parse_token(body: &[u8]) -> Result<TokenResponse, ParseError> {
    #[derive(Deserialize)]
    struct TokenBody<'a> {
        #[serde(borrow, default)]
        access_token: Text<'a>,
        #[serde(borrow, default)]
        expires_in: Text<'a>,
        #[serde(borrow, default)]
        owner_id: Text<'a>,
    }
    let body = String::from_utf8_lossy(body);
    let token: TokenBody<'_> = object("a token", &body)?;
    let access_token = token
        .access_token
        .as_deref()
        .filter(|token| is_header_safe(token));
    match access_token {
        Some(access_token) => Ok(TokenResponse {
            access_token: SecretString::from(access_token),
            expires_in: token
                .expires_in
                .as_deref()
                .and_then(|seconds| seconds.parse().ok()),
            user: token
                .owner_id
                .as_deref()
                .filter(|id| is_id(id))
                .map(str::to_owned),
        }),
        None => Err(ParseError("the reply holds no access_token".to_owned())),
    }
}

/// Reads what can be read of an error body: an empty or foreign one gives nothing.
#[must_use]
pub fn parse_api_error(body: &[u8]) -> ApiError {
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct ApiErrorEntry<'a> {
        #[serde(borrow)]
        error_code: Text<'a>,
        #[serde(borrow)]
        permission_name: Text<'a>,
        #[serde(borrow)]
        parameter_name: Text<'a>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct ErrorBody<'a> {
        #[serde(borrow)]
        errors: Option<&'a RawValue>,
        #[serde(borrow)]
        error: Text<'a>,
        #[serde(borrow)]
        error_code: Text<'a>,
        #[serde(borrow)]
        permission_name: Text<'a>,
    }
    let body = String::from_utf8_lossy(body);
    let body: ErrorBody<'_> = object("an error", &body).unwrap_or_default();
    let errors = body.errors.and_then(|errors| {
        serde_json::from_str::<Vec<Object<ApiErrorEntry<'_>>>>(errors.get()).ok()
    });
    let first = errors.into_iter().flatten().next().unwrap_or_default().0;
    ApiError {
        code: word(&first.error_code).or_else(|| word(&body.error_code)),
        error: word(&body.error),
        permission: word(&first.permission_name).or_else(|| word(&body.permission_name)),
        parameter: word(&first.parameter_name),
    }
}

fn entry(raw: &RawValue) -> Option<DirectoryEntry> {
    serde_json::from_str::<Strict<ExtensionRecord<'_>>>(raw.get())
        .ok()?
        .0
        .into_entry()
}

/// Of the next page.
fn address(navigation: Option<Navigation>) -> Option<String> {
    navigation?.next_page.map(|link| link.uri)
}

fn object<'a, T: Deserialize<'a>>(what: &str, body: &'a str) -> Result<T, ParseError> {
    match body.trim_ascii_start().starts_with('[') {
        true => Err(ParseError(format!("not {what}: a JSON array"))),
        false => serde_json::from_str(body).map_err(|error| malformed(what, &error)),
    }
}

fn text<'a>(what: &str, body: &'a [u8]) -> Result<&'a str, ParseError> {
    str::from_utf8(body).map_err(|_| ParseError(format!("not {what}: bytes that are no text")))
}

/// A code or a name: short, and of characters that no secret and no sentence is made of alone.
fn word(text: &Text<'_>) -> Option<String> {
    let fits = |word: &&str| {
        word.len() <= 40
            && word
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    text.as_deref().filter(fits).map(str::to_owned)
}

fn is_id(text: &str) -> bool {
    (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_header_safe(token: &str) -> bool {
    token.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The parser's own words, cut before any piece of the input that they quote.
fn malformed(what: &str, error: &serde_json::Error) -> ParseError {
    let kind = match error.classify() {
        serde_json::error::Category::Data => "JSON of another form",
        serde_json::error::Category::Eof => "cut short or empty",
        _ => "no JSON",
    };
    ParseError(format!(
        "not {what}: {kind} at line {} column {}",
        error.line(),
        error.column()
    ))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn page(json: &str) -> Result<CallPage, String> {
        parse_page(json.as_bytes(), 1).map_err(|error| error.to_string())
    }

    #[test]
    fn a_list_that_is_not_whole_is_refused_whole() {
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
            r#"{"records":[],"navigation":{"nextPage":{}}}"#,
            r#"{"records":[],"navigation":"page 2"}"#,
            r#"{"records":[{"id":"a"}"#,
        ] {
            assert!(
                page(body).unwrap_err().starts_with("not a page of calls"),
                "{body}"
            );
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_no_page_and_hide_neither_code_nor_token() {
        let message = parse_page(b"{\"records\":[],\"paging\":\"\xff\"}", 1)
            .unwrap_err()
            .to_string();
        assert_eq!(message, "not a page of calls: bytes that are no text");
        let error = parse_api_error(b"{\"errorCode\":\"OAU-140\",\"message\":\"Donn\xe9es\"}");
        assert_eq!(error.code.as_deref(), Some("OAU-140"));
        let token = parse_token(b"{\"access_token\":\"T\",\"scope\":\"\xe9\"}").unwrap();
        assert_eq!(token.access_token.expose_secret(), "T");
        assert!(parse_token(b"{\"access_token\":\"T\xe9\"}").is_err());
    }

    #[test]
    fn a_missing_or_null_navigation_is_the_last_page() {
        for body in [
            r#"{"records":[]}"#,
            r#"{"records":[],"navigation":null,"paging":5,"uri":null}"#,
            r#"{"records":[],"navigation":{"firstPage":{"uri":"x"},"nextPage":null}}"#,
        ] {
            assert_eq!(page(body).unwrap().next, None, "{body}");
        }
    }

    #[test]
    fn one_bad_record_never_spoils_the_page() {
        let body = r#"{"records":[{"id":"a"},null,5,"x",[],{"id":"b","id":"b"},{"id":"c"}]}"#;
        let page = page(body).unwrap();
        let ids: Vec<_> = page.calls.iter().map(|call| call.id.as_str()).collect();
        assert_eq!((ids, page.skipped), (vec!["a", "c"], 5));
    }

    #[test]
    fn a_token_needs_nothing_but_itself() {
        let token = parse_token(br#"{"access_token":"T"}"#).unwrap();
        assert_eq!(
            (token.access_token.expose_secret(), token.expires_in),
            ("T", None)
        );
        assert!(format!("{token:?}").contains("REDACTED"), "{token:?}");
        assert_eq!(
            parse_token(br#"{"access_token":"T","expires_in":"60"}"#)
                .unwrap()
                .expires_in,
            Some(60)
        );
        let message = parse_token(br#"{"access_token":"a\nb"}"#)
            .unwrap_err()
            .to_string();
        assert_eq!(message, "the reply holds no access_token");
    }

    #[test]
    fn what_a_malformed_body_holds_is_not_repeated() {
        let message = parse_token(br#"{"access_token": sesame}"#)
            .unwrap_err()
            .to_string();
        assert_eq!(message, "not a token: no JSON at line 1 column 18");
    }

    #[test]
    fn an_error_body_gives_codes_and_names_and_no_sentences() {
        let old = br#"{"errorCode":"InsufficientPermissions","message":"m","permissionName":"ReadCallLog"}"#;
        let error = parse_api_error(old);
        assert_eq!(error.code.as_deref(), Some("InsufficientPermissions"));
        assert_eq!(error.permission.as_deref(), Some("ReadCallLog"));
        let null = parse_api_error(br#"{"errorCode":"CMN-408","errors":null}"#);
        assert_eq!(null.code.as_deref(), Some("CMN-408"));
        assert_eq!(
            parse_api_error(b"<html>Bad Gateway</html>"),
            ApiError::default()
        );
        assert_eq!(
            parse_api_error(br#" [null, "a-word", "another"]"#),
            ApiError::default()
        );
        assert_eq!(
            parse_api_error(br#"{"error":"a sentence with Bearer x"}"#),
            ApiError::default()
        );
    }
}
