//! Tests of the style sheet's contrast and of escaping.

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::SecretString;

use super::*;
use crate::account::state::{AccountState, FetchReport};
use crate::clock::Moment;
use crate::config::{Account, Level, PresenceMode};
use crate::ringcentral::{Cause, Error, Operation};
use crate::secret::SecretSource;

const MINUTE: Duration = Duration::from_secs(60);

fn account() -> Account {
    Account {
        name: "default".to_owned(),
        server: "https://platform.ringcentral.com".parse().unwrap(),
        client_id: "client".to_owned(),
        client_secret: SecretSource::Value(SecretString::from("secret")),
        jwt: SecretSource::Value(SecretString::from("jwt")),
        account_id: "~".to_owned(),
        level: Level::Account,
        presence: PresenceMode::Off,
        concurrent_calls_limit: None,
        ca: None,
    }
}

/// Returns the colours that the style sheet defines, light and dark.
fn palettes() -> [BTreeMap<&'static str, [f64; 3]>; 2] {
    let (light, dark) = STYLE
        .split_once("@media (prefers-color-scheme: dark)")
        .unwrap();
    [light, dark].map(|text| {
        let pairs = text
            .split("--")
            .filter_map(|piece| piece.split(';').next()?.split_once(": #"));
        pairs.map(|(name, hex)| (name, rgb(hex))).collect()
    })
}

fn rgb(hex: &str) -> [f64; 3] {
    [0, 2, 4].map(|at| f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0)
}

/// Returns the relative luminance as WCAG 2.2 defines it.
fn luminance(colour: [f64; 3]) -> f64 {
    let linear = colour.map(|part| {
        if part <= 0.04045 {
            part / 12.92
        } else {
            ((part + 0.055) / 1.055).powf(2.4)
        }
    });
    0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
}

fn contrast(one: [f64; 3], other: [f64; 3]) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[test]
fn text_contrast_is_sufficient_in_both_palettes() {
    let page_text = ["text", "soft", "link"]
        .into_iter()
        .flat_map(|text| [(text, "back"), (text, "card")]);
    let badges = [
        ("ok-text", "ok-back"),
        ("failing-text", "failing-back"),
        ("blocked-text", "blocked-back"),
    ];
    let pairs: Vec<_> = page_text
        .chain(badges)
        .chain([("quiet-text", "quiet-back")])
        .collect();
    for palette in palettes() {
        for (text, back) in &pairs {
            let contrast = contrast(palette[text], palette[back]);
            assert!(contrast >= 7.0, "{text} on {back}: {contrast:.1}");
        }
        for line in ["ok-line", "failing-line", "blocked-line", "quiet-line"] {
            let contrast = contrast(palette[line], palette["back"]);
            assert!(contrast >= 3.0, "{line}: {contrast:.1}");
        }
    }
}

#[test]
fn contrast_of_black_on_white_is_21() {
    assert_eq!(contrast(rgb("000000"), rgb("ffffff")), 21.0);
}

#[test]
fn palettes_define_every_used_colour() {
    let [light, dark] = palettes();
    assert!(light.keys().eq(dark.keys()));
    let used = STYLE
        .split("var(--")
        .skip(1)
        .map(|piece| piece.split(')').next().unwrap());
    for name in used {
        assert!(light.contains_key(name), "{name}");
    }
}

#[test]
fn page_escapes_text_from_the_api() {
    let now = Moment::now();
    let mut failure = Error::new(Operation::ActiveCalls, Cause::Refused, "<a href='x'>\"&");
    failure.request_id = Some("</p><script>".to_owned());
    let state = AccountState {
        last_fetch: Some(FetchReport {
            failure: Some(failure),
            duration: Duration::ZERO,
            pages: 0,
        }),
        ..AccountState::default()
    };
    let status = AccountStatus::new(&account(), &state, None, MINUTE, now);
    let html = account::section(&status, "/metrics").into_string();
    assert!(
        html.contains("Error: active_calls: &lt;a href='x'&gt;&quot;&amp;<br>")
            && html.contains("Request id: &lt;/p&gt;&lt;script&gt;<br>"),
        "{html}"
    );
    assert!(
        !html.contains("<script") && !html.contains("<a href='x'"),
        "{html}"
    );
    assert!(!STYLE.contains("url(") && !STYLE.contains('<'));
}
