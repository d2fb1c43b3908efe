//! File systems that lie: an error in one line, or a part of the files; never a panic.
//!
//! The samples were made by `mke2fs -b 1024 -N 32` with 200 blocks: `ext2.img` with inodes of 128
//! bytes, `ext4.img` with those of 256, `inline_data` and no journal. `usr/islands` has 15 pieces.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::io::Read;

use common::{Files, read};
use ext4::superblock::Superblock;
use nacre_sdk::Error;
use nacre_sdk::files::Kind;
use nacre_sdk::read::Window;

const SUPERBLOCK: usize = 1024;
/// Places in an inode.
const FLAGS: usize = 0x20;
const SIZE: usize = 4;
const BODY: usize = 0x28;
const XATTR_BLOCK: usize = 0x68;
const ROOT: u32 = 2;

fn sample(name: &str) -> Vec<u8> {
    let packed = match name {
        "ext2" => &include_bytes!("samples/ext2.img.gz")[..],
        _ => include_bytes!("samples/ext4.img.gz"),
    };
    let mut image = Vec::new();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut image).unwrap();
    image
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

/// Where an inode lies.
fn inode(image: &[u8], number: u32) -> usize {
    let mut window = Window::new(&image, 4096).unwrap();
    let superblock = Superblock::read(&mut window, false).unwrap();
    superblock.inode_at(number, &mut window).unwrap() as usize
}

/// Where a name stands in a folder's list.
fn name(image: &[u8], name: &[u8]) -> usize {
    let entry = [&[name.len() as u8], &image[..0]].concat();
    image.windows(name.len() + 2).position(|bytes| bytes[0] == entry[0] && bytes[1] < 8 && bytes[2..] == *name).unwrap() + 2
}

/// The inode that a name stands for.
fn named(image: &[u8], text: &[u8]) -> usize {
    let at = name(image, text);
    inode(image, u32::from_le_bytes(image[at - 8..at - 4].try_into().unwrap()))
}

fn word(image: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(image[at..at + 4].try_into().unwrap())
}

fn check(found: &Files) {
    assert_eq!(found["etc/motd"].1, b"hello\n");
    assert_eq!((found["etc/motd.too"].0.kind, found["etc/motd.too"].0.link.as_deref()), (Kind::Hardlink, Some("etc/motd")));
    assert_eq!(found["etc/small"].1, [b'x'; 100]);
    assert_eq!(found["slow"].0.link, Some("a/rather/long/way/".repeat(5)));
    assert_eq!(found["bin"].0.link.as_deref(), Some("usr/bin"));
    assert_eq!(found["disk"].0.device, Some((8, 1)));
    assert_eq!(found["etc/caf\u{f7e9}"].0.size, 0);
    let xattrs = |path: &str| found[path].0.xattrs.iter().map(|xattr| (xattr.name.clone(), xattr.value.len())).collect::<Vec<_>>();
    assert_eq!(xattrs("etc"), [("user.note".to_owned(), 5)]);
    assert_eq!(xattrs("etc/motd")[0].0, "security.long");
    let mut islands = vec![0; 300_013];
    for at in (0..14).map(|i| i * 5000).chain([300_000]) {
        let text = format!("island {at}");
        islands[at..at + text.len()].copy_from_slice(text.as_bytes());
    }
    assert!(found["usr/islands"].1 == islands);
}

#[test]
fn the_samples_are_sound() {
    for sample in ["ext2", "ext4"].map(sample) {
        check(&read(&sample).unwrap());
    }
}

#[test]
fn folders_that_hold_themselves() {
    let image = sample("ext2");
    for target in [b"usr", b"etc"] {
        let at = name(&image, b"bin") - 8;
        let number = word(&image, name(&image, target) - 8);
        assert_eq!(patched(&image, at, &number.to_le_bytes()), "loop", "/bin is /usr or /etc");
    }
    assert_eq!(patched(&image, name(&image, b"bin") - 8, &ROOT.to_le_bytes()), "loop");
}

