use std::io::{self, Read};

use proptest::{collection::vec, option, prelude::*};

use super::read;
use crate::{Entry, Kind, MAX_ID, TarReader, TarWriter, Xattr, path};

const KINDS: [Kind; 9] = [
    Kind::File,
    Kind::Directory,
    Kind::Symlink,
    Kind::Hardlink,
    Kind::CharDevice,
    Kind::BlockDevice,
    Kind::Fifo,
    Kind::Whiteout,
    Kind::Opaque,
];

fn name() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        "[a-zA-Z0-9 ._-]{1,30}".prop_map(String::into_bytes),
        "\\PC{1,10}".prop_map(String::into_bytes),
        vec(1_u8.., 1..120),
        Just(vec![b'n'; 99]),
    ];
    vec(part, 1..5).prop_map(|parts| parts.join(&b'/')).prop_filter_map("a name that is one", |path| {
        let tidy = path::tidy(&path).ok().filter(|path| !path.is_empty())?;
        let marked = path::parts(&tidy).any(|part| part.starts_with(b".wh."));
        (!marked).then_some(tidy)
    })
}

prop_compose! {
    fn entry()(
        path in name(),
        kind in proptest::sample::select(&KINDS[..]),
        mode in 0..0o10000_u32,
        (uid, gid) in (0..=MAX_ID, prop_oneof![0..1000_u32, Just(MAX_ID)]),
        (mtime, nanos) in (prop_oneof![0..1_i64 << 33, -(1_i64 << 34)..1 << 40], prop_oneof![Just(0), 0..1_000_000_000_u32]),
        (link, text) in (name(), vec(1_u8.., 1..200)),
        device in (0..1_u32 << 21, 0..1_u32 << 21),
        xattrs in option::of(("[a-z]{1,9}\\.[a-z. ]{1,20}", vec(any::<u8>(), 0..300))),
        content in vec(any::<u8>(), 0..1500),
    ) -> (Entry, Vec<u8>) {
        let content = if kind == Kind::File { content } else { Vec::new() };
        let entry = Entry {
            path, kind, mode, uid, gid, mtime, nanos,
            size: content.len() as u64,
            link: match kind { Kind::Symlink => Some(text), Kind::Hardlink => Some(link), _ => None },
            device: matches!(kind, Kind::CharDevice | Kind::BlockDevice).then_some(device),
            xattrs: xattrs.into_iter().map(|(name, value)| Xattr { name, value }).collect(),
        };
        (entry, content)
    }
}

fn write(entries: &[(Entry, Vec<u8>)]) -> Vec<u8> {
    let mut tar = TarWriter::new(Vec::new());
    entries.iter().for_each(|(entry, content)| tar.add(entry, &mut content.as_slice()).unwrap());
    tar.finish().unwrap()
}

proptest! {
    #[test]
    fn what_is_written_is_read(entries in vec(entry(), 0..8)) {
        let tar = write(&entries);
        prop_assert_eq!(tar.len() % 512, 0);
        let read = read(TarReader::new(tar.as_slice()).as_layer()).unwrap();
        for ((member, content), (entry, written)) in read.iter().zip(&entries) {
            prop_assert_eq!(&member.entry, entry);
            prop_assert_eq!(content, written);
            let offset = usize::try_from(member.offset).unwrap();
            prop_assert_eq!(&tar[offset..offset + written.len()], written);
        }
        prop_assert_eq!(read.len(), entries.len());
        // Reading no content finds the same members.
        let mut skimmed = TarReader::new(tar.as_slice()).as_layer();
        for (member, _) in &read {
            let skimmed = skimmed.next_entry().unwrap();
            prop_assert_eq!(skimmed.as_ref(), Some(member));
        }
        prop_assert!(skimmed.next_entry().unwrap().is_none());
    }

    #[test]
    fn a_cut_anywhere_is_noticed(entries in vec(entry(), 1..4), share in 0..1000_usize) {
        let tar = write(&entries);
        // Without its last block it still has an end.
        let keep = (tar.len() - 513) * share / 1000;
        prop_assert!(read(TarReader::new(&tar[..keep])).is_err(), "{} of {} bytes", keep, tar.len());
    }

    #[test]
    fn rubbish_is_refused_or_read(tar in vec(entry(), 1..3).prop_map(|entries| write(&entries)), flips in vec((any::<usize>(), any::<u8>()), 1..6)) {
        let mut tar = tar;
        for (at, with) in flips {
            let at = at % tar.len();
            tar[at] ^= with;
        }
        _ = read(TarReader::new(tar.as_slice()).as_layer());
    }
}

#[test]
fn large_files_and_small_ones_say_their_size() {
    let entry = Entry { size: 10 << 30, ..Entry::new("big", Kind::File) };
    let mut head = Vec::new();
    let mut tar = TarWriter::new(Head(&mut head));
    assert!(tar.add(&entry, &mut io::repeat(0)).is_err(), "only the beginning is wanted");
    let member = TarReader::new(head.as_slice()).next_entry().unwrap().unwrap();
    assert_eq!((member.entry.size, member.offset), (10 << 30, 3 * 512));
}

/// Takes the first 2 KiB.
struct Head<'a>(&'a mut Vec<u8>);

impl io::Write for Head<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(2048 - self.0.len());
        self.0.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn content_of_another_size_and_what_a_tar_cannot_say_is_refused() {
    let file = Entry { size: 5, ..Entry::new("f", Kind::File) };
    for content in [b"1234".as_slice(), b"123456", b""] {
        let error = TarWriter::new(io::sink()).add(&file, &mut { content }).unwrap_err().to_string();
        assert!(error.contains("does not have the 5 bytes"), "{error}");
    }
    let xattr = |name: &str, size| vec![Xattr { name: name.into(), value: vec![0; size] }];
    let bad = [
        Entry::new("l", Kind::Symlink),
        Entry::new("h", Kind::Hardlink),
        Entry::new("d", Kind::CharDevice),
        Entry { device: Some((1 << 21, 0)), ..Entry::new("d", Kind::BlockDevice) },
        Entry { nanos: 1_000_000_000, ..Entry::new("t", Kind::File) },
        Entry::new("n\0", Kind::File),
        Entry { xattrs: xattr("user.a=b", 1), ..Entry::new("x", Kind::File) },
        Entry { xattrs: xattr("", 1), ..Entry::new("x", Kind::File) },
        Entry { xattrs: xattr("user.a", 1 << 20), ..Entry::new("x", Kind::File) },
    ];
    for entry in bad {
        assert!(TarWriter::new(io::sink()).add(&entry, &mut io::empty()).is_err(), "{entry:?}");
    }
}

#[test]
fn content_is_read_in_pieces_or_not_at_all() {
    let entries: Vec<(Entry, Vec<u8>)> =
        (0..5_u8).map(|n| (Entry { size: 700, ..Entry::new(vec![b'a' + n], Kind::File) }, vec![n; 700])).collect();
    let tar = write(&entries);
    let mut reader = TarReader::new(tar.as_slice());
    for n in 0..5_u8 {
        reader.next_entry().unwrap().unwrap();
        let mut some = vec![9; usize::from(n) * 170];
        reader.read_exact(&mut some).unwrap();
        assert!(some.iter().all(|byte| *byte == n));
    }
    assert!(reader.next_entry().unwrap().is_none() && reader.next_entry().unwrap().is_none());
}
