//! Label analysis of PromQL expressions: the labels that a result can have, and references to
//! labels that cannot exist.
//!
//! Follows Prometheus' rules for aggregations, functions and vector matching. A label that a result
//! can have is not necessarily on each of its series.

use std::collections::BTreeSet;

use promql_parser::label::Labels as LabelList;
use promql_parser::parser::value::ValueType;
use promql_parser::parser::{
    AggregateExpr, BinaryExpr, Call, Expr, LabelModifier, VectorMatchCardinality,
};

use super::{Selector, children, selector};

/// A set of label names, without `__name__`.
pub type Labels = BTreeSet<String>;

/// A function that returns the labels of the series of a selector, or `None` if its metric does not
/// exist.
pub type LabelLookup<'a> = &'a dyn Fn(&Selector) -> Option<Labels>;

/// The result of the analysis of an expression.
#[derive(Debug, Default)]
pub struct LabelAnalysis {
    /// The labels that the result can have.
    pub labels: Labels,
    /// The metrics and labels that the expression names and that do not exist.
    pub errors: Vec<String>,
}

/// Analyses an expression.
pub fn analyse(expr: &Expr, lookup: LabelLookup) -> LabelAnalysis {
    let mut analyser = Analyser {
        lookup,
        errors: Vec::new(),
    };
    let labels = analyser.labels(expr);
    LabelAnalysis {
        labels,
        errors: analyser.errors,
    }
}

struct Analyser<'a> {
    lookup: LabelLookup<'a>,
    errors: Vec<String>,
}

impl Analyser<'_> {
    /// Returns the labels that the result of an expression can have.
    fn labels(&mut self, expr: &Expr) -> Labels {
        match expr {
            Expr::VectorSelector(_) | Expr::MatrixSelector(_) => self.selector_labels(expr),
            Expr::Aggregate(aggregate) => self.aggregate_labels(aggregate),
            Expr::Binary(binary) => self.binary_labels(binary),
            Expr::Call(call) => self.call_labels(call),
            _ => children(expr)
                .into_iter()
                .flat_map(|child| self.labels(child))
                .collect(),
        }
    }

    fn selector_labels(&mut self, expr: &Expr) -> Labels {
        let selector = selector(expr, None).unwrap();
        let Some(labels) = (self.lookup)(&selector) else {
            self.errors.push(format!("no metric {:?}", selector.metric));
            return Labels::new();
        };
        let place = format!("the matchers of {}", selector.metric);
        for matcher in &selector.matchers {
            self.require(&labels, &matcher.label, &place);
        }
        labels
    }

    fn aggregate_labels(&mut self, aggregate: &AggregateExpr) -> Labels {
        if let Some(param) = &aggregate.param {
            self.labels(param);
        }
        let operand = self.labels(&aggregate.expr);
        let op = aggregate.op.to_string();
        let mut labels = self.group_labels(&operand, aggregate.modifier.as_ref(), &op);
        match op.as_str() {
            // These choose series and keep their labels.
            "topk" | "bottomk" | "limitk" | "limit_ratio" => operand,
            "count_values" => {
                labels.extend(aggregate.param.iter().filter_map(|param| literal(param)));
                labels
            }
            _ => labels,
        }
    }

    /// Returns the labels that are left after `by (...)` or `without (...)`.
    fn group_labels(
        &mut self,
        operand: &Labels,
        modifier: Option<&LabelModifier>,
        place: &str,
    ) -> Labels {
        let Some(modifier) = modifier else {
            return Labels::new();
        };
        self.require_all(operand, modifier.labels(), place);
        let listed = label_set(modifier.labels());
        if modifier.is_include() {
            listed
        } else {
            operand - &listed
        }
    }

    fn call_labels(&mut self, call: &Call) -> Labels {
        let mut labels = Labels::new();
        for argument in &call.args.args {
            labels.extend(self.labels(argument));
        }
        match call.func.name {
            "label_replace" => self.apply_label_function(call, 3..4, &mut labels),
            "label_join" => {
                self.apply_label_function(call, 3..call.args.args.len(), &mut labels);
            }
            "histogram_quantile" => {
                self.require(&labels, "le", "histogram_quantile");
                labels.remove("le");
            }
            "vector" | "scalar" => labels.clear(),
            _ => {}
        }
        labels
    }

    /// Adds the label in the second argument, and requires those in the arguments `sources`. An
    /// empty source is valid.
    fn apply_label_function(
        &mut self,
        call: &Call,
        sources: std::ops::Range<usize>,
        labels: &mut Labels,
    ) {
        let mut texts = Vec::new();
        for argument in &call.args.args {
            texts.push(literal(argument).unwrap_or_default());
        }
        for label in texts[sources].iter().filter(|label| !label.is_empty()) {
            self.require(labels, label, call.func.name);
        }
        labels.insert(texts[1].clone());
    }

    fn binary_labels(&mut self, binary: &BinaryExpr) -> Labels {
        let (left, right) = (self.labels(&binary.lhs), self.labels(&binary.rhs));
        let is_scalar = |expr: &Expr| expr.value_type() == ValueType::Scalar;
        if is_scalar(&binary.lhs) || is_scalar(&binary.rhs) {
            return &left | &right;
        }
        let op = binary.op.to_string();
        let modifier = binary.modifier.as_ref();
        let matching = modifier.and_then(|modifier| modifier.matching.as_ref());
        if let Some(matching) = matching {
            self.require_all(&left, matching.labels(), &format!("the left side of {op}"));
            self.require_all(
                &right,
                matching.labels(),
                &format!("the right side of {op}"),
            );
        }
        match op.as_str() {
            "and" | "unless" => return left,
            "or" => return &left | &right,
            _ => {}
        }
        match modifier.map(|modifier| &modifier.card) {
            Some(VectorMatchCardinality::ManyToOne(copied)) => {
                self.group_side_labels(left, &right, copied)
            }
            Some(VectorMatchCardinality::OneToMany(copied)) => {
                self.group_side_labels(right, &left, copied)
            }
            _ => one_to_one_labels(&left, matching),
        }
    }

    /// Returns the labels of the "many" side with those that `group_left` or `group_right` copies
    /// from the "one" side.
    fn group_side_labels(&mut self, mut many: Labels, one: &Labels, copied: &LabelList) -> Labels {
        self.require_all(one, copied, "the one side of group_left or group_right");
        many.extend(label_set(copied));
        many
    }

    fn require_all(&mut self, labels: &Labels, required: &LabelList, place: &str) {
        for label in &required.labels {
            self.require(labels, label, place);
        }
    }

    /// Records an error if `label` is not one of `labels`.
    fn require(&mut self, labels: &Labels, label: &str, place: &str) {
        if !labels.contains(label) {
            self.errors.push(format!(
                "no label {label:?} in {place}: there are {labels:?}"
            ));
        }
    }
}

/// Returns the labels of the result where each side has one series per match.
fn one_to_one_labels(left: &Labels, matching: Option<&LabelModifier>) -> Labels {
    match matching {
        Some(LabelModifier::Include(on)) => label_set(on),
        Some(LabelModifier::Exclude(ignored)) => left - &label_set(ignored),
        None => left.clone(),
    }
}

fn label_set(list: &LabelList) -> Labels {
    list.labels.iter().cloned().collect()
}

/// Returns the text of a string literal.
fn literal(expr: &Expr) -> Option<String> {
    match expr {
        Expr::StringLiteral(literal) => Some(literal.val.clone()),
        _ => None,
    }
}
