//! Which labels the result of an expression can have, and which of the labels that it names can never be there.
//!
//! Follows Prometheus' rules for aggregations, functions and matching. Knows no value: a label that can be there is not
//! there on every series.

use std::collections::BTreeSet;

use promql_parser::label::Labels as Named;
use promql_parser::parser::value::ValueType;
use promql_parser::parser::{
    AggregateExpr, BinaryExpr, Call, Expr, LabelModifier, VectorMatchCardinality,
};

use super::{Selector, parts, selector};

/// Names of labels, without `__name__`.
pub type Labels = BTreeSet<String>;

/// The labels that the series of a selector have; `None` if its metric does not exist.
pub type Known<'a> = &'a dyn Fn(&Selector) -> Option<Labels>;

/// What was found out about an expression.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The labels that its result can have.
    pub labels: Labels,
    /// What it names and is not there.
    pub mistakes: Vec<String>,
}

/// Looks at an expression.
pub fn of(expr: &Expr, known: Known) -> Outcome {
    let mut reader = Reader {
        known,
        mistakes: Vec::new(),
    };
    let labels = reader.labels(expr);
    Outcome {
        labels,
        mistakes: reader.mistakes,
    }
}

struct Reader<'a> {
    known: Known<'a>,
    mistakes: Vec<String>,
}

impl Reader<'_> {
    fn labels(&mut self, expr: &Expr) -> Labels {
        match expr {
            Expr::VectorSelector(_) | Expr::MatrixSelector(_) => self.selected(expr),
            Expr::Aggregate(aggregate) => self.aggregated(aggregate),
            Expr::Binary(binary) => self.combined(binary),
            Expr::Call(call) => self.called(call),
            _ => parts(expr)
                .into_iter()
                .flat_map(|part| self.labels(part))
                .collect(),
        }
    }

    fn selected(&mut self, expr: &Expr) -> Labels {
        let selector = selector(expr, None).unwrap();
        let Some(labels) = (self.known)(&selector) else {
            self.mistakes
                .push(format!("no metric {:?}", selector.metric));
            return Labels::new();
        };
        for matcher in &selector.matchers {
            self.need(
                &labels,
                &matcher.label,
                &format!("the matchers of {}", selector.metric),
            );
        }
        labels
    }

    fn aggregated(&mut self, aggregate: &AggregateExpr) -> Labels {
        if let Some(param) = &aggregate.param {
            self.labels(param);
        }
        let within = self.labels(&aggregate.expr);
        let mut labels = self.grouped(
            &within,
            aggregate.modifier.as_ref(),
            &aggregate.op.to_string(),
        );
        match aggregate.op.to_string().as_str() {
            // These choose series, and leave them as they are.
            "topk" | "bottomk" | "limitk" | "limit_ratio" => within,
            "count_values" => {
                labels.extend(aggregate.param.iter().filter_map(|param| text(param)));
                labels
            }
            _ => labels,
        }
    }

    fn grouped(
        &mut self,
        within: &Labels,
        modifier: Option<&LabelModifier>,
        place: &str,
    ) -> Labels {
        let Some(modifier) = modifier else {
            return Labels::new();
        };
        self.need_all(within, modifier.labels(), place);
        let named = set(modifier.labels());
        if modifier.is_include() {
            named
        } else {
            within - &named
        }
    }

    fn called(&mut self, call: &Call) -> Labels {
        let arguments = call
            .args
            .args
            .iter()
            .map(|argument| self.labels(argument))
            .collect::<Vec<_>>();
        let mut labels: Labels = arguments.into_iter().flatten().collect();
        match call.func.name {
            "label_replace" => self.written(call, 3..4, &mut labels),
            "label_join" => self.written(call, 3..call.args.args.len(), &mut labels),
            "histogram_quantile" => {
                self.need(&labels, "le", "histogram_quantile");
                labels.remove("le");
            }
            "vector" | "scalar" => labels.clear(),
            _ => {}
        }
        labels
    }

    /// The second argument is the label that is written; those of the range are read. The empty name reads nothing.
    fn written(&mut self, call: &Call, read: std::ops::Range<usize>, labels: &mut Labels) {
        let texts: Vec<_> = call
            .args
            .args
            .iter()
            .map(|argument| text(argument).unwrap_or_default())
            .collect();
        for label in texts[read].iter().filter(|label| !label.is_empty()) {
            self.need(labels, label, call.func.name);
        }
        labels.insert(texts[1].clone());
    }

    fn combined(&mut self, binary: &BinaryExpr) -> Labels {
        let (left, right) = (self.labels(&binary.lhs), self.labels(&binary.rhs));
        let is_scalar = |expr: &Expr| expr.value_type() == ValueType::Scalar;
        if is_scalar(&binary.lhs) || is_scalar(&binary.rhs) {
            return &left | &right;
        }
        let op = binary.op.to_string();
        let modifier = binary.modifier.as_ref();
        if let Some(matching) = modifier.and_then(|modifier| modifier.matching.as_ref()) {
            self.need_all(&left, matching.labels(), &format!("the left side of {op}"));
            self.need_all(
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
            Some(VectorMatchCardinality::ManyToOne(more)) => self.joined(left, &right, more),
            Some(VectorMatchCardinality::OneToMany(more)) => self.joined(right, &left, more),
            _ => matched(
                &left,
                modifier.and_then(|modifier| modifier.matching.as_ref()),
            ),
        }
    }

    /// `group_left` takes labels from the side of which there is one.
    fn joined(&mut self, mut many: Labels, one: &Labels, more: &Named) -> Labels {
        self.need_all(one, more, "the one side of group_left or group_right");
        many.extend(set(more));
        many
    }

    fn need_all(&mut self, labels: &Labels, named: &Named, place: &str) {
        for label in &named.labels {
            self.need(labels, label, place);
        }
    }

    fn need(&mut self, labels: &Labels, label: &str, place: &str) {
        if !labels.contains(label) {
            self.mistakes.push(format!(
                "no label {label:?} in {place}: there are {labels:?}"
            ));
        }
    }
}

/// What one side keeps where both sides have one series.
fn matched(left: &Labels, matching: Option<&LabelModifier>) -> Labels {
    match matching {
        Some(LabelModifier::Include(on)) => set(on),
        Some(LabelModifier::Exclude(ignored)) => left - &set(ignored),
        None => left.clone(),
    }
}

fn set(named: &Named) -> Labels {
    named.labels.iter().cloned().collect()
}

fn text(expr: &Expr) -> Option<String> {
    match expr {
        Expr::StringLiteral(literal) => Some(literal.val.clone()),
        _ => None,
    }
}
