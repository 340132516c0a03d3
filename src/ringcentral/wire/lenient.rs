//! Values that count as absent where they have another type, so that one odd field costs only itself.

use std::borrow::Cow;

use crate::ringcentral::wire::json::{JsonObject, JsonReader, JsonResult, JsonString, JsonValue};

/// The largest float below which every whole number has a float of its own: 2^53.
const MAX_EXACT_FLOAT: f64 = 9_007_199_254_740_992.0;

/// A field of an object.
pub(crate) struct Field<T> {
    /// The value, `None` where the key is missing or repeated, or its value has another type.
    pub(crate) value: Option<T>,
    is_present: bool,
    /// Whether the key occurs more than once, so that it is unknown which value is the right one.
    pub(crate) is_repeated: bool,
}

/// A type of values.
pub(crate) trait ReadValue<'a>: Sized {
    /// Reads one value from the text, `None` if it has another type.
    fn read_value(json: &mut JsonReader<'a>) -> JsonResult<Option<Self>>;
}

/// Defines an object of which these fields are read and all others are skipped.
macro_rules! json_object {
    ($(#[$meta:meta])* struct $name:ident<$a:lifetime> { $($field:ident: $type:ty = $key:literal,)* }) => {
        $(#[$meta])*
        #[derive(Default)]
        pub(crate) struct $name<$a> {
            $($field: Field<$type>,)*
        }

        impl<$a> JsonObject<$a> for $name<$a> {
            fn read_field(&mut self, key: &str, json: &mut JsonReader<$a>) -> JsonResult {
                match key {
                    $($key => self.$field.read(json),)*
                    _ => json.skip_value(),
                }
            }
        }
    };
}
pub(crate) use json_object;

impl<'a, T: ReadValue<'a>> Field<T> {
    /// Reads the field's value.
    pub(crate) fn read(&mut self, json: &mut JsonReader<'a>) -> JsonResult {
        self.value = T::read_value(json)?;
        self.is_repeated = self.is_present;
        self.is_present = true;
        if self.is_repeated {
            self.value = None;
        }
        Ok(())
    }
}

impl<T> Default for Field<T> {
    fn default() -> Self {
        Self {
            value: None,
            is_present: false,
            is_repeated: false,
        }
    }
}

impl Field<Cow<'_, str>> {
    /// Returns the text without white space around it, if any is left.
    pub(crate) fn text(&self) -> Option<&str> {
        let text = self.value.as_deref()?.trim();
        (!text.is_empty()).then_some(text)
    }
}

/// A string, or a whole number written without quotes (ids come as both), also as `12.0` or `1.2e1`.
impl<'a> ReadValue<'a> for JsonString<'a> {
    fn read_value(json: &mut JsonReader<'a>) -> JsonResult<Option<Self>> {
        match json.read_value()? {
            JsonValue::String(string) => Ok(Some(string)),
            JsonValue::Scalar(number) => Ok(whole_number(number).map(Self::Text)),
            JsonValue::Container => Ok(None),
        }
    }
}

/// The text of a [`JsonString`].
impl<'a> ReadValue<'a> for Cow<'a, str> {
    fn read_value(json: &mut JsonReader<'a>) -> JsonResult<Option<Self>> {
        match JsonString::read_value(json)? {
            Some(JsonString::Text(text)) => Ok(Some(text)),
            _ => Ok(None),
        }
    }
}

impl<'a> ReadValue<'a> for JsonValue<'a> {
    fn read_value(json: &mut JsonReader<'a>) -> JsonResult<Option<Self>> {
        json.read_value().map(Some)
    }
}

/// Returns the digits of a whole number that is not negative.
fn whole_number(number: &str) -> Option<Cow<'_, str>> {
    let digits = match number.split_once('.') {
        Some((digits, fraction)) if fraction.bytes().all(|digit| digit == b'0') => digits,
        _ => number,
    };
    if digits.parse::<u64>().is_ok() {
        return Some(digits.into());
    }
    let float: f64 = number.parse().ok()?;
    let is_exact = float.fract() == 0.0 && (0.0..=MAX_EXACT_FLOAT).contains(&float);
    is_exact.then(|| (float as u64).to_string().into())
}

impl<'a> ReadValue<'a> for bool {
    fn read_value(json: &mut JsonReader<'a>) -> JsonResult<Option<Self>> {
        match json.read_value()? {
            JsonValue::Scalar(value) => Ok(value.parse().ok()),
            _ => Ok(None),
        }
    }
}

impl<'a, T: JsonObject<'a> + Default> ReadValue<'a> for T {
    #[inline]
    fn read_value(json: &mut JsonReader<'a>) -> JsonResult<Option<Self>> {
        if json.peek() != Some(b'{') {
            json.skip_value()?;
            return Ok(None);
        }
        let mut object = T::default();
        json.read_object(&mut object)?;
        Ok(Some(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_read_in_every_notation() {
        for (number, digits) in [
            ("12", Some("12")),
            ("12.0", Some("12")),
            ("12.000", Some("12")),
            ("62264425016.0", Some("62264425016")),
            ("18446744073709551615.0", Some("18446744073709551615")),
            ("1.2e1", Some("12")),
            ("6.2264425016E+10", Some("62264425016")),
            ("120e-1", Some("12")),
            ("0.0", Some("0")),
            ("12.5", None),
            ("-12.0", None),
            ("1e300", None),
            ("1e999", None),
            ("true", None),
            ("null", None),
            ("[]", None),
        ] {
            assert_eq!(whole_number(number).as_deref(), digits, "{number}");
        }
    }
}
