//! `WWW-Authenticate`, a header each line: see `nacre_registry::fuzz::challenge`.
#![no_main]

libfuzzer_sys::fuzz_target!(|lines: &[u8]| nacre_registry::fuzz::challenge(lines));
