//! Tests that `docs/CONFIGURATION.md` has every flag, variable and key.
//!
//! The tables of flags between two comments are generated: `make configuration-doc` writes them.

use std::collections::BTreeSet;
use std::path::Path;

use clap::{Arg, Command, CommandFactory};
use ringcentral_exporter::cli::Cli;
use ringcentral_exporter::config::read_accounts;
use ringcentral_exporter::config::web::WebConfig;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/CONFIGURATION.md");

fn read_document() -> String {
    std::fs::read_to_string(PATH).unwrap()
}

/// Returns the flags of a table: those of `serve` by the first part of their name, or those that
/// only another command has.
fn flags_of_table(name: &str) -> Vec<Arg> {
    let command = Cli::command();
    let serve = subcommand(&command, "serve");
    if name == "health" {
        return flags(subcommand(&command, name));
    }
    if ["demo", "check"].contains(&name) {
        let mut own = flags(subcommand(&command, name));
        own.retain(|flag| !flags(serve).contains(flag));
        return own;
    }
    let mut group = flags(serve);
    group.retain(|flag| flag.get_long().unwrap().split('.').next() == Some(name));
    group
}

fn subcommand<'a>(command: &'a Command, name: &str) -> &'a Command {
    command.find_subcommand(name).unwrap()
}

fn flags(command: &Command) -> Vec<Arg> {
    let flags = command.get_arguments();
    flags
        .filter(|flag| flag.get_long().is_some())
        .cloned()
        .collect()
}

/// Returns the row of a flag. What clap does not know is at the end of the help text: a default in
/// brackets, or that the flag is required.
fn row(flag: &Arg) -> String {
    let mut name = format!("--{}", flag.get_long().unwrap());
    let takes_value = flag.get_action().takes_values();
    if takes_value {
        let values = flag.get_value_names().unwrap();
        name = format!("{name} {}", values[0].as_str().replace('|', "\\|"));
    }
    let variable = match flag.get_env() {
        Some(variable) => format!("`{}`", variable.to_str().unwrap()),
        None => String::new(),
    };
    let help = flag.get_help().unwrap().to_string().replace('\n', " ");
    let mut meaning = help.as_str();
    let mut default = "none".to_owned();
    if let [value] = flag.get_default_values() {
        default = format!("`{}`", value.to_str().unwrap());
    }
    if !takes_value {
        default = "off".to_owned();
    } else if let Some(text) = help.strip_suffix(" (required)") {
        meaning = text;
        default = "required".to_owned();
    } else if let Some((text, noted)) = help.split_once(" [default: ") {
        meaning = text;
        default = noted.trim_end_matches(']').to_owned();
        if !default.contains(' ') {
            default = format!("`{default}`");
        }
    }
    format!("| `{name}` | {variable} | {default} | {meaning} |\n")
}

fn table(flags: &[Arg]) -> String {
    let mut table = "| flag | variable | default | meaning |\n|---|---|---|---|\n".to_owned();
    for flag in flags {
        table += &row(flag);
    }
    table
}

/// Returns the names of the generated tables.
fn table_names(document: &str) -> Vec<&str> {
    let parts = document.split("<!-- generated: ").skip(1);
    parts
        .map(|part| part.split(" -->").next().unwrap())
        .collect()
}

#[test]
fn tables_of_flags_match_the_program() {
    let document = read_document();
    let mut expected = document.clone();
    for name in table_names(&document) {
        let start = format!("<!-- generated: {name} -->\n");
        let (before, rest) = expected.split_once(&start).unwrap();
        let (_, after) = rest.split_once("<!-- end -->").unwrap();
        let table = table(&flags_of_table(name));
        expected = format!("{before}{start}\n{table}\n<!-- end -->{after}");
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(PATH, expected).unwrap();
        return;
    }
    assert!(
        document == expected,
        "docs/CONFIGURATION.md does not match the flags: run make configuration-doc"
    );
}

#[test]
fn every_flag_is_in_a_table() {
    let document = read_document();
    let mut documented = BTreeSet::new();
    for name in table_names(&document) {
        for flag in flags_of_table(name) {
            documented.insert(flag.get_long().unwrap().to_owned());
        }
    }
    for command in Cli::command().get_subcommands() {
        for flag in flags(command) {
            let flag = flag.get_long().unwrap();
            assert!(documented.contains(flag), "--{flag}");
        }
    }
}

#[test]
fn every_variable_is_documented() {
    let document = read_document();
    let mut count = 0;
    for text in include_str!("../../src/config/flags.rs").split('"') {
        if text.starts_with("RC_") && !text.contains(' ') {
            assert!(document.contains(&format!("`{text}`")), "{text}");
            count += 1;
        }
    }
    assert!(count > 10, "{count}");
}

/// Returns the keys in the section with this heading.
fn documented_keys(heading: &str) -> BTreeSet<String> {
    let document = read_document();
    let (_, section) = document.split_once(heading).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| row.split('`').next().unwrap().to_owned())
        .collect()
}

/// Returns the keys that the error about an unknown key names.
fn keys_in_error(error: &str) -> Vec<String> {
    let (_, keys) = error.split_once(": expected one of ").unwrap();
    keys.split(", ").map(str::to_owned).collect()
}

#[test]
fn keys_of_accounts_file_are_documented() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("accounts.yml");
    std::fs::write(&file, "accounts: [{unknown: 1}]").unwrap();
    let error = read_accounts(&file).unwrap_err().to_string();
    let keys: BTreeSet<_> = keys_in_error(&error).into_iter().collect();
    assert_eq!(documented_keys("\n## Keys of `--config.file`"), keys);
}

#[test]
fn keys_of_web_config_file_are_documented() {
    let error = |text: &str| {
        let error = WebConfig::parse(Path::new("web.yml"), text).unwrap_err();
        error.to_string()
    };
    let mut keys = BTreeSet::new();
    for section in keys_in_error(&error("unknown: 1")) {
        if section == "basic_auth_users" {
            keys.insert(section);
            continue;
        }
        for key in keys_in_error(&error(&format!("{section}: {{unknown: 1}}"))) {
            keys.insert(format!("{section}.{key}"));
        }
    }
    assert_eq!(documented_keys("\n## Keys of `--web.config.file`"), keys);
}
