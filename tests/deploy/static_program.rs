//! The statically linked programs require no interpreter and no shared library, and that for arm64 runs emulated.

use std::process::Command;

use crate::common::exporter_process::{ExporterProcess, output};
use crate::common::get;
use crate::tools::{all_output, run, run_ok};

/// Path of the program that `make static-arm64` builds.
pub const ARM64_PROGRAM: &str =
    "target/static/aarch64-unknown-linux-musl/release/ringcentral-exporter";
/// Path of the program that `make static` builds.
pub const PROGRAM: &str = "target/static/x86_64-unknown-linux-musl/release/ringcentral-exporter";

/// Returns the headers of a program; panics if it needs an interpreter or a library.
fn static_headers(program: &str) -> String {
    let headers = run_ok(Command::new("readelf").args([
        "--file-header",
        "--program-headers",
        "--dynamic",
        "--wide",
        program,
    ]));
    assert!(!headers.contains("INTERP"), "{headers}");
    assert!(!headers.contains("(NEEDED)"), "{headers}");
    headers
}

#[test]
fn static_program_needs_no_interpreter_or_library() {
    let headers = static_headers(PROGRAM);
    // The dynamic section exists only because the program is position independent.
    assert!(headers.contains("NOW PIE"), "{headers}");
    let ldd = all_output(&run(Command::new("ldd").arg(PROGRAM)));
    assert!(ldd.contains("statically linked"), "{ldd}");
}

#[test]
fn arm64_program_needs_no_interpreter_or_library() {
    let headers = static_headers(ARM64_PROGRAM);
    assert!(headers.contains("AArch64"), "{headers}");
    // Rust links no position-independent static program for this target.
    assert!(headers.contains("There is no dynamic section"), "{headers}");
    let stack = headers
        .lines()
        .find(|line| line.contains("GNU_STACK"))
        .unwrap();
    assert!(stack.contains(" RW "), "{stack}");
}

/// Creates a command that runs the arm64 program, emulated.
fn emulated() -> tokio::process::Command {
    let mut command = tokio::process::Command::new("qemu-aarch64");
    command.arg(ARM64_PROGRAM).kill_on_drop(true);
    command
}

#[tokio::test]
async fn arm64_program_fetches_and_serves_when_emulated() {
    let mut demo = emulated();
    demo.args(["demo", "--web.listen-address", "127.0.0.1:0"]);
    let mut exporter = ExporterProcess::start(demo);
    let url = exporter.wait_for_url().await;
    let metrics = get(&format!("{url}/metrics")).await;
    assert!(
        metrics.contains("\nringcentral_up{account=\"default\"} 1\n"),
        "{metrics}"
    );
    exporter.signal("TERM").await;
    assert_eq!(exporter.wait_for_exit().await.code(), Some(0));
}

#[tokio::test]
async fn arm64_program_has_this_version() {
    let mut version = emulated();
    version.arg("--version");
    let (code, output, _) = output(version).await;
    let expected = format!("ringcentral-exporter {} (", env!("CARGO_PKG_VERSION"));
    assert_eq!(code, Some(0));
    assert!(output.starts_with(&expected), "{output}");
}

#[test]
fn dynamically_linked_program_is_detected() {
    let dynamic_program = env!("CARGO_BIN_EXE_ringcentral-exporter");
    let headers = run_ok(Command::new("readelf").args([
        "--program-headers",
        "--dynamic",
        "--wide",
        dynamic_program,
    ]));
    assert!(
        headers.contains("INTERP") && headers.contains("(NEEDED)"),
        "{headers}"
    );
}
