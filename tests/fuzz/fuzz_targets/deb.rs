//! Debian packages: any bytes are a package or an error, and so are control files.
#![no_main]
#![allow(missing_docs, reason = "a plugin's own")]

#[path = "../../../plugins/deb/src/ar.rs"]
mod ar;
#[path = "../../../plugins/deb/src/control.rs"]
mod control;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(parts) = ar::parts(&bytes) {
        assert!([parts.control, parts.data].iter().all(|range| range.offset + range.size <= bytes.len() as u64));
    }
    if let Ok(control) = control::Control::parse(bytes) {
        let status = control.status("");
        assert_eq!(status.matches("\n\n").count(), 1);
        assert!(!control.stem().contains('/') && control.platform().is_none_or(|platform| platform.os == "linux"));
    }
});
