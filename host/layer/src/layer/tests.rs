#![allow(clippy::unwrap_used, reason = "tests")]
use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use nacre_oci::{Memory, Sink, Staging, read_small};
use nacre_tests::images::noise;
use proptest::prelude::*;

use super::*;
use crate::{Kind, Member, Spool, TarReader, Xattr, codec::tests::compress, path};

const ALL: [Compression; 3] = [Compression::None, Compression::Gzip, Compression::Zstd];

fn file(path: &str, size: u64) -> Entry {
    Entry { size, ..Entry::new(path, Kind::File) }
}

fn link(path: &str, kind: Kind, target: &str) -> Entry {
    Entry { link: Some(target.into()), ..Entry::new(path, kind) }
}

fn writer(memory: &Memory, compression: Compression) -> LayerWriter {
    LayerWriter::new(memory.stage().unwrap(), compression)
}

/// The layer's tar, whose digests and media type are checked.
fn plain(memory: &Memory, layer: &Layer) -> Vec<u8> {
    let stored = read_small(memory, &layer.descriptor, u64::MAX).unwrap();
    let mut plain = Vec::new();
    match Codec::detect(&stored) {
        Some(codec) => _ = codec.reader(stored.as_slice()).unwrap().read_to_end(&mut plain).unwrap(),
        None => plain = stored.clone(),
    }
    let compression = [Compression::Gzip, Compression::Zstd].into_iter().find(|c| c.codec() == Codec::detect(&stored));
    assert_eq!(layer.descriptor.media_type, compression.unwrap_or(Compression::None).media_type());
    assert_eq!(layer.diff_id, Digest::of(&plain));
    plain
}

fn members(tar: &[u8]) -> Vec<Member> {
    let mut reader = TarReader::new(tar).as_layer();
    std::iter::from_fn(|| reader.next_entry().unwrap()).collect()
}

/// What a layer of these entries, without content, has: path, kind, link.
fn made(entries: &[Entry]) -> Result<Vec<Entry>> {
    let memory = Memory::new();
    let mut layer = writer(&memory, Compression::None);
    entries.iter().try_for_each(|entry| layer.add(entry, &mut io::empty()))?;
    let layer = layer.finish()?;
    Ok(members(&plain(&memory, &layer)).into_iter().map(|member| member.entry).collect())
}

fn names(entries: &[Entry]) -> Vec<String> {
    made(entries).unwrap().iter().map(Entry::name).collect()
}

#[test]
fn entries_become_a_layer_in_every_compression() {
    let content = noise(3_000_000, 6);
    let mut diff_ids = Vec::new();
    for compression in ALL {
        for _ in 0..2 {
            let memory = Memory::new();
            let mut layer = writer(&memory, compression);
            layer.add(&file("/opt//big", 3_000_000), &mut content.as_slice()).unwrap();
            layer.add(&Entry::new("empty", Kind::File), &mut io::empty()).unwrap();
            let layer = layer.finish().unwrap();
            assert!(memory.contains(&layer.descriptor).unwrap());
            let tar = plain(&memory, &layer);
            let mut reader = TarReader::new(tar.as_slice());
            assert_eq!(reader.next_entry().unwrap().unwrap().entry, Entry::new("opt", Kind::Directory));
            assert_eq!(reader.next_entry().unwrap().unwrap().entry, file("opt/big", 3_000_000));
            let mut read = Vec::new();
            reader.read_to_end(&mut read).unwrap();
            assert!(read == content);
            diff_ids.push((layer.diff_id, layer.descriptor.digest));
        }
    }
    assert!(diff_ids.iter().all(|(diff_id, _)| *diff_id == diff_ids[0].0), "the same entries are the same layer");
    assert!(diff_ids.chunks(2).all(|pair| pair[0] == pair[1]), "and are stored as the same bytes");
}

#[test]
fn a_layer_without_entries_is_an_empty_tar() {
    for compression in ALL {
        let memory = Memory::new();
        let layer = writer(&memory, compression).finish().unwrap();
        assert_eq!(plain(&memory, &layer), [0; 1024]);
    }
}

#[test]
fn paths_go_where_unpacking_would_send_them() {
    let usr = [link("lib", Kind::Symlink, "usr/lib"), link("abs", Kind::Symlink, "/../../usr"), link("out", Kind::Symlink, "../../../etc")];
    let with = |path: &str| {
        let entries: Vec<Entry> = usr.iter().cloned().chain([Entry::new(path, Kind::File)]).collect();
        names(&entries).last().unwrap().clone()
    };
    for (path, want) in [("lib/x", "usr/lib/x"), ("abs/lib/x", "usr/lib/x"), ("out/passwd", "etc/passwd"), ("abs/../x", ""), ("lib", "lib")]
    {
        if want.is_empty() {
            assert!(made(&[Entry::new(path, Kind::File)]).is_err());
        } else {
            assert_eq!(with(path), want, "{path}");
        }
    }
    assert_eq!(names(&[Entry::new("a/b/c", Kind::Fifo), Entry::new("a/b/d", Kind::Fifo)]), ["a", "a/b", "a/b/c", "a/b/d"]);
}

