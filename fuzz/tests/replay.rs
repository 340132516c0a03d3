//! Every input that is kept, once more, without libFuzzer.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use ringcentral_exporter_fuzz::{TARGETS, Target};

fn folder(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(kind)
}

/// The inputs of a target; none if it has no folder there.
fn inputs(kind: &str, target: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder(kind).join(target))
        .into_iter()
        .flatten();
    let mut inputs: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    inputs.sort();
    inputs
}

/// The inputs about which the claim does not hold.
fn broken(check: Target, inputs: Vec<PathBuf>) -> Vec<PathBuf> {
    let holds = |input: &PathBuf| {
        catch_unwind(AssertUnwindSafe(|| check(&fs::read(input).unwrap()))).is_ok()
    };
    inputs.into_iter().filter(|input| !holds(input)).collect()
}

#[test]
fn every_claim_holds_for_every_input_that_is_kept() {
    let kept = |name| [inputs("corpus", name), inputs("regressions", name)].concat();
    let broken: Vec<_> = TARGETS
        .iter()
        .flat_map(|(name, check)| broken(*check, kept(name)))
        .collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_target_has_a_corpus_and_a_dictionary() {
    for (name, _) in TARGETS {
        assert!(!inputs("corpus", name).is_empty(), "{name}");
        assert!(
            folder("dictionaries")
                .join(format!("{name}.dict"))
                .is_file(),
            "{name}"
        );
    }
}

#[test]
fn every_folder_is_of_a_target() {
    for kind in ["corpus", "regressions"] {
        for entry in fs::read_dir(folder(kind)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(
                TARGETS.iter().any(|(target, _)| *target == name),
                "{kind}/{name}"
            );
        }
    }
}
