//! Passes the git revision and the compiler version to the program, for
//! `ringcentral_exporter_build_info` and `--version`.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=BUILD_REVISION");
    println!("cargo::rerun-if-changed=build.rs");
    for name in ["HEAD", "logs/HEAD"] {
        // Git knows where the file is: a worktree keeps it elsewhere, and a source archive has
        // none.
        if let Some(path) = first_line("git", &["rev-parse", "--git-path", name])
            && Path::new(&path).exists()
        {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    let revision = revision().unwrap_or("unknown".to_owned());
    println!("cargo::rustc-env=BUILD_REVISION={revision}");
    let rustc = rustc_version().unwrap_or("unknown".to_owned());
    println!("cargo::rustc-env=BUILD_RUSTC={rustc}");
    let version = env!("CARGO_PKG_VERSION");
    println!("cargo::rustc-env=BUILD_VERSION={version} (revision {revision}, rustc {rustc})");
}

/// Returns `BUILD_REVISION`, or the commit of this checkout. A source archive may lie in the
/// checkout of another project, whose commit is not meant.
fn revision() -> Option<String> {
    match std::env::var("BUILD_REVISION") {
        Ok(revision) if !revision.is_empty() => Some(revision),
        _ if Path::new(".git").exists() => first_line("git", &["rev-parse", "--short=12", "HEAD"]),
        _ => None,
    }
}

/// Returns the version number of the compiler.
fn rustc_version() -> Option<String> {
    let rustc = std::env::var("RUSTC").unwrap_or("rustc".to_owned());
    let line = first_line(&rustc, &["--version"])?;
    line.split(' ').nth(1).map(str::to_owned)
}

/// Returns the first line that a command prints, if the command exists and succeeds.
fn first_line(command: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(command).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.lines().next()?.trim();
    if output.status.success() && !line.is_empty() {
        Some(line.to_owned())
    } else {
        None
    }
}
