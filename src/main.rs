//! The program: parses the command line, runs the command, and returns its exit code.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{ArgMatches, CommandFactory, FromArgMatches};
use ringcentral_exporter::cli::{Cli, Command, ServeArgs, format_clap_error};
use ringcentral_exporter::commands::check::Check;
use ringcentral_exporter::commands::demo::Demo;
use ringcentral_exporter::commands::health::HealthCheck;
use ringcentral_exporter::config::{Config, ConfigError, Settings};
use ringcentral_exporter::reload::Reloader;
use ringcentral_exporter::shutdown::ShutdownSignals;
use ringcentral_exporter::{http, logging};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// The command could not run or has failed.
const EXIT_FAILURE: u8 = 1;
/// The flags or the configuration are invalid.
const EXIT_USAGE: u8 = 2;

/// A command with its validated configuration.
enum Mode {
    Serve(Config, Arc<Reloader>),
    Demo(Settings, Demo, Arc<Reloader>),
    Check(Check),
    Health(HealthCheck),
}

fn main() -> ExitCode {
    let matches = match Cli::command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) if error.use_stderr() => return usage_error(&format_clap_error(&error)),
        Err(help) => help.exit(),
    };
    let mode = match parse_mode(&matches) {
        Ok(mode) => mode,
        Err(error) => return usage_error(&error.to_string()),
    };
    run_to_exit_code(mode).unwrap_or_else(|error| {
        tracing::error!("{error:#}");
        ExitCode::from(EXIT_FAILURE)
    })
}

fn parse_mode(matches: &ArgMatches) -> Result<Mode, ConfigError> {
    let cli =
        Cli::from_arg_matches(matches).map_err(|error| ConfigError(format_clap_error(&error)))?;
    // Without a command the flags are those of `serve`.
    let flags = match matches.subcommand() {
        Some((_, flags)) => flags,
        None => matches,
    };
    let config = |args: ServeArgs| Config::new(flags, args.accounts_file, args.settings);
    match cli.command.unwrap_or(Command::Serve(cli.serve)) {
        Command::Serve(args) => {
            let config = config(args)?;
            let reloader = Reloader::new(&config.settings, config.accounts_file.clone())?;
            Ok(Mode::Serve(config, Arc::new(reloader)))
        }
        Command::Demo(args) => {
            let demo = Demo::new(&args)?;
            let settings = args.settings.validate()?;
            let reloader = Reloader::new(&settings, None)?;
            Ok(Mode::Demo(settings, demo, Arc::new(reloader)))
        }
        Command::Check(args) => {
            let config = config(args.serve.clone())?;
            Ok(Mode::Check(Check::new(&args, config)?))
        }
        Command::Health(args) => Ok(Mode::Health(HealthCheck::new(&args))),
    }
}

fn usage_error(message: &str) -> ExitCode {
    eprintln!("ringcentral-exporter: {message}");
    ExitCode::from(EXIT_USAGE)
}

/// Runs on one thread, since nearly all time is spent waiting. A DNS lookup that is still running
/// on a thread of its own does not delay the exit.
fn run_to_exit_code(mode: Mode) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(run(mode));
    runtime.shutdown_background();
    result
}

async fn run(mode: Mode) -> anyhow::Result<ExitCode> {
    match mode {
        Mode::Check(check) => Ok(match check.run().await {
            Ok(summary) if summary.is_ok() => ExitCode::SUCCESS,
            Ok(_) => ExitCode::from(EXIT_FAILURE),
            Err(error) => print_error(&error),
        }),
        Mode::Health(health) => Ok(match health.run().await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => print_error(&error),
        }),
        Mode::Serve(config, reloader) => {
            logging::init(config.settings.log);
            let listeners = http::listener::bind_all(&config.settings.web.listen_addresses)?;
            serve(config, reloader, listeners).await
        }
        Mode::Demo(settings, demo, reloader) => {
            logging::init(settings.log);
            let listeners = http::listener::bind_all(&settings.web.listen_addresses)?;
            let demo = demo.start(&listeners, reloader.access().scheme()).await?;
            serve(demo.config(settings)?, reloader, listeners).await
        }
    }
}

/// Prints the error of a command that has no log.
fn print_error(error: &anyhow::Error) -> ExitCode {
    eprintln!("ringcentral-exporter: {error:#}");
    ExitCode::from(EXIT_FAILURE)
}

async fn serve(
    config: Config,
    reloader: Arc<Reloader>,
    listeners: Vec<TcpListener>,
) -> anyhow::Result<ExitCode> {
    let signals = ShutdownSignals::register()?;
    reload_on_sighup(reloader.clone())?;
    let access = reloader.access();
    access.log_warnings();
    for listener in &listeners {
        tracing::info!(
            address = %listener.local_addr()?,
            version = env!("CARGO_PKG_VERSION"),
            tls = access.has_tls(),
            basic_auth = access.has_basic_auth(),
            "listening"
        );
    }
    tracing::info!("waiting for the first scrape");
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let stopped = async { drop(stopped.await) };
    let exporter = ringcentral_exporter::run(config, reloader, listeners, stopped);
    signals.run_until_shutdown(stop, exporter).await??;
    Ok(ExitCode::SUCCESS)
}

/// Spawns the task that reloads the configuration at each SIGHUP.
fn reload_on_sighup(reloader: Arc<Reloader>) -> io::Result<()> {
    let mut hangups = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            // The reloader logs the result.
            let _ = reloader.reload("SIGHUP");
        }
    });
    Ok(())
}
