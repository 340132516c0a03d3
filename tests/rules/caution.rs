//! Alerts keep clear of what is unreliable, and of shares of next to nothing.

use std::collections::BTreeSet;

use crate::common::markdown;
use crate::common::promql::labels::{self, Labels};
use crate::common::promql::{self, Expr, Selector, selectors};
use crate::metrics::Metrics;
use crate::shipped::{self, Rule};

/// The alerts on the share that an outcome or result has.
const ON_SHARES: [&str; 3] = [
    "RingCentralCallsFailing",
    "RingCentralMissedCallsHigh",
    "RingCentralVoicemailHigh",
];
/// So few calls or records make no share.
const FLOOR: f64 = 5.0;

fn selected(alert: &Rule) -> Vec<Selector> {
    shipped::chain(alert.parsed())
        .iter()
        .flat_map(selectors)
        .collect()
}

/// A live queue call reads Outbound, and what is left of the limit is as old as the last answer.
#[test]
fn no_alert_builds_on_live_calls_by_direction_or_on_what_is_left_of_the_limit() {
    for alert in shipped::alerts() {
        for metric in [
            "ringcentral_calls_in_progress",
            "ringcentral_api_rate_limit_remaining",
        ] {
            assert!(
                selected(&alert).iter().all(|one| one.metric != metric),
                "{}: {metric}",
                alert.name()
            );
        }
    }
}

#[tokio::test]
async fn no_alert_asks_the_direction_of_anything_from_the_snapshot() {
    let (metrics, live) = (
        Metrics::of_the_exporter().await,
        markdown::metric_families("From the snapshot"),
    );
    assert!(live.contains("ringcentral_active_calls"), "{live:?}");
    let without_direction = |selector: &Selector| {
        let all = metrics.selected(selector)?;
        Some(
            all.into_iter()
                .filter(|label| !live.contains(&selector.metric) || label != "direction")
                .collect::<Labels>(),
        )
    };
    for alert in shipped::alerts() {
        for expr in shipped::chain(alert.parsed()) {
            let errors = labels::analyse(&expr, &without_direction).errors;
            assert!(errors.is_empty(), "{}: {errors:?}", alert.name());
        }
    }
}

#[test]
fn every_alert_on_a_share_of_calls_asks_for_enough_of_them() {
    let alerts = shipped::alerts();
    let on_shares: Vec<_> = alerts
        .iter()
        .filter(|alert| shipped::chain(alert.parsed()).iter().any(has_share))
        .collect();
    assert_eq!(
        on_shares
            .iter()
            .map(|alert| alert.name())
            .collect::<BTreeSet<_>>(),
        BTreeSet::from(ON_SHARES)
    );
    for alert in on_shares {
        let conditions = conditions(&alert.parsed());
        assert!(
            conditions.iter().any(is_floor),
            "{} has no floor",
            alert.name()
        );
    }
}

/// Whether something is divided by outcome or result.
fn has_share(expr: &Expr) -> bool {
    let mut found = false;
    promql::walk(expr, &mut |part, _| {
        if let Expr::Binary(binary) = part {
            found |= binary.op.to_string() == "/"
                && is_of_ended(&binary.lhs)
                && is_of_ended(&binary.rhs);
        }
    });
    found
}

/// Whether it counts what has ended; that is what has outcomes and results.
fn is_of_ended(expr: &Expr) -> bool {
    selectors(expr)
        .iter()
        .any(|one| one.metric.contains("calls_ended") || one.metric.contains("sessions_ended"))
}

/// What must be true at once.
fn conditions(expr: &Expr) -> Vec<Expr> {
    match expr {
        Expr::Paren(paren) => conditions(&paren.expr),
        Expr::Binary(binary) if binary.op.to_string() == "and" => {
            [conditions(&binary.lhs), conditions(&binary.rhs)].concat()
        }
        other => vec![other.clone()],
    }
}

/// Whether it is a number of what has ended, and no share, that must be high enough.
fn is_floor(condition: &Expr) -> bool {
    let Expr::Binary(binary) = condition else {
        return false;
    };
    let Expr::NumberLiteral(number) = &*binary.rhs else {
        return false;
    };
    let is_bound = [">", ">="].contains(&binary.op.to_string().as_str()) && number.val >= FLOOR;
    is_bound
        && is_of_ended(&binary.lhs)
        && !shipped::chain((*binary.lhs).clone()).iter().any(has_share)
}
