#![allow(clippy::unwrap_used, reason = "tests")]

use nacre_sdk::Error;
use nacre_sdk::bytes::Codec;
use nacre_sdk::import::{Confidence, Head};
use nacre_sdk::mutate::damage;

use crate::archive;

/// One file of an archive. What stands before its content is made of the same, unless told otherwise.
#[derive(Clone)]
struct File<'a> {
    name: &'a [u8],
    local_name: Option<&'a [u8]>,
    /// As it stands in the archive.
    packed: &'a [u8],
    size: u32,
    method: u16,
    flags: u16,
    system: u8,
    attributes: u32,
    extra: &'a [u8],
    /// Added to its place.
    shift: i64,
    /// Sizes in a zip64 field.
    large: bool,
}

const FILE: File<'_> = File {
    name: b"a",
    local_name: None,
    packed: b"hello",
    size: 5,
    method: 0,
    flags: 0,
    system: 3,
    attributes: 0o100_640 << 16,
    extra: b"",
    shift: 0,
    large: false,
};

impl File<'_> {
    fn numbers(&self) -> Vec<u8> {
        let sizes = if self.large { [u32::MAX; 2] } else { [self.packed.len() as u32, self.size] };
        let [packed, size] = sizes.map(u32::to_le_bytes);
        [&[0, 0], &self.flags.to_le_bytes()[..], &self.method.to_le_bytes(), &[0, 0, 0x21, 0], &[0; 4], &packed, &size].concat()
    }

    fn extra(&self) -> Vec<u8> {
        let large = [&[1, 0, 16, 0], &u64::from(self.size).to_le_bytes()[..], &(self.packed.len() as u64).to_le_bytes()].concat();
        [if self.large { &large[..] } else { &[] }, self.extra].concat()
    }

    fn local(&self) -> Vec<u8> {
        let (name, extra) = (self.local_name.unwrap_or(self.name), self.extra());
        let lens = [name.len() as u16, extra.len() as u16].map(u16::to_le_bytes).concat();
        [b"PK\x03\x04", &self.numbers()[..], &lens, name, &extra, self.packed].concat()
    }

    fn central(&self, at: usize) -> Vec<u8> {
        let extra = self.extra();
        let lens = [self.name.len() as u16, extra.len() as u16, 0, 0, 0].map(u16::to_le_bytes).concat();
        let at = ((at as i64 + self.shift) as u32).to_le_bytes();
        let attributes = self.attributes.to_le_bytes();
        [b"PK\x01\x02\x14", &[self.system][..], &self.numbers(), &lens, &attributes, &at, self.name, &extra].concat()
    }
}

/// The end of an archive: entries, size and place of its directory.
fn end(entries: u16, size: u32, at: u32, comment: &[u8]) -> Vec<u8> {
    let counts = [0, 0, entries, entries].map(u16::to_le_bytes).concat();
    let place = [size, at].map(u32::to_le_bytes).concat();
    [b"PK\x05\x06", &counts[..], &place, &(comment.len() as u16).to_le_bytes(), comment].concat()
}

fn zip(files: &[File<'_>]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for file in files {
        directory.extend(file.central(bytes.len()));
        bytes.extend(file.local());
    }
    let end = end(files.len() as u16, directory.len() as u32, bytes.len() as u32, b"a comment");
    [bytes, directory, end].concat()
}

/// Decompresses only what is `=` and the content itself.
fn decode(_: Codec, data: &[u8], _: u32) -> Result<Vec<u8>, Error> {
    data.strip_prefix(b"=").map(<[u8]>::to_vec).ok_or_else(|| "damaged".into())
}

/// What is in an archive: path, kind, mode, owner, time, compression, content or target.
fn listed(bytes: &[u8]) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    archive::read(&bytes, decode, &mut |entry, content| {
        let kind = format!("{:?}", entry.kind);
        let content = content.map_or(entry.link.unwrap_or_default(), |(range, codec)| {
            let bytes = &bytes[range.offset as usize..][..range.size as usize];
            format!("{codec:?} {}", String::from_utf8_lossy(bytes))
        });
        let owner = (entry.uid, entry.gid);
        found.push(format!("{} {} {:o} {owner:?} {} {content}", entry.path, kind.trim_start_matches("Kind::"), entry.mode, entry.mtime));
        Ok(())
    })?;
    Ok(found)
}

/// The kind of mistake that an archive is refused for.
fn refused(bytes: &[u8]) -> String {
    match listed(bytes) {
        Err(Error::Invalid(list)) => list[0].code.clone(),
        Err(Error::Unsupported(why)) => why,
        other => panic!("{other:?}"),
    }
}

fn everything() -> [File<'static>; 7] {
    let owned = b"UT\x05\x00\x01\x05\x00\x00\x00ux\x0b\x00\x01\x04\xe8\x03\x00\x00\x04\x64\x00\x00\x00";
    [
        File { name: b"dir/", packed: b"", size: 0, attributes: 0o040_700 << 16 | 0x10, ..FILE },
        File { name: b"dir/a", extra: owned, ..FILE },
        File { name: b"caf\xe9", method: 8, packed: b"=12345678", size: 8, large: true, ..FILE },
        File { name: b"link", method: 8, packed: b"=a/b", size: 3, attributes: 0o120_777 << 16, ..FILE },
        File { name: b"behind", flags: 8, method: 93, ..FILE },
        File { name: b"windows", system: 0, attributes: 0x20, method: 95, ..FILE },
        File { name: b"folder/", system: 0, attributes: 0x10, packed: b"", size: 0, ..FILE },
    ]
}

