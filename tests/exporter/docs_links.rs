//! Links between the documents: each target and anchor exists, and each document can be reached
//! from the README.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{read_dir, read_to_string};
use std::path::{Component, Path, PathBuf};

/// Folders without documents of this project. Hidden folders are left out too.
const OTHER_FOLDERS: [&str; 2] = ["node_modules", "target"];

/// Returns the paths of all Markdown documents, relative to the package.
pub fn documents() -> Vec<String> {
    let mut documents = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in read_dir(Path::new(".").join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let path = folder.join(&name);
            if entry.file_type().unwrap().is_dir() {
                if !name.starts_with('.') && !OTHER_FOLDERS.contains(&name.as_str()) {
                    folders.push(path);
                }
            } else if name.ends_with(".md") {
                documents.push(path.to_str().unwrap().to_owned());
            }
        }
    }
    documents.sort();
    documents
}

/// Returns a document without its fenced code blocks and inline code.
fn without_code(text: &str) -> String {
    let prose: String = text.split("```").step_by(2).collect();
    prose.split('`').step_by(2).collect()
}

/// Returns the targets of links: of `[text](target)`, and of lines `[name]: target`.
fn link_targets(text: &str) -> Vec<String> {
    let text = without_code(text);
    let mut targets = Vec::new();
    for rest in text.split("](").skip(1) {
        targets.push(rest.split(')').next().unwrap().to_owned());
    }
    for line in text.lines() {
        if let Some((name, target)) = line.split_once("]: ")
            && name.starts_with('[')
        {
            targets.push(target.trim().to_owned());
        }
    }
    targets
}

/// Returns the anchors of the headings, as GitHub names them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    let mut uses: BTreeMap<String, usize> = BTreeMap::new();
    let prose: String = text.split("```").step_by(2).collect();
    for line in prose.lines().filter(|line| line.starts_with('#')) {
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        let mut slug = String::new();
        for character in heading.chars() {
            match character {
                ' ' => slug.push('-'),
                '-' | '_' => slug.push(character),
                _ if character.is_alphanumeric() => slug.push(character),
                _ => {}
            }
        }
        let earlier = uses.entry(slug.clone()).or_default();
        if *earlier > 0 {
            slug += &format!("-{earlier}");
        }
        *earlier += 1;
        anchors.insert(slug);
    }
    anchors
}

/// Returns the path of a link's target and its anchor, or `None` for another server.
fn resolve(document: &str, target: &str) -> Option<(String, Option<String>)> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = match target.split_once('#') {
        Some((path, anchor)) => (path, Some(anchor.to_owned())),
        None => (target, None),
    };
    if path.is_empty() {
        return Some((document.to_owned(), anchor));
    }
    let mut resolved = PathBuf::new();
    let joined = Path::new(document).parent().unwrap().join(path);
    for component in joined.components() {
        match component {
            Component::ParentDir => assert!(resolved.pop(), "{document}: {target}"),
            other => resolved.push(other),
        }
    }
    Some((resolved.to_str().unwrap().to_owned(), anchor))
}

#[test]
fn relative_links_and_anchors_exist() {
    let mut problems = Vec::new();
    let mut links = 0;
    for document in documents() {
        for target in link_targets(&read_to_string(&document).unwrap()) {
            let Some((path, anchor)) = resolve(&document, &target) else {
                continue;
            };
            links += 1;
            let exists = match anchor {
                Some(anchor) => {
                    read_to_string(&path).is_ok_and(|text| anchors(&text).contains(&anchor))
                }
                None => Path::new(&path).exists(),
            };
            if !exists {
                problems.push(format!("{document}: {target}"));
            }
        }
    }
    assert!(problems.is_empty(), "dead links: {problems:#?}");
    assert!(links > 100, "{links}");
}

#[test]
fn every_document_is_reachable_from_readme() {
    let mut reached = BTreeSet::new();
    let mut next = vec!["README.md".to_owned()];
    while let Some(document) = next.pop() {
        if !document.ends_with(".md") || !reached.insert(document.clone()) {
            continue;
        }
        let text = read_to_string(&document).unwrap_or_default();
        for target in link_targets(&text) {
            next.extend(resolve(&document, &target).map(|(path, _)| path));
        }
    }
    let mut unreachable = documents();
    unreachable.retain(|document| !reached.contains(document));
    assert!(unreachable.is_empty(), "{unreachable:?}");
}

#[test]
fn links_and_anchors_are_parsed() {
    let text =
        "# A b\n[x](y.md#z) `[no](link)`\n## A `b`!\n```text\n# no\n[no](link)\n```\n[r]: q.md\n";
    assert_eq!(link_targets(text), ["y.md#z", "q.md"]);
    assert_eq!(
        anchors(text),
        BTreeSet::from(["a-b".to_owned(), "a-b-1".to_owned()])
    );
    let resolved = resolve("docs/dev/A.md", "../B.md#c");
    assert_eq!(
        resolved,
        Some(("docs/B.md".to_owned(), Some("c".to_owned())))
    );
    assert_eq!(resolve("README.md", "https://example.com"), None);
}
