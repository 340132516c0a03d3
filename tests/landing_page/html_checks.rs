//! Checks of the HTML document: structure, accessibility and external resources.

use crate::browser::RenderedPage;

/// Returns the number of elements with this tag.
fn count_elements(dom: &str, tag: &str) -> usize {
    tags(dom).filter(|(name, _)| name == tag).count()
}

/// Returns the start tags of a document: name and text.
fn tags(dom: &str) -> impl Iterator<Item = (String, &str)> {
    let pieces = dom
        .split('<')
        .skip(1)
        .filter_map(|piece| piece.split('>').next());
    pieces.map(|tag| {
        (
            tag.split(' ').next().unwrap_or_default().to_lowercase(),
            tag,
        )
    })
}

/// Asserts that the page is structured for screen readers, runs no script, and loads nothing from
/// other origins than `origin`.
pub fn assert_valid(page: &RenderedPage, origin: &str) {
    let dom = &page.dom;
    assert!(dom.contains("<html lang=\"en\">"), "{dom}");
    for tag in ["h1", "main", "header", "footer", "nav", "title"] {
        assert_eq!(count_elements(dom, tag), 1, "{tag} in {dom}");
    }
    for tag in ["script", "img", "link", "iframe", "form", "object"] {
        assert_eq!(count_elements(dom, tag), 0, "{tag} in {dom}");
    }
    let is_active = |tag: &str| {
        [" on", " style=", "http-equiv"]
            .iter()
            .any(|word| tag.contains(word))
    };
    assert!(!tags(dom).any(|(_, tag)| is_active(tag)), "{dom}");
    let header_without_scope =
        tags(dom).find(|(name, tag)| name == "th" && !tag.contains("scope="));
    assert!(header_without_scope.is_none(), "{header_without_scope:?}");
    assert_no_skipped_heading_level(dom);
    assert_references_resolve(dom);
    assert!(page.console.is_empty(), "{:?}", page.console);
    assert!(
        !page.requested.is_empty() && page.requested.iter().all(|url| url.starts_with(origin)),
        "{:?}",
        page.requested
    );
}

/// Asserts that no heading level is skipped.
fn assert_no_skipped_heading_level(dom: &str) {
    let levels = tags(dom).filter_map(|(name, _)| name.strip_prefix('h')?.parse::<u8>().ok());
    let mut previous = 0;
    for level in levels {
        assert!(level <= previous + 1, "h{level} after h{previous} in {dom}");
        previous = level;
    }
}

/// Asserts that links within the page and label references have a target.
fn assert_references_resolve(dom: &str) {
    for start in ["href=\"#", "aria-labelledby=\""] {
        for id in dom
            .split(start)
            .skip(1)
            .filter_map(|piece| piece.split('"').next())
        {
            assert!(dom.contains(&format!(" id=\"{id}\"")), "{id} in {dom}");
        }
    }
}
