//! ext2, ext3 and ext4 file systems, read into images.
//!
//! The format: Linux, Documentation/filesystems/ext4. Checksums are not looked at, and the journal
//! is not replayed.

pub mod blocks;
pub mod folder;
pub mod image;
pub mod inode;
pub mod superblock;
pub mod xattr;

use nacre_sdk::bytes::Source;
use nacre_sdk::filesystem::{IntoLayer, walk};
use nacre_sdk::import::{Builder, Confidence, Head};
use nacre_sdk::read::ReadAt;
use nacre_sdk::{Error, Options};

use superblock::{MAGIC, MAGIC_AT};

/// The superblock bears its mark.
pub fn probe(_format: &str, head: &Head) -> Confidence {
    if is_ext4(&head.plain) { Confidence::Certain } else { Confidence::No }
}

/// Whether the mark is there, and what follows can be: its state, and the version of the format.
fn is_ext4(head: &[u8]) -> bool {
    let revision = head.get(1024 + 0x4c..1024 + 0x50);
    head.get(MAGIC_AT..).is_some_and(|behind| behind.starts_with(&MAGIC)) && revision.is_some_and(|raw| matches!(raw, [0 | 1, 0, 0, 0]))
}

/// Each file system becomes one layer.
pub fn convert(_format: &str, sources: Vec<Source>, image: &Builder, opts: &Options) -> Result<(), Error> {
    let unclean = opts.parse("unclean", "true or false")?.unwrap_or(false);
    for source in sources {
        let bare = is_ext4(&source.read_at(0, 2048)?);
        let source = if bare { source } else { source.decompress(None)? };
        let layer = image.layer("")?;
        let mut filesystem = image::Image::open(&source, unclean)?;
        walk(&mut filesystem, ReadAt::size(&source)?, &mut IntoLayer { source: &source, layer: &layer })?;
    }
    Ok(())
}

nacre_sdk::import_format!(probe, convert);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_tells() {
        let mut head = vec![0; 2048];
        assert!(!is_ext4(&head));
        head[MAGIC_AT..MAGIC_AT + 2].copy_from_slice(&MAGIC);
        assert!(is_ext4(&head));
        head[1024 + 0x4c] = 2;
        assert!(!is_ext4(&head) && !is_ext4(&head[..1100]));
    }
}
