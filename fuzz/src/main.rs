//! A target under libFuzzer. `FUZZ_TARGET` names it; all else is libFuzzer's own command line.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use ringcentral_exporter_fuzz::{Target, target};

static CHOSEN: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    target(&name).unwrap_or_else(|| panic!("FUZZ_TARGET={name:?} is no target"))
});

fuzz_target!(|data: &[u8]| CHOSEN(data));
