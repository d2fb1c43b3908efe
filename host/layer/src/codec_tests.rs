#![allow(clippy::unwrap_used, reason = "tests")]
use std::process::{Command, Stdio};

use nacre_tests::images::{bomb, noise};
use proptest::prelude::*;

use super::*;

const TOLD: [Codec; 4] = [Codec::Gzip, Codec::Zstd, Codec::Xz, Codec::Bzip2];
const STREAMS: [Codec; 6] = [Codec::Gzip, Codec::Zstd, Codec::Xz, Codec::Bzip2, Codec::Deflate, Codec::Zlib];
const ALL: [Codec; 7] = [Codec::Gzip, Codec::Zstd, Codec::Xz, Codec::Bzip2, Codec::Deflate, Codec::Zlib, Codec::Lz4Block];

pub(crate) fn compress(with: Codec, plain: &[u8]) -> Vec<u8> {
    let mut encoder = with.writer(Vec::new()).unwrap();
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn decoded(with: Codec, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    with.reader(bytes)?.read_to_end(&mut plain)?;
    Ok(plain)
}

/// Compressible in part.
fn sample(size: usize) -> Vec<u8> {
    let mut bytes = noise(size / 2, 7);
    bytes.resize(size, b'x');
    bytes
}

#[test]
fn tells_and_takes_away_each_kind_also_when_several_streams_follow() {
    let plain = sample(600_000);
    for with in TOLD {
        let packed = compress(with, &plain);
        assert_eq!(Codec::detect(&packed), Some(with));
        assert!(decoded(with, &packed).unwrap() == plain, "{with:?}");
        let twice = [packed.clone(), packed].concat();
        assert_eq!(decoded(with, &twice).unwrap().len(), 2 * plain.len(), "{with:?}");
    }
    for with in [Codec::Deflate, Codec::Zlib] {
        assert!(decoded(with, &compress(with, &plain)).unwrap() == plain, "{with:?}");
    }
    assert_eq!(Codec::detect(b"oci-lay"), None);
    assert_eq!(Codec::detect(b""), None);
}

#[test]
fn a_cut_or_damaged_stream_is_an_error() {
    let plain = noise(300_000, 8);
    for with in STREAMS {
        let packed = compress(with, &plain);
        for keep in [packed.len() - 1, packed.len() / 2, 7] {
            let error = decoded(with, &packed[..keep]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("the {} data is", with.name())), "{with:?} cut to {keep} bytes: {error}");
        }
        let mut damaged = packed.clone();
        damaged[packed.len() / 2] ^= 0x55;
        let same = decoded(with, &damaged).is_ok_and(|bytes| bytes == plain);
        assert!(!same, "{with:?} hid the damage");
    }
}

#[test]
fn something_else_behind_the_stream_is_an_error() {
    for with in STREAMS {
        for rubbish in [b"rubbish".as_slice(), b"x", &[0x1f, 0x8b]] {
            let packed = [&compress(with, b"some bytes"), rubbish].concat();
            assert!(decoded(with, &packed).is_err(), "{with:?} took {rubbish:?}");
        }
    }
}

#[test]
fn zeros_behind_gzip_are_taken_where_files_are_unpacked() {
    let unpacked = |bytes: &[u8]| {
        let mut plain = Vec::new();
        Codec::Gzip.padded_reader(bytes).and_then(|mut reader| reader.read_to_end(&mut plain)).map(|_| plain)
    };
    let (one, two) = (compress(Codec::Gzip, b"one "), compress(Codec::Gzip, b"two "));
    for zeros in [1, 3, 512, 2 * CHUNK + 7] {
        let padding = vec![0; zeros];
        let padded = [&one[..], &padding].concat();
        assert_eq!(unpacked(&padded).unwrap(), b"one ", "{zeros}");
        assert!(decoded(Codec::Gzip, &padded).is_err(), "no layer is like that");
        assert_eq!(unpacked(&[&padded[..], &two, &padding].concat()).unwrap(), b"one two ", "{zeros}");
        for rubbish in [b"x".as_slice(), &[0x1f, 0x8b], &two[..two.len() - 1]] {
            assert!(unpacked(&[&padded[..], rubbish].concat()).is_err(), "took {rubbish:?} behind {zeros} zeros");
        }
    }
    assert!(unpacked(&[0; 64]).is_err() && unpacked(b"").is_err());
}

#[test]
fn after_an_error_there_is_no_end() {
    let packed = compress(Codec::Zstd, &noise(100_000, 3));
    let mut reader = Codec::Zstd.reader(&packed[..50_000]).unwrap();
    assert!(io::copy(&mut reader, &mut io::sink()).is_err());
    assert!(io::copy(&mut reader, &mut io::sink()).is_err());
}

#[test]
fn a_bomb_ends_early() {
    let bomb = bomb();
    let error = io::copy(&mut Codec::Zstd.reader(bomb.as_slice()).unwrap(), &mut io::sink()).unwrap_err();
    assert!(error.to_string().contains("larger than the limit"), "{error}");
}

#[test]
fn blocks_come_back_and_stay_within_what_was_announced() {
    let plain = sample(128 << 10);
    for with in ALL {
        for plain in [&plain[..], &plain[..1], b""] {
            let packed = with.encode_block(plain).unwrap();
            assert!(with.decode_block(&packed, 128 << 10).unwrap() == plain, "{with:?}");
            if plain.len() > 1 {
                assert!(with.decode_block(&packed, plain.len() - 1).is_err(), "{with:?} went beyond the limit");
                assert!(with.decode_block(&packed[..packed.len() / 2], plain.len()).is_err(), "{with:?} took half a block");
            }
        }
        assert!(with.decode_block(b"", Codec::MAX_BLOCK + 1).is_err());
        assert!(with.encode_block(&vec![0; Codec::MAX_BLOCK + 1]).is_err());
    }
    assert!(Codec::Lz4Block.reader(io::empty()).is_err() && Codec::Lz4Block.writer(io::sink()).is_err());
}

#[test]
fn a_zstd_block_wants_no_window_larger_than_itself() {
    let block = Codec::Zstd.encode_block(&sample(100_000)).unwrap();
    // RFC 8878, 3.1.1.1: the frame is a single segment.
    assert_eq!(block[4] & 0x20, 0x20);
}

#[test]
fn gzip_itself_reads_what_many_threads_wrote() {
    let plain = sample(5_500_000);
    for size in [0, 1, 1 << 20, (1 << 20) + 1, plain.len()] {
        let packed = compress(Codec::Gzip, &plain[..size]);
        let mut gzip = Command::new("gzip").arg("-dc").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut input = gzip.stdin.take().unwrap();
        let feeding = std::thread::spawn(move || input.write_all(&packed).unwrap());
        let output = gzip.wait_with_output().unwrap();
        feeding.join().unwrap();
        assert!(output.status.success() && output.stdout == plain[..size], "{size} bytes");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn how_it_is_written_does_not_show(cuts in proptest::collection::vec(1..900_000_usize, 1..12)) {
        let plain = sample(3_200_000);
        let whole = compress(Codec::Gzip, &plain);
        let mut encoder = Codec::Gzip.writer(Vec::new()).unwrap();
        let mut rest = &plain[..];
        for cut in cuts {
            let (now, later) = rest.split_at(cut.min(rest.len()));
            encoder.write_all(now).unwrap();
            encoder.flush().unwrap();
            rest = later;
        }
        encoder.write_all(rest).unwrap();
        prop_assert!(encoder.finish().unwrap() == whole);
    }
}
