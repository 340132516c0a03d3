//! Values that count as absent where they have another type, so that one odd field costs only itself.

use std::borrow::Cow;
use std::mem;

use crate::ringcentral::wire::json::{JsonObject, JsonReader, JsonResult, JsonValue, Validity};

/// A field of an object: its value, the default while the key has not been read.
#[derive(Default)]
pub(crate) struct Field<T> {
    pub(crate) value: T,
    pub(crate) is_present: bool,
}

/// A value that replaces itself by what it reads.
pub(crate) trait ReadValue<'a> {
    /// Reads one value from the text.
    fn read_value(&mut self, json: &mut JsonReader<'a>) -> JsonResult<Validity>;
}

/// A string, or a whole number written without quotes (ids come as both).
#[derive(Default)]
pub(crate) struct LenientString<'a>(Option<Cow<'a, str>>);

/// `true` or `false`.
#[derive(Default)]
pub(crate) struct LenientBool(pub(crate) Option<bool>);

/// An object, its default where it is absent.
#[derive(Default)]
pub(crate) struct LenientObject<T>(pub(crate) T);

/// Defines an object of which these fields are read and all others are skipped.
macro_rules! json_object {
    ($(#[$meta:meta])* struct $name:ident<$a:lifetime> { $($field:ident: $type:ty = $key:literal,)* }) => {
        $(#[$meta])*
        #[derive(Default)]
        pub(crate) struct $name<$a> {
            $($field: Field<$type>,)*
        }

        impl<$a> JsonObject<$a> for $name<$a> {
            fn read_field(
                &mut self,
                key: &str,
                json: &mut JsonReader<$a>,
            ) -> JsonResult<Validity> {
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
    /// Reads the field's value. A key that occurs twice makes the object malformed.
    pub(crate) fn read(&mut self, json: &mut JsonReader<'a>) -> JsonResult<Validity> {
        let is_repeated = mem::replace(&mut self.is_present, true);
        let validity = self.value.read_value(json)?;
        Ok(if is_repeated {
            Validity::Malformed
        } else {
            validity
        })
    }
}

impl Field<LenientString<'_>> {
    /// Returns the text without white space around it, if any is left.
    pub(crate) fn text(&self) -> Option<&str> {
        let text = self.value.0.as_deref()?.trim();
        (!text.is_empty()).then_some(text)
    }
}

impl<'a> ReadValue<'a> for LenientString<'a> {
    fn read_value(&mut self, json: &mut JsonReader<'a>) -> JsonResult<Validity> {
        self.0 = match json.read_value()? {
            JsonValue::String(string) => string.decode(),
            JsonValue::Other(number) if number.parse::<u64>().is_ok() => {
                Some(Cow::Borrowed(number))
            }
            JsonValue::Other(_) => None,
        };
        Ok(Validity::Valid)
    }
}

impl<'a> ReadValue<'a> for LenientBool {
    fn read_value(&mut self, json: &mut JsonReader<'a>) -> JsonResult<Validity> {
        self.0 = match json.read_value()? {
            JsonValue::Other(value) => value.parse().ok(),
            JsonValue::String(_) => None,
        };
        Ok(Validity::Valid)
    }
}

impl<'a, T: JsonObject<'a>> ReadValue<'a> for LenientObject<T> {
    fn read_value(&mut self, json: &mut JsonReader<'a>) -> JsonResult<Validity> {
        match json.peek() {
            Some(b'{') => json.read_object(&mut self.0),
            _ => json.skip_value(),
        }
    }
}
