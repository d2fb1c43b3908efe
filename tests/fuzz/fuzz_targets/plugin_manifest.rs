//! `plugin.toml`: see `nacre_plugin::fuzz::manifest`.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &[u8]| nacre_plugin::fuzz::manifest(text));
