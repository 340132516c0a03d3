//! Name and value pairs of a query string or a form.

use form_urlencoded::Serializer;

/// The decoded pairs, in the order of the request.
#[derive(Clone, Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

/// Parameters whose values are secrets and are redacted in the journal.
const SECRETS: [&str; 6] = [
    "access_token",
    "assertion",
    "token",
    "refresh_token",
    "client_secret",
    "wsc",
];

impl Query {
    /// Decodes a query string or a form.
    pub(super) fn parse(text: &[u8]) -> Query {
        Query(form_urlencoded::parse(text).into_owned().collect())
    }

    /// Returns the first value of `name`.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.get_all(name).next()
    }

    /// Returns all values of the repeatable parameter `name`.
    pub(super) fn get_all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Encodes the pairs whose names are not in `names`.
    pub(super) fn without(&self, names: &[&str]) -> String {
        let mut encoded = Serializer::new(String::new());
        for (name, value) in &self.0 {
            if !names.contains(&name.as_str()) {
                encoded.append_pair(name, value);
            }
        }
        encoded.finish()
    }

    /// Encodes all pairs, with `SECRET` in place of secret values.
    pub(super) fn without_secrets(&self) -> String {
        let mut encoded = Serializer::new(String::new());
        for (name, value) in &self.0 {
            let is_secret = SECRETS.contains(&name.as_str());
            encoded.append_pair(name, if is_secret { "SECRET" } else { value });
        }
        encoded.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_decodes_pairs_and_keeps_repeated_names() {
        let query = Query::parse(b"direction=Inbound&direction=Outbound&grant=urn%3Aa+b&flag");
        assert_eq!(
            query.get_all("direction").collect::<Vec<_>>(),
            ["Inbound", "Outbound"]
        );
        assert_eq!(query.get("grant"), Some("urn:a b"));
        assert_eq!(query.get("flag"), Some(""));
        assert_eq!(query.get("absent"), None);
    }

    #[test]
    fn secret_values_are_redacted() {
        let query = Query::parse(b"page=1&access_token=abc");
        assert_eq!(query.without_secrets(), "page=1&access_token=SECRET");
    }

    #[test]
    fn excluded_names_are_not_encoded() {
        let query = Query::parse(b"view=Detailed&page=3&x=%26");
        assert_eq!(query.without(&["page"]), "view=Detailed&x=%26");
    }
}
