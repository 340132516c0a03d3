//! `name=value` pairs, of a query string or of a form.
//!
//! Pure. Knows how they are written, not what they mean.

/// The pairs in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

/// Parameters that hold secrets and never reach the journal.
const SECRETS: [&str; 5] = [
    "access_token",
    "assertion",
    "token",
    "refresh_token",
    "client_secret",
];

impl Query {
    pub(super) fn parse(text: &str) -> Query {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        Query(
            pairs
                .map(|(name, value)| (decode(name), decode(value)))
                .collect(),
        )
    }

    /// The first value of `name`.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// All values of a repeatable `name`.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The pairs but those called `names`, in writing and each followed by `&`.
    pub(super) fn written_without(&self, names: &[&str]) -> String {
        let kept = self
            .0
            .iter()
            .filter(|(name, _)| !names.contains(&name.as_str()));
        kept.map(|(name, value)| format!("{}={}&", encode(name), encode(value)))
            .collect()
    }

    /// All pairs in writing, with secrets blackened.
    pub(super) fn without_secrets(&self) -> String {
        let pairs = self.0.iter().map(|(name, value)| {
            let secret = SECRETS.contains(&name.as_str());
            format!(
                "{}={}",
                encode(name),
                if secret {
                    "SECRET".into()
                } else {
                    encode(value)
                }
            )
        });
        pairs.collect::<Vec<_>>().join("&")
    }
}

fn decode(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => hex_pair(&mut bytes).unwrap_or(b'%'),
            other => other,
        });
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn hex_pair(bytes: &mut impl Iterator<Item = u8>) -> Option<u8> {
    let high = char::from(bytes.next()?).to_digit(16)?;
    let low = char::from(bytes.next()?).to_digit(16)?;
    u8::try_from(high * 16 + low).ok()
}

fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' => {
                encoded.push(char::from(byte));
            }
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_decoded_and_repeated_names_keep_all_values() {
        let query = Query::parse("direction=Inbound&direction=Outbound&grant=urn%3Aa+b&flag");
        assert_eq!(
            query.all("direction").collect::<Vec<_>>(),
            ["Inbound", "Outbound"]
        );
        assert_eq!(query.get("grant"), Some("urn:a b"));
        assert_eq!(query.get("flag"), Some(""));
        assert_eq!(query.get("absent"), None);
    }

    #[test]
    fn secrets_are_blackened() {
        let query = Query::parse("page=1&access_token=abc");
        assert_eq!(query.without_secrets(), "page=1&access_token=SECRET");
    }

    #[test]
    fn written_pairs_leave_out_what_is_named() {
        let query = Query::parse("view=Detailed&page=3&x=%26");
        assert_eq!(query.written_without(&["page"]), "view=Detailed&x=%26&");
    }
}
