//! The queries of the documents are PromQL.

use crate::common::markdown::queries;
use crate::common::promtool::assert_valid_queries;

#[test]
fn every_query_of_the_metrics_document_is_understood_by_promtool() {
    let queries = queries(include_str!("../../docs/METRICS.md"));
    assert!(queries.len() > 40, "{}", queries.len());
    assert_valid_queries(&queries);
}
