//! Functions that run other programs and read files.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// Folder in which `make deploy` installs programs that Debian lacks or has only in old versions.
const TOOLS_FOLDER: &str = ".cache/deploy/python/bin";

/// Creates a command for a program that `make deploy` installs.
pub fn tool(program: &str) -> Command {
    let path = Path::new(TOOLS_FOLDER).join(program);
    assert!(
        path.exists(),
        "{} is missing: `make deploy` installs it",
        path.display()
    );
    Command::new(path)
}

/// Runs a command and returns its output.
pub fn run(command: &mut Command) -> Output {
    let program = command.get_program().to_owned();
    let output = command.stdin(Stdio::null()).output();
    output
        .unwrap_or_else(|error| panic!("{}: {error}; `make tools` installs it", program.display()))
}

/// Runs a command and returns its standard output; panics with all output if the command fails.
pub fn run_ok(command: &mut Command) -> String {
    let output = run(command);
    assert!(
        output.status.success(),
        "{command:?}\n{}",
        all_output(&output)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Returns standard output followed by standard error.
pub fn all_output(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

/// Creates a command that runs a shell line.
pub fn shell(line: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-e", "-c", line]);
    command
}

/// Panics if the test does not run as root.
pub fn assert_root() {
    let user = std::fs::metadata("/proc/self").unwrap().uid();
    assert_eq!(
        user, 0,
        "mounts and cgroups require root: run `make deploy` as root"
    );
}

/// Reads a file of this package.
pub fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Reads and parses a YAML file.
pub fn read_yaml(path: impl AsRef<Path>) -> Value {
    serde_saphyr::from_str(&read(path.as_ref()))
        .unwrap_or_else(|error| panic!("{}: {error}", path.as_ref().display()))
}

/// Returns the sorted files of a folder that have this suffix; panics if there are none.
pub fn files(folder: &str, suffix: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries
        .filter(|path| path.to_str().unwrap().ends_with(suffix))
        .collect();
    files.sort();
    assert!(
        !files.is_empty(),
        "no files with suffix {suffix} in {folder}"
    );
    files
}
