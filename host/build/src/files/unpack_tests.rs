#![allow(clippy::unwrap_used, reason = "tests")]
use std::sync::Arc;

use nacre_layer::{Codec, TarWriter};

use super::*;
use crate::files::{
    LayerTree,
    testing::{layer, make, nowhere, tar},
};

/// A tree with this file.
fn holding(name: &str, content: Vec<u8>) -> Arc<dyn FileTree> {
    let mut writer = TarWriter::new(Vec::new());
    writer.add(&Entry { size: content.len() as u64, ..Entry::new(name, Kind::File) }, &mut content.as_slice()).unwrap();
    Arc::new(LayerTree::new(vec![layer(writer.finish().unwrap())], nowhere()).unwrap())
}

fn unpacked(base: &[&str], archive: Vec<u8>, text: &str) -> Vec<String> {
    make(base, &holding("t", archive), text).unwrap().layer
}

/// What unpacking it in `/s` says.
fn failing(base: &[&str], archive: Vec<u8>) -> String {
    make(base, &holding("t", archive), "copy t /s unpack").err().unwrap().to_string()
}

const ARCHIVE: &str = "dir/ 0750 1000:50\ndir/in 0644 1000:50 inner\nrun 0750 1000:50 exec\nlink -> run\nhard = run\npipe |";
const WANT: [&str; 7] =
    ["o/", "o/dir/ 0750 1000:50", "o/dir/in 1000:50 'inner'", "o/hard 0644 'exec'", "o/link -> run", "o/pipe |", "o/run = o/hard"];

fn want() -> Vec<String> {
    WANT.iter().map(|line| line.replace(" 0644", "")).collect()
}

#[test]
fn archives_are_told_by_content_and_unpacked_whatever_their_compression() {
    let plain = tar(ARCHIVE);
    assert_eq!(unpacked(&[], plain.clone(), "copy t /o/ unpack"), want());
    for codec in [Codec::Gzip, Codec::Bzip2, Codec::Xz, Codec::Zstd] {
        let mut encoder = codec.writer(Vec::new()).unwrap();
        std::io::Write::write_all(&mut encoder, &plain).unwrap();
        assert_eq!(unpacked(&[], encoder.finish().unwrap(), "copy t /o unpack"), want(), "{codec:?}");
    }
    assert_eq!(unpacked(&[], plain, "copy t /o/")[..1], ["o/"]);
}

#[test]
fn of_attributes_only_capabilities_stay() {
    let xattr = |name: &str| nacre_layer::Xattr { name: name.into(), value: b"v".to_vec() };
    let xattrs = vec![xattr("security.capability"), xattr("user.k")];
    let mut writer = TarWriter::new(Vec::new());
    writer.add(&Entry { xattrs, ..Entry::new("f", Kind::File) }, &mut std::io::empty()).unwrap();
    let made = make(&[], &holding("t", writer.finish().unwrap()), "copy t /o/ unpack").unwrap().entries;
    assert_eq!(made[1].xattrs, [xattr("security.capability")]);
}

#[test]
fn what_lies_behind_the_end_of_an_archive_does_no_harm() {
    for codec in [Codec::Gzip, Codec::Bzip2, Codec::Xz] {
        let mut encoder = codec.writer(Vec::new()).unwrap();
        std::io::Write::write_all(&mut encoder, &tar(ARCHIVE)).unwrap();
        let archive = [encoder.finish().unwrap(), b"more".to_vec()].concat();
        assert_eq!(unpacked(&[], archive, "copy t /o unpack"), want(), "{codec:?}");
    }
}

#[test]
fn a_file_in_the_place_of_a_members_folder_is_an_error_in_the_archives_own_paths() {
    let base = "s/\ns/f";
    assert_eq!(failing(&[base], tar("f/x 0644 0:0 x")), "open /f/x: not a directory");
    assert_eq!(failing(&[base], tar("f/x/y/")), "mkdir /f/x/y: not a directory");
    assert_eq!(failing(&[base], tar("f/l -> a")), "symlink a /f/l: not a directory");
}

