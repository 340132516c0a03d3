//! The rules of Grafana's dashboard linter, with one test per rule.
//!
//! This is an independent implementation. It is stricter than the linter for unknown panel types, empty lists of value
//! mappings and counters with a matcher. `dashboards/.lint` has the exceptions, in the format of the linter; each needs
//! a reason and must apply.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use crate::common::promql::{self, Expr, MatchType, Selector};
use crate::model::{self, Dashboard, Panel, Target, Variable};

/// Rule that lists the violations in a dashboard.
pub type Rule = fn(&Dashboard) -> Vec<Violation>;

/// Violation of a rule in a panel or in the dashboard as a whole.
pub struct Violation {
    dashboard: String,
    panel: Option<String>,
    message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let panel = self
            .panel
            .as_ref()
            .map(|panel| format!(", panel {panel:?}"))
            .unwrap_or_default();
        write!(f, "{}{panel}: {}", self.dashboard, self.message)
    }
}

/// All rules with their names.
pub const RULES: [(&str, Rule); 17] = [
    ("template-datasource-rule", template_datasource),
    ("template-job-rule", |dashboard| {
        template(dashboard, "job", "Job")
    }),
    ("template-instance-rule", |dashboard| {
        template(dashboard, "instance", "Instance")
    }),
    ("template-label-promql-rule", template_label),
    ("template-on-time-change-reload-rule", template_reload),
    ("panel-datasource-rule", panel_datasource),
    ("panel-title-description-rule", panel_title_description),
    ("panel-units-rule", panel_units),
    ("panel-no-targets-rule", panel_no_targets),
    ("target-promql-rule", target_promql),
    ("target-rate-interval-rule", target_rate_interval),
    ("target-job-rule", |dashboard| {
        target_matcher(dashboard, "job")
    }),
    ("target-instance-rule", |dashboard| {
        target_matcher(dashboard, "instance")
    }),
    ("target-counter-agg-rule", target_counter),
    ("target-logql-rule", no_loki),
    ("target-logql-auto-rule", no_loki),
    ("uneditable-dashboard", uneditable),
];

/// Value of `$__rate_interval` that no query contains literally.
const RATE_INTERVAL: Duration = Duration::from_secs(7919);

/// Units of Grafana that the dashboards use.
const UNITS: [&str; 8] = [
    "none",
    "string",
    "short",
    "locale",
    "percentunit",
    "s",
    "bytes",
    "bool_yes_no",
];

/// File of exceptions in the format of the linter, without its warnings.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exceptions {
    #[serde(default)]
    exclusions: BTreeMap<String, Exception>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exception {
    reason: String,
    entries: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    dashboard: String,
    panel: String,
}

impl Entry {
    /// Returns whether the exception applies to a violation.
    fn covers(&self, violation: &Violation) -> bool {
        self.dashboard == violation.dashboard && Some(&self.panel) == violation.panel.as_ref()
    }
}

/// Reads `dashboards/.lint`; a missing file has no exceptions.
fn exceptions() -> Exceptions {
    let file = Path::new(model::FOLDER).join(".lint");
    match std::fs::read_to_string(&file) {
        Ok(text) => serde_saphyr::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display())),
        Err(_) => Exceptions::default(),
    }
}

/// Lists the violations of a rule in all dashboards.
fn violations(rule: Rule) -> Vec<Violation> {
    model::all().iter().flat_map(rule).collect()
}

/// Asserts that the only violations of a rule are the exceptions.
fn assert_no_violations(name: &str) {
    let (_, rule) = RULES.iter().find(|(known, _)| *known == name).unwrap();
    let exceptions = exceptions();
    let entries = exceptions
        .exclusions
        .get(name)
        .map(|exception| &exception.entries[..])
        .unwrap_or_default();
    let violations = violations(*rule);
    let mut unexpected = Vec::new();
    for violation in &violations {
        if !entries.iter().any(|entry| entry.covers(violation)) {
            unexpected.push(violation.to_string());
        }
    }
    assert!(unexpected.is_empty(), "{unexpected:#?}");
}

