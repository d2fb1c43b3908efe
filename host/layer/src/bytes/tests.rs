#![allow(clippy::unwrap_used, reason = "tests")]
use std::{
    io::Write,
    sync::atomic::{AtomicUsize, Ordering},
};

use nacre_tests::images::noise;
use proptest::prelude::*;

use super::*;
use crate::codec::tests::compress;

fn spool() -> (tempfile::TempDir, Spool) {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::new(&folder.path().join("spool"));
    (folder, spool)
}

/// The same bytes in every kind of source.
fn sources(bytes: &[u8], spool: &Spool) -> Vec<(&'static str, Bytes)> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    let around = [b"##", bytes, b"##"].concat();
    let inner = Bytes::from_vec(around, spool).part(&[Piece::Plain { offset: 2, size: bytes.len() as u64 }]).unwrap();
    let packed = Bytes::from_vec(compress(Codec::Zstd, bytes), spool);
    vec![
        ("file", Bytes::from_file(file, spool).unwrap()),
        ("memory", Bytes::from_vec(bytes.to_vec(), spool)),
        ("stream", Bytes::from_reader(Box::new(io::Cursor::new(bytes.to_vec())), spool)),
        ("pieces", inner),
        ("decompressed", packed.decompress(None).unwrap()),
    ]
}

#[test]
fn all_kinds_read_alike() {
    let (_folder, spool) = spool();
    let bytes = noise(700_001, 1);
    for (kind, mut source) in sources(&bytes, &spool) {
        assert!(source.read_next(10).unwrap() == bytes[..10], "{kind}");
        assert!(source.read_at(600_000, 5).unwrap() == bytes[600_000..600_005], "{kind}");
        assert!(source.read_next(300_000).unwrap() == bytes[10..300_010], "{kind}: reading goes on where it was");
        assert_eq!(source.size().unwrap(), 700_001, "{kind}");
        assert!(source.read_at(700_000, 10).unwrap() == bytes[700_000..], "{kind}");
        assert!(source.read_at(700_001, 10).unwrap().is_empty() && source.read_at(u64::MAX, 10).unwrap().is_empty(), "{kind}");
        assert!(source.read_next(usize::MAX).unwrap() == bytes[300_010..], "{kind}");
        assert!(source.read_next(1).unwrap().is_empty(), "{kind}");
        let mut reader = source.reader_from_start().unwrap();
        reader.skip(699_999).unwrap();
        let mut end = Vec::new();
        reader.read_to_end(&mut end).unwrap();
        assert!(end == bytes[699_999..], "{kind}");
        assert!(source.reader_from_start().unwrap().skip(700_002).is_err(), "{kind}: skipped beyond the end");
        let part = source.part(&[Piece::Plain { offset: 700_000, size: 1 }, Piece::Zeros(2), Piece::Plain { offset: 0, size: 1 }]).unwrap();
        assert_eq!(part.read_at(0, 9).unwrap(), [bytes[700_000], 0, 0, bytes[0]], "{kind}");
        assert!(source.part(&[Piece::Plain { offset: 700_001, size: 1 }]).is_err(), "{kind}: a piece beyond the end");
        assert!(source.part(&[Piece::Plain { offset: u64::MAX, size: 2 }]).is_err(), "{kind}: a piece that wraps round");
    }
}

#[test]
fn a_stream_is_not_read_further_than_needed() {
    struct Count(Arc<AtomicUsize>);
    impl Read for Count {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.fetch_add(buffer.len(), Ordering::Relaxed);
            buffer.fill(1);
            Ok(buffer.len())
        }
    }
    let (_folder, spool) = spool();
    let count = Arc::new(AtomicUsize::new(0));
    let mut source = Bytes::from_reader(Box::new(Count(Arc::clone(&count))), &spool);
    assert_eq!(count.load(Ordering::Relaxed), 0);
    assert_eq!(source.read_next(1000).unwrap().len(), 1000);
    assert!(source.decompress(None).is_ok());
    assert!(count.load(Ordering::Relaxed) <= 1 << 20);
}

#[test]
fn packed_pieces_are_decoded_and_held_to_what_they_announce() {
    let (_folder, spool) = spool();
    let plain = noise(100_000, 5);
    for codec in [Codec::Gzip, Codec::Zstd, Codec::Xz, Codec::Zlib, Codec::Deflate, Codec::Bzip2, Codec::Lz4Block] {
        let block = codec.encode_block(&plain).unwrap();
        let size = block.len() as u64;
        let source = Bytes::from_vec([b"head".as_slice(), &block].concat(), &spool);
        let piece = |max, skip, take| Piece::Packed { offset: 4, size, codec, max, skip, take };
        let part = source.part(&[piece(100_000, 10, 5), Piece::Plain { offset: 0, size: 4 }, piece(100_000, 99_999, 1)]).unwrap();
        let want = [&plain[10..15], b"head", &plain[99_999..]].concat();
        assert_eq!(part.clone().read_next(100).unwrap(), want, "{codec:?}");
        // A part of the part is a part of the source.
        let inner = part.part(&[Piece::Plain { offset: 3, size: 4 }]).unwrap();
        assert_eq!(inner.read_at(0, 100).unwrap(), want[3..7], "{codec:?}");
        assert!(source.part(&[piece(131_072, 100_000, 1)]).unwrap().read_at(0, 1).is_err(), "{codec:?}: it has fewer bytes");
        assert!(source.part(&[piece(50_000, 0, 10)]).unwrap().read_at(0, 1).is_err(), "{codec:?}: it has more bytes");
        assert!(source.part(&[piece(10, 5, 6)]).is_err() && source.part(&[piece(u32::MAX, 0, 1)]).is_err());
    }
}

