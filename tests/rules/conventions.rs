//! Names, labels and texts of the rules follow one pattern.

use std::collections::BTreeSet;

use crate::common::markdown;
use crate::metrics::Metrics;
use crate::shipped::{self, Rule};

/// Their value is always the same, and no news to anybody.
const NOTHING_TO_TELL: [&str; 2] = ["RingCentralNoCalls", "RingCentralAccountMissing"];
const ANNOTATIONS: [&str; 3] = ["description", "runbook_url", "summary"];
/// It ends at once when the file is right; its range outlasts a missed scrape.
const ENDS_AT_ONCE: &str = "RingCentralReloadFailed";
const SEVERITIES: [&str; 3] = ["critical", "warning", "info"];

#[tokio::test]
async fn records_are_named_by_their_labels_their_metric_and_what_is_done_with_it() {
    let metrics = Metrics::of_the_exporter().await;
    for record in shipped::records() {
        let parts: Vec<_> = record.name().split(':').collect();
        assert!(
            parts.len() == 3 && parts.iter().all(|part| is_snake_case(part)),
            "{}",
            record.name()
        );
        let level: BTreeSet<_> = parts[0].split('_').map(str::to_owned).collect();
        assert_eq!(level, metrics.labels_of(&record), "{}", record.name());
        assert!(
            parts[1].starts_with("ringcentral_") && !parts[1].ends_with("_total"),
            "{}",
            record.name()
        );
    }
}

fn is_snake_case(part: &str) -> bool {
    !part.is_empty()
        && part
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

#[test]
fn alerts_have_a_severity_a_wait_and_three_texts() {
    for alert in shipped::alerts() {
        let name = alert.name();
        let rest = name.strip_prefix("RingCentral").unwrap_or_default();
        let is_camel_case = rest.starts_with(|c: char| c.is_ascii_uppercase());
        assert!(
            is_camel_case && rest.chars().all(|c| c.is_ascii_alphanumeric()),
            "{name}"
        );
        assert_eq!(
            alert.labels.keys().collect::<Vec<_>>(),
            ["severity"],
            "{name}"
        );
        assert!(
            SEVERITIES.contains(&alert.severity()),
            "{name}: {}",
            alert.severity()
        );
        assert!(alert.waits.is_some(), "{name} has no `for`");
        assert_eq!(
            alert.stays.is_some(),
            name != ENDS_AT_ONCE,
            "{name}: `keep_firing_for`"
        );
        assert_eq!(
            alert.annotations.keys().collect::<Vec<_>>(),
            ANNOTATIONS,
            "{name}"
        );
    }
}

/// Alertmanager groups by what does not change, and a summary is the subject of a message.
#[test]
fn summaries_have_no_number_that_changes_and_descriptions_have() {
    for alert in shipped::alerts() {
        let (name, summary, description) = (
            alert.name(),
            alert.annotation("summary"),
            alert.annotation("description"),
        );
        let in_summary = templates(summary);
        assert!(
            in_summary
                .iter()
                .all(|template| template.starts_with("$labels.")),
            "{name}: {in_summary:?}"
        );
        let in_description = templates(description);
        let tells = in_description
            .iter()
            .any(|one| one.contains("$value") || one.contains("query"));
        assert_eq!(
            tells,
            !NOTHING_TO_TELL.contains(&name),
            "{name}: {in_description:?}"
        );
        assert!(
            summary.len() <= 120 && summary.ends_with(['.', '?']) || summary.ends_with("}}."),
            "{name}: {summary}"
        );
    }
}

#[tokio::test]
async fn alerts_name_the_account_or_else_the_instance_that_they_are_about() {
    let metrics = Metrics::of_the_exporter().await;
    for alert in shipped::alerts() {
        let labels = metrics.labels_of(&alert);
        assert_ne!(
            labels.contains("account"),
            labels.contains("instance"),
            "{}: one of them",
            alert.name()
        );
        let about = if labels.contains("account") {
            "{{ $labels.account }}"
        } else {
            "{{ $labels.instance }}"
        };
        for text in ["summary", "description"] {
            assert!(
                alert.annotation(text).contains(about),
                "the {text} of {} names no {about}",
                alert.name()
            );
        }
        assert!(
            alert
                .annotation("description")
                .contains("(job {{ $labels.job }}"),
            "{}",
            alert.name()
        );
    }
}

#[tokio::test]
async fn texts_use_labels_that_the_alert_has() {
    let metrics = Metrics::of_the_exporter().await;
    for alert in shipped::alerts() {
        let labels = metrics.labels_of(&alert);
        for named in alert
            .annotations
            .values()
            .flat_map(|text| labels_named(text))
        {
            assert!(
                labels.contains(&named),
                "{} has no label {named:?}: {labels:?}",
                alert.name()
            );
        }
    }
}

#[test]
fn each_alert_links_to_its_section_of_the_runbook() {
    let package: Vec<_> = markdown::read("Cargo.toml")
        .lines()
        .map(str::to_owned)
        .collect();
    let repository = package
        .iter()
        .find_map(|line| line.strip_prefix("repository = "))
        .unwrap()
        .trim_matches('"');
    for alert in shipped::alerts() {
        let section = alert.name().to_lowercase();
        let link = format!("{repository}/blob/main/docs/RUNBOOK.md#{section}");
        assert_eq!(alert.annotation("runbook_url"), link, "{}", alert.name());
    }
}

/// Two severities of one alert must not differ in more than how bad it is.
#[test]
fn an_alert_of_two_severities_tells_the_same_and_the_worse_one_is_no_slower() {
    for pair in shipped::alerts()
        .windows(2)
        .filter(|pair| pair[0].name() == pair[1].name())
    {
        assert_eq!(
            (pair[0].severity(), pair[1].severity()),
            ("warning", "critical"),
            "{}",
            pair[0].name()
        );
        assert_eq!(
            pair[0].annotation("description"),
            pair[1].annotation("description"),
            "{}",
            pair[0].name()
        );
        assert!(seconds(&pair[1]) <= seconds(&pair[0]), "{}", pair[0].name());
    }
}

/// How long it waits; all of them wait for minutes.
fn seconds(alert: &Rule) -> u32 {
    alert
        .waits
        .as_ref()
        .unwrap()
        .strip_suffix('m')
        .unwrap()
        .parse::<u32>()
        .unwrap()
        * 60
}

/// What stands between braces.
pub fn templates(text: &str) -> Vec<String> {
    let parts = text.split("{{").skip(1);
    parts
        .map(|part| part.split("}}").next().unwrap().trim().to_owned())
        .collect()
}

fn labels_named(text: &str) -> Vec<String> {
    let within = templates(text).join(" ");
    let parts = within.split("$labels.").skip(1);
    parts
        .map(|part| {
            part.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                .next()
                .unwrap()
                .to_owned()
        })
        .collect()
}
