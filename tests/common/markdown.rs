//! A reader of this repository's Markdown documents: sections, tables, code blocks and inline code.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A table, with the rows below its header.
pub struct Table {
    pub header: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

/// Reads a file of this package.
pub fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns the files in `folder` whose names end with `suffix`, sorted by name.
pub fn files_with_suffix(folder: impl AsRef<Path>, suffix: &str) -> Vec<PathBuf> {
    let folder = folder.as_ref();
    let entries =
        std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files = Vec::new();
    for entry in entries {
        let file = entry.unwrap().path();
        if file.to_str().unwrap().ends_with(suffix) {
            files.push(file);
        }
    }
    files.sort();
    assert!(!files.is_empty(), "no {suffix} in {}", folder.display());
    files
}

/// Returns the metric families in a section of `docs/METRICS.md`.
pub fn metric_families(section: &str) -> BTreeSet<String> {
    let sections = sections(&read("docs/METRICS.md"));
    let (_, text) = sections
        .into_iter()
        .find(|(heading, _)| heading == section)
        .unwrap();
    families_in(&text)
}

/// Returns all metric families of `docs/METRICS.md`.
pub fn all_metric_families() -> BTreeSet<String> {
    families_in(&read("docs/METRICS.md"))
}

/// Returns the families that have a heading of their own, or a row in the table of `process_*`.
fn families_in(text: &str) -> BTreeSet<String> {
    let mut families = BTreeSet::new();
    for line in text.lines() {
        let heading = line
            .strip_prefix("### `")
            .and_then(|rest| rest.strip_suffix('`'));
        let row = line
            .strip_prefix("| `")
            .and_then(|rest| rest.split('`').next())
            .filter(|name| name.starts_with("process_"));
        families.extend(heading.or(row).map(str::to_owned));
    }
    families
}

/// Returns the contents of the fenced code blocks in `language`.
pub fn code_blocks(text: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    for part in text.split(&format!("```{language}\n")).skip(1) {
        let block = part.split("```").next().unwrap();
        blocks.push(block.to_owned());
    }
    blocks
}

/// Returns the PromQL queries: the `promql` code blocks, then those of the list items `**Query**`.
pub fn queries(text: &str) -> Vec<String> {
    let mut queries = code_blocks(text, "promql");
    for item in text.split("\n- **Query**").skip(1) {
        let mut lines = item.lines();
        let mut item = lines.next().unwrap_or_default().to_owned();
        for continuation in lines.take_while(|line| line.starts_with("  ")) {
            item += continuation;
        }
        // Such an item can name a label or a metric too; the query is its longest piece of code.
        queries.extend(inline_code(&item).into_iter().max_by_key(String::len));
    }
    queries
}

/// Returns the commands: indented lines outside of code blocks, consecutive lines as one command.
pub fn commands(text: &str) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    let mut continues = false;
    let outside = text.split("```").step_by(2).collect::<String>();
    for line in outside.lines() {
        let code = line.strip_prefix("    ");
        if let Some(code) = code {
            let code = format!("{code}\n");
            match commands.last_mut() {
                Some(command) if continues => command.push_str(&code),
                _ => commands.push(code),
            }
        }
        continues = code.is_some();
    }
    commands
}

/// Returns the text between backquotes in a line.
pub fn inline_code(line: &str) -> Vec<String> {
    line.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// Returns the second-level headings, each with the text below it.
pub fn sections(text: &str) -> Vec<(String, String)> {
    let mut sections = Vec::new();
    for part in text.split("\n## ").skip(1) {
        let (heading, text) = part.split_once('\n').unwrap_or((part, ""));
        sections.push((heading.to_owned(), text.to_owned()));
    }
    sections
}

/// Returns the table whose first column is called `first_column`.
pub fn table(text: &str, first_column: &str) -> Table {
    let start = format!("| {first_column} |");
    let mut lines = text.lines().skip_while(|line| !line.starts_with(&start));
    let header = lines
        .next()
        .unwrap_or_else(|| panic!("no table with the first column {first_column}"));
    let header = cells(header);
    let rows: Vec<_> = lines
        .skip(1)
        .take_while(|line| line.starts_with('|'))
        .map(cells)
        .collect();
    assert!(
        rows.iter().all(|row| row.len() == header.len()),
        "the table {first_column} has rows without {} cells",
        header.len()
    );
    Table { header, rows }
}

/// Returns the trimmed cells of a table row.
fn cells(line: &str) -> Vec<String> {
    line.trim()
        .trim_matches('|')
        .split('|')
        .map(|cell| cell.trim().to_owned())
        .collect()
}
