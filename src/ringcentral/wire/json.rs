//! A JSON reader that passes over a text once and skips in place what the caller does not use.
//!
//! `serde_json` stops at a number that no type holds and at half of a surrogate pair, and cannot continue behind it. Both
//! are JSON by the grammar, and a record that has one must not fail the page. This reader checks the grammar (RFC 8259)
//! and leaves values as they are written, so that only a value that is used has to be valid.

use std::borrow::Cow;

use crate::ringcentral::wire::ParseError;

/// A position in a JSON text.
pub(crate) struct JsonReader<'a> {
    text: &'a str,
    position: usize,
    /// The closing brackets that a skipped array or object still needs; kept to reuse its memory.
    closing_brackets: Vec<u8>,
}

/// A value as written.
pub(crate) enum JsonValue<'a> {
    String(RawString<'a>),
    Number(&'a str),
    Bool(bool),
    Null,
    /// An array or object, which was skipped.
    Container,
}

/// A string as written, with its quotes.
pub(crate) struct RawString<'a> {
    quoted: &'a str,
    has_escapes: bool,
}

/// Whether an object can be used: all its keys are text, and none that is read occurs twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Validity {
    Valid,
    Malformed,
}

/// An object that is filled field by field.
pub(crate) trait JsonObject<'a> {
    /// Reads or skips the value of `key`.
    fn read_field(&mut self, key: &str, json: &mut JsonReader<'a>) -> Result<Validity, JsonError>;
}

/// The reason and the position at which reading stopped.
#[derive(Debug)]
pub(crate) struct JsonError {
    reason: &'static str,
    position: usize,
}

const TRUNCATED: &str = "truncated or empty";
const INVALID: &str = "invalid JSON";
const UNEXPECTED: &str = "unexpected JSON structure";

/// Reads a text that consists of one object.
///
/// # Errors
/// Returns an error if the text is not one valid JSON object, or the object is malformed. `subject` is what should have been there.
pub(crate) fn read_document<'a>(
    subject: &str,
    text: &'a str,
    object: &mut impl JsonObject<'a>,
) -> Result<(), ParseError> {
    let mut json = JsonReader {
        text,
        position: 0,
        closing_brackets: Vec::new(),
    };
    json.read_document(object)
        .map_err(|error| error.describe(subject, text))
}

impl<'a> JsonReader<'a> {
    /// Returns the first byte of what comes next, after any white space.
    pub(crate) fn peek(&mut self) -> Result<u8, JsonError> {
        loop {
            match self.byte() {
                Some(b' ' | b'\n' | b'\t' | b'\r') => self.position += 1,
                Some(byte) => return Ok(byte),
                None => return Err(self.error(TRUNCATED)),
            }
        }
    }

    /// Reads an object, field by field.
    pub(crate) fn read_object(
        &mut self,
        object: &mut impl JsonObject<'a>,
    ) -> Result<Validity, JsonError> {
        if self.peek()? != b'{' {
            return Err(self.unexpected());
        }
        self.position += 1;
        let mut validity = Validity::Valid;
        if self.peek()? == b'}' {
            self.position += 1;
            return Ok(validity);
        }
        loop {
            let key = self.read_string()?;
            self.expect(b':')?;
            let field_validity = match key.decode() {
                Some(key) => object.read_field(&key, self)?,
                None => {
                    self.skip_value()?;
                    Validity::Malformed
                }
            };
            if field_validity == Validity::Malformed {
                validity = Validity::Malformed;
            }
            if self.peek()? == b'}' {
                self.position += 1;
                return Ok(validity);
            }
            self.expect(b',')?;
        }
    }

    /// Reads an array; `read_element` reads one element.
    pub(crate) fn read_array(
        &mut self,
        mut read_element: impl FnMut(&mut Self) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        if self.peek()? != b'[' {
            return Err(self.unexpected());
        }
        self.position += 1;
        if self.peek()? == b']' {
            self.position += 1;
            return Ok(());
        }
        loop {
            read_element(self)?;
            if self.peek()? == b']' {
                self.position += 1;
                return Ok(());
            }
            self.expect(b',')?;
        }
    }

