//! The rules of Grafana's dashboard linter, each a test under its own name.
//!
//! Written after its rules, not its code, and stricter where it looks away: at panels of kinds that it does not know,
//! at an empty list of value mappings, and at counters that are selected with a matcher. `dashboards/.lint` holds the
//! exceptions, in its format; each has a reason, and is needed.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use crate::common::promql::{self, Expr, MatchType, Selector};
use crate::model::{self, Dashboard, Panel, Target, Variable};

/// What is wrong with a dashboard by a rule.
pub type Rule = fn(&Dashboard) -> Vec<Violation>;

/// Something wrong, and where: in a panel, or in the dashboard as a whole.
pub struct Violation {
    dashboard: String,
    panel: Option<String>,
    what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let panel = self
            .panel
            .as_ref()
            .map(|panel| format!(", panel {panel:?}"))
            .unwrap_or_default();
        write!(f, "{}{panel}: {}", self.dashboard, self.what)
    }
}

/// All rules by name.
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

/// Tells it from every range that is written out.
const RATE_INTERVAL: Duration = Duration::from_secs(7919);

/// Of Grafana's units those that the dashboards use.
const UNITS: [&str; 9] = [
    "none",
    "string",
    "short",
    "locale",
    "percentunit",
    "s",
    "bytes",
    "bool_yes_no",
    "cpm",
];

/// The file of exceptions: the linter's own format, without what it only warns of.
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
    fn covers(&self, violation: &Violation) -> bool {
        self.dashboard == violation.dashboard && Some(&self.panel) == violation.panel.as_ref()
    }
}

fn exceptions() -> Exceptions {
    let file = Path::new(model::FOLDER).join(".lint");
    match std::fs::read_to_string(&file) {
        Ok(text) => serde_saphyr::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display())),
        Err(_) => Exceptions::default(),
    }
}

fn violations(rule: Rule) -> Vec<Violation> {
    model::all().iter().flat_map(rule).collect()
}

/// Nothing is wrong by this rule, but for the exceptions.
fn holds(name: &str) {
    let (_, rule) = RULES.iter().find(|(known, _)| *known == name).unwrap();
    let exceptions = exceptions();
    let entries = exceptions
        .exclusions
        .get(name)
        .map(|exception| &exception.entries[..])
        .unwrap_or_default();
    let violations = violations(*rule);
    let wrong = violations
        .iter()
        .filter(|violation| !entries.iter().any(|entry| entry.covers(violation)));
    let wrong: Vec<_> = wrong.map(Violation::to_string).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_exception_has_a_reason_and_is_needed() {
    for (name, exception) in exceptions().exclusions {
        assert!(
            exception.reason.split_whitespace().count() >= 5,
            "{name}: a reason, please: {:?}",
            exception.reason
        );
        assert!(
            !exception.entries.is_empty(),
            "{name}: no rule is left out everywhere"
        );
        let (_, rule) = RULES
            .iter()
            .find(|(known, _)| *known == name)
            .unwrap_or_else(|| panic!("no rule {name}"));
        let violations = violations(*rule);
        for entry in &exception.entries {
            assert!(
                violations.iter().any(|one| entry.covers(one)),
                "{name}: nothing to except: {entry:?}"
            );
        }
    }
}

fn of_dashboard(dashboard: &Dashboard, what: String) -> Violation {
    Violation {
        dashboard: dashboard.title.clone(),
        panel: None,
        what,
    }
}

fn of_panel(dashboard: &Dashboard, panel: &Panel, what: String) -> Violation {
    Violation {
        dashboard: dashboard.title.clone(),
        panel: Some(panel.title.clone()),
        what,
    }
}

/// What is wrong in panels.
fn in_panels(dashboard: &Dashboard, check: impl Fn(&Panel) -> Vec<String>) -> Vec<Violation> {
    let wrong = |panel| {
        check(panel)
            .into_iter()
            .map(move |what| of_panel(dashboard, panel, what))
    };
    dashboard.panels().flat_map(wrong).collect()
}

/// What is wrong in queries.
fn in_targets(dashboard: &Dashboard, check: impl Fn(&Target) -> Vec<String>) -> Vec<Violation> {
    in_panels(dashboard, |panel| {
        let wrong = |target: &Target| {
            check(target)
                .into_iter()
                .map(|what| format!("query {}: {what}", target.ref_id))
                .collect::<Vec<_>>()
        };
        panel.targets.iter().flat_map(wrong).collect()
    })
}

/// What is wrong in what queries select. Those that cannot be read are for `target-promql-rule`.
fn in_selectors(
    dashboard: &Dashboard,
    wrong: impl Fn(&Selector) -> Option<String>,
) -> Vec<Violation> {
    in_targets(dashboard, |target| {
        let selectors = parsed(&target.expr)
            .map(|expr| promql::selectors(&expr))
            .unwrap_or_default();
        selectors.iter().filter_map(&wrong).collect()
    })
}

fn parsed(text: &str) -> Result<Expr, String> {
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
        return vec![of_dashboard(
            dashboard,
            format!("{} variables for a data source, and not one", sources.len()),
        )];
    };
    let found = (
        source.name.as_str(),
        source.label.as_str(),
        source.query.as_str(),
    );
    let wanted = [
        ("datasource", "Data source", "prometheus"),
        (
            "prometheus_datasource",
            "Prometheus data source",
            "prometheus",
        ),
    ];
    let wrong = !wanted.contains(&found);
    wrong
        .then(|| {
            of_dashboard(
                dashboard,
                format!("data source {found:?} is none of {wanted:?}"),
            )
        })
        .into_iter()
        .collect()
}

