//! Tests with fifty accounts, and with a viewport as narrow as that of a phone.

use std::time::Duration;

use ringcentral_exporter::config::{Account, Config};
use ringcentral_exporter::secret::SecretSource;
use ringcentral_exporter::simulator::Scenario;
use ringcentral_exporter::simulator::limiter::Limit;
use ringcentral_exporter::simulator::scenario::Limits;
use secrecy::SecretString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::browser::{render, take_screenshots};
use crate::common::MAX_WAIT;
use crate::harness::{TestExporter, bind_loopback};
use crate::html_checks::assert_valid;

/// Starts an exporter with 50 accounts of one simulated company. Five of them have an invalid
/// secret, one has the longest possible name.
async fn start_with_fifty_accounts() -> TestExporter {
    let many = Limit {
        requests: 1000,
        ..Limits::default().auth
    };
    let limits = Limits {
        auth: many,
        heavy: many,
        medium: many,
        light: many,
    };
    let scenario = Scenario {
        limits,
        max_sessions: 100,
        ..Scenario::normal()
    };
    let rig = TestExporter::start_with(scenario, |config: &mut Config| {
        let first = config.accounts[0].clone();
        config.accounts = (0..50)
            .map(|number| numbered_account(&first, number))
            .collect();
    })
    .await;
    // All accounts have one user, whose limit is known once the first login is answered.
    let all_are_fetched = async {
        loop {
            let text = rig.scrape().await.text;
            let is_up = |line: &&str| line.starts_with("ringcentral_up{") && line.ends_with(" 1");
            if text.lines().filter(is_up).count() == 45 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(5 * MAX_WAIT, all_are_fetched)
        .await
        .unwrap();
    rig
}

/// Returns a copy of the account with the name and the secrets for its number.
fn numbered_account(first: &Account, number: u32) -> Account {
    let mut account = first.clone();
    account.name = if number == 7 {
        "n".repeat(64)
    } else {
        format!("branch-{number:02}")
    };
    match number {
        13 => account.jwt = SecretSource::File("/nonexistent/jwt".into()),
        _ if number % 10 == 3 => {
            account.client_secret = SecretSource::Value(SecretString::from("wrong"))
        }
        _ => {}
    }
    account
}

/// Returns the width of a page in a frame as wide as a phone, and the width of the frame.
/// Chromium's windows cannot be that narrow, and the content security policy of the page blocks
/// scripts that could measure it.
async fn measure_widths(html: &str) -> (u32, u32) {
    let html = html.replace('&', "&amp;").replace('"', "&quot;");
    let measure = "const page=document.querySelector('iframe').contentDocument.documentElement;\
        document.title=page.scrollWidth+' of '+page.clientWidth";
    let frame = format!(
        "<!doctype html><title></title><iframe width=390 height=800 style=border:0 srcdoc=\"{html}\"></iframe>\
         <script>onload=()=>{{{measure}}}</script>"
    );
    let page = render(&serve("", &frame).await, 1200).await;
    let title = page
        .dom
        .split("<title>")
        .nth(1)
        .unwrap()
        .split("</title>")
        .next()
        .unwrap();
    let (width, frame_width) = title
        .split_once(" of ")
        .unwrap_or_else(|| panic!("{}", page.dom));
    (width.parse().unwrap(), frame_width.parse().unwrap())
}

/// Serves a page with further header lines and returns its URL.
async fn serve(header: &str, html: &str) -> String {
    let length = html.len();
    let response = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n{header}Content-Length: {length}\r\n\r\n{html}"
    );
    let listener = bind_loopback().await;
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 8192]).await;
            let _ = stream.write_all(response.as_bytes()).await;
        }
    });
    url
}

#[tokio::test]
async fn fifty_accounts_are_listed_failing_first() {
    let rig = start_with_fifty_accounts().await;
    let url = format!("{}/", rig.url);
    let wide = render(&url, 1200).await;
    assert_valid(&wide, &rig.url);
    let names = wide
        .dom
        .split("<section class=\"account ")
        .skip(1)
        .map(|section| section.split('"').next().unwrap());
    let states: Vec<_> = names.collect();
    assert_eq!(states.len(), 50);
    let first_ok = states.iter().position(|state| *state != "failing").unwrap();
    assert!(
        first_ok == 5 && states[first_ok..].iter().all(|state| *state != "failing"),
        "{states:?}"
    );
    assert!(
        wide.dom.contains("50 accounts: 5 failing, 45 ok."),
        "{}",
        wide.dom
    );
    let causes = |cause: &str| {
        overview(&wide.dom)
            .matches(&format!("<code>{cause}</code>"))
            .count()
    };
    assert_eq!(
        [causes("bad_client"), causes("secret_unreadable")],
        [4, 1],
        "{}",
        wide.dom
    );
    assert_eq!(
        measure_widths(&rig.get("/", &[]).await.text).await,
        (390, 390)
    );
    take_screenshots(&url, "fifty").await;
}

/// Returns the overview table of the page.
fn overview(dom: &str) -> &str {
    dom.split("<table class=\"overview\">")
        .nth(1)
        .unwrap()
        .split("</table>")
        .next()
        .unwrap()
}

#[tokio::test]
async fn failing_account_fits_narrow_viewport() {
    let rig = TestExporter::start(Scenario {
        admin: false,
        read_accounts: false,
        ..Scenario::normal()
    })
    .await;
    rig.scrape().await;
    assert_eq!(
        measure_widths(&rig.get("/", &[]).await.text).await,
        (390, 390)
    );
}

/// The checks must detect a page that is too wide, an error in the console, and a request to
/// another origin.
#[tokio::test]
async fn checks_detect_invalid_pages() {
    let wide = "<!doctype html><body style='margin:0'><div style='width:1000px'>wide</div>";
    assert_eq!(measure_widths(wide).await, (1000, 390));
    let body = "<style>p{color:red}</style><script src='http://127.0.0.1:9/elsewhere.js'></script><p>text</p>";
    let without_policy = render(&serve("", body).await, 390).await;
    assert!(
        without_policy
            .requested
            .iter()
            .any(|url| url.contains("elsewhere")),
        "{:?}",
        without_policy.requested
    );
    let with_policy = render(
        &serve("Content-Security-Policy: default-src 'none'\r\n", body).await,
        390,
    )
    .await;
    assert!(
        !with_policy.console.is_empty(),
        "the console must report the blocked style and script"
    );
    assert!(
        !with_policy
            .requested
            .iter()
            .any(|url| url.contains("elsewhere")),
        "{:?}",
        with_policy.requested
    );
}
