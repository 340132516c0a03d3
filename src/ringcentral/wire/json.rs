//! A JSON reader that passes over a text once and skips in place what the caller does not use.
//!
//! `serde_json` cannot continue behind a value that no type holds, such as `1e999`, half of a surrogate pair or a byte
//! that is not UTF-8. A record that has one must not fail the page. This reader finds the ends of strings, objects and
//! arrays itself. A string that has no text, whatever its bytes, counts as unreadable; everything outside of strings
//! must be JSON.

use std::borrow::Cow;
use std::ops::Range;

use serde::de::IgnoredAny;

use crate::ringcentral::wire::ParseError;

/// The maximum length of a string that is read, in bytes as written. Longer ones count as unreadable, so that decoding
/// and keeping them needs little memory.
const MAX_TEXT_LEN: usize = 8 * 1024;
/// The maximum depth of objects and arrays that are skipped, of which each level takes one byte.
const MAX_DEPTH: usize = 1 << 20;
/// The mark that some programs write before UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A position in a JSON text.
pub(crate) struct JsonReader<'a> {
    text: &'a [u8],
    /// The text, if all of it is UTF-8. Checking it as a whole is cheaper than string by string.
    utf_8: Option<&'a str>,
    position: usize,
}

/// A value.
pub(crate) enum JsonValue<'a> {
    String(JsonString<'a>),
    /// A number, `true`, `false` or `null`, as written.
    Scalar(&'a str),
    /// An object or an array.
    Container,
}

/// A string.
pub(crate) enum JsonString<'a> {
    /// The text without escapes.
    Text(Cow<'a, str>),
    /// The bytes of a string that is not text, as written: it is not UTF-8, has a control character, an invalid
    /// escape or half of a surrogate pair, or is longer than `MAX_TEXT_LEN`.
    Unreadable(&'a [u8]),
}

/// An object that is filled field by field.
pub(crate) trait JsonObject<'a> {
    /// Reads or skips the value of `key`.
    fn read_field(&mut self, key: &str, json: &mut JsonReader<'a>) -> JsonResult;

    /// Skips the value of a key that is unreadable.
    fn skip_unreadable_key(&mut self, json: &mut JsonReader<'a>) -> JsonResult {
        json.skip_value()
    }
}

/// Why reading stopped. The position is that of the reader.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(crate) enum JsonError {
    #[error("truncated or empty")]
    Truncated,
    #[error("invalid JSON")]
    Invalid,
    #[error("unexpected JSON structure")]
    UnexpectedStructure,
    #[error("a JSON array")]
    Array,
    #[error("nested too deeply")]
    TooDeep,
    #[error("more than 10,000 records in a page")]
    PageTooLong,
    #[error("more than 100,000 records in the list")]
    ListTooLong,
}

pub(crate) type JsonResult<T = ()> = Result<T, JsonError>;

/// Reads a text that consists of one object. `subject` is what the text should be.
///
/// # Errors
/// Returns an error if the text is not one valid JSON object, or the object does not accept it.
pub(crate) fn read_document<'a>(
    subject: &str,
    text: &'a [u8],
    object: &mut impl JsonObject<'a>,
) -> Result<(), ParseError> {
    let mut json = JsonReader::new(text);
    let Err(error) = json.read_document(object) else {
        return Ok(());
    };
    // Nothing of the text is repeated, since it may hold secrets.
    let before = json.slice(0..json.position.min(json.text.len()));
    let line = before.split(|byte| *byte == b'\n').count();
    let line_start = before.iter().rposition(|byte| *byte == b'\n');
    let column = before.len() - line_start.map_or(0, |at| at + 1) + 1;
    Err(ParseError(format!(
        "cannot parse {subject}: {error} at line {line} column {column}"
    )))
}

impl<'a> JsonReader<'a> {
    /// Creates a reader at the start of a text.
    pub(crate) fn new(text: &'a [u8]) -> Self {
        let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        Self {
            text,
            utf_8: str::from_utf8(text).ok(),
            position: 0,
        }
    }

