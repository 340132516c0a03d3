//! The queries of the documents are valid PromQL.

use crate::common::markdown::queries;
use crate::common::promtool::assert_valid_queries;

#[test]
fn queries_of_the_metrics_document_are_valid() {
    let queries = queries(include_str!("../../docs/METRICS.md"));
    assert!(queries.len() > 40, "{}", queries.len());
    assert_valid_queries(&queries);
}
