//! Ranges on both sides: what a server is asked for lies within its blob, and what it answers is what was asked for.
//! See also `nacre_registry::fuzz::ranges`.
#![no_main]

#[path = "../../../host/serve/src/range.rs"]
mod range;

use libfuzzer_sys::fuzz_target;
use range::{Span, chunk, span};

fuzz_target!(|value: &[u8]| {
    nacre_registry::fuzz::ranges(value);
    let Ok(header) = std::str::from_utf8(value) else { return };
    for size in [0, 1, 10, u64::MAX] {
        if let Span::Part(first, last) = span(Some(header), size) {
            assert!(first <= last && last < size, "{first}-{last} of {size}");
            assert_eq!(span(Some(&format!("bytes={first}-{last}")), size), Span::Part(first, last));
        }
    }
    if let Some((first, last)) = chunk(header) {
        assert!(first <= last, "{first}-{last}");
        assert_eq!(chunk(&format!("{first}-{last}")), Some((first, last)));
    }
});
