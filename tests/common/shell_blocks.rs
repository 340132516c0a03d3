//! A reader of the shell commands in Markdown documents.

/// Languages of fenced blocks without shell commands.
const OTHER_LANGUAGES: [&str; 7] = ["ini", "json", "promql", "rust", "text", "toml", "yaml"];

/// Consecutive lines of shell commands in a document.
#[derive(Debug, PartialEq)]
pub struct ShellBlock {
    /// The lines, without indentation.
    pub text: String,
    /// Whether the line before the block is the marker of [`is_marker`].
    pub is_untested: bool,
}

/// Returns the shell blocks of a document: fenced blocks in `sh`, and lines that are indented by
/// four spaces.
///
/// # Panics
/// Panics if a fenced block has no language, or one that may hide commands, such as `console`.
pub fn shell_blocks(document: &str) -> Vec<ShellBlock> {
    let mut blocks = Vec::new();
    let mut is_untested = false;
    let mut lines = document.lines().peekable();
    while let Some(line) = lines.next() {
        if line.trim().is_empty() {
            continue;
        }
        let mut text = String::new();
        let language = line.trim_start().strip_prefix("```");
        if let Some(language) = language {
            for line in lines.by_ref().take_while(|line| line.trim() != "```") {
                text += &format!("{line}\n");
            }
            let is_other = OTHER_LANGUAGES.contains(&language);
            assert!(is_other || language == "sh", "language of {line:?}\n{text}");
        } else if let Some(command) = line.strip_prefix("    ") {
            text = format!("{command}\n");
            while let Some(line) = lines.next_if(|line| line.starts_with("    ")) {
                text += &format!("{}\n", &line[4..]);
            }
        }
        let is_shell = language == Some("sh") || (language.is_none() && !text.is_empty());
        if is_shell {
            blocks.push(ShellBlock { text, is_untested });
        }
        is_untested = is_marker(line);
    }
    blocks
}

/// Returns whether a line is `<!-- untested: reason -->`.
fn is_marker(line: &str) -> bool {
    let reason = line
        .trim()
        .strip_prefix("<!-- untested: ")
        .and_then(|rest| rest.strip_suffix(" -->"));
    reason.is_some_and(|reason| !reason.trim().is_empty())
}
