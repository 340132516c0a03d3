//! Tests of a log that is not read, or that cannot be written.

use std::fs::OpenOptions;
use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::process::Stdio;
use std::thread;

use ringcentral_exporter::config::{Log, LogFormat};
use ringcentral_exporter::logging;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

use crate::common::background_process::url_from_log;
use crate::common::exporter_process::{ExporterProcess, command};
use crate::common::http;

/// Enough accounts that their log lines of one failed scrape fill the pipe and the buffers of the exporter.
const ACCOUNTS: usize = 2_000;
/// Enough accounts that their log lines fill the pipe.
const FEW_ACCOUNTS: usize = 300;
/// The size of an empty pipe on Linux, in bytes.
const PIPE_SIZE: usize = 64 * 1024;

/// Writes a file with accounts whose server refuses connections.
fn write_accounts(count: usize) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut accounts = "accounts:\n".to_owned();
    for n in 0..count {
        accounts += &format!(
            "- {{name: a{n}, client_id: c{n}, client_secret_file: s, jwt_file: s, server_url: 'http://127.0.0.1:1'}}\n"
        );
    }
    std::fs::write(folder.path().join("accounts.yml"), accounts).unwrap();
    std::fs::write(folder.path().join("s"), "e30.e30.e30\n").unwrap();
    folder
}

/// Starts an exporter whose accounts all fail.
fn start_failing(folder: &TempDir) -> ExporterProcess {
    let file = folder.path().join("accounts.yml");
    ExporterProcess::start(command(&[
        "--web.listen-address=127.0.0.1:0",
        // Each account fails once, also on a slow machine.
        "--scrape.min-interval=1m",
        "--config.file",
        file.to_str().unwrap(),
    ]))
}

/// Scrapes until `count` accounts have failed.
async fn scrape_until_failed(url: &str, count: usize) {
    loop {
        let metrics = get(&format!("{url}/metrics")).await;
        let failed = |line: &&str| line.contains("reason=\"connect\"") && !line.ends_with(" 0");
        if metrics.lines().filter(failed).count() == count {
            return;
        }
    }
}

async fn get(url: &str) -> String {
    let response = http().get(url).send().await.unwrap();
    assert_eq!(response.status(), 200, "{url}");
    response.text().await.unwrap()
}

/// Reads up to a line that contains `text`.
async fn read_line_with(output: impl AsyncRead + Unpin, text: &str) -> String {
    let mut lines = BufReader::new(output).lines();
    loop {
        let line = lines.next_line().await.unwrap().unwrap();
        if line.contains(text) {
            return line;
        }
    }
}

/// Returns a pipe that is full.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = pipe().unwrap();
    writer.write_all(&[b'\n'; PIPE_SIZE]).unwrap();
    (reader, writer)
}

#[tokio::test]
async fn unread_log_delays_nothing_and_counts_drops() {
    let folder = write_accounts(ACCOUNTS);
    let mut program = start_failing(&folder);
    let url = program.wait_for_url().await;
    scrape_until_failed(&url, ACCOUNTS).await;
    assert_eq!(get(&format!("{url}/-/healthy")).await, "healthy\n");
    let counted = program.wait_for_log("log lines were dropped").await;
    assert!(counted.contains("level=warn"), "{counted}");
    let (_, dropped) = counted.trim_end().rsplit_once("dropped=").unwrap();
    let dropped: usize = dropped.parse().unwrap();
    program.signal("TERM").await;
    assert_eq!(program.wait_for_exit().await.code(), Some(0));
    let failed = program.log.matches("\"fetch failed\"").count();
    assert!(failed > 0 && dropped > 0);
    assert_eq!(failed + dropped, ACCOUNTS);
    assert_eq!(program.log.matches("were dropped").count(), 1);
    let times: Vec<_> = program.log.lines().map(|line| &line[..27]).collect();
    assert!(times.is_sorted());
    assert!(program.log.lines().last().unwrap().contains("stopping"));
}

#[tokio::test]
async fn unread_log_does_not_hold_the_exit() {
    let folder = write_accounts(FEW_ACCOUNTS);
    let mut program = start_failing(&folder);
    let url = program.wait_for_url().await;
    scrape_until_failed(&url, FEW_ACCOUNTS).await;
    program.signal("TERM").await;
    assert_eq!(program.wait_for_exit().await.code(), Some(0));
}

#[tokio::test]
async fn full_pipe_does_not_hold_an_error_exit() {
    for (arguments, expected) in [
        (&["--log.level=loud"][..], 2),
        (&["health", "--web.listen-address=127.0.0.1:1"], 1),
        (&["demo", "--web.listen-address=192.0.2.1:1"], 1),
    ] {
        let (_reader, writer) = full_pipe();
        let mut program = command(arguments);
        let mut program = program.stderr(writer).spawn().unwrap();
        let status = program.wait().await.unwrap();
        assert_eq!(status.code(), Some(expected), "{arguments:?}");
    }
}

#[tokio::test]
async fn demo_starts_although_no_output_is_read() {
    let (_reader, writer) = full_pipe();
    let mut program = command(&["demo", "--web.listen-address=127.0.0.1:0"]);
    let mut program = program
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let listening = read_line_with(program.stderr.take().unwrap(), "listening").await;
    let url = url_from_log(&listening);
    assert_eq!(get(&format!("{url}/-/healthy")).await, "healthy\n");
}

#[tokio::test]
async fn log_that_cannot_be_written_is_no_failure() {
    let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
    let closed = || pipe().unwrap().1;
    for stderr in [Stdio::from(full()), Stdio::from(closed()), Stdio::null()] {
        let mut program = command(&["demo", "--web.listen-address=127.0.0.1:0"]);
        let mut program = program
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .unwrap();
        let url = read_line_with(program.stdout.take().unwrap(), "http://").await;
        let metrics = get(&format!("{}metrics", url.trim_end())).await;
        assert!(metrics.contains("ringcentral_up"), "{metrics}");
    }
}

/// A pipe that another process has set to non-blocking refuses bytes until it is read.
#[tokio::test]
async fn non_blocking_pipe_loses_no_line() {
    let (mut reader, writer) = full_pipe();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    let mut command = command(&["--log.level=loud"]);
    let mut program = command.stderr(writer).spawn().unwrap();
    // The command has the pipe open too.
    drop(command);
    let log = thread::spawn(move || {
        let mut log = String::new();
        reader.read_to_string(&mut log).unwrap();
        log
    });
    assert_eq!(program.wait().await.unwrap().code(), Some(2));
    let log = log.join().unwrap();
    assert!(log.contains("--log.level: invalid value"), "{log}");
}

#[tokio::test]
async fn panic_is_logged_and_ends_with_a_full_pipe() {
    let panicking = || {
        let mut child = tokio::process::Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "log::panic_for_another_test", "--ignored"]);
        child.stdout(Stdio::null());
        child
    };
    let output = panicking().output().await.unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(log.contains("level=error"), "{log}");
    assert!(log.contains("error=\"sesame\\nopen\""), "{log}");
    assert!(log.contains("location=tests/exporter/log.rs:"), "{log}");
    let (_reader, writer) = full_pipe();
    let mut child = panicking().stderr(writer).spawn().unwrap();
    assert!(!child.wait().await.unwrap().success());
}

#[test]
#[ignore = "run by panic_is_logged_and_ends_with_a_full_pipe"]
fn panic_for_another_test() {
    logging::init(Log {
        level: tracing::Level::INFO,
        format: LogFormat::Logfmt,
    });
    panic!("sesame\nopen");
}