#[test]
fn every_exception_has_a_reason_and_applies() {
    for (name, exception) in exceptions().exclusions {
        assert!(
            exception.reason.split_whitespace().count() >= 5,
            "{name}: the reason is too short: {:?}",
            exception.reason
        );
        assert!(
            !exception.entries.is_empty(),
            "{name}: an exception must name its panels"
        );
        let (_, rule) = RULES
            .iter()
            .find(|(known, _)| *known == name)
            .unwrap_or_else(|| panic!("unknown rule {name}"));
        let violations = violations(*rule);
        for entry in &exception.entries {
            assert!(
                violations.iter().any(|violation| entry.covers(violation)),
                "{name}: no violation for the exception {entry:?}"
            );
        }
    }
}

/// Creates a violation in the dashboard as a whole.
fn dashboard_violation(dashboard: &Dashboard, message: String) -> Violation {
    Violation {
        dashboard: dashboard.title.clone(),
        panel: None,
        message,
    }
}

/// Creates a violation in a panel.
fn panel_violation(dashboard: &Dashboard, panel: &Panel, message: String) -> Violation {
    Violation {
        dashboard: dashboard.title.clone(),
        panel: Some(panel.title.clone()),
        message,
    }
}

/// Lists the violations that a check finds in panels.
fn check_panels(dashboard: &Dashboard, check: impl Fn(&Panel) -> Vec<String>) -> Vec<Violation> {
    let mut violations = Vec::new();
    for panel in dashboard.panels() {
        for message in check(panel) {
            violations.push(panel_violation(dashboard, panel, message));
        }
    }
    violations
}

/// Lists the violations that a check finds in queries.
fn check_targets(dashboard: &Dashboard, check: impl Fn(&Target) -> Vec<String>) -> Vec<Violation> {
    check_panels(dashboard, |panel| {
        let mut messages = Vec::new();
        for target in &panel.targets {
            for message in check(target) {
                messages.push(format!("query {}: {message}", target.ref_id));
            }
        }
        messages
    })
}

/// Lists the violations that a check finds in the selectors of queries.
///
/// Invalid queries have no selectors; `target-promql-rule` reports them.
fn check_selectors(
    dashboard: &Dashboard,
    check: impl Fn(&Selector) -> Option<String>,
) -> Vec<Violation> {
    check_targets(dashboard, |target| {
        let selectors = parse(&target.expr)
            .map(|expr| promql::selectors(&expr))
            .unwrap_or_default();
        selectors.iter().filter_map(&check).collect()
    })
}

/// Parses a query after replacing its variables.
fn parse(text: &str) -> Result<Expr, String> {
    let rate_interval = format!("{}s", RATE_INTERVAL.as_secs());
    let variables = [
        ("__rate_interval", &rate_interval[..]),
        ("__interval", "15s"),
        ("__range", "1h"),
    ];
    promql::parse(&promql::substitute_variables(text, &variables))
}

fn template_datasource(dashboard: &Dashboard) -> Vec<Violation> {
    let sources: Vec<_> = dashboard
        .templating
        .list
        .iter()
        .filter(|variable| variable.kind == "datasource")
        .collect();
    let [source] = sources[..] else {
        return vec![dashboard_violation(
            dashboard,
            format!(
                "{} variables of kind datasource, expected one",
                sources.len()
            ),
        )];
    };
    let found = (
        source.name.as_str(),
        source.label.as_str(),
        source.query.as_str(),
    );
    let accepted = [
        ("datasource", "Data source", "prometheus"),
        (
            "prometheus_datasource",
            "Prometheus data source",
            "prometheus",
        ),
    ];
    let is_violation = !accepted.contains(&found);
    is_violation
        .then(|| {
            dashboard_violation(
                dashboard,
                format!("data source {found:?}, expected one of {accepted:?}"),
            )
        })
        .into_iter()
        .collect()
}

