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
