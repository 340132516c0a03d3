//! The command line: commands and their flags.
//!
//! The flags that configure the exporter are declared in [`config`](crate::config), next to their
//! validation. Secrets have no flags, since a process list shows those.

#![allow(
    rustdoc::bare_urls,
    reason = "these docs are help texts, read in a terminal"
)]

use std::error::Error;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::config::setting::{ParseResult, Setting, parse_listen_address, parse_path};
use crate::config::{AccountArgs, PresenceMode, Settings, parse_presence};
use crate::secret;

/// Prometheus exporter for the active calls of RingCentral accounts.
#[derive(Debug, Parser)]
#[command(
    name = "ringcentral-exporter",
    version = env!("BUILD_VERSION"),
    about,
    args_conflicts_with_subcommands = true
)]
#[command(
    after_help = "Secrets come from files or from RC_CLIENT_SECRET and RC_JWT, never from flags."
)]
pub struct Cli {
    /// The command; default `serve`.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The flags of `serve` without the command.
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the exporter (the default)
    Serve(ServeArgs),
    /// Run the exporter against a simulated account, without credentials or network
    Demo(DemoArgs),
    /// Log in once, fetch once, and report what works and what to change
    Check(CheckArgs),
    /// Check that the exporter is running, for the health check of a container
    Health(HealthArgs),
    /// Print the completions of a shell
    Completions {
        /// The shell: bash, elvish, fish, powershell or zsh
        #[arg(value_name = "SHELL", hide_possible_values = true)]
        shell: Shell,
    },
    /// Print the manual page
    Man,
}

/// The flags of `serve`.
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    /// The account.
    #[command(flatten)]
    pub account: AccountArgs,
    /// File with several accounts, instead of the flags and variables of one
    #[arg(long = "config.file", value_name = "FILE", value_parser = parse_path)]
    pub accounts_file: Option<PathBuf>,
    /// Everything that is not about an account.
    #[command(flatten)]
    pub settings: Settings,
}

/// The flags of `check`.
#[derive(Args, Clone, Debug)]
pub struct CheckArgs {
    /// Check only this account
    #[arg(long = "account", value_name = "NAME")]
    pub account: Option<String>,
    /// Print the metrics of a scrape to standard output, and the report to standard error
    #[arg(long = "print-metrics")]
    pub print_metrics: bool,
    /// The flags of `serve`.
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// The flags of `health`.
#[derive(Args, Clone, Debug)]
pub struct HealthArgs {
    /// The exporter's address; of several the first is checked
    #[arg(long = "web.listen-address", value_name = "ADDRESS")]
    #[arg(default_value = ":10072", value_parser = parse_listen_address)]
    pub listen_address: Vec<String>,
    /// The exporter's file; with one, https is tried first, and the certificate is not verified
    #[arg(long = "web.config.file", value_name = "FILE")]
    pub web_config_file: Option<String>,
}

/// The flags of `demo`.
#[derive(Args, Clone, Debug)]
pub struct DemoArgs {
    /// Scenario of the simulated account: normal, surge, outage, throttled, huge, sequential, lossy or forbidden
    #[arg(long = "demo.scenario", value_name = "NAME", default_value = "normal")]
    pub scenario: String,
    /// Seed of the simulation; another seed gives another company
    #[arg(long = "demo.seed", value_name = "NUMBER")]
    #[arg(default_value = "1", value_parser = parse_seed)]
    pub seed: u64,
    /// Number of simulated accounts, from 1 to 100
    #[arg(long = "demo.accounts", value_name = "NUMBER")]
    #[arg(default_value = "1", value_parser = parse_account_count)]
    pub accounts: u16,
    /// Address on which the simulated account listens; further accounts use the next ports, or a free one each with port 0
    #[arg(id = "demo_listen_address", long = "demo.listen-address")]
    #[arg(value_name = "ADDRESS")]
    #[arg(default_value = "127.0.0.1:0", value_parser = parse_listen_address)]
    pub listen_address: String,
    /// Whether to read who rings, talks and is available: off, poll (at most once a minute) or events (in real time)
    #[arg(
        long = "ringcentral.presence",
        value_name = "off|poll|events",
        env = "RC_PRESENCE"
    )]
    #[arg(hide_env_values = true, default_value = "off", value_parser = parse_presence)]
    pub presence: PresenceMode,
    /// Everything that is not about an account.
    #[command(flatten)]
    pub settings: Settings,
}

