//! How other programs are run, and files read.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// Where `make deploy` puts the programs that Debian has not, or has too old.
const INSTALLED: &str = ".cache/deploy/python/bin";

/// A program of `make deploy`.
pub fn installed(program: &str) -> Command {
    let path = Path::new(INSTALLED).join(program);
    assert!(
        path.exists(),
        "{} is missing: `make deploy` installs it",
        path.display()
    );
    Command::new(path)
}

/// Runs it to its end.
pub fn run(command: &mut Command) -> Output {
    let program = command.get_program().to_owned();
    let output = command.stdin(Stdio::null()).output();
    output
        .unwrap_or_else(|error| panic!("{}: {error}; `make tools` installs it", program.display()))
}

/// What it prints; panics with what it says if it fails.
pub fn printed(command: &mut Command) -> String {
    let output = run(command);
    assert!(output.status.success(), "{command:?}\n{}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// All that it said.
pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

/// A line of the shell, run in the package's folder.
pub fn shell(line: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-e", "-c", line]);
    command
}

/// Ends the test with a clear line where it cannot work.
pub fn must_be_root() {
    let user = std::fs::metadata("/proc/self").unwrap().uid();
    assert_eq!(
        user, 0,
        "it mounts, and makes cgroups: run `make deploy` as root"
    );
}

/// The text of a file of this package.
pub fn text(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The file's YAML.
pub fn yaml(path: impl AsRef<Path>) -> Value {
    serde_saphyr::from_str(&text(path.as_ref()))
        .unwrap_or_else(|error| panic!("{}: {error}", path.as_ref().display()))
}

/// The files of a folder whose names end so, in order.
pub fn files(folder: &str, end: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries
        .filter(|path| path.to_str().unwrap().ends_with(end))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no {end} in {folder}");
    files
}
