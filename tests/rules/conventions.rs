//! Conventions for the names, labels and annotations of the rules.

use std::collections::BTreeSet;

use crate::common::markdown;
use crate::metrics::Metrics;
use crate::rule_files::{self, Rule};

/// Alerts whose value is constant, so that their description has no number.
const ALERTS_WITHOUT_VALUE: [&str; 2] = ["RingCentralNoCalls", "RingCentralAccountMissing"];
/// Annotations of every alert.
const ANNOTATIONS: [&str; 3] = ["description", "runbook_url", "summary"];
/// Alert without `keep_firing_for`, which resolves on a successful reload; its range covers a missed scrape.
const RESOLVES_IMMEDIATELY: &str = "RingCentralReloadFailed";
/// Accepted values of the label `severity`.
const SEVERITIES: [&str; 3] = ["critical", "warning", "info"];

#[tokio::test]
async fn record_names_are_level_metric_operation() {
    let metrics = Metrics::from_exporter().await;
    for record in rule_files::records() {
        let parts: Vec<_> = record.name().split(':').collect();
        assert!(
            parts.len() == 3 && parts.iter().all(|part| is_snake_case(part)),
            "{}",
            record.name()
        );
        let level: BTreeSet<_> = parts[0].split('_').map(str::to_owned).collect();
        assert_eq!(level, metrics.labels_of_rule(&record), "{}", record.name());
        assert!(
            parts[1].starts_with("ringcentral_") && !parts[1].ends_with("_total"),
            "{}",
            record.name()
        );
    }
}

/// Returns whether the text is non-empty snake case.
fn is_snake_case(part: &str) -> bool {
    !part.is_empty()
        && part
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

#[test]
fn alerts_have_severity_for_and_three_annotations() {
    for alert in rule_files::alerts() {
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
        assert!(alert.hold_duration.is_some(), "{name} has no `for`");
        assert_eq!(
            alert.keep_firing_for.is_some(),
            name != RESOLVES_IMMEDIATELY,
            "{name}: `keep_firing_for`"
        );
        assert_eq!(
            alert.annotations.keys().collect::<Vec<_>>(),
            ANNOTATIONS,
            "{name}"
        );
    }
}

/// The summary is the subject of a message, so it must not change while the alert fires.
#[test]
fn only_descriptions_have_changing_values() {
    for alert in rule_files::alerts() {
        let (name, summary, description) = (
            alert.name(),
            alert.annotation("summary"),
            alert.annotation("description"),
        );
        let summary_templates = templates(summary);
        assert!(
            summary_templates
                .iter()
                .all(|template| template.starts_with("$labels.")),
            "{name}: {summary_templates:?}"
        );
        let description_templates = templates(description);
        let has_value = description_templates
            .iter()
            .any(|template| template.contains("$value") || template.contains("query"));
        assert_eq!(
            has_value,
            !ALERTS_WITHOUT_VALUE.contains(&name),
            "{name}: {description_templates:?}"
        );
        assert!(
            summary.len() <= 120 && summary.ends_with(['.', '?']) || summary.ends_with("}}."),
            "{name}: {summary}"
        );
    }
}

#[tokio::test]
async fn alert_texts_name_account_or_instance() {
    let metrics = Metrics::from_exporter().await;
    for alert in rule_files::alerts() {
        let labels = metrics.labels_of_rule(&alert);
        assert_ne!(
            labels.contains("account"),
            labels.contains("instance"),
            "{}: either account or instance",
            alert.name()
        );
        let subject = if labels.contains("account") {
            "{{ $labels.account }}"
        } else {
            "{{ $labels.instance }}"
        };
        for text in ["summary", "description"] {
            assert!(
                alert.annotation(text).contains(subject),
                "the {text} of {} does not contain {subject}",
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
async fn annotations_use_only_labels_of_the_alert() {
    let metrics = Metrics::from_exporter().await;
    for alert in rule_files::alerts() {
        let labels = metrics.labels_of_rule(&alert);
        for label in alert
            .annotations
            .values()
            .flat_map(|text| referenced_labels(text))
        {
            assert!(
                labels.contains(&label),
                "{} has no label {label:?}: {labels:?}",
                alert.name()
            );
        }
    }
}

#[test]
fn alerts_link_to_their_runbook_section() {
    let manifest: Vec<_> = markdown::read("Cargo.toml")
        .lines()
        .map(str::to_owned)
        .collect();
    let repository = manifest
        .iter()
        .find_map(|line| line.strip_prefix("repository = "))
        .unwrap()
        .trim_matches('"');
    for alert in rule_files::alerts() {
        let section = alert.name().to_lowercase();
        let link = format!("{repository}/blob/main/docs/RUNBOOK.md#{section}");
        assert_eq!(alert.annotation("runbook_url"), link, "{}", alert.name());
    }
}

/// The severities of one alert differ only in threshold and duration.
#[test]
fn severities_of_one_alert_share_their_description() {
    for pair in rule_files::alerts()
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
        assert!(
            hold_seconds(&pair[1]) <= hold_seconds(&pair[0]),
            "{}",
            pair[0].name()
        );
    }
}

/// Returns the `for` duration of an alert in seconds; all of them are in minutes.
fn hold_seconds(alert: &Rule) -> u32 {
    alert
        .hold_duration
        .as_ref()
        .unwrap()
        .strip_suffix('m')
        .unwrap()
        .parse::<u32>()
        .unwrap()
        * 60
}

/// Returns the templates in a text, without their braces.
pub fn templates(text: &str) -> Vec<String> {
    let parts = text.split("{{").skip(1);
    parts
        .map(|part| part.split("}}").next().unwrap().trim().to_owned())
        .collect()
}

/// Returns the labels that the templates in a text refer to.
fn referenced_labels(text: &str) -> Vec<String> {
    let expressions = templates(text).join(" ");
    let parts = expressions.split("$labels.").skip(1);
    parts
        .map(|part| {
            part.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                .next()
                .unwrap()
                .to_owned()
        })
        .collect()
}