fn parse_seed(text: &str) -> ParseResult<u64> {
    text.parse()
        .map_err(|_| "a whole number from 0 to 18446744073709551615")
}

fn parse_account_count(text: &str) -> ParseResult<u16> {
    match text.parse() {
        Ok(count @ 1..=100) => Ok(count),
        _ => Err("a whole number from 1 to 100"),
    }
}

/// Formats an error of the command line as one line without secrets.
#[must_use]
pub fn format_clap_error(error: &clap::Error) -> String {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.as_str(),
        _ => "",
    };
    let kind = error.kind();
    if matches!(kind, ErrorKind::InvalidValue | ErrorKind::ValueValidation) {
        let arg = context(ContextKind::InvalidArg);
        let (flag, value_name) = arg.split_once(' ').unwrap_or((arg, "a value"));
        let expected = match (error.source(), error.get(ContextKind::ValidValue)) {
            (Some(source), _) => source.to_string(),
            (None, Some(ContextValue::Strings(values))) => values.join(" or "),
            _ => "a value".to_owned(),
        };
        let setting = Setting::new(flag, context(ContextKind::InvalidValue));
        if kind == ErrorKind::InvalidValue && setting.value.is_empty() {
            let name = value_name.trim_matches(['<', '>']);
            let expected = if expected.is_empty() { name } else { &expected };
            return setting.invalid_redacted("missing value", expected).0;
        }
        return setting.invalid(&expected).0;
    }
    for kind in [
        ContextKind::InvalidSubcommand,
        ContextKind::InvalidArg,
        ContextKind::InvalidValue,
    ] {
        let argument = context(kind);
        if may_be_secret(argument) {
            let len = argument.len();
            return format!("unexpected argument of {len} bytes; see --help");
        }
    }
    if kind == ErrorKind::InvalidUtf8 {
        let origin = invalid_utf8_origin(std::env::args_os().skip(1));
        return format!("{origin}: invalid value: expected UTF-8 text");
    }
    let text = error.to_string();
    let mut lines = text.lines().map(str::trim);
    let message = lines.next().unwrap_or_default();
    let mut message = message.trim_start_matches("error: ").to_owned();
    if kind == ErrorKind::MissingRequiredArgument {
        message = format!("{message} {}", lines.next().unwrap_or_default());
    }
    let suggestion = lines.find_map(|line| line.strip_prefix("tip: "));
    let hint = match (kind, suggestion) {
        (ErrorKind::ArgumentConflict, _) if error.get(ContextKind::InvalidSubcommand).is_some() => {
            "flags belong after the command"
        }
        (_, Some(suggestion)) => suggestion,
        (_, None) => "see --help",
    };
    format!("{message}; {hint}")
}

/// Returns the flag whose value is not UTF-8. Without one it is the variable of the only flag that requires UTF-8: those
/// of the account are checked later.
fn invalid_utf8_origin(arguments: impl Iterator<Item = OsString>) -> String {
    let mut flag = None;
    for argument in arguments {
        let text = argument.to_string_lossy();
        let name = text.split('=').next().unwrap_or_default();
        let is_flag = |b: u8| b.is_ascii_lowercase() || b"-.".contains(&b);
        if name.starts_with("--") && name.bytes().all(is_flag) && !may_be_secret(name) {
            flag = Some(name.to_owned());
        }
        if argument.to_str().is_none() {
            return flag.unwrap_or_else(|| "an argument".to_owned());
        }
        if !text.starts_with("--") || text.contains('=') {
            flag = None;
        }
    }
    "STATE_DIRECTORY".to_owned()
}

