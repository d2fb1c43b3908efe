//! `Link`, a header each line: see `nacre_registry::fuzz::link`.
#![no_main]

libfuzzer_sys::fuzz_target!(|lines: &[u8]| nacre_registry::fuzz::link(lines));
