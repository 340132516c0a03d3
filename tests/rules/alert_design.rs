//! Alerts avoid unreliable metrics, and ratios of calls have a minimum number of calls.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::common::markdown;
use crate::common::promql::labels::{self, Labels};
use crate::common::promql::{self, Expr, Selector, selectors};
use crate::metrics::{Metrics, template_queries};
use crate::rule_files::{self, Rule};

/// Alerts on the ratio of calls with an outcome or result.
const RATIO_ALERTS: [&str; 3] = [
    "RingCentralCallsFailing",
    "RingCentralMissedCallsHigh",
    "RingCentralVoicemailHigh",
];
/// Instant values of scraped series that an alert compares, each for a reason: the subquery counts the minutes of half an
/// hour, and a missed scrape is one of 30.
const INSTANT_VALUES: [(&str, &str); 1] = [(
    "RingCentralBlockedLong",
    "ringcentral_api_blocked_until_timestamp_seconds",
)];
/// Minimum number of calls or records for which a ratio is meaningful.
const MIN_CALLS: f64 = 5.0;

/// Returns the selectors of an alert and of the records that it uses.
fn all_selectors(alert: &Rule) -> Vec<Selector> {
    rule_files::with_dependencies(alert.parsed())
        .iter()
        .flat_map(selectors)
        .collect()
}

/// A live queue call has direction Outbound, and the remaining limit is as old as the latest response.
#[test]
fn alerts_avoid_live_direction_and_remaining_limit() {
    for alert in rule_files::alerts() {
        for metric in [
            "ringcentral_calls_in_progress",
            "ringcentral_api_rate_limit_remaining",
        ] {
            assert!(
                all_selectors(&alert)
                    .iter()
                    .all(|selector| selector.metric != metric),
                "{}: {metric}",
                alert.name()
            );
        }
    }
}

#[tokio::test]
async fn alerts_do_not_use_the_direction_of_snapshot_series() {
    let metrics = Metrics::from_exporter().await;
    let live = markdown::metric_families("From the snapshot");
    assert!(live.contains("ringcentral_active_calls"), "{live:?}");
    let without_direction = |selector: &Selector| {
        let all = metrics.labels_of_selector(selector)?;
        Some(
            all.into_iter()
                .filter(|label| !live.contains(&selector.metric) || label != "direction")
                .collect::<Labels>(),
        )
    };
    for alert in rule_files::alerts() {
        for expr in rule_files::with_dependencies(alert.parsed()) {
            let errors = labels::analyse(&expr, &without_direction).errors;
            assert!(errors.is_empty(), "{}: {errors:?}", alert.name());
        }
    }
}

#[test]
fn ratio_alerts_require_a_minimum_number_of_calls() {
    let alerts = rule_files::alerts();
    let ratio_alerts: Vec<_> = alerts
        .iter()
        .filter(|alert| {
            rule_files::with_dependencies(alert.parsed())
                .iter()
                .any(has_ratio)
        })
        .collect();
    assert_eq!(
        ratio_alerts
            .iter()
            .map(|alert| alert.name())
            .collect::<BTreeSet<_>>(),
        BTreeSet::from(RATIO_ALERTS)
    );
    for alert in ratio_alerts {
        let conditions = conditions(&alert.parsed());
        assert!(
            conditions.iter().any(is_minimum),
            "{} has no minimum",
            alert.name()
        );
    }
}

/// Shortest range: four scrapes at the longest recommended interval, 30 s. Missed scrapes then leave a sample in the range.
const MIN_RANGE: Duration = Duration::from_secs(120);

/// Returns the selectors with a range below [`MIN_RANGE`] in a query.
fn short_ranges(query: &str) -> Vec<Selector> {
    let mut found = selectors(&promql::parse(query).unwrap());
    found.retain(|selector| selector.range.is_some_and(|range| range < MIN_RANGE));
    found
}

#[test]
fn ranges_cover_four_scrapes_at_the_slowest_interval() {
    for rule in rule_files::rules() {
        let in_annotations = rule
            .annotations
            .values()
            .flat_map(|it| template_queries(it));
        for query in in_annotations.chain([rule.expr.clone()]) {
            let short = short_ranges(&query);
            assert!(short.is_empty(), "{}: {short:?}", rule.name());
        }
    }
    assert_eq!(
        short_ranges("max_over_time(up[1m]) == 0 and rate(up[119s]) > rate(up[2m])").len(),
        2
    );
}

/// A missed scrape ends the instant value of a series for one evaluation, and so would restart the `for` of an alert.
#[test]
fn alerts_compare_no_instant_value_of_scraped_series() {
    for alert in rule_files::alerts() {
        promql::walk(&alert.parsed(), &mut |part, _| {
            let Expr::Binary(binary) = part else { return };
            let is_comparison = [">", ">=", "<", "<=", "==", "!="];
            if !is_comparison.contains(&binary.op.to_string().as_str()) {
                return;
            }
            for selector in selectors(part) {
                let is_scraped =
                    selector.metric.starts_with("ringcentral_") && selector.range.is_none();
                let is_exception = INSTANT_VALUES.contains(&(alert.name(), &selector.metric));
                assert!(!is_scraped || is_exception, "{}: {selector}", alert.name());
            }
        });
    }
}

/// Returns whether the expression divides counts of ended calls or sessions.
fn has_ratio(expr: &Expr) -> bool {
    let mut found = false;
    promql::walk(expr, &mut |part, _| {
        if let Expr::Binary(binary) = part {
            found |= binary.op.to_string() == "/"
                && counts_ended(&binary.lhs)
                && counts_ended(&binary.rhs);
        }
    });
    found
}

/// Returns whether the expression counts ended calls or sessions; only these have outcomes and results.
fn counts_ended(expr: &Expr) -> bool {
    selectors(expr).iter().any(|selector| {
        selector.metric.contains("calls_ended") || selector.metric.contains("sessions_ended")
    })
}

/// Splits an expression at `and` into its conditions.
fn conditions(expr: &Expr) -> Vec<Expr> {
    match expr {
        Expr::Paren(paren) => conditions(&paren.expr),
        Expr::Binary(binary) if binary.op.to_string() == "and" => {
            [conditions(&binary.lhs), conditions(&binary.rhs)].concat()
        }
        other => vec![other.clone()],
    }
}

/// Returns whether the condition requires at least [`MIN_CALLS`] ended calls, as a count and not as a ratio.
fn is_minimum(condition: &Expr) -> bool {
    let Expr::Binary(binary) = condition else {
        return false;
    };
    let Expr::NumberLiteral(number) = &*binary.rhs else {
        return false;
    };
    let is_bound = [">", ">="].contains(&binary.op.to_string().as_str()) && number.val >= MIN_CALLS;
    is_bound
        && counts_ended(&binary.lhs)
        && !rule_files::with_dependencies((*binary.lhs).clone())
            .iter()
            .any(has_ratio)
}