/// Returns whether an unexpected argument may be a secret. Every flag is shorter than 40 bytes, and
/// no secret is shorter than 16.
fn may_be_secret(argument: &str) -> bool {
    let max_len = if argument.starts_with('-') { 40 } else { 16 };
    argument.len() > max_len || secret::may_be_secret(argument)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn no_flag_takes_a_secret() {
        let is_secret = |flag: &&str| {
            ["secret", "jwt", "password", "token"]
                .iter()
                .any(|word| flag.contains(word))
        };
        let command = Cli::command();
        let all = command
            .get_subcommands()
            .chain([&command])
            .flat_map(|command| command.get_arguments());
        let secrets: Vec<_> = all
            .filter_map(|argument| argument.get_long())
            .filter(is_secret)
            .collect();
        assert!(
            !secrets.is_empty() && secrets.iter().all(|flag| flag.ends_with("-file")),
            "{secrets:?}"
        );
    }

    #[test]
    fn flags_and_ids_are_unique() {
        Cli::command().debug_assert();
    }

    #[test]
    fn serve_is_the_default_command() {
        let file = Some(PathBuf::from("accounts.yml"));
        let bare = Cli::try_parse_from(["x", "--config.file=accounts.yml"]).unwrap();
        assert_eq!(bare.serve.accounts_file, file);
        let named = Cli::try_parse_from(["x", "serve", "--config.file=accounts.yml"]).unwrap();
        assert!(matches!(named.command, Some(Command::Serve(args)) if args.accounts_file == file));
    }

    #[test]
    fn argument_that_may_be_a_secret_is_redacted() {
        let jwt = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2VzYW1lc2VzYW1lc2VzYW1l";
        for argument in [
            jwt,
            &format!("--{jwt}"),
            &format!("--jwt={jwt}"),
            &format!("--web.enable-lifecycle={jwt}"),
            &format!("-{jwt}"),
            "--eyJhbGciOiJSUzI1NiJ9",
        ] {
            for arguments in [vec!["x", argument], vec!["x", "demo", argument]] {
                let error = Cli::try_parse_from(arguments).unwrap_err();
                let line = format_clap_error(&error);
                assert!(!line.contains("eyJ"), "{line}");
            }
        }
    }

    #[test]
    fn invalid_value_names_flag_value_and_expectation() {
        let cases = [
            (
                "--log.format=xml",
                r#"--log.format: invalid value "xml": expected logfmt or json"#,
            ),
            (
                "--metrics.max-extensions=0",
                r#"--metrics.max-extensions: invalid value "0": expected a whole number from 1 to 1000000"#,
            ),
        ];
        for (flag, expected) in cases {
            let error = Cli::try_parse_from(["x", flag]).unwrap_err();
            assert_eq!(format_clap_error(&error), expected);
        }
    }

    #[test]
    fn error_about_a_flag_names_what_is_wrong() {
        for (arguments, expected) in [
            (
                vec!["x", "--log.level"],
                "--log.level: missing value: expected LEVEL",
            ),
            (
                vec!["x", "--log.format"],
                "--log.format: missing value: expected logfmt or json",
            ),
            (
                vec!["x", "demo", "--demo.seed"],
                "--demo.seed: missing value: expected NUMBER",
            ),
            (
                vec!["x", "--log.level=info", "--log.level=warn"],
                "the argument '--log.level <LEVEL>' cannot be used multiple times; see --help",
            ),
        ] {
            let error = Cli::try_parse_from(arguments).unwrap_err();
            assert_eq!(format_clap_error(&error), expected);
        }
    }

    #[test]
    fn flag_with_a_value_that_is_not_utf8_is_named() {
        use std::os::unix::ffi::OsStringExt;
        for (arguments, expected) in [
            (vec!["--log.level=\u{80}"], "--log.level"),
            (vec!["serve", "--log.level", "\u{80}"], "--log.level"),
            (vec!["--log.level=info", "\u{80}"], "an argument"),
            (vec!["--log.level", "info", "\u{80}"], "an argument"),
            (vec!["sesame", "--\u{80}"], "an argument"),
            (vec!["serve"], "STATE_DIRECTORY"),
        ] {
            // Continuation bytes without their first byte.
            let arguments = arguments.iter().map(|text| {
                let bytes = text.bytes().filter(|byte| *byte != 0xc2);
                OsString::from_vec(bytes.collect())
            });
            assert_eq!(invalid_utf8_origin(arguments), expected);
        }
    }

    #[test]
    fn flags_before_the_command_are_an_error() {
        let error = Cli::try_parse_from(["x", "--log.level=debug", "demo"]).unwrap_err();
        assert!(
            format_clap_error(&error).ends_with("; flags belong after the command"),
            "{}",
            format_clap_error(&error)
        );
    }

    #[test]
    fn demo_rejects_account_flags() {
        let error =
            Cli::try_parse_from(["x", "demo", "--ringcentral.level", "extension"]).unwrap_err();
        assert!(
            format_clap_error(&error)
                .starts_with("unexpected argument '--ringcentral.level' found")
        );
    }
}
