//! A PromQL parser for the queries of dashboards and rules, and the selectors in a query.
//!
//! Only this module and [`labels`] use types of `promql-parser`. Whether a metric exists is not
//! checked here.

pub mod labels;

use std::fmt;
use std::time::Duration;

use promql_parser::label::{MatchOp, Matchers};
use promql_parser::parser::{self, VectorSelector};

pub use promql_parser::parser::Expr;

/// The operator of a matcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchType {
    Equal,
    NotEqual,
    Regex,
    NotRegex,
}

impl MatchType {
    /// Returns the operator as it is written.
    fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        }
    }
}

impl From<&MatchOp> for MatchType {
    fn from(op: &MatchOp) -> Self {
        match op {
            MatchOp::Equal => Self::Equal,
            MatchOp::NotEqual => Self::NotEqual,
            MatchOp::Re(_) => Self::Regex,
            MatchOp::NotRe(_) => Self::NotRegex,
        }
    }
}

/// A label matcher of a selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matcher {
    pub label: String,
    pub match_type: MatchType,
    pub value: String,
}

impl Matcher {
    /// Returns whether the matcher selects a value.
    pub fn is_match(&self, value: &str) -> bool {
        let operator = self.match_type.as_str();
        let text = format!(
            "{{{}{operator}{:?},__name__=\"x\"}}",
            self.label, self.value
        );
        let Ok(Expr::VectorSelector(vector)) = parse(&text) else {
            panic!("invalid matcher: {text}");
        };
        let mut parsed = vector.matchers.find_matchers(&self.label);
        parsed.remove(0).is_match(value)
    }
}

/// A selector: `metric{matchers}[range]`.
#[derive(Clone, Debug)]
pub struct Selector {
    /// The name of the metric; empty if the selector has none.
    pub metric: String,
    /// The matchers, without that of `__name__`.
    pub matchers: Vec<Matcher>,
    pub range: Option<Duration>,
    /// The function whose direct argument the selector is.
    pub function: Option<&'static str>,
}

impl Selector {
    /// Returns whether the selector has this matcher.
    pub fn has(&self, label: &str, match_type: MatchType, value: &str) -> bool {
        self.matchers.iter().any(|matcher| {
            matcher.label == label && matcher.match_type == match_type && matcher.value == value
        })
    }
}

/// Writes the selector without spaces and without its range.
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut matchers = Vec::new();
        for matcher in &self.matchers {
            let operator = matcher.match_type.as_str();
            matchers.push(format!("{}{operator}{:?}", matcher.label, matcher.value));
        }
        write!(f, "{}{{{}}}", self.metric, matchers.join(","))
    }
}

/// Parses an expression. Grafana's variables are valid only within strings: see
/// [`substitute_variables`].
pub fn parse(text: &str) -> Result<Expr, String> {
    parser::parse(text)
}

/// Replaces `$name` and `${name}` by values, the longest name first.
pub fn substitute_variables(text: &str, variables: &[(&str, &str)]) -> String {
    let mut variables = variables.to_vec();
    variables.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    let mut text = text.to_owned();
    for (name, value) in variables {
        text = text
            .replace(&format!("${{{name}}}"), value)
            .replace(&format!("${name}"), value);
    }
    text
}

/// Returns the direct subexpressions of an expression.
pub fn children(expr: &Expr) -> Vec<&Expr> {
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

/// Calls `visit` with the expression and each of its subexpressions in pre-order, each with its
/// parent.
pub fn walk<'a>(expr: &'a Expr, visit: &mut dyn FnMut(&'a Expr, Option<&'a Expr>)) {
    fn walk_with_parent<'a>(
        expr: &'a Expr,
        parent: Option<&'a Expr>,
        visit: &mut dyn FnMut(&'a Expr, Option<&'a Expr>),
    ) {
        visit(expr, parent);
        for child in children(expr) {
            walk_with_parent(child, Some(expr), visit);
        }
    }
    walk_with_parent(expr, None, visit);
}

/// Returns all selectors of an expression, from left to right.
pub fn selectors(expr: &Expr) -> Vec<Selector> {
    let mut found = Vec::new();
    walk(expr, &mut |expr, parent| {
        found.extend(selector(expr, parent))
    });
    found
}

/// Returns the expression as a selector, or `None` if it is not a selector.
fn selector(expr: &Expr, parent: Option<&Expr>) -> Option<Selector> {
    let (vector, range) = match expr {
        Expr::VectorSelector(vector) => (vector, None),
        Expr::MatrixSelector(matrix) => (&matrix.vs, Some(matrix.range)),
        _ => return None,
    };
    let function = match parent {
        Some(Expr::Call(call)) => Some(call.func.name),
        _ => None,
    };
    Some(Selector {
        metric: metric_name(vector),
        matchers: matchers(&vector.matchers),
        range,
        function,
    })
}

/// Returns the name of the metric, which is written before the braces or as the matcher of
/// `__name__`.
fn metric_name(vector: &VectorSelector) -> String {
    if let Some(name) = &vector.name {
        return name.clone();
    }
    match vector.matchers.find_matchers("__name__").pop() {
        Some(matcher) => matcher.value,
        None => String::new(),
    }
}

/// Returns the matchers, without that of `__name__`.
fn matchers(matchers: &Matchers) -> Vec<Matcher> {
    assert!(
        matchers.or_matchers.is_empty(),
        "Prometheus does not accept `or` between matchers: {matchers}"
    );
    let mut labels = Vec::new();
    for matcher in &matchers.matchers {
        if matcher.name != "__name__" {
            labels.push(Matcher {
                label: matcher.name.clone(),
                match_type: MatchType::from(&matcher.op),
                value: matcher.value.clone(),
            });
        }
    }
    labels
}
