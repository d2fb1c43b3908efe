//! The host's side in memory, and file systems to read.
#![allow(clippy::unwrap_used, dead_code, reason = "tests")]

use std::collections::BTreeMap;

use ext4::image::Image;
use nacre_sdk::Error;
use nacre_sdk::files::Entry;
use nacre_sdk::filesystem::walk;
use nacre_sdk::memory::Memory;

/// Path to entry and content.
pub type Files = BTreeMap<String, (Entry, Vec<u8>)>;

pub fn read(image: &[u8]) -> Result<Files, Error> {
    read_with(image, false)
}

pub fn read_with(image: &[u8], unclean: bool) -> Result<Files, Error> {
    let mut memory = Memory::new(image, |_, _, _| unreachable!("nothing is compressed"));
    let mut filesystem = Image::open(&image, unclean)?;
    walk(&mut filesystem, image.len() as u64, &mut memory)?;
    Ok(memory.files)
}
