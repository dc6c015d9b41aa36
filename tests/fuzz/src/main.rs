//! The search: libFuzzer feeds the target that the environment variable `MEENT_FUZZ_TARGET` names.
#![no_main]

use std::sync::OnceLock;

use fuzzing::{Target, target};

/// The targets are shared as source: with the whole crate of tests everything that tests need would be instrumented too.
#[path = "../../src/fuzzing/mod.rs"]
#[allow(dead_code)]
mod fuzzing;

static TARGET: OnceLock<&'static Target> = OnceLock::new();

libfuzzer_sys::fuzz_target!(
    init: {
        let name = std::env::var("MEENT_FUZZ_TARGET").expect("MEENT_FUZZ_TARGET names a target");
        let found = target(&name).unwrap_or_else(|| panic!("there is no target `{name}`"));
        assert!(TARGET.set(found).is_ok(), "the target is chosen once");
    },
    |bytes: &[u8]| {
        if let Some(target) = TARGET.get() {
            (target.run)(bytes);
        }
    }
);
