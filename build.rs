//! Tells the binary what it was built from: `ringcentral_exporter_build_info`.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=BUILD_REVISION");
    println!("cargo::rerun-if-changed=build.rs");
    for name in ["HEAD", "logs/HEAD"] {
        // Where git keeps it: a worktree has it elsewhere, and an archive nowhere.
        if let Some(path) = first_line("git", &["rev-parse", "--git-path", name])
            .filter(|path| Path::new(path).exists())
        {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    let given = std::env::var("BUILD_REVISION")
        .ok()
        .filter(|revision| !revision.is_empty());
    let revision = given.or_else(|| Path::new(".git").exists().then(revision)?);
    println!(
        "cargo::rustc-env=BUILD_REVISION={}",
        revision.as_deref().unwrap_or("unknown")
    );
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let version = first_line(&rustc, &["--version"]);
    let number = version
        .as_deref()
        .and_then(|version| version.split(' ').nth(1));
    println!(
        "cargo::rustc-env=BUILD_RUSTC={}",
        number.unwrap_or("unknown")
    );
}

/// The commit, if this is its checkout and not an archive that lies in another one.
fn revision() -> Option<String> {
    first_line("git", &["rev-parse", "--short=12", "HEAD"])
}

/// The first line that a command prints; none where there is no such command, as in a build from an archive.
fn first_line(command: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(command).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.lines().next()?.trim();
    (output.status.success() && !line.is_empty()).then(|| line.to_owned())
}
