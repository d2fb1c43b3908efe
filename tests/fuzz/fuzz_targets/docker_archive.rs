//! docker-archives: any `manifest.json` and any config beside it are images or an error. The first zero byte parts the two.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nacre_archive::Archive;
use nacre_oci::{Select, Silent, validate};

#[path = "sealed.rs"]
mod sealed;

fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let mut tar = Vec::new();
    for name in ["manifest.json", "config.json"] {
        member(&mut tar, name, parts.next().unwrap_or_default());
    }
    tar.resize(tar.len() + 1024, 0);
    let folder = tempfile::tempdir().expect("a temporary folder");
    if let Ok(archive) = Archive::from_reader(tar.as_slice(), "fuzz", folder.path(), &Silent) {
        for entry in archive.images() {
            let _ = validate(&archive, &entry.descriptor, &Select::All);
        }
    }
});

/// Appends a file: its header, and its content filled up to a block.
fn member(tar: &mut Vec<u8>, name: &str, content: &[u8]) {
    let mut header = [0; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[100..107].copy_from_slice(b"0000644");
    header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
    header[156] = b'0';
    header[257..265].copy_from_slice(b"ustar\x0000");
    tar.extend_from_slice(&sealed::sealed(&header));
    tar.extend_from_slice(content);
    tar.resize(tar.len().next_multiple_of(512), 0);
}
