//! Runs all targets on the stored inputs, without libFuzzer.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use ringcentral_exporter_fuzz::{TARGETS, target};

fn dir(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(kind)
}

/// Returns the inputs of a target in `corpus` or `regressions`; none if it has no directory there.
fn inputs(kind: &str, target: &str) -> Vec<PathBuf> {
    let mut inputs = Vec::new();
    if let Ok(entries) = fs::read_dir(dir(kind).join(target)) {
        for entry in entries {
            inputs.push(entry.unwrap().path());
        }
    }
    inputs.sort();
    inputs
}

#[test]
fn all_properties_hold_for_stored_inputs() {
    let mut failed = Vec::new();
    for (name, check) in TARGETS {
        for input in [inputs("corpus", name), inputs("regressions", name)].concat() {
            let data = fs::read(&input).unwrap();
            if catch_unwind(AssertUnwindSafe(|| check(&data))).is_err() {
                failed.push(input);
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn each_target_has_corpus_and_dictionary() {
    for (name, _) in TARGETS {
        assert!(!inputs("corpus", name).is_empty(), "{name}");
        let dictionary = dir("dictionaries").join(format!("{name}.dict"));
        assert!(dictionary.is_file(), "{name}");
    }
}

#[test]
fn each_input_directory_belongs_to_a_target() {
    for kind in ["corpus", "regressions"] {
        for entry in fs::read_dir(dir(kind)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(target(&name).is_some(), "{kind}/{name}");
        }
    }
}

/// Draws from a linear congruential generator.
struct Random(u64);

impl Random {
    fn choose<'a>(&mut self, values: &[&'a str]) -> &'a str {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        values[(self.0 >> 33) as usize % values.len()]
    }

    /// Returns a record with one of few ids, so that records return, end and join sessions.
    fn record(&mut self) -> String {
        let fields = [
            &[
                r#""id":"a""#,
                r#""id":"b""#,
                r#""id":3"#,
                r#""uri":"/c""#,
                "",
            ][..],
            &[
                r#""sessionId":1"#,
                r#""sessionId":"2""#,
                r#""sessionId":0"#,
                "",
            ],
            &[
                r#""telephonySessionId":"s""#,
                r#""telephonySessionId":"1""#,
                "",
            ],
            &[r#""finished":true"#, r#""finished":false"#, "", ""],
            &[
                r#""result":"In Progress""#,
                r#""result":"Busy""#,
                r#""result":"Accepted""#,
                "",
            ],
        ];
        let mut chosen: Vec<_> = fields.iter().map(|values| self.choose(values)).collect();
        chosen.retain(|field| !field.is_empty());
        format!("{{{}}}", chosen.join(","))
    }

    /// Returns an input for the target `page`: eight lists of up to three records.
    fn lists(&mut self) -> String {
        let mut lists = Vec::new();
        for _ in 0..8 {
            let count = self.choose(&["", "x", "xx", "xxx"]).len();
            let records: Vec<_> = (0..count).map(|_| self.record()).collect();
            lists.push(format!(r#"{{"records":[{}]}}"#, records.join(",")));
        }
        lists.join("\u{1e}")
    }
}

#[test]
fn all_properties_hold_for_random_call_lists() {
    let check = target("page").unwrap();
    let mut random = Random(17);
    for _ in 0..100 {
        let lists = random.lists();
        let checked = catch_unwind(AssertUnwindSafe(|| check(lists.as_bytes())));
        assert!(checked.is_ok(), "{}", lists.replace('\u{1e}', "\n"));
    }
}
