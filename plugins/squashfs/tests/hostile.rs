//! File systems that lie: an error in one line, or a part of the files; never a panic.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{file, read, sample, write, write_stored};
use nacre_sdk::Error;
use nacre_sdk::entries::entry;
use nacre_sdk::files::{Entry, Kind, Xattr};

/// Places in the superblock.
const BLOCK_SIZE: usize = 12;
const FRAGMENTS: usize = 16;
const COMPRESSOR: usize = 20;
const IDS: usize = 26;
const VERSION: usize = 28;
const ROOT: usize = 32;
const USED: usize = 40;
const ID_TABLE: usize = 48;
const XATTR_TABLE: usize = 56;
const INODE_TABLE: usize = 64;
const DIRECTORY_TABLE: usize = 72;
const FRAGMENT_TABLE: usize = 80;

fn number(image: &[u8], at: usize) -> usize {
    u64::from_le_bytes(image[at..at + 8].try_into().unwrap()) as usize
}

/// Overwrites bytes that lie behind the first metadata block's header of a table.
fn patch(image: &mut [u8], table: usize, offset: usize, bytes: &[u8]) {
    let at = number(image, table) + 2 + offset;
    image[at..at + bytes.len()].copy_from_slice(bytes);
}

/// A short name for what is wrong.
fn code(image: &[u8]) -> String {
    match read(image) {
        Err(Error::Invalid(list)) => list[0].code.clone(),
        Err(Error::Limit(_)) => "limit".to_owned(),
        Err(Error::Unsupported(_)) => "unsupported".to_owned(),
        Err(other) => format!("{other:?}"),
        Ok(files) => format!("{} files", files.len()),
    }
}

fn patched(image: &[u8], at: usize, bytes: &[u8]) -> String {
    let mut image = image.to_vec();
    image[at..at + bytes.len()].copy_from_slice(bytes);
    code(&image)
}

/// `/d/e`: the list of `d` comes first, then that of the root.
fn folders() -> Vec<u8> {
    write_stored(&[(entry("d", Kind::Directory, 0o755), Vec::new()), (entry("d/e", Kind::Directory, 0o755), Vec::new())])
}

#[test]
fn folders_that_hold_themselves() {
    let mut image = folders();
    let root = number(&image, ROOT) as u16;
    patch(&mut image, DIRECTORY_TABLE, 12, &root.to_le_bytes());
    assert_eq!(code(&image), "loop");
}

#[test]
fn names_that_lead_elsewhere() {
    for (name, expected) in [(&b"/"[..], "bad-name"), (b".", "bad-name"), (b"\0", "bad-name"), (b"x", "3 files")] {
        let mut image = folders();
        patch(&mut image, DIRECTORY_TABLE, 20, name);
        assert_eq!(code(&image), expected, "{name:?}");
    }
    let mut image = write_stored(&[file("aa", b""), file("ab", b"")]);
    patch(&mut image, DIRECTORY_TABLE, 20, b"..");
    assert_eq!(code(&image), "bad-name");
    patch(&mut image, DIRECTORY_TABLE, 20, b"ab");
    assert_eq!(code(&image), "twice");
}

#[test]
fn lists_that_do_not_end() {
    let mut image = folders();
    patch(&mut image, DIRECTORY_TABLE, 0, &u32::MAX.to_le_bytes());
    assert_eq!(code(&image), "damaged");
    patch(&mut image, DIRECTORY_TABLE, 0, &255u32.to_le_bytes());
    assert_eq!(code(&image), "damaged");
    let mut image = folders();
    patch(&mut image, DIRECTORY_TABLE, 18, &u16::MAX.to_le_bytes());
    assert_eq!(code(&image), "damaged");
}

/// The inode of the only file comes first: 16 bytes, then start, fragment, offset, size, blocks.
#[test]
fn content_that_lies_nowhere() {
    let image = write_stored(&[file("a", &[1; 200_000])]);
    assert_eq!(code(&image), "2 files");
    let inode = number(&image, INODE_TABLE) + 2;
    let at = |field: usize| inode + 16 + field * 4;
    assert_eq!(patched(&image, at(0), &u32::MAX.to_le_bytes()), "cut-off");
    assert_eq!(patched(&image, at(1), &7u32.to_le_bytes()), "bad-fragment");
    assert_eq!(patched(&image, at(3), &u32::MAX.to_le_bytes()), "limit", "4 GiB in an image of 200 KB");
    assert_eq!(patched(&image, at(3), &(1u32 << 29).to_le_bytes()), "damaged", "a list of blocks that goes on beyond all tables");
    assert_eq!(patched(&image, at(3), &131_072u32.to_le_bytes()), "2 files", "shorter than its blocks");
    assert_eq!(patched(&image, at(4), &0x1fff_ffffu32.to_le_bytes()), "damaged", "a block larger than blocks are");
    assert_eq!(patched(&image, at(4), &(1u32 << 24 | 5).to_le_bytes()), "damaged", "a block shorter than its content");
    assert_eq!(patched(&image, at(4), &0u32.to_le_bytes()), "2 files", "a hole");
    assert_eq!(patched(&image, inode, &99u16.to_le_bytes()), "damaged", "an unknown type");
    assert_eq!(patched(&image, inode + 4, &9u16.to_le_bytes()), "bad-owner");
}

