//! What a sound document is: for a screen reader, and for a reader in a hurry.

use crate::browser::Visit;

/// How often a tag is opened.
fn opened(dom: &str, tag: &str) -> usize {
    tags(dom).filter(|(name, _)| name == tag).count()
}

/// The opening tags of a document, with what stands in them.
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

/// A document that loads nothing, runs nothing, and can be found one's way in.
pub fn is_sound(visit: &Visit, origin: &str) {
    let dom = &visit.dom;
    assert!(dom.contains("<html lang=\"en\">"), "{dom}");
    for tag in ["h1", "main", "header", "footer", "nav", "title"] {
        assert_eq!(opened(dom, tag), 1, "{tag} in {dom}");
    }
    for tag in ["script", "img", "link", "iframe", "form", "object"] {
        assert_eq!(opened(dom, tag), 0, "{tag} in {dom}");
    }
    let active = |tag: &str| {
        [" on", " style=", "http-equiv"]
            .iter()
            .any(|word| tag.contains(word))
    };
    assert!(!tags(dom).any(|(_, tag)| active(tag)), "{dom}");
    let bare = tags(dom).find(|(name, tag)| name == "th" && !tag.contains("scope="));
    assert!(bare.is_none(), "{bare:?}");
    headings_go_down_step_by_step(dom);
    every_reference_leads_somewhere(dom);
    assert!(visit.console.is_empty(), "{:?}", visit.console);
    assert!(
        !visit.asked.is_empty() && visit.asked.iter().all(|url| url.starts_with(origin)),
        "{:?}",
        visit.asked
    );
}

fn headings_go_down_step_by_step(dom: &str) {
    let levels = tags(dom).filter_map(|(name, _)| name.strip_prefix('h')?.parse::<u8>().ok());
    let mut before = 0;
    for level in levels {
        assert!(level <= before + 1, "h{level} after h{before} in {dom}");
        before = level;
    }
}

/// Of links within the page and of labels.
fn every_reference_leads_somewhere(dom: &str) {
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
