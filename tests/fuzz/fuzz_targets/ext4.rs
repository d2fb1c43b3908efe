//! ext4: any bytes are a file system or an error, and what is passed on lies in them.
#![no_main]

use ext4::image::Image;
use libfuzzer_sys::fuzz_target;
use nacre_sdk::filesystem::walk;
use nacre_sdk::memory::Memory;

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut filesystem) = Image::open(&bytes, true) else { return };
    let mut files = Memory::new(bytes, |_, _, _| Err("nothing is packed".into()));
    if walk(&mut filesystem, bytes.len() as u64, &mut files).is_ok() {
        assert!(files.files.keys().all(|path| !path.split('/').any(|part| part == "..")));
    }
});