#[test]
fn later_entries_replace_earlier_ones() {
    let kept = [
        Entry::new("a", Kind::Directory),
        Entry::new("a/x", Kind::File),
        Entry::new("a", Kind::Directory),
        link("h", Kind::Hardlink, "a/x"),
    ];
    assert_eq!(names(&kept), ["a", "a/x", "a", "h"]);
    let lost = [Entry::new("a/x", Kind::File), Entry::new("a", Kind::File), link("h", Kind::Hardlink, "a/x")];
    assert!(made(&lost).unwrap_err().to_string().contains("a on the way to it is no folder"));
    let back =
        [Entry::new("a/x", Kind::File), Entry::new("a", Kind::File), Entry::new("a", Kind::Directory), link("h", Kind::Hardlink, "a/x")];
    assert!(made(&back).unwrap_err().to_string().contains("no earlier file"));
    let real =
        [link("s", Kind::Symlink, "t"), Entry::new("s/1", Kind::File), Entry::new("s", Kind::Directory), Entry::new("s/2", Kind::File)];
    assert_eq!(names(&real), ["s", "t", "t/1", "s", "s/2"], "a folder replaces a symbolic link");
}

#[test]
fn hard_links_name_where_their_target_is() {
    let entries = [
        link("l", Kind::Symlink, "real"),
        Entry::new("l/f", Kind::File),
        link("h", Kind::Hardlink, "/l/./f"),
        link("hh", Kind::Hardlink, "h"),
    ];
    let links: Vec<_> = made(&entries).unwrap().into_iter().filter(|e| e.kind == Kind::Hardlink).map(|e| e.link.unwrap()).collect();
    assert_eq!(links, [b"real/f".to_vec(), b"h".to_vec()]);
    for target in ["nothing", "dir", "../x", "", "self"] {
        let entries = [Entry::new("dir", Kind::Directory), link("self", Kind::Hardlink, target)];
        assert!(made(&entries).is_err(), "{target}");
    }
}

#[test]
fn whiteouts_are_written_as_what_they_are() {
    let entries = [Entry::new("a/b", Kind::Whiteout), Entry::new("c", Kind::Opaque), Entry::new("", Kind::Opaque)];
    let memory = Memory::new();
    let mut layer = writer(&memory, Compression::None);
    entries.iter().for_each(|entry| layer.add(entry, &mut io::empty()).unwrap());
    let layer = layer.finish().unwrap();
    let tar = plain(&memory, &layer);
    let mut reader = TarReader::new(tar.as_slice());
    let raw: Vec<String> = std::iter::from_fn(|| reader.next_entry().unwrap()).map(|member| member.entry.name()).collect();
    assert_eq!(raw, ["a", "a/.wh.b", "c", "c/.wh..wh..opq", ".wh..wh..opq"]);
    assert_eq!(made(&entries).unwrap().iter().filter(|e| matches!(e.kind, Kind::Whiteout | Kind::Opaque)).count(), 3);
}

#[test]
fn bad_entries_are_refused_and_spoil_the_layer() {
    let bad = [
        Entry::new("../x", Kind::File),
        Entry::new("a/../../x", Kind::File),
        Entry::new("nul\0", Kind::File),
        Entry::new("x".repeat(5000), Kind::File),
        Entry::new(".wh.x", Kind::File),
        Entry::new("a/.wh..wh..opq", Kind::File),
        Entry::new(".wh.d/x", Kind::File),
        Entry::new(".wh.x", Kind::Whiteout),
        Entry::new("", Kind::File),
        Entry::new("/", Kind::Whiteout),
        Entry::new("link", Kind::Symlink),
        Entry::new("device", Kind::BlockDevice),
        file("short", 3),
        Entry { xattrs: vec![Xattr { name: "a=b".into(), value: vec![] }], ..Entry::new("x", Kind::File) },
    ];
    for entry in bad {
        let memory = Memory::new();
        let mut layer = writer(&memory, Compression::Gzip);
        let error = layer.add(&entry, &mut io::empty()).expect_err(&format!("{entry:?} was accepted")).to_string();
        assert!(!error.contains('\n') && error.len() < 500, "{error}");
        assert!(layer.add(&Entry::new("ok", Kind::File), &mut io::empty()).is_err());
        assert!(layer.finish().is_err() && memory.digests().is_empty());
    }
    let looping = [link("a", Kind::Symlink, "b"), link("b", Kind::Symlink, "a"), Entry::new("a/x", Kind::File)];
    assert!(made(&looping).unwrap_err().to_string().contains("circles"));
    let growing: Vec<Entry> = (0..30)
        .map(|n| link(&format!("l{n}"), Kind::Symlink, &format!("/l{}/{}", n + 1, "y/".repeat(1500))))
        .chain([Entry::new("l0/x", Kind::File)])
        .collect();
    assert!(made(&growing).is_err());
}

