//! Parse, start logging, call the library, turn an error into an exit code.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use ringcentral_exporter::cli::{Cli, Command, format_clap_error};
use ringcentral_exporter::commands::check::Check;
use ringcentral_exporter::commands::demo::Demo;
use ringcentral_exporter::commands::health::HealthCheck;
use ringcentral_exporter::config::{Config, ConfigError, Settings};
use ringcentral_exporter::reload::Reloader;
use ringcentral_exporter::shutdown::Signals;
use ringcentral_exporter::{http, logging};
use tokio::net::TcpListener;

/// Could not run.
const FAILED: u8 = 1;
/// Bad flags or configuration.
const MISUSED: u8 = 2;

/// What to run.
enum Plan {
    Serve(Box<Config>, Arc<Reloader>),
    Demo(Box<(Settings, Demo)>, Arc<Reloader>),
    Check(Box<Check>),
    Health(HealthCheck),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => return misused(&format_clap_error(&error)),
        Err(help) => help.exit(),
    };
    let plan = match plan(cli) {
        Ok(plan) => plan,
        Err(error) => return misused(&error.to_string()),
    };
    match start(plan) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FAILED),
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::from(FAILED)
        }
    }
}

fn plan(cli: Cli) -> Result<Plan, ConfigError> {
    let variable = |name: &str| std::env::var_os(name);
    let serve = |config: Config| {
        let reloader = Reloader::new(&config.settings, config.accounts_file.clone())?;
        Ok(Plan::Serve(Box::new(config), Arc::new(reloader)))
    };
    match cli.command {
        Some(Command::Demo(args)) => {
            let common = Settings::new(&args.common)?;
            let reloader = Reloader::new(&common, None)?;
            Ok(Plan::Demo(
                Box::new((common, Demo::new(&args)?)),
                Arc::new(reloader),
            ))
        }
        Some(Command::Check(args)) => {
            let config = Config::new(&args.serve, &variable)?;
            Ok(Plan::Check(Box::new(Check::new(&args, config)?)))
        }
        Some(Command::Health(args)) => Ok(Plan::Health(HealthCheck::new(&args)?)),
        Some(Command::Serve(args)) => serve(Config::new(&args, &variable)?),
        None => serve(Config::new(&cli.serve, &variable)?),
    }
}

fn misused(line: &str) -> ExitCode {
    eprintln!("ringcentral-exporter: {line}");
    ExitCode::from(MISUSED)
}

/// One thread is enough: nearly all time is spent waiting. A name that is still being looked up, on a thread of its own,
/// is not waited for at the end. Says whether all went well.
fn start(plan: Plan) -> anyhow::Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(run(plan));
    runtime.shutdown_background();
    result
}

async fn run(plan: Plan) -> anyhow::Result<bool> {
    match plan {
        Plan::Check(check) => Ok(told(check.run().await.map(|summary| summary.is_ok()))),
        Plan::Health(health) => Ok(told(health.run().await.map(|()| true))),
        Plan::Serve(config, reloader) => {
            logging::init(config.settings.log);
            let listeners = http::listener::bind_all(&config.settings.web.listen_addresses)?;
            serve(*config, reloader, listeners).await
        }
        Plan::Demo(plan, reloader) => {
            let (common, demo) = *plan;
            logging::init(common.log);
            let listeners = http::listener::bind_all(&common.web.listen_addresses)?;
            let demo = demo.start(&listeners, reloader.access().scheme()).await?;
            serve(demo.config(common)?, reloader, listeners).await
        }
    }
}

/// What has no log says on standard error why it could not be done.
fn told(result: anyhow::Result<bool>) -> bool {
    result.unwrap_or_else(|why| {
        eprintln!("ringcentral-exporter: {why:#}");
        false
    })
}

async fn serve(
    config: Config,
    reloader: Arc<Reloader>,
    listeners: Vec<TcpListener>,
) -> anyhow::Result<bool> {
    let hung_up = reloader.clone();
    let signals = Signals::register(move || drop(hung_up.reload("SIGHUP")))?;
    let door = reloader.access();
    door.log_warnings();
    let (stop, stopped) = tokio::sync::oneshot::channel();
    for listener in &listeners {
        let (address, version) = (listener.local_addr()?, env!("CARGO_PKG_VERSION"));
        tracing::info!(%address, version, tls = door.has_tls(), login = door.has_basic_auth(), "listening");
    }
    let stopped = async { drop(stopped.await) };
    signals
        .run_until_shutdown(
            stop,
            ringcentral_exporter::run(config, reloader, listeners, stopped),
        )
        .await??;
    Ok(true)
}