#[test]
fn template_datasource_rule() {
    assert_no_violations("template-datasource-rule");
}

fn template(dashboard: &Dashboard, name: &str, label: &str) -> Vec<Violation> {
    let Some(variable) = dashboard.variable(name) else {
        return vec![dashboard_violation(
            dashboard,
            format!("the variable {name} is missing"),
        )];
    };
    let source = variable
        .datasource
        .as_ref()
        .map(|source| source.uid.as_str());
    let checks = [
        (
            source != Some("${datasource}") && source != Some("$datasource"),
            "does not use the chosen data source",
        ),
        (variable.kind != "query", "is not a query"),
        (variable.label != label, "has the wrong label"),
        (!variable.multi, "does not accept several values"),
        (
            variable.all_value.as_deref() != Some(".+"),
            "has the wrong allValue, expected .+",
        ),
    ];
    let violations = checks.into_iter().filter(|(violated, _)| *violated);
    violations
        .map(|(_, message)| dashboard_violation(dashboard, format!("variable {name} {message}")))
        .collect()
}

#[test]
fn template_job_rule() {
    assert_no_violations("template-job-rule");
}

#[test]
fn template_instance_rule() {
    assert_no_violations("template-instance-rule");
}

fn template_label(dashboard: &Dashboard) -> Vec<Violation> {
    let check = |variable: &Variable| {
        let result = match variable.label_values() {
            Some((selector, _)) => parse(selector).map(|_| ()),
            None => Err("not label_values(selector, label)".to_owned()),
        };
        let error = result.err()?;
        Some(dashboard_violation(
            dashboard,
            format!("variable {}: {}: {error}", variable.name, variable.query),
        ))
    };
    dashboard.query_variables().filter_map(check).collect()
}

#[test]
fn template_label_promql_rule() {
    assert_no_violations("template-label-promql-rule");
}

fn template_reload(dashboard: &Dashboard) -> Vec<Violation> {
    let mut violations = Vec::new();
    for variable in dashboard.query_variables() {
        if variable.refresh != 2 {
            let message = format!(
                "variable {} is not refreshed when the time range changes",
                variable.name
            );
            violations.push(dashboard_violation(dashboard, message));
        }
    }
    violations
}

#[test]
fn template_on_time_change_reload_rule() {
    assert_no_violations("template-on-time-change-reload-rule");
}

fn panel_datasource(dashboard: &Dashboard) -> Vec<Violation> {
    let sources = dashboard
        .templating
        .list
        .iter()
        .filter(|variable| variable.kind == "datasource");
    let variables: Vec<_> = sources
        .flat_map(|source| [format!("${}", source.name), format!("${{{}}}", source.name)])
        .collect();
    check_panels(dashboard, |panel| {
        let uid = panel.datasource.as_ref().map(|source| &source.uid);
        let is_variable = uid.is_some_and(|uid| variables.contains(uid));
        (!is_variable)
            .then(|| format!("the data source is {uid:?}, expected one of {variables:?}"))
            .into_iter()
            .collect()
    })
}

#[test]
fn panel_datasource_rule() {
    assert_no_violations("panel-datasource-rule");
}

fn panel_title_description(dashboard: &Dashboard) -> Vec<Violation> {
    check_panels(dashboard, |panel| {
        let has_both = !panel.title.is_empty() && !panel.description.is_empty();
        (!has_both)
            .then(|| "title or description is missing".to_owned())
            .into_iter()
            .collect()
    })
}

#[test]
fn panel_title_description_rule() {
    assert_no_violations("panel-title-description-rule");
}