#[test]
fn template_datasource_rule() {
    holds("template-datasource-rule");
}

fn template(dashboard: &Dashboard, name: &str, label: &str) -> Vec<Violation> {
    let Some(variable) = dashboard.variable(name) else {
        return vec![of_dashboard(dashboard, format!("no variable {name}"))];
    };
    let source = variable
        .datasource
        .as_ref()
        .map(|source| source.uid.as_str());
    let wrong = [
        (
            source != Some("${datasource}") && source != Some("$datasource"),
            "does not ask the chosen data source",
        ),
        (variable.kind != "query", "is no query"),
        (variable.label != label, "has another label than its name"),
        (!variable.multi, "does not take several values"),
        (
            variable.all_value.as_deref() != Some(".+"),
            "has another allValue than .+",
        ),
    ];
    let wrong = wrong.into_iter().filter(|(wrong, _)| *wrong);
    wrong
        .map(|(_, what)| of_dashboard(dashboard, format!("variable {name} {what}")))
        .collect()
}

#[test]
fn template_job_rule() {
    holds("template-job-rule");
}

#[test]
fn template_instance_rule() {
    holds("template-instance-rule");
}

fn template_label(dashboard: &Dashboard) -> Vec<Violation> {
    let wrong = |variable: &Variable| {
        let result = match variable.label_values() {
            Some((selector, _)) => parsed(selector).map(|_| ()),
            None => Err("no label_values(selector, label)".to_owned()),
        };
        let what = result.err()?;
        Some(of_dashboard(
            dashboard,
            format!("variable {}: {}: {what}", variable.name, variable.query),
        ))
    };
    dashboard.queried().filter_map(wrong).collect()
}

#[test]
fn template_label_promql_rule() {
    holds("template-label-promql-rule");
}

fn template_reload(dashboard: &Dashboard) -> Vec<Violation> {
    let wrong = dashboard.queried().filter(|variable| variable.refresh != 2);
    wrong
        .map(|variable| {
            let what = format!(
                "variable {} is not read anew when the time range changes",
                variable.name
            );
            of_dashboard(dashboard, what)
        })
        .collect()
}

#[test]
fn template_on_time_change_reload_rule() {
    holds("template-on-time-change-reload-rule");
}

fn panel_datasource(dashboard: &Dashboard) -> Vec<Violation> {
    let sources = dashboard
        .templating
        .list
        .iter()
        .filter(|variable| variable.kind == "datasource");
    let chosen: Vec<_> = sources
        .flat_map(|source| [format!("${}", source.name), format!("${{{}}}", source.name)])
        .collect();
    in_panels(dashboard, |panel| {
        let uid = panel.datasource.as_ref().map(|source| &source.uid);
        let right = uid.is_some_and(|uid| chosen.contains(uid));
        (!right)
            .then(|| format!("its data source is {uid:?}, and not a chosen one"))
            .into_iter()
            .collect()
    })
}

#[test]
fn panel_datasource_rule() {
    holds("panel-datasource-rule");
}