    /// Skips white space and returns the byte behind it.
    #[inline]
    pub(crate) fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.byte() {
            self.position += 1;
        }
        self.byte()
    }

    /// Reads an object, field by field.
    pub(crate) fn read_object(&mut self, object: &mut impl JsonObject<'a>) -> JsonResult {
        self.read_container(b'{', b'}', |json| {
            let key = json.read_string()?;
            json.expect(b':')?;
            match key {
                JsonString::Text(key) => object.read_field(&key, json),
                JsonString::Unreadable(_) => object.skip_unreadable_key(json),
            }
        })
    }

    /// Reads an array; `read_element` reads one element.
    pub(crate) fn read_array(
        &mut self,
        read_element: impl FnMut(&mut Self) -> JsonResult,
    ) -> JsonResult {
        self.read_container(b'[', b']', read_element)
    }

    /// Reads a value of any type.
    #[inline]
    pub(crate) fn read_value(&mut self) -> JsonResult<JsonValue<'a>> {
        match self.peek() {
            Some(b'"') => Ok(JsonValue::String(self.read_string()?)),
            Some(b'{' | b'[') => {
                self.skip_container()?;
                Ok(JsonValue::Container)
            }
            _ => Ok(JsonValue::Scalar(self.read_scalar()?)),
        }
    }

    /// Skips a value of any type and returns its text.
    pub(crate) fn read_raw_value(&mut self) -> JsonResult<&'a [u8]> {
        self.peek();
        let start = self.position;
        self.skip_value()?;
        Ok(self.slice(start..self.position))
    }

    /// Returns whether this text follows, after white space.
    pub(crate) fn is_followed_by(&mut self, text: &[u8]) -> bool {
        self.peek();
        self.slice(self.position..self.text.len()).starts_with(text)
    }

    /// Skips this byte, after white space. Returns false if another one follows.
    pub(crate) fn skip_byte(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.position += usize::from(is_next);
        is_next
    }

    /// Expects the end of the text.
    pub(crate) fn expect_end(&mut self) -> JsonResult {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.invalid()),
        }
    }

    /// Skips a value of any type.
    pub(crate) fn skip_value(&mut self) -> JsonResult {
        match self.peek() {
            Some(b'{' | b'[') => self.skip_container(),
            _ => self.skip_plain_value(),
        }
    }

    /// Skips a value that is not an object or an array.
    fn skip_plain_value(&mut self) -> JsonResult {
        if self.peek() == Some(b'"') {
            self.skip_string()?;
        } else {
            self.read_scalar()?;
        }
        Ok(())
    }

    /// Skips an object or an array. `open` has the closing bytes of those that it is inside of, so that deep nesting
    /// uses no stack.
    fn skip_container(&mut self) -> JsonResult {
        let mut open = Vec::new();
        loop {
            let close = match self.peek() {
                Some(b'{') => Some(b'}'),
                Some(b'[') => Some(b']'),
                _ => None,
            };
            if let Some(close) = close {
                if open.len() == MAX_DEPTH {
                    return Err(JsonError::TooDeep);
                }
                self.position += 1;
                open.push(close);
                if self.peek() != Some(close) {
                    self.skip_key_in(close)?;
                    continue;
                }
            } else {
                self.skip_plain_value()?;
            }
            self.skip_to_next_value(&mut open)?;
            if open.is_empty() {
                return Ok(());
            }
        }
    }

    /// Leaves the containers that end here, up to the next value in one of them.
    fn skip_to_next_value(&mut self, open: &mut Vec<u8>) -> JsonResult {
        while let Some(close) = open.last() {
            if self.peek() == Some(b',') {
                self.position += 1;
                return self.skip_key_in(*close);
            }
            self.expect(*close)?;
            open.pop();
        }
        Ok(())
    }

    /// Skips the key before a value of an object; the values of an array have none.
    fn skip_key_in(&mut self, close: u8) -> JsonResult {
        if close == b'}' {
            self.skip_string()?;
            self.expect(b':')?;
        }
        Ok(())
    }

    /// Reads a number, `true`, `false` or `null`. `serde_json` checks the grammar.
    fn read_scalar(&mut self) -> JsonResult<&'a str> {
        let rest = self.slice(self.position..self.text.len());
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
        let len = rest.iter().take_while(|byte| is_part(byte)).count();
        let scalar = self.slice(self.position..self.position + len);
        if let Err(error) = serde_json::from_slice::<IgnoredAny>(scalar) {
            if error.is_eof() {
                self.position += len;
            }
            return Err(self.invalid());
        }
        self.position += len;
        Ok(str::from_utf8(scalar).unwrap_or_default())
    }

    fn read_document(&mut self, object: &mut impl JsonObject<'a>) -> JsonResult {
        match self.peek() {
            Some(b'{') => self.read_object(object)?,
            Some(b'[') => return Err(JsonError::Array),
            _ => {
                self.skip_value()?;
                return Err(JsonError::UnexpectedStructure);
            }
        }
        self.expect_end()
    }

    fn read_container(
        &mut self,
        open: u8,
        close: u8,
        mut read_element: impl FnMut(&mut Self) -> JsonResult,
    ) -> JsonResult {
        if self.peek() != Some(open) {
            return Err(JsonError::UnexpectedStructure);
        }
        self.position += 1;
        if self.peek() != Some(close) {
            read_element(self)?;
            while self.peek() == Some(b',') {
                self.position += 1;
                read_element(self)?;
            }
        }
        self.expect(close)
    }

    #[inline]
    fn read_string(&mut self) -> JsonResult<JsonString<'a>> {
        self.peek();
        let start = self.position;
        let is_plain = self.skip_string()?;
        let range = start + 1..self.position - 1;
        let raw = self.slice(range.clone());
        if raw.len() > MAX_TEXT_LEN {
            return Ok(JsonString::Unreadable(raw));
        }
        Ok(match self.text_at(range) {
            Some(text) if is_plain => JsonString::Text(text.into()),
            Some(text) => JsonString::decode_escapes(text),
            None => JsonString::Unreadable(raw),
        })
    }

    /// Skips a string. Returns whether it has neither escapes nor control characters.
    #[inline]
    fn skip_string(&mut self) -> JsonResult<bool> {
        self.expect(b'"')?;
        let mut is_plain = true;
        loop {
            self.position = end_of_plain_text(self.text, self.position);
            match self.byte() {
                Some(b'"') => break,
                Some(b'\\') => self.position += 2,
                Some(_) => self.position += 1,
                None => return Err(JsonError::Truncated),
            }
            is_plain = false;
        }
        self.position += 1;
        Ok(is_plain)
    }

    /// Returns the text between two quotes, if it is UTF-8.
    #[inline]
    fn text_at(&self, range: Range<usize>) -> Option<&'a str> {
        match self.utf_8 {
            Some(text) => text.get(range),
            None => str::from_utf8(self.slice(range)).ok(),
        }
    }

    /// Skips white space and then this byte.
    #[inline]
    pub(crate) fn expect(&mut self, expected: u8) -> JsonResult {
        if self.peek() != Some(expected) {
            return Err(self.invalid());
        }
        self.position += 1;
        Ok(())
    }

    fn byte(&self) -> Option<u8> {
        self.text.get(self.position).copied()
    }

    fn slice(&self, range: Range<usize>) -> &'a [u8] {
        self.text.get(range).unwrap_or_default()
    }

    fn invalid(&self) -> JsonError {
        match self.byte() {
            Some(_) => JsonError::Invalid,
            None => JsonError::Truncated,
        }
    }
}

