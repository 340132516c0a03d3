//! A lower bound for the work of a scrape: a thread fetches the pages with `reqwest` and counts them with `serde_json`.
//!
//! It has no budget, deadline, metrics or HTTP server.

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::thread;

use flate2::read::MultiGzDecoder;
use reqwest::Client;
use ringcentral_exporter::ringcentral::transport::http_client;
use ringcentral_exporter::simulator::Simulator;
use serde::Deserialize;
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot};

use crate::process_stats::{thread_cpu_ms, thread_id};

pub fn http() -> Client {
    http_client(&"http://127.0.0.1".parse().unwrap(), None).unwrap()
}

/// A thread that fetches an account's pages on request.
pub struct Floor {
    thread_id: u32,
    orders: mpsc::UnboundedSender<oneshot::Sender<usize>>,
}

impl Floor {
    pub async fn start(account: &Simulator) -> Floor {
        let (orders, mut inbox) = mpsc::unbounded_channel::<oneshot::Sender<usize>>();
        let (started, wait_for_start) = oneshot::channel();
        let (url, bearer) = (account.url(), log_in(account).await);
        thread::spawn(move || {
            started.send(thread_id()).unwrap();
            Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap()
                .block_on(async {
                    let http = http();
                    while let Some(done) = inbox.recv().await {
                        done.send(fetch_all(&http, &url, &bearer).await).unwrap();
                    }
                });
        });
        Floor {
            thread_id: wait_for_start.await.unwrap(),
            orders,
        }
    }

    /// Fetches and counts the list, and returns the number of live sessions.
    pub async fn fetch_all(&self) -> usize {
        let (done, wait) = oneshot::channel();
        self.orders.send(done).unwrap();
        wait.await.unwrap()
    }

    pub fn cpu_ms(&self) -> f64 {
        thread_cpu_ms(self.thread_id)
    }
}

async fn log_in(account: &Simulator) -> String {
    let login = http().post(format!("{}/restapi/oauth/token", account.url()));
    let login = login.basic_auth(account.client_id(), Some(account.client_secret()));
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
        ("assertion", &account.jwt()),
    ];
    let reply = login
        .form(&form)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let reply: serde_json::Value = serde_json::from_str(&reply).unwrap();
    reply["access_token"].as_str().unwrap().to_owned()
}

async fn fetch_all(http: &Client, url: &str, bearer: &str) -> usize {
    let mut next = Some(format!(
        "{url}/restapi/v1.0/account/~/active-calls?view=Simple&perPage=1000"
    ));
    let mut counts = HashMap::new();
    let mut sessions = HashSet::new();
    while let Some(url) = next {
        let request = http
            .get(url)
            .bearer_auth(bearer)
            .header("Accept-Encoding", "gzip");
        let zipped = request.send().await.unwrap().bytes().await.unwrap();
        let mut body = Vec::new();
        MultiGzDecoder::new(&zipped[..])
            .read_to_end(&mut body)
            .unwrap();
        let page: Page<'_> = serde_json::from_slice(&body).unwrap();
        page.records
            .iter()
            .for_each(|record| record.count(&mut counts, &mut sessions));
        next = page
            .navigation
            .and_then(|navigation| navigation.next_page)
            .map(|page| page.uri.to_owned());
    }
    sessions.len()
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    records: Vec<Record<'a>>,
    navigation: Option<Navigation<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Navigation<'a> {
    #[serde(borrow)]
    next_page: Option<NextPage<'a>>,
}

#[derive(Deserialize)]
struct NextPage<'a> {
    uri: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    direction: &'a str,
    result: &'a str,
    session_id: &'a str,
    telephony_session_id: Option<&'a str>,
    extension: Option<Extension>,
}

#[derive(Deserialize)]
struct Extension {
    id: u64,
}

impl Record<'_> {
    fn count(
        &self,
        counts: &mut HashMap<(String, String, u64), u32>,
        sessions: &mut HashSet<String>,
    ) {
        let extension = self.extension.as_ref().map_or(0, |extension| extension.id);
        *counts
            .entry((self.direction.to_owned(), self.result.to_owned(), extension))
            .or_default() += 1;
        if self.result == "In Progress" {
            sessions.insert(
                self.telephony_session_id
                    .unwrap_or(self.session_id)
                    .to_owned(),
            );
        }
    }
}
