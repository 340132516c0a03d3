//! What the user typed.
//!
//! Owns: names and help texts of commands and flags. Every value is kept as it was written: `config` turns it into
//! what the program needs, and says what is wrong with it. Secrets have no flags, since a process list shows those.

#![allow(
    rustdoc::bare_urls,
    reason = "these docs are help texts, read in a terminal"
)]

use clap::{Args, Parser, Subcommand};

/// Prometheus exporter for the active calls of RingCentral accounts.
#[derive(Debug, Parser)]
#[command(
    name = "ringcentral-exporter",
    version,
    about,
    args_conflicts_with_subcommands = true
)]
#[command(
    after_help = "Secrets come from files or from RC_CLIENT_SECRET and RC_JWT, never from flags."
)]
pub struct Cli {
    /// What to do; `serve` if nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The flags of `serve`, which may stand without it.
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the exporter (the default).
    Serve(ServeArgs),
    /// Run the exporter against a simulated account: no credentials, no network.
    Demo(DemoArgs),
    /// Log in once, fetch once, and say in plain words what works and what to change.
    Check(CheckArgs),
    /// Ask the running exporter whether it is there, for a container's health check.
    Health(HealthArgs),
}

/// Flags of `serve`.
#[derive(Args, Clone, Debug, Default)]
pub struct ServeArgs {
    /// The account.
    #[command(flatten)]
    pub account: AccountArgs,
    /// File with several accounts, in place of the flags and variables about one
    #[arg(long = "config.file", value_name = "FILE")]
    pub accounts_file: Option<String>,
    /// Everything else.
    #[command(flatten)]
    pub common: SettingsArgs,
}

/// Flags of `check`.
#[derive(Args, Clone, Debug, Default)]
pub struct CheckArgs {
    /// Check this account alone
    #[arg(long = "account", value_name = "NAME")]
    pub account: Option<String>,
    /// Print what a scrape would have got, and the words to standard error
    #[arg(long = "print-metrics")]
    pub print_metrics: bool,
    /// The flags of `serve`.
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// Flags of `health`.
#[derive(Args, Clone, Debug, Default)]
pub struct HealthArgs {
    /// As the exporter has it; of several the first is asked [default: :10072]
    #[arg(long = "web.listen-address", value_name = "ADDRESS")]
    pub listen_address: Vec<String>,
    /// As the exporter has it; with TLS it is asked by https, and the certificate is not verified
    #[arg(long = "web.config.file", value_name = "FILE")]
    pub web_config_file: Option<String>,
}

/// Flags of `demo`.
#[derive(Args, Clone, Debug, Default)]
pub struct DemoArgs {
    /// What happens at the simulated account: normal, surge, outage, throttled or huge.
    #[arg(long = "demo.scenario", value_name = "NAME", default_value = "normal")]
    pub scenario: String,
    /// Another seed gives another company.
    #[arg(long = "demo.seed", value_name = "NUMBER", default_value = "1")]
    pub seed: String,
    /// Where the simulated account listens.
    #[arg(
        id = "demo_listen_address",
        long = "demo.listen-address",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:0"
    )]
    pub listen_address: String,
    /// Everything else.
    #[command(flatten)]
    pub common: SettingsArgs,
}

/// Flags about the account. Each has a variable of the same meaning.
#[derive(Args, Clone, Debug, Default)]
pub struct AccountArgs {
    /// RingCentral's API server [env: RC_SERVER_URL] [default: https://platform.ringcentral.com]
    #[arg(long = "ringcentral.server-url", value_name = "URL")]
    pub server_url: Option<String>,
    /// Client id of the app [env: RC_CLIENT_ID]
    #[arg(long = "ringcentral.client-id", value_name = "ID")]
    pub client_id: Option<String>,
    /// File with the client secret of the app [env: RC_CLIENT_SECRET_FILE, or the secret in RC_CLIENT_SECRET]
    #[arg(long = "ringcentral.client-secret-file", value_name = "FILE")]
    pub client_secret_file: Option<String>,
    /// File with the user's JWT [env: RC_JWT_FILE, or the JWT in RC_JWT]
    #[arg(long = "ringcentral.jwt-file", value_name = "FILE")]
    pub jwt_file: Option<String>,
    /// Account id; ~ is the account of the JWT [env: RC_ACCOUNT_ID] [default: ~]
    #[arg(long = "ringcentral.account-id", value_name = "ID")]
    pub account_id: Option<String>,
    /// Value of the label `account` [env: RC_ACCOUNT_NAME] [default: default]
    #[arg(long = "ringcentral.account-name", value_name = "NAME")]
    pub account_name: Option<String>,
    /// `account`, or `extension` for the calls of the JWT's user alone [env: RC_LEVEL] [default: account]
    #[arg(long = "ringcentral.level", value_name = "LEVEL")]
    pub level: Option<String>,
    /// Calls that the account can hold at once [env: RC_CONCURRENT_CALLS_LIMIT]
    #[arg(long = "ringcentral.concurrent-calls-limit", value_name = "NUMBER")]
    pub concurrent_calls_limit: Option<String>,
    /// PEM file with further root certificates, for a company proxy [env: RC_CA_FILE]
    #[arg(long = "ringcentral.ca-file", value_name = "FILE")]
    pub ca_file: Option<String>,
}