/// Lists the panels with an unknown unit.
///
/// Panels with value mappings or a text field need no unit.
fn panel_units(dashboard: &Dashboard) -> Vec<Violation> {
    check_panels(dashboard, |panel| {
        let is_text = panel.options["reduceOptions"]["fields"]
            .as_str()
            .is_some_and(|fields| !fields.is_empty());
        if !panel.field_config.defaults.mappings.is_empty() || panel.kind == "stat" && is_text {
            return Vec::new();
        }
        let overridden = panel
            .field_config
            .overrides
            .iter()
            .flat_map(|field| &field.properties);
        let overridden = overridden
            .filter(|property| property.id == "unit")
            .filter_map(|unit| unit.value.as_str());
        let units = overridden.chain([panel.field_config.defaults.unit.as_str()]);
        let unknown = units.filter(|unit| !UNITS.contains(unit));
        unknown
            .map(|unit| format!("unknown unit {unit:?}"))
            .collect()
    })
}

#[test]
fn panel_units_rule() {
    assert_no_violations("panel-units-rule");
}

fn panel_no_targets(dashboard: &Dashboard) -> Vec<Violation> {
    check_panels(dashboard, |panel| {
        panel
            .targets
            .is_empty()
            .then(|| "the panel has no query".to_owned())
            .into_iter()
            .collect()
    })
}

#[test]
fn panel_no_targets_rule() {
    assert_no_violations("panel-no-targets-rule");
}

fn target_promql(dashboard: &Dashboard) -> Vec<Violation> {
    check_targets(dashboard, |target| {
        let error = parse(&target.expr).err();
        error
            .map(|error| format!("{:?} is not valid PromQL: {error}", target.expr))
            .into_iter()
            .collect()
    })
}

#[test]
fn target_promql_rule() {
    assert_no_violations("target-promql-rule");
}

fn target_rate_interval(dashboard: &Dashboard) -> Vec<Violation> {
    check_selectors(dashboard, |selector| {
        let is_rate = matches!(selector.function, Some("rate" | "irate"));
        let is_violation = is_rate && selector.range != Some(RATE_INTERVAL);
        is_violation.then(|| format!("a rate of {selector} does not use $__rate_interval"))
    })
}

#[test]
fn target_rate_interval_rule() {
    assert_no_violations("target-rate-interval-rule");
}

fn target_matcher(dashboard: &Dashboard, label: &str) -> Vec<Violation> {
    check_selectors(dashboard, |selector| {
        let is_matched = selector.has(label, MatchType::Regex, &format!("${label}"));
        (!is_matched).then(|| format!("{selector} is not matched by {label}=~\"${label}\""))
    })
}

#[test]
fn target_job_rule() {
    assert_no_violations("target-job-rule");
}

#[test]
fn target_instance_rule() {
    assert_no_violations("target-instance-rule");
}

fn target_counter(dashboard: &Dashboard) -> Vec<Violation> {
    check_selectors(dashboard, |selector| {
        let has_rate = matches!(selector.function, Some("rate" | "irate" | "increase"));
        let is_violation = selector.metric.ends_with("_total") && !has_rate;
        is_violation.then(|| format!("the counter {selector} has neither rate, irate nor increase"))
    })
}

#[test]
fn target_counter_agg_rule() {
    assert_no_violations("target-counter-agg-rule");
}

/// Lists the queries to Loki, for the two rules about Loki.
///
/// The rules themselves are not implemented, because no dashboard queries Loki.
fn no_loki(dashboard: &Dashboard) -> Vec<Violation> {
    check_targets(dashboard, |target| {
        let is_loki = target
            .datasource
            .as_ref()
            .is_some_and(|source| source.kind == "loki");
        is_loki
            .then(|| "queries to Loki are not supported".to_owned())
            .into_iter()
            .collect()
    })
}

#[test]
fn target_logql_rule() {
    assert_no_violations("target-logql-rule");
}

#[test]
fn target_logql_auto_rule() {
    assert_no_violations("target-logql-auto-rule");
}

fn uneditable(dashboard: &Dashboard) -> Vec<Violation> {
    dashboard
        .editable
        .then(|| dashboard_violation(dashboard, "the dashboard is editable".to_owned()))
        .into_iter()
        .collect()
}

#[test]
fn uneditable_dashboard() {
    assert_no_violations("uneditable-dashboard");
}
