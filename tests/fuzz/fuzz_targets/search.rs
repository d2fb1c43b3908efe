//! Search answers and lists of names: see `nacre_registry::fuzz::search`.
#![no_main]

libfuzzer_sys::fuzz_target!(|answer: &[u8]| nacre_registry::fuzz::search(answer));