#[test]
fn all_kinds_of_files_are_found() {
    let expected = [
        "dir/ Directory 700 (0, 0) 315532800 ",
        "dir/a File 640 (1000, 100) 5 None hello",
        "caf\u{f7e9} File 640 (0, 0) 315532800 Some(Codec::Deflate) =12345678",
        "link Symlink 777 (0, 0) 315532800 a/b",
        "behind File 640 (0, 0) 315532800 Some(Codec::Zstd) hello",
        "windows File 644 (0, 0) 315532800 Some(Codec::Xz) hello",
        "folder/ Directory 755 (0, 0) 315532800 ",
    ];
    let bytes = zip(&everything());
    assert_eq!(listed(&bytes).unwrap(), expected);
    let behind_a_program = [&b"#!/bin/sh\n"[..], &bytes].concat();
    assert_eq!(listed(&behind_a_program).unwrap(), expected);
    assert_eq!(listed(&zip(&[])).unwrap(), [""; 0]);
}

#[test]
fn the_directory_may_be_a_large_one() {
    let (local, central) = (FILE.local(), FILE.central(0));
    let record = |size: usize| {
        let numbers = [1, 1, size as u64, local.len() as u64].map(u64::to_le_bytes).concat();
        [b"PK\x06\x06", &44_u64.to_le_bytes()[..], &[0; 12], &numbers].concat()
    };
    let locator = [b"PK\x06\x07", &[0; 4][..], &((local.len() + central.len()) as u64).to_le_bytes(), &[1, 0, 0, 0]].concat();
    let large = |size| [&local[..], &central, &record(size), &locator, &end(u16::MAX, u32::MAX, u32::MAX, b"")].concat();
    assert_eq!(listed(&large(central.len())).unwrap().len(), 1);
    assert_eq!(listed(&[&[7; 99], &large(central.len())[..]].concat()).unwrap().len(), 1, "behind something else");
    for size in [0, 1 << 20, usize::MAX] {
        assert_eq!(refused(&large(size)), "bad-directory", "{size}");
    }
}

#[test]
fn a_comment_does_not_hide_the_end() {
    let inner = end(0, 0, 0, b"");
    let (local, central) = (FILE.local(), FILE.central(0));
    let bytes = [&local[..], &central, &end(1, central.len() as u32, local.len() as u32, &[&inner[..], b"-"].concat())].concat();
    assert_eq!(listed(&bytes).unwrap().len(), 1);
    assert_eq!(refused(&[&bytes[..], b"junk"].concat()), "no-directory");
}

#[test]
fn archives_that_lie_are_refused() {
    for name in [&b"../x"[..], b"a/../../x", b"/..", b"a\0b"] {
        assert_eq!(refused(&zip(&[File { name, ..FILE }])), "bad-path");
    }
    let back = -(FILE.local().len() as i64);
    for (code, file) in [
        ("bad-offset", File { shift: 1 << 20, ..FILE }),
        ("bad-offset", File { shift: -1, ..FILE }),
        ("mismatch", File { local_name: Some(b"b"), ..FILE }),
        ("mismatch", File { size: 6, ..FILE }),
        ("bad-symlink", File { attributes: 0o120_777 << 16, size: 0, packed: b"", ..FILE }),
        ("bad-symlink", File { attributes: 0o120_777 << 16, packed: &[b'x'; 9000], size: 9000, ..FILE }),
        ("bad-symlink", File { attributes: 0o120_777 << 16, packed: b"a\0b", size: 3, ..FILE }),
    ] {
        assert_eq!(refused(&zip(&[file])), code);
    }
    assert_eq!(refused(&zip(&[FILE, File { name: b"b", shift: back, ..FILE }])), "overlap");
    assert_eq!(refused(&zip(&[FILE, File { name: b"b", shift: -1, ..FILE }])), "overlap");
}

#[test]
fn what_cannot_be_unpacked_is_told() {
    for (what, file) in [
        ("encrypted", File { flags: 1, ..FILE }),
        ("encrypted", File { flags: 1 << 13, ..FILE }),
        ("method 14", File { method: 14, ..FILE }),
        ("device", File { attributes: 0o020_600 << 16, ..FILE }),
    ] {
        assert!(refused(&zip(&[file])).contains(what), "{what}");
    }
    let mut parts = zip(&[FILE]);
    let at = parts.len() - b"a comment".len() - 18;
    parts[at] = 1;
    assert!(refused(&parts).contains("several parts"));
}

#[test]
fn damage_never_panics_and_a_cut_never_goes_unseen() {
    let bytes = zip(&everything());
    for end in 0..bytes.len() {
        assert!(listed(&bytes[..end]).is_err(), "cut at {end}");
    }
    damage(&bytes, 20_000, |file| drop(listed(file)));
}

#[test]
fn a_zip_is_told_by_its_first_bytes() {
    let head = |name: &str, raw: &[u8]| Head { name: Some(name.into()), raw: raw.into(), compression: None, plain: raw.into() };
    assert_eq!(crate::probe("zip", &head("x", &zip(&[FILE]))), Confidence::Certain);
    assert_eq!(crate::probe("zip", &head("x", &zip(&[]))), Confidence::Certain);
    assert_eq!(crate::probe("zip", &head("x.zip", b"#!/bin/sh")), Confidence::Maybe);
    assert_eq!(crate::probe("zip", &head("x", b"#!/bin/sh")), Confidence::No);
}