/// Flags of both commands.
#[derive(Args, Clone, Debug, Default)]
pub struct SettingsArgs {
    /// Where to listen; repeatable [default: :10072, all interfaces]
    #[arg(long = "web.listen-address", value_name = "ADDRESS")]
    pub listen_address: Vec<String>,
    /// Path of the metrics
    #[arg(
        long = "web.telemetry-path",
        value_name = "PATH",
        default_value = "/metrics"
    )]
    pub telemetry_path: String,
    /// File with TLS, login and headers, in the form of Prometheus' exporter-toolkit [default: plain HTTP, no login]
    #[arg(long = "web.config.file", value_name = "FILE")]
    pub web_config_file: Option<String>,
    /// Let POST /-/reload re-read the files; SIGHUP always does
    #[arg(long = "web.enable-lifecycle")]
    pub enable_lifecycle: bool,
    /// What the label `extension` shows: number, id or off
    #[arg(
        long = "metrics.extension-label",
        value_name = "WHAT",
        default_value = "number"
    )]
    pub extension_label: String,
    /// Show names, types and states of extensions: personal data
    #[arg(long = "metrics.extension-info")]
    pub extension_info: bool,
    /// Count ended calls by extension
    #[arg(long = "metrics.extension-calls")]
    pub extension_calls: bool,
    /// Distinct values of the label `extension`; later ones are `other`
    #[arg(
        long = "metrics.max-extensions",
        value_name = "NUMBER",
        default_value = "10000"
    )]
    pub max_extensions: String,
    /// Least time between two fetches; auto is as short as the API's limit allows
    #[arg(
        long = "scrape.min-interval",
        value_name = "DURATION",
        default_value = "auto"
    )]
    pub min_interval: String,
    /// Answer this much before Prometheus gives up
    #[arg(
        long = "scrape.timeout-offset",
        value_name = "DURATION",
        default_value = "500ms"
    )]
    pub timeout_offset: String,
    /// Show the last snapshot for at most this long while fetches fail
    #[arg(long = "scrape.max-age", value_name = "DURATION", default_value = "2m")]
    pub max_age: String,
    /// error, warn, info, debug or trace
    #[arg(long = "log.level", value_name = "LEVEL", default_value = "info")]
    pub log_level: String,
    /// logfmt or json
    #[arg(long = "log.format", value_name = "FORMAT", default_value = "logfmt")]
    pub log_format: String,
}

/// What clap has to say about a mistake, in one line.
#[must_use]
pub fn format_clap_error(error: &clap::Error) -> String {
    let text = error.to_string();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let what = lines
        .next()
        .unwrap_or_default()
        .trim_start_matches("error: ")
        .to_owned();
    let tip = lines.find_map(|line| line.strip_prefix("tip: "));
    match tip {
        _ if error.kind() == clap::error::ErrorKind::ArgumentConflict => {
            format!("{what}; flags stand after the command")
        }
        Some(tip) => format!("{what}; {tip}"),
        None => format!("{what}; --help lists what is accepted"),
    }
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
    fn every_flag_has_a_place_of_its_own() {
        Cli::command().debug_assert();
    }

    #[test]
    fn serve_may_be_left_out() {
        let bare = Cli::try_parse_from(["x", "--ringcentral.level", "extension"]).unwrap();
        assert_eq!(bare.serve.account.level.as_deref(), Some("extension"));
        let named =
            Cli::try_parse_from(["x", "serve", "--ringcentral.level", "extension"]).unwrap();
        assert!(
            matches!(named.command, Some(Command::Serve(args)) if args.account.level.is_some())
        );
    }

    #[test]
    fn flags_stand_after_the_command() {
        let error = Cli::try_parse_from(["x", "--log.level=debug", "demo"]).unwrap_err();
        assert!(
            format_clap_error(&error).ends_with("; flags stand after the command"),
            "{}",
            format_clap_error(&error)
        );
    }

    #[test]
    fn the_demo_knows_no_flags_about_the_account() {
        let error =
            Cli::try_parse_from(["x", "demo", "--ringcentral.level", "extension"]).unwrap_err();
        assert!(
            format_clap_error(&error)
                .starts_with("unexpected argument '--ringcentral.level' found")
        );
    }
}
