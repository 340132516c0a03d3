//! The statically linked program requires no interpreter and no shared library.

use std::process::Command;

use crate::tools::{all_output, run, run_ok};

/// Path of the program that `make static` builds.
pub const PROGRAM: &str = "target/static/x86_64-unknown-linux-musl/release/ringcentral-exporter";

#[test]
fn static_program_needs_no_interpreter_or_library() {
    let headers =
        run_ok(Command::new("readelf").args(["--program-headers", "--dynamic", "--wide", PROGRAM]));
    assert!(!headers.contains("INTERP"), "{headers}");
    assert!(!headers.contains("(NEEDED)"), "{headers}");
    // The dynamic section exists only because the program is position independent.
    assert!(headers.contains("NOW PIE"), "{headers}");
    let ldd = all_output(&run(Command::new("ldd").arg(PROGRAM)));
    assert!(ldd.contains("statically linked"), "{ldd}");
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