#[test]
fn a_file_of_many_terabytes_of_nothing() {
    let linked = Entry { link: Some("a".into()), ..entry("b", Kind::Hardlink, 0o644) };
    let mut image = write_stored(&[file("a", &[1; 20]), (linked, Vec::new())]);
    // An extended inode: 16 bytes, start, size.
    patch(&mut image, INODE_TABLE, 24, &(1u64 << 60).to_le_bytes());
    assert_eq!(code(&image), "limit");
}

#[test]
fn fragments() {
    let mut image = write_stored(&[file("a", &[1; 20])]);
    // The file's end lies in fragment 0, whose entry lies where the first owner does.
    let ids = number(&image, ID_TABLE) as u64;
    image[FRAGMENTS..FRAGMENTS + 4].copy_from_slice(&1u32.to_le_bytes());
    image[FRAGMENT_TABLE..FRAGMENT_TABLE + 8].copy_from_slice(&ids.to_le_bytes());
    patch(&mut image, INODE_TABLE, 20, &0u32.to_le_bytes());
    assert!(read(&image).is_err());
    let end = image.len() as u64;
    image[FRAGMENT_TABLE..FRAGMENT_TABLE + 8].copy_from_slice(&end.to_le_bytes());
    assert_eq!(code(&image), "cut-off");
}

#[test]
fn symlinks_and_attributes() {
    let link = Entry { link: Some("target".into()), ..entry("a", Kind::Symlink, 0o777) };
    let mut image = write_stored(&[(link, Vec::new())]);
    patch(&mut image, INODE_TABLE, 20, &u32::MAX.to_le_bytes());
    assert_eq!(code(&image), "damaged");
    patch(&mut image, INODE_TABLE, 20, &0u32.to_le_bytes());
    assert_eq!(code(&image), "bad-symlink");
    let xattrs = vec![Xattr { name: "user.a".into(), value: vec![1; 100] }];
    let image = write_stored(&[(Entry { xattrs, ..entry("a", Kind::Fifo, 0o644) }, Vec::new())]);
    let inode = number(&image, INODE_TABLE) + 2;
    assert_eq!(patched(&image, inode + 20, &1u32.to_le_bytes()), "bad-xattr", "an index beyond all");
    let list = number(&image, XATTR_TABLE);
    let value = number(&image, list) + 2;
    assert_eq!(patched(&image, value, &9u16.to_le_bytes()), "bad-xattr", "an unknown type");
    assert_eq!(patched(&image, value + 5, &u32::MAX.to_le_bytes()), "limit");
    assert_eq!(patched(&image, value, &0x100u16.to_le_bytes()), "cut-off", "a value elsewhere");
}

#[test]
fn superblocks() {
    let image = folders();
    for (at, bytes, expected) in [
        (0, &b"hsq"[..], "3 files"),
        (0, b"hsqt", "no-squashfs"),
        (0, b"sqsh", "unsupported"),
        (VERSION, &[3], "unsupported"),
        (COMPRESSOR, &[2], "unsupported"),
        (COMPRESSOR, &[99], "unsupported"),
        (BLOCK_SIZE, &[1], "bad-superblock"),
        (BLOCK_SIZE + 10, &[63], "bad-superblock"),
        (USED, &[255; 8], "cut-off"),
        (IDS, &[255; 2], "damaged"),
        (ID_TABLE, &[255; 8], "cut-off"),
        (XATTR_TABLE, &[0; 8], "3 files"),
        (XATTR_TABLE, &[254; 8], "cut-off"),
        (ROOT, &[255; 8], "cut-off"),
        (INODE_TABLE, &[255; 8], "cut-off"),
        (DIRECTORY_TABLE, &[255; 8], "cut-off"),
    ] {
        assert_eq!(patched(&image, at, bytes), expected, "{at} {bytes:?}");
    }
    let table = number(&image, INODE_TABLE);
    for header in [0u16, 0x8000, 0xffff, 0x7fff, 8193] {
        assert_eq!(patched(&image, table, &header.to_le_bytes()), "damaged", "{header:#x}");
    }
}

#[test]
fn every_end_is_too_early() {
    let image = write(&[file("a", b"content"), file("b", b"more")], [("compress", "gzip")]).unwrap();
    let used = number(&image, USED);
    assert_eq!(code(&image[..used]), "3 files");
    for end in 0..used {
        let mut cut = image[..end].to_vec();
        assert!(read(&cut).is_err(), "{end}");
        // And if it claims to be whole:
        if end > USED + 8 {
            cut[USED..USED + 8].copy_from_slice(&(end as u64).to_le_bytes());
            assert!(read(&cut).is_err(), "{end}");
        }
    }
}

/// Seeded, so that a failure comes back.
#[test]
fn twenty_thousand_mutations() {
    let few: Vec<_> = sample().into_iter().filter(|(entry, _)| !entry.path.contains("file-") && entry.size < 1000).collect();
    let mut state = 1u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let (mut read_anyway, mut refused) = (0, 0);
    for image in [write_stored(&few), write(&few, [("compress", "gzip")]).unwrap()] {
        let used = number(&image, USED);
        for _ in 0..10_000 {
            let mut image = image.clone();
            for _ in 0..=random(3) {
                let at = random(used);
                image[at] = [0, 1, 0x7f, 0x80, 0xff, random(256) as u8][random(6)];
            }
            match read(&image) {
                Ok(files) => {
                    read_anyway += 1;
                    assert!(files.keys().all(|path| path.split('/').all(|part| part != "..")));
                }
                Err(_) => refused += 1,
            }
        }
    }
    assert!(read_anyway > 1000 && refused > 1000, "{read_anyway} {refused}");
}
