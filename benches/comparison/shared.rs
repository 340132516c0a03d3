//! A scrape that fetches nothing, as by a second Prometheus, compared with a server that sends the same number of bytes.

use std::convert::Infallible;
use std::thread;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use reqwest::Client;
use ringcentral_exporter::simulator::{Operation, Simulator};
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

use crate::baseline::http;
use crate::process_stats::{process_cpu_ms, thread_cpu_ms, thread_id};
use crate::program::{Exporter, JAVASCRIPT, OURS, PYTHON, Program};
use crate::simulated::{Size, simulator};
use crate::stats::Times;

/// Settings with which the other exporters cache the list too.
const PATIENT: [Program; 3] = [
    Program {
        arguments: &["--scrape.min-interval=110s"],
        ..OURS
    },
    Program {
        variables: &[("CACHE_SECONDS", "110")],
        ..PYTHON
    },
    Program {
        variables: &[("CACHE_SECONDS", "110")],
        ..JAVASCRIPT
    },
];
const SCRAPES: usize = 2000;

const SIZES: [Size; 2] = [
    Size {
        wanted: 100,
        calls_per_minute: 17.0,
        extensions: 200,
        scrapes: SCRAPES,
    },
    Size {
        wanted: 1000,
        calls_per_minute: 167.0,
        extensions: 500,
        scrapes: SCRAPES,
    },
];

pub async fn table() {
    println!(
        "\n| a scrape that fetches nothing | bytes | median | 99th | CPU |\n|---|---|---|---|---|"
    );
    for size in &SIZES {
        rows(size).await;
    }
}

async fn rows(size: &Size) {
    let mut scrapers = Vec::new();
    for program in PATIENT {
        scrapers.push(RepeatedScraper::start(program, size).await);
    }
    let mut static_reply = Static::start(scrapers[0].text.clone()).await;
    let mut cpu: Vec<_> = scrapers.iter().map(|scraper| -scraper.cpu_ms()).collect();
    let static_cpu = static_reply.cpu_ms();
    for _ in 0..size.scrapes {
        static_reply.scrape().await;
        for scraper in &mut scrapers {
            scraper.scrape().await;
        }
    }
    let each = |cpu: f64| cpu / size.scrapes as f64;
    let static_cpu = each(static_reply.cpu_ms() - static_cpu);
    row(
        &format!("static reply, about {} records", size.wanted),
        scrapers[0].text.len(),
        &mut static_reply.times,
        static_cpu,
    );
    for (scraper, cpu) in scrapers.iter_mut().zip(&mut cpu) {
        *cpu += scraper.cpu_ms();
        assert_eq!(
            scraper.fetches(),
            1,
            "{} fetched once",
            scraper.program.name
        );
        row(
            scraper.program.name,
            scraper.text.len(),
            &mut scraper.times,
            each(*cpu),
        );
    }
}

fn row(name: &str, bytes: usize, times: &mut Times, cpu: f64) {
    println!(
        "| {name} | {bytes} | {:.2} ms | {:.2} ms | {cpu:.3} ms |",
        times.median(),
        times.quantile(0.99)
    );
}

/// An exporter that has fetched once and does not fetch again.
struct RepeatedScraper {
    program: Program,
    account: Simulator,
    exporter: Exporter,
    http: Client,
    text: String,
    times: Times,
}

impl RepeatedScraper {
    async fn start(program: Program, size: &Size) -> RepeatedScraper {
        let account = simulator(size).await;
        let (exporter, http) = (program.start(&account), http());
        exporter.first_scrape(&http).await;
        let text = exporter.scrape(&http).await.unwrap();
        RepeatedScraper {
            program,
            account,
            exporter,
            http,
            text,
            times: Times::default(),
        }
    }

    async fn scrape(&mut self) {
        self.times
            .measure(self.exporter.scrape(&self.http))
            .await
            .unwrap();
    }

    fn cpu_ms(&self) -> f64 {
        process_cpu_ms(self.exporter.id())
    }

    fn fetches(&self) -> usize {
        self.account
            .journal()
            .iter()
            .filter(|entry| entry.operation == Some(Operation::ActiveCalls))
            .count()
    }
}

/// A thread that sends the same response to every request.
struct Static {
    thread_id: u32,
    url: String,
    http: Client,
    times: Times,
}

impl Static {
    async fn start(text: String) -> Static {
        let (started, wait_for_start) = oneshot::channel();
        thread::spawn(move || {
            Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap()
                .block_on(async {
                    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                    started
                        .send((thread_id(), listener.local_addr().unwrap()))
                        .unwrap();
                    serve(listener, text.into()).await;
                });
        });
        let (thread_id, address) = wait_for_start.await.unwrap();
        Static {
            thread_id,
            url: format!("http://{address}"),
            http: http(),
            times: Times::default(),
        }
    }

    async fn scrape(&mut self) {
        let request = self
            .http
            .get(&self.url)
            .header("Accept-Encoding", "identity");
        self.times
            .measure(async { request.send().await.unwrap().text().await.unwrap() })
            .await;
    }

    fn cpu_ms(&self) -> f64 {
        thread_cpu_ms(self.thread_id)
    }
}

async fn serve(listener: TcpListener, bytes: Bytes) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let bytes = bytes.clone();
        let answer = service_fn(move |_| {
            let reply = Response::new(Full::new(bytes.clone()));
            async { Ok::<_, Infallible>(reply) }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
    }
}
