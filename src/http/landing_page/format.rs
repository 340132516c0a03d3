//! Small forms: **pure**.

/// Text that may stand in an element or in a quoted attribute.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

/// `1 call`, `2 calls`.
pub fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// A phrase, escaped, as a sentence.
pub fn sentence(phrase: &str) -> String {
    let mut rest = phrase.chars();
    let first: String = rest
        .next()
        .map(|first| first.to_uppercase().collect())
        .unwrap_or_default();
    format!("{}{}.", escape(&first), escape(rest.as_str()))
}

/// A row with a header; the value is escaped.
pub fn row(name: &str, value: &str) -> String {
    format!("<tr><th scope=row>{name}<td>{}", escape(value))
}
