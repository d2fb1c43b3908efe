//! Auth files: see `nacre_registry::fuzz::auth_file`.
#![no_main]

libfuzzer_sys::fuzz_target!(|file: &[u8]| nacre_registry::fuzz::auth_file(file));
