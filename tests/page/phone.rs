//! Fifty accounts, and a window as narrow as a phone's.

use ringcentral_exporter::config::{Account, Config};
use ringcentral_exporter::secret::SecretSource;
use ringcentral_exporter::simulator::Scenario;
use ringcentral_exporter::simulator::limiter::Limit;
use ringcentral_exporter::simulator::scenario::Limits;
use secrecy::SecretString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::browser::{pictures, visit};
use crate::document::is_sound;
use crate::rig::{Rig, loopback};

/// Of one simulated company; every tenth has a wrong secret or none, one has the longest name.
async fn fifty() -> Rig {
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
    Rig::configured(scenario, |config: &mut Config| {
        let first = config.accounts[0].clone();
        config.accounts = (0..50)
            .map(|number| first_with_name(&first, number))
            .collect();
    })
    .await
}

fn first_with_name(first: &Account, number: u32) -> Account {
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

/// The width of a page in a frame as wide as a phone, and that of the frame. A window cannot be as narrow, and the page's own
/// policy would let no script measure it.
async fn measured(html: &str) -> (u32, u32) {
    let html = html.replace('&', "&amp;").replace('"', "&quot;");
    let measure = "const page=document.querySelector('iframe').contentDocument.documentElement;\
        document.title=page.scrollWidth+' of '+page.clientWidth";
    let frame = format!(
        "<!doctype html><title></title><iframe width=390 height=800 style=border:0 srcdoc=\"{html}\"></iframe>\
         <script>onload=()=>{{{measure}}}</script>"
    );
    let visit = visit(&serve("", &frame).await, 1200).await;
    let title = visit
        .dom
        .split("<title>")
        .nth(1)
        .unwrap()
        .split("</title>")
        .next()
        .unwrap();
    let (page, frame) = title
        .split_once(" of ")
        .unwrap_or_else(|| panic!("{}", visit.dom));
    (page.parse().unwrap(), frame.parse().unwrap())
}

async fn serve(header: &str, html: &str) -> String {
    let length = html.len();
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n{header}Content-Length: {length}\r\n\r\n{html}"
    );
    let listener = loopback().await;
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 8192]).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    url
}

#[tokio::test]
async fn fifty_accounts_are_told_worst_first_and_scroll_in_one_direction_alone() {
    let rig = fifty().await;
    let url = format!("{}/", rig.url);
    rig.scrape().await;
    let wide = visit(&url, 1200).await;
    is_sound(&wide, &rig.url);
    let names = wide
        .dom
        .split("<section class=\"account ")
        .skip(1)
        .map(|section| section.split('"').next().unwrap());
    let states: Vec<_> = names.collect();
    assert_eq!(states.len(), 50);
    let first_well = states.iter().position(|state| *state != "failing").unwrap();
    assert!(
        first_well == 5 && states[first_well..].iter().all(|state| *state != "failing"),
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
    assert_eq!(measured(&rig.get("/", &[]).await.text).await, (390, 390));
    pictures(&url, "fifty").await;
}

fn overview(dom: &str) -> &str {
    dom.split("<table class=\"overview\">")
        .nth(1)
        .unwrap()
        .split("</table>")
        .next()
        .unwrap()
}

#[tokio::test]
async fn one_account_that_fails_fits_a_phone() {
    let rig = Rig::start(Scenario {
        admin: false,
        read_accounts: false,
        ..Scenario::normal()
    })
    .await;
    rig.scrape().await;
    assert_eq!(measured(&rig.get("/", &[]).await.text).await, (390, 390));
}

/// The measures of these tests would see it: a page too wide, a console that complains, a request elsewhere.
#[tokio::test]
async fn a_page_that_is_unsound_is_seen_to_be() {
    let wide = "<!doctype html><body style='margin:0'><div style='width:1000px'>wide</div>";
    assert_eq!(measured(wide).await, (1000, 390));
    let body = "<style>p{color:red}</style><script src='http://127.0.0.1:9/elsewhere.js'></script><p>text</p>";
    let open = visit(&serve("", body).await, 390).await;
    assert!(
        open.asked.iter().any(|url| url.contains("elsewhere")),
        "{:?}",
        open.asked
    );
    let shut = visit(
        &serve("Content-Security-Policy: default-src 'none'\r\n", body).await,
        390,
    )
    .await;
    assert!(!shut.console.is_empty(), "the policy is broken twice");
    assert!(
        !shut.asked.iter().any(|url| url.contains("elsewhere")),
        "{:?}",
        shut.asked
    );
}
