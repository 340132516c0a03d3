//! Fields that never fail.
//!
//! Owns: reading a value of the wrong type as a missing one, so that one odd field costs that field alone. Each value is
//! taken as it stands there and looked at afterwards: a number too large for any type, or a text with half a surrogate,
//! is JSON as well.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A string, or a whole number written without quotes (ids come as both); else nothing.
#[derive(Debug, Default)]
pub struct Text<'a>(pub Option<Cow<'a, str>>);

impl Text<'_> {
    /// The text without white space around it, if there is any.
    pub fn as_deref(&self) -> Option<&str> {
        let text = self.0.as_deref()?.trim();
        (!text.is_empty()).then_some(text)
    }
}

/// `true` or `false`; else nothing.
#[derive(Debug, Default)]
pub struct Flag(pub Option<bool>);

/// An object; else its default.
#[derive(Debug, Default)]
pub struct Object<T>(pub T);

/// An object, and else an error. (Serde would take an array for one, field by field.)
pub struct Strict<T>(pub T);

struct StrictVisitor<T>(PhantomData<T>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = <&RawValue>::deserialize(deserializer)?.get();
        let quoted = value
            .strip_prefix('"')
            .and_then(|value| value.strip_suffix('"'));
        Ok(Self(match quoted {
            Some(text) if !text.contains('\\') => Some(Cow::Borrowed(text)),
            Some(_) => serde_json::from_str(value).ok().map(Cow::Owned),
            None => value.parse::<u64>().is_ok().then_some(Cow::Borrowed(value)),
        }))
    }
}

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = <&RawValue>::deserialize(deserializer)?;
        Ok(Self(value.get().parse().ok()))
    }
}

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = <&RawValue>::deserialize(deserializer)?.get();
        match value.starts_with('{') {
            true => serde_json::from_str(value).map(Self).map_err(Error::custom),
            false => Ok(Self::default()),
        }
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for StrictVisitor<T> {
    type Value = Strict<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Strict)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Strict<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(StrictVisitor(PhantomData))
    }
}