impl<'a> JsonString<'a> {
    /// Decodes with `serde_json`. Escapes are rare, so this code stays out of the callers.
    #[cold]
    #[inline(never)]
    fn decode_escapes(text: &'a str) -> Self {
        match serde_json::from_str(&format!("\"{text}\"")) {
            Ok(decoded) => Self::Text(Cow::Owned(decoded)),
            Err(_) => Self::Unreadable(text.as_bytes()),
        }
    }
}

/// Returns the position of the next quote, backslash or control character, or the end of the text. Compares eight
/// bytes at a time, since nearly all bytes of a page are inside strings.
fn end_of_plain_text(bytes: &[u8], start: usize) -> usize {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH_BITS: u64 = ONES << 7;
    let (words, rest) = bytes.get(start..).unwrap_or_default().as_chunks::<8>();
    let mut position = start;
    for word in words {
        let word = u64::from_le_bytes(*word);
        // The first byte that is below the subtracted one underflows, which sets its high bit.
        let control = word.wrapping_sub(ONES * u64::from(b' '));
        let quote = (word ^ (ONES * u64::from(b'"'))).wrapping_sub(ONES);
        let backslash = (word ^ (ONES * u64::from(b'\\'))).wrapping_sub(ONES);
        let found = (control | quote | backslash) & !word & HIGH_BITS;
        if found != 0 {
            return position + found.trailing_zeros() as usize / 8;
        }
        position += 8;
    }
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..b' ');
    position + rest.iter().position(is_special).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Accepts any object.
    struct AnyObject;

    impl<'a> JsonObject<'a> for AnyObject {
        fn read_field(&mut self, _: &str, json: &mut JsonReader<'a>) -> JsonResult {
            json.skip_value()
        }
    }

    fn error(text: &str) -> Option<String> {
        error_in(text.as_bytes())
    }

    fn error_in(text: &[u8]) -> Option<String> {
        let result = read_document("text", text, &mut AnyObject);
        result.err().map(|error| error.to_string())
    }

    /// Reads these bytes as a string, behind white space.
    fn is_text(bytes: &[u8]) -> bool {
        let json = [b" \"", bytes, b"\""].concat();
        let string = JsonReader::new(&json).read_value().unwrap();
        matches!(string, JsonValue::String(JsonString::Text(_)))
    }

    #[test]
    fn json_reader_accepts_all_values_of_the_grammar() {
        let value = r#"[0, -0, -1.5e+3, 10E-2, 1e999, true, false, null, "", "\ud800", "\"\\\/\b\f\n\r\t\u00e9", {}, [], [{}], {"a": [[]]}]"#;
        assert_eq!(
            error(&format!("\r\n\t {{ \"a\" : {value} , \"b\":{value}}} \n")),
            None
        );
    }

    #[test]
    fn json_error_has_reason_and_position() {
        for (text, reason) in [
            ("", "truncated or empty at line 1 column 1"),
            ("[]", "a JSON array at line 1 column 1"),
            ("null", "unexpected JSON structure at line 1 column 5"),
            ("{\n \"a\": 01}", "invalid JSON at line 2 column 7"),
            ("{} {}", "invalid JSON at line 1 column 4"),
            (r#"{"a":"#, "truncated or empty at line 1 column 6"),
        ] {
            let expected = Some(format!("cannot parse text: {reason}"));
            assert_eq!(error(text), expected, "{text}");
        }
    }

    #[test]
    fn unreadable_strings_are_skipped() {
        for bytes in [
            &b"Ren\xe9"[..],
            b"\xc3",
            b"\xe2\x82",
            b"\xc0\x80",
            b"\xed\xa0\x80",
            b"\xf5\x80\x80\x80",
            b"\xff\xfe",
            b"\0",
            b"a\nb",
            br"\ud800",
            br"\x41",
            br"\u12",
        ] {
            assert!(!is_text(bytes), "{bytes:?}");
            for (before, after) in [
                (&b"{\"a\":\""[..], &b"\"}"[..]),
                (b"{\"a\":[{\"b\":\"", b"\"}]}"),
                (b"{\"a\":{\"", b"\":1}}"),
            ] {
                let text = [before, bytes, after].concat();
                assert_eq!(error_in(&text), None, "{bytes:?}");
            }
        }
    }

    /// Strings of a text are the same if another string of it is not UTF-8.
    #[test]
    fn string_beside_an_unreadable_one_is_text() {
        for (string, text) in [
            ("caf\u{e9}", "caf\u{e9}"),
            (r"a\n\u00e9", "a\n\u{e9}"),
            ("", ""),
        ] {
            for other in [&b"a"[..], b"\xff"] {
                let json = [b"[\"", string.as_bytes(), b"\",\"", other, b"\"]"].concat();
                let mut strings = Vec::new();
                let mut reader = JsonReader::new(&json);
                let read = reader.read_array(|json| {
                    strings.push(json.read_string()?);
                    Ok(())
                });
                assert!(read.is_ok(), "{string}");
                let first = strings.into_iter().next();
                assert!(
                    matches!(first, Some(JsonString::Text(it)) if it == text),
                    "{string}"
                );
            }
        }
    }

    #[test]
    fn invalid_bytes_outside_strings_are_an_error() {
        for bytes in [&b"\xff"[..], b"\xe9", b"\0", b"\xc2\xa0", BYTE_ORDER_MARK] {
            for (before, after) in [
                (&b"{\"a\":1"[..], &b"}"[..]),
                (b"{", b"\"a\":1}"),
                (b"{\"a\":[1,", b"2]}"),
                (b"{\"a\":1}", b""),
            ] {
                assert!(
                    error_in(&[before, bytes, after].concat()).is_some(),
                    "{bytes:?}"
                );
            }
        }
        let utf_16: Vec<u8> = "\u{feff}{\"a\":1}"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert!(error_in(&utf_16).is_some());
    }

    #[test]
    fn byte_order_mark_is_skipped_once() {
        assert_eq!(error("\u{feff}{\"a\":1}"), None);
        assert!(error("\u{feff}\u{feff}{\"a\":1}").is_some());
        assert!(error("\u{feff}").is_some());
    }

    #[test]
    fn long_string_is_unreadable() {
        for piece in ["a", r"\n"] {
            let longest = piece.repeat(MAX_TEXT_LEN / piece.len());
            assert!(is_text(longest.as_bytes()));
            let long = longest + piece;
            assert!(!is_text(long.as_bytes()));
        }
    }

    #[test]
    fn json_nested_deeper_than_the_maximum_is_an_error() {
        for open in ["[", r#"{"a":"#] {
            let text = format!(r#"{{"a":{}"#, open.repeat(MAX_DEPTH + 1));
            assert!(error(&text).is_some_and(|error| error.contains("nested too deeply")));
        }
    }

    #[test]
    fn json_nested_deeply_is_skipped() {
        let depth = 1_000_000;
        let nested =
            |open: &str, close: &str| format!("{}1{}", open.repeat(depth), close.repeat(depth));
        assert_eq!(error(&format!(r#"{{"a":{}}}"#, nested("[", "]"))), None);
        assert_eq!(error(&nested(r#"{"a":"#, "}")), None);
        assert!(error(&nested(r#"{"a":"#, "]")).is_some());
    }

    /// Text of the characters that JSON is made of.
    fn nearly_json() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"",
            "\"a\"",
            "\\",
            "\\u12aF",
            "\\n",
            " ",
            "\n",
            "\u{1f}",
            "\u{7f}",
            "é",
            "true",
            "false",
            "null",
            "-",
            "0",
            "12",
            ".",
            "e",
            "+",
            "long plain text",
        ]);
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 5_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn json_reader_accepts_what_serde_json_accepts(value in nearly_json(), string in nearly_json()) {
            for text in [format!("{{\"a\":{value}}}"), format!("{{\"a\":[\"{string}\"]}}")] {
                let is_json = serde_json::from_str::<IgnoredAny>(&text).is_ok();
                // Of a string that is not valid, only the end matters.
                let may_be_unreadable = text.contains(['\\', '\u{1f}', '\n']);
                let is_accepted = error(&text).is_none();
                prop_assert!(is_accepted == is_json || (is_accepted && may_be_unreadable), "{}", text);
            }
        }
    }
}