#[test]
fn names_that_lead_elsewhere() {
    let image = sample("ext2");
    let at = name(&image, b"bin");
    for text in [&b"../"[..], b"a/b", b"a\0b"] {
        assert_eq!(patched(&image, at, text), "bad-name", "{text:?}");
    }
    assert_eq!(patched(&image, at - 2, &[0]), "bad-name");
    assert_eq!(patched(&image, at, b"usr"), "twice");
    assert_eq!(patched(&image, at - 8, &[255; 4]), "bad-inode");
    assert_eq!(patched(&image, at - 4, &[0, 0]), "bad-folder");
    assert_eq!(patched(&image, at - 4, &[255, 255]), "bad-folder");
}

#[test]
fn extents() {
    let image = sample("ext4");
    let islands = named(&image, b"islands");
    let index = islands + BODY;
    let leaf = word(&image, index + 16) as usize * 1024;
    assert_eq!(patched(&image, index, &[0, 0]), "bad-extents", "no magic");
    assert_eq!(patched(&image, index + 6, &[6]), "bad-extents", "too deep");
    assert_eq!(patched(&image, index + 6, &[2]), "bad-extents", "a level is missing");
    assert_eq!(patched(&image, index + 2, &[200]), "bad-extents", "more entries than there are");
    assert_eq!(patched(&image, index + 16, &[255; 4]), "cut-off");
    assert_eq!(patched(&image, index + 16, &2u32.to_le_bytes()), "bad-extents", "a block that is no node");
    assert_eq!(patched(&image, leaf + 2, &[0, 0]), "bad-extents", "an empty leaf");
    assert_eq!(patched(&image, leaf + 12 + 4, &[0, 0]), "bad-extents", "an empty extent");
    assert_eq!(patched(&image, leaf + 24, &[0; 4]), "bad-extents", "not in order");
    assert_eq!(patched(&image, leaf + 12 + 8, &[255; 4]), "cut-off");
    // A node that leads to itself, on a level that it says it is on.
    let mut image = image;
    image[leaf + 6] = 1;
    image[leaf + 16..leaf + 20].copy_from_slice(&(leaf as u32 / 1024).to_le_bytes());
    image[leaf + 20..leaf + 24].copy_from_slice(&[0; 4]);
    image[index + 6] = 2;
    assert_eq!(code(&image), "bad-extents");
}

#[test]
fn lists_of_blocks() {
    let image = sample("ext2");
    let islands = named(&image, b"islands");
    let list = |level: usize| islands + BODY + (11 + level) * 4;
    assert_eq!(patched(&image, list(1), &[255; 4]), "cut-off");
    assert_eq!(patched(&image, islands + BODY, &[255; 4]), "cut-off");
    assert_eq!(patched(&image, list(2), &[0; 4]), code(&image), "a hole");
    let block = word(&image, list(2));
    assert!(block > 0);
    let mut image = image;
    image[block as usize * 1024..][..1024].copy_from_slice(&block.to_le_bytes().repeat(256));
    assert_eq!(code(&image), "14 files", "a list of itself ends with the file");
    image[islands + SIZE..][..4].copy_from_slice(&(1u32 << 30).to_le_bytes());
    image[list(3)..][..4].copy_from_slice(&block.to_le_bytes());
    assert_eq!(code(&image), "limit", "and is not repeated for ever");
}

#[test]
fn sizes_that_cannot_be() {
    let image = sample("ext2");
    let (file, link, folder) = (named(&image, b"motd"), named(&image, b"slow"), named(&image, b"usr"));
    assert_eq!(patched(&image, file + 0x6c, &[255; 4]), "limit");
    assert_eq!(patched(&image, file + SIZE, &[255; 4]), "limit");
    assert_eq!(patched(&image, link + SIZE, &[255; 4]), "bad-symlink");
    assert_eq!(patched(&image, link + SIZE, &[0; 4]), "bad-symlink");
    assert_eq!(patched(&image, folder + SIZE, &[255; 4]), "limit");
}

