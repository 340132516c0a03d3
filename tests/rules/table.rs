//! The table of alerts in the document beside the rules tells the truth.

use crate::common::markdown::{inline_code, table};
use crate::shipped;

#[test]
fn the_table_has_each_alert_with_its_severity_its_wait_and_its_thresholds() {
    let (rows, alerts) = (table(&shipped::readme(), "alert").rows, shipped::alerts());
    assert_eq!(rows.len(), alerts.len());
    for (row, alert) in rows.iter().zip(&alerts) {
        let [name, severity, _, thresholds, waits] = row.as_slice() else {
            panic!("{row:?}")
        };
        assert_eq!(inline_code(name), [alert.name()]);
        assert_eq!(severity, alert.severity(), "{name}");
        assert_eq!(Some(waits), alert.waits.as_ref(), "{name}");
        let expr = alert.expr.split_whitespace().collect::<Vec<_>>().join(" ");
        for threshold in inline_code(thresholds) {
            assert!(
                expr.contains(&threshold),
                "{name} has no {threshold:?}: {expr}"
            );
        }
    }
}
