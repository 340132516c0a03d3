//! A JSON reader that passes over a text once and skips in place what the caller does not use.
//!
//! `serde_json` cannot continue behind a value that no type holds, such as `1e999` or half of a surrogate pair.
//! Both are JSON by the grammar, and a record that has one must not fail the page. This reader goes through
//! objects and arrays itself, has `serde_json` check only the grammar of the values in them, and returns these as
//! written.

use std::borrow::Cow;
use std::ops::Range;

use serde::de::IgnoredAny;

use crate::ringcentral::wire::ParseError;

/// A position in a JSON text.
pub(crate) struct JsonReader<'a> {
    text: &'a str,
    position: usize,
    /// Whether an object that was read has a key twice, or one that is not text.
    pub(crate) is_malformed: bool,
}

/// A value. One that is not a string is as written.
pub(crate) enum JsonValue<'a> {
    /// The text of a string without escapes, `None` if it has half of a surrogate pair.
    String(Option<Cow<'a, str>>),
    Other(&'a str),
}

/// An object that is filled field by field.
pub(crate) trait JsonObject<'a> {
    /// Reads or skips the value of `key`.
    fn read_field(&mut self, key: &str, json: &mut JsonReader<'a>) -> JsonResult;
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
}

pub(crate) type JsonResult<T = ()> = Result<T, JsonError>;

/// Reads a text that consists of one object. `subject` is what the text should be.
///
/// # Errors
/// Returns an error if the text is not one valid JSON object, or the object is malformed.
pub(crate) fn read_document<'a>(
    subject: &str,
    text: &'a str,
    object: &mut impl JsonObject<'a>,
) -> Result<(), ParseError> {
    let mut json = JsonReader {
        text,
        position: 0,
        is_malformed: false,
    };
    let Err(error) = json.read_document(object) else {
        return Ok(());
    };
    // Nothing of the text is repeated, since it may hold secrets.
    let before = json.slice(0..text.floor_char_boundary(json.position));
    let line = before.matches('\n').count() + 1;
    let column = before.len() - before.rfind('\n').map_or(0, |at| at + 1) + 1;
    Err(ParseError(format!(
        "cannot parse {subject}: {error} at line {line} column {column}"
    )))
}

impl<'a> JsonReader<'a> {
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
                Some(Cow::Borrowed(key)) => object.read_field(key, json),
                Some(Cow::Owned(key)) => object.read_field(&key, json),
                None => {
                    json.is_malformed = true;
                    json.skip_value()
                }
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
        if self.peek() == Some(b'"') {
            return Ok(JsonValue::String(self.read_string()?));
        }
        Ok(JsonValue::Other(self.read_other()?))
    }

    /// Skips a value of any type.
    pub(crate) fn skip_value(&mut self) -> JsonResult {
        self.read_value()?;
        Ok(())
    }

    /// Reads a value that is not a string, with `serde_json`.
    #[inline(never)]
    fn read_other(&mut self) -> JsonResult<&'a str> {
        let start = self.position;
        let rest = self.slice(start..self.text.len());
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<IgnoredAny>();
        match values.next() {
            Some(Ok(_)) => self.position += values.byte_offset(),
            Some(Err(error)) if !error.is_eof() => return Err(self.invalid()),
            _ => {
                self.position = self.text.len();
                return Err(self.invalid());
            }
        }
        Ok(self.slice(start..self.position))
    }

    fn read_document(&mut self, object: &mut impl JsonObject<'a>) -> JsonResult {
        match self.peek() {
            Some(b'{') => self.read_object(object)?,
            Some(b'[') => return Err(JsonError::Array),
            _ => {
                self.skip_value()?;
                self.is_malformed = true;
            }
        }
        if self.peek().is_some() {
            return Err(self.invalid());
        }
        if self.is_malformed {
            return Err(JsonError::UnexpectedStructure);
        }
        Ok(())
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

    /// Reads a string. Returns its text, or `None` if it has half of a surrogate pair.
    #[inline]
    fn read_string(&mut self) -> JsonResult<Option<Cow<'a, str>>> {
        self.expect(b'"')?;
        let start = self.position;
        let mut has_escapes = false;
        loop {
            self.position = end_of_plain_text(self.text.as_bytes(), self.position);
            match self.byte() {
                Some(b'"') => break,
                Some(b'\\') => {
                    has_escapes = true;
                    self.position += 2;
                }
                _ => return Err(self.invalid()),
            }
        }
        let text = self.slice(start..self.position);
        if has_escapes {
            return self.decode(text);
        }
        self.position += 1;
        Ok(Some(Cow::Borrowed(text)))
    }

    /// Decodes the text before a quote, with `serde_json`. Escapes are rare, so this code stays out of the callers.
    #[cold]
    #[inline(never)]
    fn decode(&mut self, text: &str) -> JsonResult<Option<Cow<'a, str>>> {
        let quoted = format!("\"{text}\"");
        if serde_json::from_str::<IgnoredAny>(&quoted).is_err() {
            return Err(self.invalid());
        }
        self.position += 1;
        Ok(serde_json::from_str(&quoted).ok().map(Cow::Owned))
    }

    /// Skips white space and then this byte.
    #[inline]
    fn expect(&mut self, expected: u8) -> JsonResult {
        if self.peek() != Some(expected) {
            return Err(self.invalid());
        }
        self.position += 1;
        Ok(())
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.position).copied()
    }

    fn slice(&self, range: Range<usize>) -> &'a str {
        self.text.get(range).unwrap_or_default()
    }

    fn invalid(&self) -> JsonError {
        match self.byte() {
            Some(_) => JsonError::Invalid,
            None => JsonError::Truncated,
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
        let result = read_document("text", text, &mut AnyObject);
        result.err().map(|error| error.to_string())
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
            (
                r#"{"\ud800":1}"#,
                "unexpected JSON structure at line 1 column 13",
            ),
        ] {
            let expected = Some(format!("cannot parse text: {reason}"));
            assert_eq!(error(text), expected, "{text}");
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
                prop_assert_eq!(error(&text).is_none(), is_json, "{}", text);
            }
        }
    }
}
