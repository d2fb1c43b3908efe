//! squashfs: any bytes are a file system or an error, and what is passed on lies in them. Blocks
//! "decompress" to themselves, so that mutations reach what is behind the compression.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nacre_sdk::bytes::Codec;
use nacre_sdk::filesystem::walk;
use nacre_sdk::memory::Memory;
use nacre_sdk::{Error, invalid};
use squashfs::read::Image;

fn decode(_: Codec, data: &[u8], max: u32) -> Result<Vec<u8>, Error> {
    if data.len() > max as usize { Err(invalid("large", "a block that is too large")) } else { Ok(data.to_vec()) }
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut filesystem) = Image::open(&bytes, decode) else { return };
    let mut files = Memory::new(bytes, decode);
    if walk(&mut filesystem, bytes.len() as u64, &mut files).is_ok() {
        assert!(files.files.keys().all(|path| !path.split('/').any(|part| part == "..")));
    }
});
