//! Archives: any bytes open or are an error, and what is listed can be read or is an error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nacre_archive::Archive;
use nacre_oci::{Select, Silent, validate};

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let bytes = std::io::Cursor::new(bytes.to_vec());
    if let Ok(archive) = Archive::from_reader(bytes, "fuzz", folder.path(), &Silent) {
        for entry in archive.images() {
            let _ = validate(&archive, &entry.descriptor, &Select::All);
        }
    }
});
