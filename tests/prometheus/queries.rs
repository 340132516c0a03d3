//! The queries of the documents are PromQL.

use std::process::Command;

/// What stands in blocks of this kind.
fn blocks(text: &str) -> Vec<String> {
    let parts = text.split("```promql\n").skip(1);
    let blocks = parts.map(|part| part.split("```").next().unwrap().to_owned());
    let lines = text.lines().filter(|line| line.starts_with("- **Query**"));
    // Of several pieces of code in a line the query is the longest.
    let lines = lines.filter_map(|line| line.split('`').skip(1).step_by(2).max_by_key(|code| code.len()));
    blocks.chain(lines.map(str::to_owned)).collect()
}

#[test]
fn every_query_of_the_metrics_document_is_understood_by_promtool() {
    let queries = blocks(include_str!("../../docs/METRICS.md"));
    assert!(queries.len() > 40, "{}", queries.len());
    let mut rules = "groups:\n- name: documents\n  rules:\n".to_owned();
    for (n, query) in queries.iter().enumerate() {
        let quoted = serde_json::to_string(query).unwrap();
        rules.push_str(&format!("  - record: query:{n}\n    expr: {quoted}\n"));
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.yml");
    std::fs::write(&file, rules).unwrap();
    let output = Command::new("promtool").args(["check", "rules"]).arg(&file).output().expect("promtool: `make tools`");
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{said}");
}