#[test]
fn attributes_for_the_overlay_filesystem_are_dropped() {
    let xattr = |name: &str| Xattr { name: name.into(), value: b"v".to_vec() };
    let entry = Entry {
        xattrs: vec![xattr("trusted.overlay.opaque"), xattr("security.capability"), xattr("user.overlay.redirect"), xattr("user.x")],
        ..Entry::new("f", Kind::File)
    };
    assert_eq!(made(&[entry]).unwrap()[0].xattrs, [xattr("security.capability"), xattr("user.x")]);
}

/// A tar of some files, and the same as its bytes.
fn tar() -> Vec<u8> {
    let mut tar = TarWriter::new(Vec::new());
    tar.add(&file("f", 700_000), &mut noise(700_000, 1).as_slice()).unwrap();
    tar.add(&Entry { device: Some((1, 3)), ..Entry::new("dev/null", Kind::CharDevice) }, &mut io::empty()).unwrap();
    tar.finish().unwrap()
}

fn add_tar(bytes: Vec<u8>, compression: Compression) -> (Memory, Result<Layer>) {
    let memory = Memory::new();
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::new(folder.path());
    let mut layer = writer(&memory, compression);
    let added = layer.add_tar(&Bytes::from_vec(bytes, &spool));
    let layer = added.and_then(|()| layer.finish());
    (memory, layer)
}

#[test]
fn a_tar_stays_what_it_is() {
    let tar = tar();
    for codec in [Codec::Gzip, Codec::Zstd] {
        let packed = compress(codec, &tar);
        for compression in ALL {
            let (memory, layer) = add_tar(packed.clone(), compression);
            let layer = layer.unwrap();
            assert_eq!(layer.descriptor.digest, Digest::of(&packed), "gzip and zstd are kept");
            assert!(plain(&memory, &layer) == tar);
        }
    }
    for bytes in [tar.clone(), compress(Codec::Xz, &tar), compress(Codec::Bzip2, &tar)] {
        for compression in ALL {
            let (memory, layer) = add_tar(bytes.clone(), compression);
            let layer = layer.unwrap();
            assert_eq!(layer.descriptor.media_type, compression.media_type());
            assert!(plain(&memory, &layer) == tar);
        }
    }
}

#[test]
fn a_tar_that_is_cut_damaged_or_followed_by_something_is_refused() {
    let tar = tar();
    let sources = [None, Some(Codec::Gzip), Some(Codec::Zstd), Some(Codec::Xz), Some(Codec::Bzip2)];
    for codec in sources {
        let packed = codec.map_or(tar.clone(), |codec| compress(codec, &tar));
        let cuts = [0, 3, 511, packed.len() / 2, packed.len() - if codec.is_some() { 1 } else { 1024 }];
        let cut = cuts.iter().map(|keep| packed[..*keep].to_vec());
        let rubbish = [[&packed[..], b"rubbish"].concat()];
        let other = [codec.map_or(b"no tar".to_vec(), |codec| compress(codec, &[7; 2000]))];
        for bytes in cut.chain(rubbish).chain(other) {
            let length = bytes.len();
            let (memory, layer) = add_tar(bytes, Compression::Zstd);
            let error = layer.expect_err(&format!("{codec:?} of {length} bytes was accepted")).to_string();
            assert!(error.contains("tar archive") || error.contains("data is"), "{error}");
            assert!(!error.contains('\n') && memory.digests().is_empty(), "{error}");
        }
    }
}

#[test]
fn a_tar_and_entries_do_not_mix() {
    let (memory, folder) = (Memory::new(), tempfile::tempdir().unwrap());
    let source = Bytes::from_vec(tar(), &Spool::new(folder.path()));
    let mut layer = writer(&memory, Compression::Gzip);
    layer.add(&Entry::new("x", Kind::File), &mut io::empty()).unwrap();
    assert!(matches!(layer.add_tar(&source), Err(Error::Conflict(_))));
    let mut layer = writer(&memory, Compression::Gzip);
    layer.add_tar(&source).unwrap();
    assert!(matches!(layer.add(&Entry::new("x", Kind::File), &mut io::empty()), Err(Error::Conflict(_))));
}

