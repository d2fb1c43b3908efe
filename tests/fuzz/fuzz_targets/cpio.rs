//! cpio: any bytes are archives or an error, and what is passed on lies in them.
#![no_main]
#![allow(missing_docs, dead_code, reason = "a plugin's own")]

#[path = "../../../plugins/cpio/src/archive.rs"]
mod archive;
#[path = "../../../plugins/cpio/src/header.rs"]
mod header;
#[path = "../../../plugins/cpio/src/links.rs"]
mod links;

use libfuzzer_sys::fuzz_target;
use nacre_sdk::memory::Memory;

fuzz_target!(|bytes: &[u8]| {
    let mut files = Memory::new(bytes, |_, _, _| Err("nothing is packed".into()));
    if archive::read(&bytes, &mut files).is_ok() {
        assert!(files.files.keys().all(|path| !path.split('/').any(|part| part == "..")));
    }
});
