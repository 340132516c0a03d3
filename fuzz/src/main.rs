//! One target under libFuzzer. `FUZZ_TARGET` has its name; the arguments are those of libFuzzer.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use ringcentral_exporter_fuzz::{Target, target};

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    target(&name).unwrap_or_else(|| panic!("FUZZ_TARGET={name:?}: unknown target"))
});

fuzz_target!(|data: &[u8]| TARGET(data));
