//! A splitter for text that is known to be valid JSON: the items of arrays and the members of
//! objects, as written.

/// Returns the items of an array, or the members of an object, as written.
pub fn items(container: &[u8]) -> Vec<&[u8]> {
    let container = without_mark(container).trim_ascii();
    let inside = &container[1..container.len() - 1];
    if inside.trim_ascii().is_empty() {
        Vec::new()
    } else {
        split(inside, b',')
    }
}

/// Returns the keys and values of an object. The key is `None` if it has half of a surrogate pair.
pub fn members(object: &[u8]) -> Vec<(Option<String>, &[u8])> {
    let mut members = Vec::new();
    for member in items(object) {
        let key = split(member, b':')[0];
        let value = &member[key.len() + 1..];
        let key = serde_json::from_slice(key.trim_ascii()).ok();
        members.push((key, value.trim_ascii()));
    }
    members
}

/// Returns the value of a key; of several equal keys, that of the first.
pub fn member<'a>(object: &'a [u8], wanted: &str) -> Option<&'a [u8]> {
    for (key, value) in members(object) {
        if key.as_deref() == Some(wanted) {
            return Some(value);
        }
    }
    None
}

/// Returns whether a value is an object.
pub fn is_object(value: &[u8]) -> bool {
    without_mark(value).trim_ascii().starts_with(b"{")
}

/// Returns a text without the byte order mark that may be before it.
fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

/// Splits a text at separators that are outside of strings and containers.
fn split(text: &[u8], separator: u8) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut depth = 0;
    let mut in_string = false;
    let mut escaped = false;
    for (at, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth -= 1,
            byte if *byte == separator && depth == 0 => {
                pieces.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    pieces.push(&text[start..]);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_in_strings_do_not_split() {
        let array = br#" [1, "a,]\"\\", {"b": [2, 3]} , [] ] "#;
        let mut texts = items(array);
        for text in &mut texts {
            *text = text.trim_ascii();
        }
        assert_eq!(
            texts,
            [&b"1"[..], br#""a,]\"\\""#, br#"{"b": [2, 3]}"#, b"[]"]
        );
        assert!(items(b"{ }").is_empty());
    }

    #[test]
    fn escaped_keys_are_decoded() {
        let object = br#"{"\u0061:b": 1, "c":{"a":5}, "\ud800": 2}"#;
        let keys: Vec<_> = members(object).into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, [Some("a:b".to_owned()), Some("c".to_owned()), None]);
        assert_eq!(member(object, "c"), Some(&br#"{"a":5}"#[..]));
    }
}