fn panel_title_description(dashboard: &Dashboard) -> Vec<Violation> {
    in_panels(dashboard, |panel| {
        let both = !panel.title.is_empty() && !panel.description.is_empty();
        (!both)
            .then(|| "title or description is missing".to_owned())
            .into_iter()
            .collect()
    })
}

#[test]
fn panel_title_description_rule() {
    holds("panel-title-description-rule");
}

/// Value mappings say what a number means, and so does a field that is no number.
fn panel_units(dashboard: &Dashboard) -> Vec<Violation> {
    in_panels(dashboard, |panel| {
        let no_number = panel.options["reduceOptions"]["fields"]
            .as_str()
            .is_some_and(|fields| !fields.is_empty());
        if !panel.field_config.defaults.mappings.is_empty() || panel.kind == "stat" && no_number {
            return Vec::new();
        }
        let overridden = panel
            .field_config
            .overrides
            .iter()
            .flat_map(|one| &one.properties);
        let overridden = overridden
            .filter(|property| property.id == "unit")
            .filter_map(|unit| unit.value.as_str());
        let units = overridden.chain([panel.field_config.defaults.unit.as_str()]);
        let unknown = units.filter(|unit| !UNITS.contains(unit));
        unknown
            .map(|unit| format!("no unit of Grafana's that this test knows: {unit:?}"))
            .collect()
    })
}

#[test]
fn panel_units_rule() {
    holds("panel-units-rule");
}

fn panel_no_targets(dashboard: &Dashboard) -> Vec<Violation> {
    in_panels(dashboard, |panel| {
        panel
            .targets
            .is_empty()
            .then(|| "it has no query".to_owned())
            .into_iter()
            .collect()
    })
}

#[test]
fn panel_no_targets_rule() {
    holds("panel-no-targets-rule");
}

fn target_promql(dashboard: &Dashboard) -> Vec<Violation> {
    in_targets(dashboard, |target| {
        let error = parsed(&target.expr).err();
        error
            .map(|error| format!("{:?} is no PromQL: {error}", target.expr))
            .into_iter()
            .collect()
    })
}

#[test]
fn target_promql_rule() {
    holds("target-promql-rule");
}

fn target_rate_interval(dashboard: &Dashboard) -> Vec<Violation> {
    in_selectors(dashboard, |selector| {
        let is_rate = matches!(selector.function, Some("rate" | "irate"));
        let wrong = is_rate && selector.range != Some(RATE_INTERVAL);
        wrong.then(|| format!("a rate of {selector} over something else than $__rate_interval"))
    })
}

#[test]
fn target_rate_interval_rule() {
    holds("target-rate-interval-rule");
}

fn target_matcher(dashboard: &Dashboard, label: &str) -> Vec<Violation> {
    in_selectors(dashboard, |selector| {
        let right = selector.has(label, MatchType::Regex, &format!("${label}"));
        (!right).then(|| format!("{selector} is not chosen by {label}=~\"${label}\""))
    })
}

#[test]
fn target_job_rule() {
    holds("target-job-rule");
}

#[test]
fn target_instance_rule() {
    holds("target-instance-rule");
}

fn target_counter(dashboard: &Dashboard) -> Vec<Violation> {
    in_selectors(dashboard, |selector| {
        let is_counted = matches!(selector.function, Some("rate" | "irate" | "increase"));
        let wrong = selector.metric.ends_with("_total") && !is_counted;
        wrong.then(|| format!("the counter {selector} has neither rate, irate nor increase"))
    })
}

#[test]
fn target_counter_agg_rule() {
    holds("target-counter-agg-rule");
}

/// Two rules are about Loki. Without a query to it, both hold.
fn no_loki(dashboard: &Dashboard) -> Vec<Violation> {
    in_targets(dashboard, |target| {
        let is_loki = target
            .datasource
            .as_ref()
            .is_some_and(|source| source.kind == "loki");
        is_loki
            .then(|| "it asks Loki, and there is no test for that".to_owned())
            .into_iter()
            .collect()
    })
}

#[test]
fn target_logql_rule() {
    holds("target-logql-rule");
}

#[test]
fn target_logql_auto_rule() {
    holds("target-logql-auto-rule");
}

fn uneditable(dashboard: &Dashboard) -> Vec<Violation> {
    dashboard
        .editable
        .then(|| of_dashboard(dashboard, "it is editable".to_owned()))
        .into_iter()
        .collect()
}

#[test]
fn uneditable_dashboard() {
    holds("uneditable-dashboard");
}
