//! zip: any bytes are an archive or an error, and contents lie in it, one beside the other.
#![no_main]
#![allow(missing_docs, reason = "a plugin's own")]

#[path = "../../../plugins/zip/src/archive.rs"]
mod archive;
#[path = "../../../plugins/zip/src/central.rs"]
mod central;
#[path = "../../../plugins/zip/src/end.rs"]
mod end;
#[path = "../../../plugins/zip/src/extra.rs"]
mod extra;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut packed = 0;
    let read = archive::read(&bytes, |_, data, _| Ok(data.to_vec()), &mut |entry, content| {
        assert!(!entry.path.split('/').any(|part| part == ".."));
        if let Some((range, _)) = content {
            assert!(range.offset + range.size <= bytes.len() as u64);
            packed += range.size;
        }
        Ok(())
    });
    assert!(read.is_err() || packed <= bytes.len() as u64);
});
