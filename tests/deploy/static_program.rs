//! The static program: one file that needs no other.

use std::process::Command;

use crate::tools::{all_output, run, run_ok};

/// Where `make static` writes it.
pub const PROGRAM: &str = "target/static/x86_64-unknown-linux-musl/release/ringcentral-exporter";

#[test]
fn it_asks_for_no_interpreter_and_no_library() {
    let headers =
        run_ok(Command::new("readelf").args(["--program-headers", "--dynamic", "--wide", PROGRAM]));
    assert!(!headers.contains("INTERP"), "{headers}");
    assert!(!headers.contains("(NEEDED)"), "{headers}");
    // What is dynamic in it is its own address, which the kernel chooses at each start.
    assert!(headers.contains("NOW PIE"), "{headers}");
    let said = all_output(&run(Command::new("ldd").arg(PROGRAM)));
    assert!(said.contains("statically linked"), "{said}");
}

#[test]
fn the_ordinary_program_does_so_the_look_is_sharp() {
    let ordinary = env!("CARGO_BIN_EXE_ringcentral-exporter");
    let headers = run_ok(Command::new("readelf").args([
        "--program-headers",
        "--dynamic",
        "--wide",
        ordinary,
    ]));
    assert!(
        headers.contains("INTERP") && headers.contains("(NEEDED)"),
        "{headers}"
    );
}