/// Takes some bytes and then no more.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or_else(|| io::Error::other("the disk is full"))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Staged for Full {
    fn written(&self) -> (Digest, u64) {
        panic!("nothing is to be committed")
    }

    fn commit(self: Box<Self>, _: &Descriptor) -> Result<()> {
        panic!("nothing is to be committed")
    }
}

#[test]
fn a_full_disk_is_what_the_error_says() {
    let folder = tempfile::tempdir().unwrap();
    let source = Bytes::from_vec(tar(), &Spool::new(folder.path()));
    let packed = Bytes::from_vec(compress(Codec::Gzip, &noise(9_000_000, 3)), &Spool::new(folder.path()));
    let content = noise(30_000_000, 2);
    for compression in ALL {
        let mut layer = LayerWriter::new(Box::new(Full(10_000)), compression);
        let added = layer.add(&file("x", 30_000_000), &mut content.as_slice()).and_then(|()| layer.finish());
        assert!(added.unwrap_err().to_string().contains("the disk is full"));
        let mut layer = LayerWriter::new(Box::new(Full(10_000)), compression);
        let added = layer.add_tar(&source).and_then(|()| layer.finish());
        assert!(added.unwrap_err().to_string().contains("the disk is full"));
    }
    let error = LayerWriter::new(Box::new(Full(10_000)), Compression::Gzip).add_tar(&packed).unwrap_err().to_string();
    assert!(error.contains("the disk is full") || error.contains("no tar archive"), "{error}");
}

#[test]
fn what_is_dropped_is_gone_at_once() {
    struct Held {
        _held: std::sync::Arc<()>,
    }
    impl Write for Held {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            std::thread::sleep(std::time::Duration::from_millis(1));
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    impl Staged for Held {
        fn written(&self) -> (Digest, u64) {
            panic!("nothing is to be committed")
        }

        fn commit(self: Box<Self>, _: &Descriptor) -> Result<()> {
            Ok(())
        }
    }
    let (held, content) = (std::sync::Arc::new(()), noise(5_000_000, 4));
    for compression in ALL {
        let mut layer = LayerWriter::new(Box::new(Held { _held: std::sync::Arc::clone(&held) }), compression);
        layer.add(&file("x", 5_000_000), &mut content.as_slice()).unwrap();
        drop(layer);
        assert_eq!(std::sync::Arc::strong_count(&held), 1, "a thread still has it");
    }
}

prop_compose! {
    fn small_entry()(
        path in proptest::sample::select(&["a", "b", "a/b", "b/a", "a/b/c", "b/a/c", "c/a/b", "c", "a/b/c/d"][..]),
        kind in proptest::sample::select(&[Kind::File, Kind::Directory, Kind::Symlink, Kind::Symlink, Kind::Hardlink][..]),
        target in proptest::sample::select(&["a", "/b", "..", "../../c", "a/b", ".", "/", "b/../a"][..]),
    ) -> Entry {
        let target = if kind == Kind::Hardlink { target.replace("..", "a") } else { target.into() };
        Entry { link: matches!(kind, Kind::Symlink | Kind::Hardlink).then(|| target.into_bytes()), ..Entry::new(path, kind) }
    }
}

proptest! {
    /// So no program that unpacks the layer can be led anywhere.
    #[test]
    fn nothing_is_written_through_a_link(entries in proptest::collection::vec(small_entry(), 1..12)) {
        let memory = Memory::new();
        let mut layer = writer(&memory, Compression::None);
        // The first that is refused ends the layer.
        let taken = entries.iter().take_while(|entry| layer.add(entry, &mut io::empty()).is_ok()).count();
        let written = made(&entries[..taken]).unwrap();
        let mut there: BTreeMap<Vec<u8>, Kind> = BTreeMap::new();
        for entry in written {
            if let Some((parent, _)) = path::split(&entry.path) {
                prop_assert!(parent.is_empty() || there.get(parent) == Some(&Kind::Directory), "{}", entry.name());
            }
            if let Some(target) = entry.link.as_ref().filter(|_| entry.kind == Kind::Hardlink) {
                prop_assert!(there.get(target).is_some_and(|kind| *kind != Kind::Directory), "{}", entry.name());
            }
            if entry.kind != Kind::Directory {
                there.retain(|held, _| !below(&entry.path).contains(held));
            }
            there.insert(entry.path.clone(), entry.kind);
        }
    }
}