    /// Reads a value of any type.
    pub(crate) fn read_value(&mut self) -> Result<JsonValue<'a>, JsonError> {
        match self.peek()? {
            b'{' | b'[' => {
                self.skip_container()?;
                Ok(JsonValue::Container)
            }
            _ => self.read_scalar(),
        }
    }

    /// Skips a value of any type, which makes no object malformed.
    pub(crate) fn skip_value(&mut self) -> Result<Validity, JsonError> {
        self.read_value()?;
        Ok(Validity::Valid)
    }

    /// Returns the error for a value of another type than is needed here.
    pub(crate) fn unexpected(&self) -> JsonError {
        self.error(UNEXPECTED)
    }

    fn read_document(&mut self, object: &mut impl JsonObject<'a>) -> Result<(), JsonError> {
        if self.peek()? == b'[' {
            return Err(self.error("a JSON array"));
        }
        let mut validity = Validity::Malformed;
        if self.peek()? == b'{' {
            validity = self.read_object(object)?;
        } else {
            self.skip_value()?;
        }
        if self.peek().is_ok() {
            return Err(self.error(INVALID));
        }
        match validity {
            Validity::Valid => Ok(()),
            Validity::Malformed => Err(self.unexpected()),
        }
    }

    fn read_scalar(&mut self) -> Result<JsonValue<'a>, JsonError> {
        match self.peek()? {
            b'"' => Ok(JsonValue::String(self.read_string()?)),
            b't' => self.read_literal("true", JsonValue::Bool(true)),
            b'f' => self.read_literal("false", JsonValue::Bool(false)),
            b'n' => self.read_literal("null", JsonValue::Null),
            _ => self.read_number(),
        }
    }

    /// Skips an array or object without recursion, so that no depth of nesting can exhaust the stack.
    fn skip_container(&mut self) -> Result<(), JsonError> {
        self.closing_brackets.clear();
        loop {
            let next = self.peek()?;
            if next == b'{' || next == b'[' {
                let closing_bracket = if next == b'{' { b'}' } else { b']' };
                self.position += 1;
                if self.peek()? != closing_bracket {
                    self.closing_brackets.push(closing_bracket);
                    self.skip_key(closing_bracket)?;
                    continue;
                }
                self.position += 1;
            } else {
                self.read_scalar()?;
            }
            // A value ends here, and with it perhaps those that contain it.
            while let Some(closing_bracket) = self.closing_brackets.last().copied() {
                if self.peek()? == b',' {
                    self.position += 1;
                    self.skip_key(closing_bracket)?;
                    break;
                }
                self.expect(closing_bracket)?;
                self.closing_brackets.pop();
            }
            if self.closing_brackets.is_empty() {
                return Ok(());
            }
        }
    }

    /// Skips the key of a field; the elements of an array have none.
    fn skip_key(&mut self, closing_bracket: u8) -> Result<(), JsonError> {
        if closing_bracket == b'}' {
            self.read_string()?;
            self.expect(b':')?;
        }
        Ok(())
    }

    fn read_string(&mut self) -> Result<RawString<'a>, JsonError> {
        self.expect(b'"')?;
        let start = self.position - 1;
        let mut has_escapes = false;
        loop {
            self.position = end_of_plain_text(self.text.as_bytes(), self.position);
            match self.byte() {
                Some(b'"') => {
                    self.position += 1;
                    let quoted = self.text_from(start);
                    return Ok(RawString {
                        quoted,
                        has_escapes,
                    });
                }
                Some(b'\\') => {
                    has_escapes = true;
                    self.skip_escape()?;
                }
                Some(_) => return Err(self.error(INVALID)),
                None => return Err(self.error(TRUNCATED)),
            }
        }
    }

    fn skip_escape(&mut self) -> Result<(), JsonError> {
        self.position += 1;
        match self.byte() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.position += 1,
            Some(b'u') => {
                self.position += 1;
                for _ in 0..4 {
                    self.skip_byte_if(|byte| byte.is_ascii_hexdigit())?;
                }
            }
            Some(_) => return Err(self.error(INVALID)),
            None => return Err(self.error(TRUNCATED)),
        }
        Ok(())
    }

    fn read_number(&mut self) -> Result<JsonValue<'a>, JsonError> {
        let start = self.position;
        if self.byte() == Some(b'-') {
            self.position += 1;
        }
        if self.byte() == Some(b'0') {
            self.position += 1;
        } else {
            self.skip_digits()?;
        }
        if self.byte() == Some(b'.') {
            self.position += 1;
            self.skip_digits()?;
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.position += 1;
            if let Some(b'+' | b'-') = self.byte() {
                self.position += 1;
            }
            self.skip_digits()?;
        }
        Ok(JsonValue::Number(self.text_from(start)))
    }

    /// Skips one or more digits.
    fn skip_digits(&mut self) -> Result<(), JsonError> {
        self.skip_byte_if(|byte| byte.is_ascii_digit())?;
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.position += 1;
        }
        Ok(())
    }

    fn skip_byte_if(&mut self, is_expected: impl Fn(u8) -> bool) -> Result<(), JsonError> {
        match self.byte() {
            Some(byte) if is_expected(byte) => {
                self.position += 1;
                Ok(())
            }
            Some(_) => Err(self.error(INVALID)),
            None => Err(self.error(TRUNCATED)),
        }
    }

    fn read_literal(
        &mut self,
        literal: &str,
        value: JsonValue<'a>,
    ) -> Result<JsonValue<'a>, JsonError> {
        for expected in literal.bytes() {
            self.skip_byte_if(|byte| byte == expected)?;
        }
        Ok(value)
    }

    /// Skips white space and then this byte.
    fn expect(&mut self, expected: u8) -> Result<(), JsonError> {
        self.peek()?;
        self.skip_byte_if(|byte| byte == expected)
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.position).copied()
    }

    fn text_from(&self, start: usize) -> &'a str {
        self.text.get(start..self.position).unwrap_or_default()
    }

    fn error(&self, reason: &'static str) -> JsonError {
        JsonError {
            reason,
            position: self.position,
        }
    }
}

