//! Event filters: which extensions a subscription is about.

/// A filter that the simulated gateway knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Filter {
    /// The filter with ids in place of `~`.
    pub(super) text: String,
    /// The only extension; all of the account if absent.
    extension_id: Option<u64>,
}

impl Filter {
    /// Parses a filter about presence; returns `None` for any other.
    pub(super) fn parse(text: &str, account_id: u64, owner_id: u64) -> Option<Filter> {
        let (path, query) = match text.split_once('?') {
            Some((path, query)) => (path, format!("?{query}")),
            None => (text, String::new()),
        };
        let rest = path.strip_prefix("/restapi/v1.0/account/")?;
        let segments: Vec<&str> = rest.split('/').collect();
        let (account, extension) = match segments.as_slice() {
            [account, "presence"] => (*account, None),
            [account, "extension", extension, "presence"] => (*account, Some(*extension)),
            _ => return None,
        };
        if account != "~" && account != account_id.to_string() {
            return None;
        }
        let extension_id = match extension {
            None => None,
            Some("~") => Some(owner_id),
            Some(id) => Some(id.parse().ok()?),
        };
        let part = match extension_id {
            Some(id) => format!("/extension/{id}"),
            None => String::new(),
        };
        Some(Filter {
            text: format!("/restapi/v1.0/account/{account_id}{part}/presence{query}"),
            extension_id,
        })
    }

    /// Returns whether events of the extension match.
    pub(super) fn matches(&self, extension_id: u64) -> bool {
        self.extension_id.is_none_or(|only| only == extension_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(filter: &str) -> Option<String> {
        Filter::parse(filter, 7, 9).map(|filter| filter.text)
    }

    #[test]
    fn filter_has_ids_in_place_of_tildes() {
        for (filter, expected) in [
            ("account/~/presence", "account/7/presence"),
            ("account/7/presence?a=b", "account/7/presence?a=b"),
            (
                "account/~/extension/~/presence",
                "account/7/extension/9/presence",
            ),
            (
                "account/~/extension/5/presence",
                "account/7/extension/5/presence",
            ),
        ] {
            let expected = format!("/restapi/v1.0/{expected}");
            assert_eq!(text(&format!("/restapi/v1.0/{filter}")), Some(expected));
        }
    }

    #[test]
    fn other_filters_are_not_known() {
        for filter in [
            "",
            "account/~/presence",
            "/restapi/v1.0/account/8/presence",
            "/restapi/v1.0/account/~/presences",
            "/restapi/v1.0/account/~/extension/x/presence",
        ] {
            assert_eq!(text(filter), None, "{filter}");
        }
    }

    #[test]
    fn filter_of_an_extension_matches_only_it() {
        let filter = |text| Filter::parse(text, 7, 9).unwrap();
        assert!(filter("/restapi/v1.0/account/~/presence").matches(5));
        let one = filter("/restapi/v1.0/account/~/extension/5/presence");
        assert!(one.matches(5) && !one.matches(6));
    }
}
