//! Image configs: what parses is written and read back as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nacre_oci::ImageConfig;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(config) = ImageConfig::parse(bytes) {
        let _ = (config.platform(), config.created_seconds());
        assert_eq!(ImageConfig::parse(&config.to_bytes()).expect("what was written"), config);
    }
});
