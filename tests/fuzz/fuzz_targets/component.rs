//! Components, before they are compiled: see `nacre_plugin::fuzz::component`.
#![no_main]

libfuzzer_sys::fuzz_target!(|wasm: &[u8]| nacre_plugin::fuzz::component(wasm));
