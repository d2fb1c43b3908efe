//! Layouts: any `index.json` is a list of images or an error, and what it lists can be read or is an error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nacre_archive::Layout;
use nacre_oci::{Select, validate};

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).expect("a file");
    write("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
    write("index.json", bytes);
    let layout = Layout::open(folder.path()).expect("a layout");
    for entry in layout.images().unwrap_or_default() {
        let _ = validate(&layout, &entry.descriptor, &Select::All);
    }
});
