//! A test of the limit on tasks in the systemd unit, `TasksMax=16`, while lookups of names hang.

use std::fmt::Write as _;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use crate::common::MAX_WAIT;
use crate::common::exporter_process::{ExporterProcess, binary};
use crate::curl::curl;
use crate::pki::Pki;

/// A user without other processes. The limit does not apply to root.
const UID: u32 = 64_123;
/// A name server that does not answer, in a `resolv.conf` that only the exporter sees.
const NAME_SERVER: &str = "127.0.0.99";
const USERS: usize = 4;

/// Writes the configuration of 30 accounts on 30 servers, and of users with cheap passwords.
fn write_config(pki: &Pki) {
    let mut accounts = "accounts:\n".to_owned();
    for n in 0..30 {
        writeln!(
            accounts,
            "- {{name: a{n}, server_url: 'https://rc{n}.example', client_id: id, client_secret_file: secret, jwt_file: secret}}"
        )
        .unwrap();
    }
    let hash = bcrypt::hash("sesame", 4).unwrap();
    let mut users = "basic_auth_users:\n".to_owned();
    for n in 0..USERS {
        writeln!(users, "  user{n}: {hash}").unwrap();
    }
    pki.write("accounts.yml", &accounts);
    pki.write("web.yml", &users);
    pki.write("secret", "secret\n");
    pki.write("resolv.conf", &format!("nameserver {NAME_SERVER}\n"));
    pki.run("chmod 755 .; chmod 644 accounts.yml web.yml secret resolv.conf");
}

fn start(pki: &Pki) -> ExporterProcess {
    let mut command = Command::new("unshare");
    let limited = format!(
        "mount --bind {}/resolv.conf /etc/resolv.conf
        exec prlimit --nproc=16:16 setpriv --reuid={UID} --regid={UID} --clear-groups \"$0\" \"$@\"",
        pki.folder().display()
    );
    command.args(["--mount", "sh", "-euc", &limited]);
    command.arg(binary()).args([
        "--config.file",
        &pki.arg("accounts.yml"),
        "--web.config.file",
        &pki.arg("web.yml"),
        "--web.listen-address=127.0.0.1:0",
    ]);
    command.kill_on_drop(true);
    ExporterProcess::start(command)
}

#[tokio::test]
async fn hanging_lookups_leave_tasks_for_passwords() {
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        eprintln!("skipped: only root can start a process as another user");
        return;
    }
    let name_server = UdpSocket::bind((NAME_SERVER, 53)).await.unwrap();
    let pki = Pki::new();
    write_config(&pki);
    let mut process = start(&pki);
    let url = process.wait_for_url().await;
    let scrape = {
        let url = format!("{url}/metrics");
        tokio::spawn(async move { curl(&["--user", "user0:sesame", &url]).await })
    };
    let asked = timeout(MAX_WAIT, name_server.recv(&mut [0; 512])).await;
    asked.expect("no lookup").unwrap();
    // All lookups are queued, and their threads are started.
    sleep(Duration::from_secs(1)).await;
    for n in 1..USERS {
        let user = format!("user{n}:sesame");
        let response = curl(&["--user", &user, &format!("{url}/-/metrics")]).await;
        assert_eq!(response.status, 200, "{response:?}");
        // The program, the log writer and eight lookups; the password's thread may still end.
        let threads = response.value("process_threads");
        assert!((10.0..=11.0).contains(&threads), "{threads} threads");
    }
    assert!(!scrape.is_finished(), "the lookups did not hang");
    scrape.abort();
}
