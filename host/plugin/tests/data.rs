//! Sources and blocks: what they yield, and their limits.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use nacre_layer::Codec;
use nacre_oci::Memory;
use support::data::{Kept, convert, packed, plugin, sandbox, seen};

#[test]
fn a_source_is_read_in_order_and_anywhere() {
    let (sandbox, kept) = (sandbox(), Kept::new());
    let plugins = sandbox.plugins();
    let large: Vec<u8> = (0..3 << 20).map(|index: u32| b'a' + (index % 26) as u8).collect();
    for source in [kept.bytes(&large), kept.stream(std::io::Cursor::new(large.clone()))] {
        convert(plugin(&plugins), "read", source, &Memory::new()).unwrap();
        assert_eq!(seen(plugin(&plugins)), ["abcd", "bcd", "efgh", "1048576 of 3145728", "0 behind the end", "end"]);
    }
    assert_eq!(kept.left(), 0);
}

#[test]
fn what_crosses_is_counted() {
    let (sandbox, kept) = (sandbox(), Kept::new());
    let plugins = sandbox.plugins();
    convert(plugin(&plugins), "read", kept.bytes(&[7; 1000]), &Memory::new()).unwrap();
    let stats = plugin(&plugins).take_log().stats.remove(0);
    assert_eq!((stats.bytes_in, stats.bytes_out), (4 + 3 + 4 + 1000 + 992, 0));
    convert(plugin(&plugins), "entries", kept.bytes(b"hello"), &Memory::new()).unwrap();
    let stats = plugin(&plugins).take_log().stats.remove(0);
    // The paths, the links, an attribute, and three bytes of content.
    assert_eq!((stats.bytes_in, stats.bytes_out), (0, 39 + 12 + 8 + 3));
}

#[test]
fn pieces_make_a_source() {
    let (sandbox, kept) = (sandbox(), Kept::new());
    let plugins = sandbox.plugins();
    convert(plugin(&plugins), "parts", kept.bytes(b"abcdef"), &Memory::new()).unwrap();
    let seen = seen(plugin(&plugins));
    assert_eq!(seen[0], format!("{:?}", b"de\0\0abc"));
    assert_eq!(seen[1], "beyond: invalid: a piece of 1 bytes at 6 reaches beyond the end at 6");
    assert_eq!(seen[2], format!("overflow: invalid: a piece of 2 bytes at {} reaches beyond the end at 6", u64::MAX));
    assert!(seen[3].starts_with("zeros: Error::Limit(\"a composed source is larger than the limit of "), "{}", seen[3]);
    assert_eq!(seen[4], "large block: invalid: a compressed block has more than 16 MiB");
    assert!(seen[5].starts_with("damaged block: invalid: "), "{}", seen[5]);
}

#[test]
fn blocks_are_coded_within_limits() {
    let (sandbox, kept) = (sandbox(), Kept::new());
    let plugins = sandbox.plugins();
    convert(plugin(&plugins), "blocks", kept.bytes(b""), &Memory::new()).unwrap();
    let seen = seen(plugin(&plugins));
    for (index, codec) in ["Gzip", "Zstd", "Xz", "Bzip2", "Deflate", "Zlib", "Lz4Block"].into_iter().enumerate() {
        assert_eq!(seen[2 * index], format!("Codec::{codec} true true"));
        assert!(seen[2 * index + 1].starts_with("too large: "), "{}", seen[2 * index + 1]);
        assert!(!seen[2 * index + 1].ends_with("done"), "{}", seen[2 * index + 1]);
    }
    assert!(seen[14].starts_with("garbage: invalid: "), "{}", seen[14]);
    assert_eq!(seen[15], "much: Error::Limit(\"a block of 16777217 bytes, more than 16 MiB\")");
}

#[test]
fn compressions_are_taken_away() {
    let (sandbox, kept) = (sandbox(), Kept::new());
    let plugins = sandbox.plugins();
    for codec in [Codec::Gzip, Codec::Zstd, Codec::Xz, Codec::Bzip2] {
        convert(plugin(&plugins), "unpack", kept.bytes(&packed(codec, b"plain")), &Memory::new()).unwrap();
        assert_eq!(seen(plugin(&plugins)), ["plain"]);
    }
    convert(plugin(&plugins), "unpack", kept.bytes(b"as it is"), &Memory::new()).unwrap();
    assert_eq!(seen(plugin(&plugins)), ["as it is"]);
    let mut cut = packed(Codec::Gzip, b"plain");
    cut.truncate(cut.len() - 3);
    let said = convert(plugin(&plugins), "unpack", kept.bytes(&cut), &Memory::new()).unwrap_err();
    assert_eq!(said, "plugin acme/data: the gzip data is cut off");
}

#[test]
fn handles_and_their_memory_are_limited() {
    let (sandbox, kept) = (sandbox(), Kept::new());
    let plugins = sandbox.plugins();
    let said = convert(plugin(&plugins), "hoard", kept.bytes(b"abc"), &Memory::new()).unwrap_err();
    assert_eq!(said, "plugin acme/data: uses too many handles; report it to its author");
    let said = convert(plugin(&plugins), "heavy", kept.bytes(&[0; 100_000]), &Memory::new()).unwrap_err();
    assert_eq!(said, "plugin acme/data: over a limit: sources of so many pieces that they take more than 16 MiB");
    // What was given back does not count, and the next call has all of it again.
    convert(plugin(&plugins), "churn", kept.bytes(b"abc"), &Memory::new()).unwrap();
    convert(plugin(&plugins), "read", kept.bytes(b"abc"), &Memory::new()).unwrap();
}
