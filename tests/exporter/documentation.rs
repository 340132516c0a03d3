//! Tests of the commands `completions` and `man`, which need no configuration.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use clap::CommandFactory;
use ringcentral_exporter::cli::Cli;

use crate::common::exporter_process::{command, output};

/// Runs a command that must succeed without a message, and returns what it prints.
async fn print(arguments: &[&str]) -> String {
    let (code, stdout, stderr) = output(command(arguments)).await;
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    stdout
}

/// Returns the flags of all commands, without the dashes.
fn flags() -> BTreeSet<String> {
    let mut flags = BTreeSet::new();
    for command in Cli::command().get_subcommands() {
        for argument in command.get_arguments() {
            flags.extend(argument.get_long().map(str::to_owned));
        }
    }
    assert!(flags.contains("scrape.max-age") && flags.contains("demo.seed"));
    flags
}

#[tokio::test]
async fn completions_contain_every_flag() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = print(&["completions", shell]).await;
        for flag in flags() {
            let flag = match shell {
                "fish" => format!(" -l {flag} "),
                _ => format!("--{flag}"),
            };
            assert!(script.contains(&flag), "{flag} for {shell}");
        }
    }
}

/// Completes the last word of a command line in bash.
async fn complete_in_bash(line: &str) -> BTreeSet<String> {
    let words: Vec<&str> = line.split(' ').collect();
    let (last, previous) = (words.len() - 1, words[words.len() - 2]);
    let script = format!(
        "{}\nCOMP_WORDS=({line}) COMP_CWORD={last}\n\
         _ringcentral__exporter ringcentral-exporter '{}' '{previous}'\n\
         printf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
        print(&["completions", "bash"]).await,
        words[last]
    );
    let output = Command::new("bash").arg("-c").arg(script).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty());
    let completions = String::from_utf8(output.stdout).unwrap();
    completions.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn bash_completes_commands_flags_and_shells() {
    for (line, expected) in [
        ("ringcentral-exporter de", "demo"),
        ("ringcentral-exporter --scrape.ma", "--scrape.max-age"),
        ("ringcentral-exporter demo --demo.sc", "--demo.scenario"),
        ("ringcentral-exporter completions zs", "zsh"),
    ] {
        let completions = complete_in_bash(line).await;
        assert_eq!(completions, BTreeSet::from([expected.to_owned()]), "{line}");
    }
}

#[tokio::test]
async fn unknown_or_missing_shell_is_an_error() {
    let shells = "bash or elvish or fish or powershell or zsh";
    let cases = [
        (
            vec!["completions", "tcsh"],
            format!("<SHELL>: invalid value \"tcsh\": expected {shells}"),
        ),
        (
            vec!["completions"],
            "the following required arguments were not provided: <SHELL>; see --help".to_owned(),
        ),
    ];
    for (arguments, message) in cases {
        let (code, stdout, stderr) = output(command(&arguments)).await;
        assert_eq!((code, stdout.as_str()), (Some(2), ""));
        assert_eq!(stderr, format!("ringcentral-exporter: {message}\n"));
    }
}

#[tokio::test]
async fn man_page_contains_every_command_and_flag() {
    let page = print(&["man"]).await;
    assert!(page.contains("\n.TH ringcentral-exporter 1 "));
    for section in [
        "NAME",
        "SYNOPSIS",
        "DESCRIPTION",
        "OPTIONS",
        "EXIT STATUS",
        "SECRETS",
        "VERSION",
    ] {
        let heading = format!("\n.SH {section}\n");
        assert_eq!(page.matches(&heading).count(), 1, "{section}");
    }
    for command in Cli::command().get_subcommands() {
        let heading = format!("\n.SH COMMAND {}\n", command.get_name());
        assert!(page.contains(&heading), "{heading}");
    }
    for flag in flags() {
        let option = format!("\n\\fB\\-\\-{}\\fR", flag.replace('-', "\\-"));
        assert!(page.contains(&option), "{flag}");
    }
    assert!(page.contains("\\fBRC_JWT_FILE\\fR"));
    for line in page.lines().filter(|line| line.starts_with('.')) {
        let macros = [
            ".SH", ".SS", ".TH", ".TP", ".RS", ".RE", ".br", ".ie", ".el",
        ];
        assert!(macros.iter().any(|name| line.starts_with(name)), "{line}");
    }
}

/// The reader of a pipe, such as `head`, may end early.
#[test]
fn closed_pipe_is_not_an_error() {
    for arguments in [vec!["man"], vec!["completions", "bash"]] {
        let mut program = Command::new(env!("CARGO_BIN_EXE_ringcentral-exporter"))
            .args(&arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(program.stdout.take());
        let output = program.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), stderr.as_str()), (Some(0), ""));
    }
}