#[test]
fn small_content_and_attributes() {
    let image = sample("ext4");
    let small = named(&image, b"small");
    assert_eq!(patched(&image, small + SIZE, &[200]), "bad-inline");
    assert_eq!(patched(&image, small + 0x80, &[255, 255]), "bad-inline", "no room for attributes");
    assert_eq!(patched(&image, small + 0x80, &[0, 0]), "bad-inline");
    assert_eq!(patched(&image, small + 128 + 32 + 4 + 2, &[255, 255]), "bad-xattr", "a value outside");
    assert_eq!(patched(&image, small + FLAGS, &0x1000_0800u32.to_le_bytes()), "unsupported", "encrypted");
    let motd = named(&image, b"motd");
    assert_eq!(patched(&image, motd + XATTR_BLOCK, &[255; 4]), "cut-off");
    assert_eq!(patched(&image, motd + XATTR_BLOCK, &[1, 0, 0, 0]), "bad-xattr");
    assert_eq!(patched(&image, small, &[0, 0]), "bad-inode", "no type");
    assert_eq!(patched(&image, small, &[0xff, 0xc1]), "13 files", "a socket is left out");
}

#[test]
fn superblocks() {
    let image = sample("ext4");
    for (at, bytes, expected) in [
        (0x38, &[0u8][..], "no-ext4"),
        (0x18, &[63], "bad-superblock"),
        (0x18, &[255; 4], "bad-superblock"),
        (0x18, &[7], "bad-superblock"),
        (0x20, &[0; 4], "bad-superblock"),
        (0x28, &[0; 4], "bad-superblock"),
        (0x28, &[255; 4], "bad-superblock"),
        (0x58, &[0, 0], "bad-superblock"),
        (0x58, &[255, 255], "bad-superblock"),
        (0xfe, &[0, 0], "bad-superblock"),
        (0xfe, &[65, 0], "bad-superblock"),
        (0x4, &[0; 4], "bad-superblock"),
        (0x4, &[255; 4], "cut-off"),
        (0x150, &[255; 4], "cut-off"),
        (0, &[1, 0, 0, 0], "bad-inode"),
        (0x60, &[0xff, 0xff, 0xff, 0xff], "unsupported"),
        (0x60, &[0xc6, 2, 0, 0], "unclean"),
        (0x14, &[255; 4], "bad-superblock"),
    ] {
        assert_eq!(patched(&image, SUPERBLOCK + at, bytes), expected, "{at:#x} {bytes:?}");
    }
    assert_eq!(patched(&image, inode(&image, ROOT), &[0xff, 0x81]), "bad-root", "the root is a file");
}

#[test]
fn every_end_is_too_early() {
    let image = sample("ext4");
    for end in (0..45).map(|block| block * 512) {
        assert!(read(&image[..end]).is_err(), "{end}");
    }
}

/// Seeded, so that a failure comes back.
#[test]
fn twenty_thousand_mutations() {
    let mut state = 1u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let (mut read_anyway, mut refused) = (0, 0);
    for mut image in ["ext2", "ext4"].map(sample) {
        // Where something lies, for the most part zeros are not worth changing.
        let used: Vec<usize> = (SUPERBLOCK..50 * 1024).filter(|at| image[*at] != 0 || at % 64 == 0).collect();
        for _ in 0..10_000 {
            let changes: Vec<(usize, u8)> = (0..=random(3))
                .map(|_| {
                    let at = used[random(used.len())];
                    (at, std::mem::replace(&mut image[at], [0, 1, 0x7f, 0x80, 0xff, random(256) as u8][random(6)]))
                })
                .collect();
            match read(&image) {
                Ok(files) => {
                    read_anyway += 1;
                    assert!(files.keys().all(|path| path.split('/').all(|part| part != "..")));
                }
                Err(_) => refused += 1,
            }
            changes.into_iter().rev().for_each(|(at, byte)| image[at] = byte);
        }
    }
    assert!(read_anyway > 1000 && refused > 1000, "{read_anyway} {refused}");
}
