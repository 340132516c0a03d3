//! promtool, and other tools that look at a file and end: how they are run, and that what they said is shown.

use std::path::Path;
use std::process::Command;

/// Runs a line of the shell in a folder, and gives what it printed; panics with that if it fails.
pub fn shell(folder: &Path, line: &str) -> String {
    finish(
        line,
        Command::new("sh")
            .args(["-e", "-c", line])
            .current_dir(folder),
    )
}

/// Has promtool look at files; panics with what it says if it dislikes them.
pub fn promtool(arguments: &[&str]) -> String {
    finish(
        &arguments.join(" "),
        Command::new("promtool").args(arguments),
    )
}

/// Whether promtool understands these queries.
pub fn understands(queries: &[String]) {
    let mut rules = "groups:\n- name: documents\n  rules:\n".to_owned();
    for (n, query) in queries.iter().enumerate() {
        let quoted = serde_json::to_string(query).unwrap();
        rules.push_str(&format!("  - record: query:{n}\n    expr: {quoted}\n"));
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.yml");
    std::fs::write(&file, rules).unwrap();
    promtool(&["check", "rules", file.to_str().unwrap()]);
}

fn finish(what: &str, command: &mut Command) -> String {
    let output = command
        .output()
        .expect("it is installed: `make tools` does it");
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{what}\n{said}");
    said
}
