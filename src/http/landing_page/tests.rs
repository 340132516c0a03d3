//! Contrast and escaping, told from the style sheet itself.

use std::collections::BTreeMap;

use super::*;

/// The colours that the style sheet defines, in the light and in the dark.
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

/// As the guidelines for accessible content (WCAG 2.2) define it.
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
fn every_text_can_be_read_in_the_light_and_in_the_dark() {
    let on_the_page = ["text", "soft", "link"]
        .into_iter()
        .flat_map(|text| [(text, "back"), (text, "card")]);
    let badges = [
        ("fine-text", "fine-back"),
        ("failing-text", "failing-back"),
        ("blocked-text", "blocked-back"),
    ];
    let pairs: Vec<_> = on_the_page
        .chain(badges)
        .chain([("quiet-text", "quiet-back")])
        .collect();
    for palette in palettes() {
        for (text, back) in &pairs {
            let contrast = contrast(palette[text], palette[back]);
            assert!(contrast >= 7.0, "{text} on {back}: {contrast:.1}");
        }
        for line in ["fine-line", "failing-line", "blocked-line", "quiet-line"] {
            let contrast = contrast(palette[line], palette["back"]);
            assert!(contrast >= 3.0, "{line}: {contrast:.1}");
        }
    }
}

#[test]
fn black_on_white_is_as_the_guidelines_have_it() {
    assert_eq!(contrast(rgb("000000"), rgb("ffffff")), 21.0);
}

#[test]
fn both_palettes_have_the_same_names_and_every_colour_that_is_used_is_in_them() {
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
fn nothing_can_break_out_of_the_page() {
    assert_eq!(
        escape("<a href='x'>\"&"),
        "&lt;a href=&#39;x&#39;&gt;&quot;&amp;"
    );
    assert!(!STYLE.contains("url(") && !STYLE.contains('<'));
}

#[test]
fn times_are_told_in_one_unit() {
    let told = [4, 119, 120, 7_199, 7_200, 172_799, 172_800]
        .map(|s| time::words(std::time::Duration::from_secs(s)));
    assert_eq!(
        told,
        ["4 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 days"]
    );
}
