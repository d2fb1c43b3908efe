//! A reference that parses prints what parses to the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nacre_oci::Reference;

fuzz_target!(|text: &str| {
    if let Ok(reference) = text.parse::<Reference>() {
        assert_eq!(reference.to_string().parse::<Reference>().expect("canonical"), reference);
        assert_eq!(reference.familiar().parse::<Reference>().expect("familiar"), reference);
    }
});
