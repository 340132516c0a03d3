//! The table of alerts in `deploy/prometheus/README.md` matches the rules.

use crate::common::markdown::{inline_code, table};
use crate::rule_files;

#[test]
fn alert_table_matches_the_rules() {
    let rows = table(&rule_files::readme(), "alert").rows;
    let alerts = rule_files::alerts();
    assert_eq!(rows.len(), alerts.len());
    for (row, alert) in rows.iter().zip(&alerts) {
        let [name, severity, _, thresholds, hold_duration] = row.as_slice() else {
            panic!("{row:?}")
        };
        assert_eq!(inline_code(name), [alert.name()]);
        assert_eq!(severity, alert.severity(), "{name}");
        assert_eq!(Some(hold_duration), alert.hold_duration.as_ref(), "{name}");
        let expr = alert.expr.split_whitespace().collect::<Vec<_>>().join(" ");
        for threshold in inline_code(thresholds) {
            assert!(
                expr.contains(&threshold),
                "{name} does not contain {threshold:?}: {expr}"
            );
        }
    }
}