impl<'a> RawString<'a> {
    /// Returns the text without quotes and escapes, or `None` if it has half of a surrogate pair.
    pub(crate) fn decode(&self) -> Option<Cow<'a, str>> {
        if self.has_escapes {
            serde_json::from_str(self.quoted).ok().map(Cow::Owned)
        } else {
            let end = self.quoted.len() - 1;
            self.quoted.get(1..end).map(Cow::Borrowed)
        }
    }
}

impl JsonError {
    /// Returns the error with its line and column, and without any of the text, which may hold secrets.
    fn describe(&self, subject: &str, text: &str) -> ParseError {
        let Self { reason, position } = self;
        let before = text.get(..*position).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.len() - before.rfind('\n').map_or(0, |at| at + 1) + 1;
        ParseError(format!(
            "cannot parse {subject}: {reason} at line {line} column {column}"
        ))
    }
}

/// Returns the position of the next quote, backslash or control character, or the end of the text. Compares eight bytes
/// at a time, since nearly all bytes of a page are inside strings.
fn end_of_plain_text(bytes: &[u8], start: usize) -> usize {
    const LOW_BITS: u64 = u64::from_le_bytes([0x01; 8]);
    const HIGH_BITS: u64 = u64::from_le_bytes([0x80; 8]);
    // Has the high bit of the first byte that is below `limit`.
    let below = |word: u64, limit: u8| word.wrapping_sub(LOW_BITS * u64::from(limit)) & !word;
    let (words, rest) = bytes.get(start..).unwrap_or_default().as_chunks::<8>();
    let mut position = start;
    for word in words {
        let word = u64::from_le_bytes(*word);
        let quote = below(word ^ (LOW_BITS * u64::from(b'"')), 1);
        let backslash = below(word ^ (LOW_BITS * u64::from(b'\\')), 1);
        let found = (below(word, b' ') | quote | backslash) & HIGH_BITS;
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
    use serde::de::IgnoredAny;

    use super::*;

    /// Accepts any object.
    struct AnyObject;

    impl<'a> JsonObject<'a> for AnyObject {
        fn read_field(
            &mut self,
            _: &str,
            json: &mut JsonReader<'a>,
        ) -> Result<Validity, JsonError> {
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
            ("{\n \"a\": 01}", "invalid JSON at line 2 column 8"),
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
