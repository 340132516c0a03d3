//! Parser for the shipped rule files and their unit tests.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::common::markdown;
use crate::common::promql::{self, Expr};

/// Folder of the shipped files, relative to the package.
pub const FOLDER: &str = "deploy/prometheus";
/// Name of the rule that users edit.
pub const BUSINESS_HOURS: &str = "job_account:ringcentral_business_hours:bool";

/// Recording or alerting rule.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub record: Option<String>,
    pub alert: Option<String>,
    pub expr: String,
    #[serde(rename = "for")]
    pub hold_duration: Option<String>,
    pub keep_firing_for: Option<String>,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

impl Rule {
    /// Returns the name of the alert or of the recorded series.
    pub fn name(&self) -> &str {
        self.alert.as_deref().or(self.record.as_deref()).unwrap()
    }

    /// Returns the label `severity`, or an empty text.
    pub fn severity(&self) -> &str {
        self.labels.get("severity").map_or("", String::as_str)
    }

    /// Returns an annotation, or an empty text.
    pub fn annotation(&self, name: &str) -> &str {
        self.annotations.get(name).map_or("", String::as_str)
    }

    /// Parses the expression.
    pub fn parsed(&self) -> Expr {
        promql::parse(&self.expr).unwrap_or_else(|error| panic!("{}: {error}", self.name()))
    }
}

#[derive(Deserialize)]
struct RuleFile {
    groups: Vec<RuleGroup>,
}

#[derive(Deserialize)]
struct RuleGroup {
    rules: Vec<Rule>,
}

/// One unit test of promtool.
#[derive(Deserialize)]
pub struct UnitTest {
    pub name: String,
    #[serde(default, rename = "promql_expr_test")]
    pub values: Vec<ExpressionTest>,
    #[serde(default, rename = "alert_rule_test")]
    pub alerts: Vec<AlertTest>,
}

#[derive(Deserialize)]
/// Expression of a unit test and its expected samples.
pub struct ExpressionTest {
    pub expr: String,
    #[serde(default, rename = "exp_samples")]
    pub samples: Vec<Sample>,
}

#[derive(Deserialize)]
/// Expected sample.
pub struct Sample {
    pub labels: String,
}

#[derive(Deserialize)]
/// Alert name of a unit test and its expected alerts.
pub struct AlertTest {
    pub alertname: String,
    #[serde(default, rename = "exp_alerts")]
    pub expected: Vec<ExpectedAlert>,
}

#[derive(Deserialize)]
/// Expected alert.
pub struct ExpectedAlert {
    #[serde(rename = "exp_labels")]
    pub labels: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct UnitTestFile {
    tests: Vec<UnitTest>,
}

/// Reads all rules, in file order.
pub fn rules() -> Vec<Rule> {
    let texts = markdown::files_with_suffix(Path::new(FOLDER).join("rules"), ".yml")
        .into_iter()
        .map(|file| read(&file));
    texts.flat_map(|text| parse_rules(&text)).collect()
}

/// Parses the rules of a file.
pub fn parse_rules(text: &str) -> Vec<Rule> {
    parse_yaml::<RuleFile>(text)
        .groups
        .into_iter()
        .flat_map(|group| group.rules)
        .collect()
}

/// Reads all alerting rules.
pub fn alerts() -> Vec<Rule> {
    rules()
        .into_iter()
        .filter(|rule| rule.alert.is_some())
        .collect()
}

/// Reads all recording rules.
pub fn records() -> Vec<Rule> {
    rules()
        .into_iter()
        .filter(|rule| rule.record.is_some())
        .collect()
}

/// Reads all unit tests.
pub fn unit_tests() -> Vec<UnitTest> {
    let texts = markdown::files_with_suffix(Path::new(FOLDER).join("tests"), ".test.yml")
        .into_iter()
        .map(|file| read(&file));
    texts
        .flat_map(|text| parse_yaml::<UnitTestFile>(&text).tests)
        .collect()
}

/// Returns an expression followed by the expressions of all records that it uses, directly or indirectly.
pub fn with_dependencies(expr: Expr) -> Vec<Expr> {
    let records = records();
    let mut exprs = vec![expr];
    let mut next = 0;
    while next < exprs.len() {
        let selected = promql::selectors(&exprs[next]);
        let used = records.iter().filter(|record| {
            selected
                .iter()
                .any(|selector| selector.metric == record.name())
        });
        exprs.extend(used.map(Rule::parsed).collect::<Vec<_>>());
        next += 1;
    }
    exprs
}

/// Returns the shipped expression of the business hours rule.
pub fn business_hours() -> String {
    records()
        .into_iter()
        .find(|record| record.name() == BUSINESS_HOURS)
        .unwrap()
        .expr
}

/// Reads `deploy/prometheus/README.md`.
pub fn readme() -> String {
    markdown::read(&format!("{FOLDER}/README.md"))
}

/// Reads a file of the package.
fn read(file: &Path) -> String {
    markdown::read(file.to_str().unwrap())
}

/// Parses YAML; panics with the error and the text.
pub fn parse_yaml<T: DeserializeOwned>(text: &str) -> T {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}
