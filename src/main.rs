//! The program: parses the command line, runs the command, and returns its exit code.

use std::fmt::Display;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{ArgMatches, CommandFactory, FromArgMatches};
use ringcentral_exporter::cli::{Cli, Command, ServeArgs, format_clap_error};
use ringcentral_exporter::commands::check::Check;
use ringcentral_exporter::commands::demo::Demo;
use ringcentral_exporter::commands::documentation;
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

fn main() -> ExitCode {
    forbid_core_dumps();
    let code = run_command();
    logging::flush();
    code
}

/// Keeps secrets out of core dumps, also where a program collects these in spite of a limit, and keeps other processes of
/// the same user from reading the memory.
fn forbid_core_dumps() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

fn run_command() -> ExitCode {
    let matches = match Cli::command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) if error.use_stderr() => {
            return print_error(&format_clap_error(&error), EXIT_USAGE);
        }
        Err(help) => help.exit(),
    };
    let error = match run_to_end(&matches) {
        Ok(code) => return code,
        Err(error) => error,
    };
    if let Some(error) = error.downcast_ref::<ConfigError>() {
        return print_error(error, EXIT_USAGE);
    }
    if matches!(matches.subcommand_name(), None | Some("serve" | "demo")) {
        tracing::error!("{error:#}");
        return ExitCode::from(EXIT_FAILURE);
    }
    print_error(&format!("{error:#}"), EXIT_FAILURE)
}

/// Prints the error of a command that has no log.
fn print_error(message: &dyn Display, code: u8) -> ExitCode {
    logging::print_line(&format!("ringcentral-exporter: {message}"));
    ExitCode::from(code)
}

/// Maximum number of tokio's threads for blocking tasks, which look up names. The systemd unit allows 16 tasks: these 8,
/// the main thread, the log writer, 2 that verify passwords, 2 that parse responses, and `kill` of a reload are 15.
const MAX_LOOKUP_THREADS: usize = 8;

/// Runs on one thread, since nearly all time is spent waiting. A DNS lookup that is still running
/// on a thread of its own does not delay the exit.
fn run_to_end(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(MAX_LOOKUP_THREADS)
        .build()?;
    let result = runtime.block_on(run(matches));
    runtime.shutdown_background();
    result
}

async fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
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
            let listeners = listen(&config.settings)?;
            serve(config, reloader, listeners).await?;
        }
        Command::Demo(args) => {
            let demo = Demo::new(&args)?;
            let settings = args.settings.validate()?;
            let reloader = Reloader::new(&settings, None)?;
            let listeners = listen(&settings)?;
            let demo = demo.start(&listeners, reloader.access().scheme()).await?;
            serve(demo.config(settings)?, reloader, listeners).await?;
        }
        Command::Check(args) => {
            let config = config(args.serve.clone())?;
            let summary = Check::new(&args, config)?.run().await?;
            if !summary.is_ok() {
                return Ok(ExitCode::from(EXIT_FAILURE));
            }
        }
        Command::Health(args) => HealthCheck::new(&args).run().await?,
        Command::Completions { shell } => documentation::print_completions(shell)?,
        Command::Man => documentation::print_man_page()?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Starts the log and binds the addresses.
fn listen(settings: &Settings) -> anyhow::Result<Vec<TcpListener>> {
    logging::init(settings.log);
    http::listener::bind_all(&settings.web.listen_addresses)
}

async fn serve(
    config: Config,
    reloader: Reloader,
    listeners: Vec<TcpListener>,
) -> anyhow::Result<()> {
    let reloader = Arc::new(reloader);
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
    signals.run_until_shutdown(stop, exporter).await?
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
