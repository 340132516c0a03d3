//! promtool and shell commands that check a file and exit.

use std::path::Path;
use std::process::Command;

/// Runs a shell command in `folder` and returns its output; panics with the output if the command
/// fails.
pub fn run_shell(folder: &Path, line: &str) -> String {
    run(
        line,
        Command::new("sh")
            .args(["-e", "-c", line])
            .current_dir(folder),
    )
}

/// Runs promtool and returns its output; panics with the output if promtool fails.
pub fn run_promtool(arguments: &[&str]) -> String {
    run(
        &arguments.join(" "),
        Command::new("promtool").args(arguments),
    )
}

/// Asserts that promtool accepts the queries.
pub fn assert_valid_queries(queries: &[String]) {
    let mut rules = "groups:\n- name: documents\n  rules:\n".to_owned();
    for (n, query) in queries.iter().enumerate() {
        let quoted = serde_json::to_string(query).unwrap();
        rules.push_str(&format!("  - record: query:{n}\n    expr: {quoted}\n"));
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.yml");
    std::fs::write(&file, rules).unwrap();
    run_promtool(&["check", "rules", file.to_str().unwrap()]);
}

/// Runs a command and returns its standard output and standard error.
fn run(description: &str, command: &mut Command) -> String {
    let output = command
        // Unit tests of rules allocate much and keep little: fewer garbage collections save time.
        .env("GOGC", "400")
        .output()
        .expect("program not installed: run `make tools`");
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{description}\n{text}");
    text
}
