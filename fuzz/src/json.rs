//! Just enough JSON to count by: the parts of a text that is known to be JSON.
//!
//! Owns: where an item begins and ends. Shares nothing with the parser that the exporter uses.

/// The items of an array, or the members of an object, as they stand there.
pub fn parts(container: &[u8]) -> Vec<&[u8]> {
    let container = container.trim_ascii();
    let inside = &container[1..container.len() - 1];
    if inside.trim_ascii().is_empty() {
        Vec::new()
    } else {
        split(inside, b',')
    }
}

/// The members of an object: key and value. A key that is no text is none.
pub fn members(object: &[u8]) -> Vec<(Option<String>, &[u8])> {
    let member = |part| {
        let key: &[u8] = split(part, b':')[0];
        let value = &part[key.len() + 1..];
        (
            serde_json::from_slice(key.trim_ascii()).ok(),
            value.trim_ascii(),
        )
    };
    parts(object).into_iter().map(member).collect()
}

/// The value of a key that stands there once.
pub fn member<'a>(object: &'a [u8], wanted: &str) -> Option<&'a [u8]> {
    members(object)
        .into_iter()
        .find(|(key, _)| key.as_deref() == Some(wanted))
        .map(|(_, value)| value)
}

/// Whether it is an object.
pub fn is_object(value: &[u8]) -> bool {
    value.trim_ascii().starts_with(b"{")
}

/// The pieces between separators that stand in no string and in no container.
fn split(text: &[u8], separator: u8) -> Vec<&[u8]> {
    let (mut pieces, mut begin, mut depth) = (Vec::new(), 0, 0);
    let (mut in_string, mut escaped) = (false, false);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth -= 1,
            byte if *byte == separator && depth == 0 => {
                pieces.push(&text[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    pieces.push(&text[begin..]);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_whatever_stands_in_strings() {
        let array = br#" [1, "a,]\"\\", {"b": [2, 3]} , [] ] "#;
        let texts: Vec<_> = parts(array)
            .into_iter()
            .map(|part| part.trim_ascii())
            .collect();
        assert_eq!(
            texts,
            [&b"1"[..], br#""a,]\"\\""#, br#"{"b": [2, 3]}"#, b"[]"]
        );
        assert!(parts(b"{ }").is_empty());
    }

    #[test]
    fn keys_are_read_as_texts() {
        let object = br#"{"\u0061:b": 1, "c":{"a":5}, "\ud800": 2}"#;
        let keys: Vec<_> = members(object).into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, [Some("a:b".to_owned()), Some("c".to_owned()), None]);
        assert_eq!(member(object, "c"), Some(&br#"{"a":5}"#[..]));
    }
}