#[test]
fn a_packed_block_may_lie_in_a_part() {
    let (_folder, spool) = spool();
    let block = Codec::Zlib.encode_block(b"some text, some text").unwrap();
    let (left, right) = block.split_at(5);
    let source = Bytes::from_vec([left, b"gap", right].concat(), &spool);
    let size = block.len() as u64;
    let whole = source.part(&[Piece::Plain { offset: 0, size: 5 }, Piece::Plain { offset: 8, size: size - 5 }]).unwrap();
    let packed = Piece::Packed { offset: 0, size, codec: Codec::Zlib, max: 100, skip: 5, take: 4 };
    assert_eq!(whole.part(&[packed]).unwrap().read_at(0, 100).unwrap(), b"text");
}

#[test]
fn far_more_than_there_is_cannot_be_composed() {
    let (_folder, spool) = spool();
    let source = Bytes::from_vec(vec![1; 1000], &spool);
    for pieces in [
        vec![Piece::Zeros(u64::MAX)],
        vec![Piece::Zeros(u64::MAX), Piece::Plain { offset: 0, size: 1 }, Piece::Zeros(u64::MAX)],
        vec![Piece::Zeros(2 << 30)],
    ] {
        let error = source.part(&pieces).err().unwrap().to_string();
        assert!(error.contains("larger than the limit"), "{error}");
    }
    let pieces: Vec<Piece> = (0..300_000).map(|index| Piece::Plain { offset: index % 2 * 5, size: 1 }).collect();
    assert!(source.part(&pieces).is_err(), "too many pieces");
    let mut stacked = source;
    let depth = (0..100).take_while(|_| stacked.decompress(Some(Codec::Gzip)).map(|next| stacked = next).is_ok()).count();
    assert!(depth < 20, "{depth} decompressions are stacked");
}

#[test]
fn damage_stays_an_error() {
    let (_folder, spool) = spool();
    let mut packed = compress(Codec::Gzip, &noise(500_000, 4));
    packed.truncate(300_000);
    let mut source = Bytes::from_vec(packed, &spool).decompress(None).unwrap();
    for _ in 0..2 {
        assert!(source.read_next(usize::MAX).is_err() && source.size().is_err() && source.read_at(0, 1).is_err());
    }
    let broken = Box::new(io::Cursor::new(vec![1; 100]).chain(Broken));
    let mut source = Bytes::from_reader(broken, &spool);
    for _ in 0..2 {
        assert!(source.size().unwrap_err().to_string().contains("the cable"));
        assert!(source.read_next(200).is_err());
    }
}

#[test]
fn any_number_of_decompressions_may_be_read_at_once() {
    let (_folder, spool) = spool();
    let bytes = noise(200_000, 11);
    let packed = Bytes::from_vec(compress(Codec::Xz, &compress(Codec::Gzip, &bytes)), &spool);
    let mut sources: Vec<Bytes> = (0..20).map(|_| packed.decompress(None).unwrap().decompress(None).unwrap()).collect();
    for part in bytes.chunks(70_000) {
        for source in &mut sources {
            assert!(source.read_next(70_000).unwrap() == part);
        }
    }
}

#[test]
fn keeping_a_stream_stops_when_it_is_told_to() {
    struct Stop;
    impl nacre_oci::Progress for Stop {
        fn cancelled(&self) -> bool {
            true
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::new(folder.path()).watched(Arc::new(Stop));
    let source = Bytes::from_reader(Box::new(io::repeat(0)), &spool);
    assert!(source.size().unwrap_err().to_string().contains("cancelled"));
}

struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("the cable is out"))
    }
}

proptest! {
    #[test]
    fn parts_of_parts_are_what_slices_are(
        outer in proptest::collection::vec((0..1000_u64, 0..200_u64), 1..20),
        inner in proptest::collection::vec((0..1000_u64, 0..1000_u64), 1..20),
    ) {
        let (_folder, spool) = spool();
        let bytes = noise(1000, 2);
        let slice = |bytes: &[u8], from: u64, size: u64| bytes[usize::try_from(from).unwrap()..usize::try_from(from + size).unwrap()].to_vec();
        let outer: Vec<(u64, u64)> = outer.into_iter().map(|(offset, size)| (offset, size.min(1000 - offset))).collect();
        let mut pieces = vec![Piece::Zeros(7)];
        pieces.extend(outer.iter().map(|(offset, size)| Piece::Plain { offset: *offset, size: *size }));
        let mut flat = vec![0; 7];
        outer.iter().for_each(|(offset, size)| flat.extend(slice(&bytes, *offset, *size)));
        let part = Bytes::from_vec(bytes, &spool).part(&pieces).unwrap();
        prop_assert_eq!(&part.read_at(0, usize::MAX).unwrap(), &flat);

        let share = |of: u64, share: u64| of * share / 1000;
        let inner: Vec<(u64, u64)> = inner.into_iter().map(|(from, size)| {
            let from = share(flat.len() as u64, from);
            (from, share(flat.len() as u64 - from, size))
        }).collect();
        let pieces: Vec<Piece> = inner.iter().map(|(offset, size)| Piece::Plain { offset: *offset, size: *size }).collect();
        let want: Vec<u8> = inner.iter().flat_map(|(offset, size)| slice(&flat, *offset, *size)).collect();
        prop_assert_eq!(part.part(&pieces).unwrap().read_at(0, usize::MAX).unwrap(), want);
    }
}
