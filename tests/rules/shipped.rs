//! The rules as they are shipped, and their unit tests.
//!
//! Owns: where the files are, and their form. Refuses to know: what is right in them.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::common::markdown;
use crate::common::promql::{self, Expr};

/// The folder, from the package's, in which tests run.
pub const FOLDER: &str = "deploy/prometheus";
/// The rule that is meant to be edited.
pub const BUSINESS_HOURS: &str = "job_account:ringcentral_business_hours:bool";

/// A recording rule or an alert.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub record: Option<String>,
    pub alert: Option<String>,
    pub expr: String,
    #[serde(rename = "for")]
    pub waits: Option<String>,
    #[serde(rename = "keep_firing_for")]
    pub stays: Option<String>,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

impl Rule {
    /// The name of the alert or of what it records.
    pub fn name(&self) -> &str {
        self.alert.as_deref().or(self.record.as_deref()).unwrap()
    }

    pub fn severity(&self) -> &str {
        self.labels.get("severity").map_or("", String::as_str)
    }

    pub fn annotation(&self, name: &str) -> &str {
        self.annotations.get(name).map_or("", String::as_str)
    }

    pub fn parsed(&self) -> Expr {
        promql::parse(&self.expr).unwrap_or_else(|error| panic!("{}: {error}", self.name()))
    }
}

#[derive(Deserialize)]
struct Rules {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

/// A block of promtool's unit tests.
#[derive(Deserialize)]
pub struct Case {
    pub name: String,
    #[serde(default, rename = "promql_expr_test")]
    pub values: Vec<Value>,
    #[serde(default, rename = "alert_rule_test")]
    pub alerts: Vec<Alert>,
}

#[derive(Deserialize)]
pub struct Value {
    pub expr: String,
    #[serde(default, rename = "exp_samples")]
    pub samples: Vec<Sample>,
}

#[derive(Deserialize)]
pub struct Sample {
    pub labels: String,
}

#[derive(Deserialize)]
pub struct Alert {
    pub alertname: String,
    #[serde(default, rename = "exp_alerts")]
    pub expected: Vec<Expected>,
}

#[derive(Deserialize)]
pub struct Expected {
    #[serde(rename = "exp_labels")]
    pub labels: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Cases {
    tests: Vec<Case>,
}

/// All rules, in the order in which they stand.
pub fn rules() -> Vec<Rule> {
    let texts = markdown::files_with_suffix(Path::new(FOLDER).join("rules"), ".yml")
        .into_iter()
        .map(|file| read(&file));
    texts.flat_map(|text| rules_in(&text)).collect()
}

/// The rules of a file.
pub fn rules_in(text: &str) -> Vec<Rule> {
    yaml::<Rules>(text)
        .groups
        .into_iter()
        .flat_map(|group| group.rules)
        .collect()
}

pub fn alerts() -> Vec<Rule> {
    rules()
        .into_iter()
        .filter(|rule| rule.alert.is_some())
        .collect()
}

pub fn records() -> Vec<Rule> {
    rules()
        .into_iter()
        .filter(|rule| rule.record.is_some())
        .collect()
}

/// All blocks of the unit tests.
pub fn cases() -> Vec<Case> {
    let texts = markdown::files_with_suffix(Path::new(FOLDER).join("tests"), ".test.yml")
        .into_iter()
        .map(|file| read(&file));
    texts.flat_map(|text| yaml::<Cases>(&text).tests).collect()
}

/// An expression and those of all that it builds on.
pub fn chain(expr: Expr) -> Vec<Expr> {
    let records = records();
    let mut chain = vec![expr];
    let mut next = 0;
    while next < chain.len() {
        let selected = promql::selectors(&chain[next]);
        let below = records
            .iter()
            .filter(|record| selected.iter().any(|one| one.metric == record.name()));
        chain.extend(below.map(Rule::parsed).collect::<Vec<_>>());
        next += 1;
    }
    chain
}

/// The expression of business hours, as it is shipped.
pub fn business_hours() -> String {
    records()
        .into_iter()
        .find(|record| record.name() == BUSINESS_HOURS)
        .unwrap()
        .expr
}

/// The document beside the rules.
pub fn readme() -> String {
    markdown::read(&format!("{FOLDER}/README.md"))
}

fn read(file: &Path) -> String {
    markdown::read(file.to_str().unwrap())
}

pub fn yaml<T: DeserializeOwned>(text: &str) -> T {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}
