//! Values that plugins return, as JSON: see `nacre_plugin::fuzz::lifted`.
#![no_main]

libfuzzer_sys::fuzz_target!(|json: &[u8]| nacre_plugin::fuzz::lifted(json));