#[test]
fn what_is_no_archive_or_an_empty_one_is_copied() {
    for content in [b"text".to_vec(), Vec::new(), vec![0; 10240], vec![b'x'; 600], b"\x1f\x8b\x08 broken".to_vec()] {
        let made = make(&[], &holding("t", content), "copy t /o/ unpack").unwrap().entries;
        assert_eq!(made.iter().map(Entry::name).collect::<Vec<_>>(), ["o", "o/t"]);
    }
}

#[test]
fn owners_go_to_members_and_modes_do_not() {
    let made = unpacked(&[], tar("d/ 0700 1:1\nd/f 0640 2:2 x"), "copy t /o/ unpack chown=7:8 chmod=0711");
    assert_eq!(made, ["o/ 7:8", "o/d/ 0700 7:8", "o/d/f 0640 7:8 'x'"]);
}

#[test]
fn members_overwrite_what_is_there_and_folders_merge() {
    let base =
        "s/\ns/low/ 0711 9:9\ns/low/a 0644 0:0 old\ns/low/b\ns/file 0644 0:0 x\ns/gone/\ns/gone/x\ns/real/\ns/in -> real\ns/out -> /s/real";
    let archive = "low/ 0700 5:6\nlow/a 0644 5:6 new\nfile/ 0755 5:6\ngone 0644 5:6 now\nin/f 0644 5:6 i";
    let made = unpacked(&[base], tar(archive), "copy t /s unpack");
    let want = ["s/", "s/file/ 5:6", "s/gone 5:6 'now'", "s/low/ 0700 5:6", "s/low/a 5:6 'new'", "s/real/", "s/real/f 5:6 'i'"];
    assert_eq!(made, want);
    // An absolute link starts where the archive is unpacked.
    assert_eq!(unpacked(&["s/\ns/real/\ns/out -> /real"], tar("out/f"), "copy t /s unpack")[1..], ["s/real/", "s/real/f"]);
    assert_eq!(failing(&[base], tar("out/f")), "open /out/f: no such file or directory");
}

#[test]
fn climbing_names_stay_inside() {
    let mut archive = tar("AAAAAAAup/x 0644 0:0 x");
    archive[..7].copy_from_slice(b"../../.");
    let sum: u32 = archive[..512].iter().enumerate().map(|(at, byte)| if CHECKSUM.contains(&at) { 32 } else { u32::from(*byte) }).sum();
    archive[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    assert_eq!(unpacked(&[], archive, "copy t /out unpack"), ["out/", "out/.up/", "out/.up/x 'x'"]);
}

#[test]
fn hard_links_may_lead_to_the_base_and_to_nothing_else() {
    let mut writer = TarWriter::new(Vec::new());
    let link = |target: &str| Entry { link: Some(target.into()), ..Entry::new("new", Kind::Hardlink) };
    writer.add(&link("old"), &mut std::io::empty()).unwrap();
    let archive = writer.finish().unwrap();
    assert_eq!(unpacked(&["d/\nd/old 0600 3:3 x"], archive.clone(), "copy t /d unpack"), ["d/", "d/new 'x'", "d/old = d/new"]);
    assert_eq!(failing(&[], archive.clone()), "link /old /new: no such file or directory");
    assert_eq!(failing(&["s/\ns/old/"], archive), "link /old /new: operation not permitted");
}

#[test]
fn names_of_whiteouts_become_whiteouts() {
    let base = "d/\nd/a\nd/b\nd/c";
    let mut archive = tar("XXXXa\nplain 0644 0:0 x");
    archive[..4].copy_from_slice(b".wh.");
    let sum: u32 = archive[..512].iter().enumerate().map(|(at, byte)| if CHECKSUM.contains(&at) { 32 } else { u32::from(*byte) }).sum();
    archive[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let made = make(&[base], &holding("t", archive), "copy t /d unpack").unwrap();
    assert_eq!(made.layer, ["d/", "d/a -", "d/plain 'x'"]);
    assert_eq!(made.tree, ["d/", "d/b", "d/c", "d/plain 'x'"]);
}

#[test]
fn a_damaged_archive_is_an_error_that_names_it() {
    let mut archive = tar("a 0644 0:0 x\nb 0644 0:0 y");
    archive[1024 + 20] ^= 1;
    let error = make(&[], &holding("t", archive), "copy t /o unpack").err().unwrap().to_string();
    assert!(error.contains("/t"), "{error}");
}
