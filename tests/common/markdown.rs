//! Documents as the tests read them: their sections, tables and code.
//!
//! Owns what counts as code or a table in Markdown, as far as these documents use it. Refuses to know what they are about.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A table, with the rows below its head.
pub struct Table {
    pub head: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

/// The text of a file of this package.
pub fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The files of a folder with this ending, by name.
pub fn files(folder: impl AsRef<Path>, ending: &str) -> Vec<PathBuf> {
    let folder = folder.as_ref();
    let files =
        std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let files = files.map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files
        .filter(|file| file.to_str().unwrap().ends_with(ending))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no {ending} in {}", folder.display());
    files
}

/// The families of a part of `docs/METRICS.md`.
pub fn families(part: &str) -> BTreeSet<String> {
    let sections = sections(&read("docs/METRICS.md"));
    let (_, text) = sections.into_iter().find(|(head, _)| head == part).unwrap();
    let headings = text
        .lines()
        .filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'));
    headings.map(str::to_owned).collect()
}

/// What stands in fences of this kind.
pub fn blocks(text: &str, kind: &str) -> Vec<String> {
    let parts = text
        .split(&format!("```{kind}\n"))
        .skip(1)
        .map(str::to_owned)
        .collect::<Vec<_>>();
    parts
        .iter()
        .map(|part| part.split("```").next().unwrap().to_owned())
        .collect()
}

/// The queries: those in fences, and those after the word in a list.
pub fn queries(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| line.starts_with("- **Query**"));
    // Of several pieces of code in a line the query is the longest.
    let lines = lines.filter_map(|line| codes(line).into_iter().max_by_key(String::len));
    blocks(text, "promql").into_iter().chain(lines).collect()
}

/// The commands: indented lines, those that follow each other as one.
pub fn commands(text: &str) -> Vec<String> {
    let code = |line: &&str| line.starts_with("    ");
    let outside = text.split("```").step_by(2).collect::<String>();
    let lines: Vec<_> = outside.lines().collect();
    let runs = lines
        .chunk_by(|one, next| code(one) == code(next))
        .filter(|run| code(&run[0]));
    runs.map(|run| run.iter().map(|line| format!("{}\n", &line[4..])).collect())
        .collect()
}

/// Code within a line.
pub fn codes(line: &str) -> Vec<String> {
    line.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// The text below each heading of the second level, by the heading.
pub fn sections(text: &str) -> Vec<(String, String)> {
    let parts = text.split("\n## ").skip(1);
    parts
        .map(|part| part.split_once('\n').unwrap_or((part, "")))
        .map(|(head, text)| (head.into(), text.into()))
        .collect()
}

/// The table whose head begins with this word.
pub fn table(text: &str, first: &str) -> Table {
    let mut lines = text
        .lines()
        .skip_while(|line| !line.starts_with(&format!("| {first} |")));
    let head = cells(
        lines
            .next()
            .unwrap_or_else(|| panic!("no table of {first}")),
    );
    let rows: Vec<_> = lines
        .skip(1)
        .take_while(|line| line.starts_with('|'))
        .map(cells)
        .collect();
    assert!(
        rows.iter().all(|row| row.len() == head.len()),
        "the table of {first} has rows of {} cells",
        head.len()
    );
    Table { head, rows }
}

fn cells(line: &str) -> Vec<String> {
    line.trim()
        .trim_matches('|')
        .split('|')
        .map(|cell| cell.trim().to_owned())
        .collect()
}
