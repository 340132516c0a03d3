//! PromQL as it stands in dashboards and rules: parsed, and what it selects.
//!
//! Owns the parser: with `labels` below it, which says which labels a result can have, it alone names the parser's
//! types, so another one could take its place here. Knows no metric: what exists is for `exposition` to say, and what
//! is right for the tests.

pub mod labels;

use std::fmt;
use std::time::Duration;

use promql_parser::label::{MatchOp, Matchers};
use promql_parser::parser::{self, VectorSelector};

pub use promql_parser::parser::Expr;

/// How a matcher compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    Equal,
    NotEqual,
    Regex,
    NotRegex,
}

/// One matcher of a selector, the name of the metric left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matcher {
    pub label: String,
    pub compare: Compare,
    pub value: String,
}

/// What is selected: `metric{matchers}[range]`.
#[derive(Clone, Debug)]
pub struct Selector {
    /// Empty if the selector names none.
    pub metric: String,
    pub matchers: Vec<Matcher>,
    pub range: Option<Duration>,
    /// The function whose argument it is, if a function stands right before it.
    pub function: Option<&'static str>,
}

impl Selector {
    /// Whether it has this matcher.
    pub fn has(&self, label: &str, compare: Compare, value: &str) -> bool {
        self.matchers
            .iter()
            .any(|one| one.label == label && one.compare == compare && one.value == value)
    }
}

/// As it is written, without spaces.
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = |compare| match compare {
            Compare::Equal => "=",
            Compare::NotEqual => "!=",
            Compare::Regex => "=~",
            Compare::NotRegex => "!~",
        };
        let matcher = |one: &Matcher| format!("{}{}{:?}", one.label, sign(one.compare), one.value);
        let matchers: Vec<_> = self.matchers.iter().map(matcher).collect();
        write!(f, "{}{{{}}}", self.metric, matchers.join(","))
    }
}

/// Reads an expression. Grafana's variables may stand in strings, and nowhere else: see [`with_variables`].
pub fn parse(text: &str) -> Result<Expr, String> {
    parser::parse(text)
}

/// Puts values in the place of `$name` and `${name}`, the longest name first.
pub fn with_variables(text: &str, variables: &[(&str, &str)]) -> String {
    let mut variables = variables.to_vec();
    variables.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    variables
        .iter()
        .fold(text.to_owned(), |text, (name, value)| {
            text.replace(&format!("${{{name}}}"), value)
                .replace(&format!("${name}"), value)
        })
}

/// The expressions of which one is made.
pub fn parts(expr: &Expr) -> Vec<&Expr> {
    match expr {
        Expr::Aggregate(aggregate) => aggregate
            .param
            .iter()
            .map(|param| &**param)
            .chain([&*aggregate.expr])
            .collect(),
        Expr::Unary(unary) => vec![&unary.expr],
        Expr::Binary(binary) => vec![&binary.lhs, &binary.rhs],
        Expr::Paren(paren) => vec![&paren.expr],
        Expr::Subquery(subquery) => vec![&subquery.expr],
        Expr::Call(call) => call.args.args.iter().map(|argument| &**argument).collect(),
        _ => Vec::new(),
    }
}

/// Shows every expression within one, itself first, each with the one that it is part of.
pub fn walk<'a>(expr: &'a Expr, seen: &mut dyn FnMut(&'a Expr, Option<&'a Expr>)) {
    fn inner<'a>(
        expr: &'a Expr,
        of: Option<&'a Expr>,
        seen: &mut dyn FnMut(&'a Expr, Option<&'a Expr>),
    ) {
        seen(expr, of);
        for part in parts(expr) {
            inner(part, Some(expr), seen);
        }
    }
    inner(expr, None, seen);
}

/// All that an expression selects, from left to right.
pub fn selectors(expr: &Expr) -> Vec<Selector> {
    let mut found = Vec::new();
    walk(expr, &mut |expr, of| found.extend(selector(expr, of)));
    found
}

/// The selector that an expression is.
fn selector(expr: &Expr, of: Option<&Expr>) -> Option<Selector> {
    let (selected, range) = match expr {
        Expr::VectorSelector(selected) => (selected, None),
        Expr::MatrixSelector(matrix) => (&matrix.vs, Some(matrix.range)),
        _ => return None,
    };
    let function = match of {
        Some(Expr::Call(call)) => Some(call.func.name),
        _ => None,
    };
    Some(Selector {
        metric: metric(selected),
        matchers: matchers(&selected.matchers),
        range,
        function,
    })
}

/// The name, whether it stands before the braces or within.
fn metric(selected: &VectorSelector) -> String {
    let within = || {
        selected
            .matchers
            .find_matchers("__name__")
            .pop()
            .map(|matcher| matcher.value)
    };
    selected.name.clone().or_else(within).unwrap_or_default()
}

fn matchers(all: &Matchers) -> Vec<Matcher> {
    assert!(
        all.or_matchers.is_empty(),
        "Prometheus knows no `or` between matchers: {all}"
    );
    let compare = |op: &MatchOp| match op {
        MatchOp::Equal => Compare::Equal,
        MatchOp::NotEqual => Compare::NotEqual,
        MatchOp::Re(_) => Compare::Regex,
        MatchOp::NotRe(_) => Compare::NotRegex,
    };
    let named = all.matchers.iter().filter(|one| one.name != "__name__");
    named
        .map(|one| Matcher {
            label: one.name.clone(),
            compare: compare(&one.op),
            value: one.value.clone(),
        })
        .collect()
}
