use super::{Build, read};
use crate::{Kind, TarReader, tar::header::*};

fn refused(tar: &[u8]) -> String {
    let error = read(TarReader::new(tar).as_layer()).expect_err("it was accepted").to_string();
    assert!(!error.contains('\n') && error.len() < 500, "{error}");
    error
}

fn paths(tar: &[u8]) -> Vec<String> {
    read(TarReader::new(tar)).unwrap().iter().map(|(member, _)| member.entry.name()).collect()
}

#[test]
fn names_that_lead_out_are_refused_and_absolute_ones_lose_their_slash() {
    for name in ["../x", "a/../../x", "..", "/../x", "a/.."] {
        assert!(refused(&Build::new().member(b'0', name, b"").end()).contains("'..'"), "{name}");
    }
    assert!(refused(&Build::new().pax(&[("path", b"../x")]).member(b'0', "x", b"").end()).contains("'..'"));
    assert!(refused(&Build::new().pax(&[("path", b"a\0b")]).member(b'0', "x", b"").end()).contains("NUL"));
    assert!(refused(&Build::new().link(b'1', "x", "../../etc/passwd").end()).contains("'..'"));
    assert!(refused(&Build::new().member(b'0', "x", b"").link(b'1', "y", "x/../../z").end()).contains("'..'"));
    let long = vec![b'n'; 5000];
    assert!(refused(&Build::new().pax(&[("path", &long)]).member(b'0', "x", b"").end()).contains("longer than"));
    assert_eq!(paths(&Build::new().member(b'0', "/etc//x", b"").member(b'5', "./", b"").end()), ["etc/x", ""]);
}

#[test]
fn names_that_lead_out_stay_inside_where_that_is_asked_for() {
    let tar = Build::new().member(b'0', "../../x", b"").member(b'0', "a/../b", b"").link(b'1', "y", "../x").end();
    let members = read(TarReader::new(tar.as_slice()).clamped()).unwrap();
    assert_eq!(members.iter().map(|(member, _)| member.entry.name()).collect::<Vec<_>>(), ["x", "b", "y"]);
    assert_eq!(members[2].0.entry.link.as_deref(), Some(&b"x"[..]));
}

#[test]
fn whiteouts_of_nothing_are_refused() {
    for name in [".wh.", ".wh..", ".wh...", "a/.wh..", "a/.wh..."] {
        assert!(refused(&Build::new().member(b'0', name, b"").end()).contains("whiteout"), "{name}");
    }
    let tar = Build::new().member(b'0', "a/.wh.b", b"").member(b'0', "a/.wh..wh..opq", b"").member(b'0', ".wh..wh..opq", b"").end();
    let kinds: Vec<_> =
        read(TarReader::new(tar.as_slice()).as_layer()).unwrap().iter().map(|(m, _)| (m.entry.name(), m.entry.kind)).collect();
    assert_eq!(kinds, [("a/b".into(), Kind::Whiteout), ("a".into(), Kind::Opaque), (String::new(), Kind::Opaque)]);
    assert_eq!(paths(&tar), ["a/.wh.b", "a/.wh..wh..opq", ".wh..wh..opq"], "in a tar of files they are files");
}

#[test]
fn headers_that_readers_could_disagree_on_are_refused() {
    let long = |build: Build| build.member(b'L', "././@LongLink", b"long/name\0");
    let file = |build: Build| build.member(b'0', "x", b"").end();
    let pax = || Build::new().pax(&[("path", b"pax/name")]);
    refused(&file(long(pax())));
    refused(&file(long(Build::new()).pax(&[("path", b"pax/name")])));
    refused(&file(long(long(Build::new()))));
    refused(&file(pax().pax(&[("mtime", b"1")])));
    refused(&file(long(Build::new().pax(&[("size", b"512")]))));
    refused(&Build::new().member(b'0', "folder/", b"").end());
    refused(&pax().end());
    refused(&long(Build::new()).end());
    refused(&file(Build::new().member(b'g', "global", b"13 path=evil\n")));
    refused(&file(Build::new().member(b'x', "pax", b"99 path=x\n")));
    refused(&file(Build::new().member(b'x', "pax", b"9 path=x")));
    assert_eq!(paths(&file(long(Build::new().pax(&[("mtime", b"1.5")])))), ["long/name"]);
    assert_eq!(paths(&file(Build::new().member(b'g', "pax_global_header", b"16 comment=1234\n"))), ["x"]);
}

#[test]
fn the_pax_size_counts() {
    let inner = Build::new().member(b'0', "smuggled", b"").cut();
    let tar = Build::new()
        .pax(&[("size", b"512")])
        .raw(b'0', "outer", &inner, |header| assert!(header.set_number(SIZE, 0)))
        .member(b'0', "after", b"")
        .end();
    assert_eq!(paths(&tar), ["outer", "after"], "as in Go's and GNU's tar");
    refused(&Build::new().pax(&[("size", b"99999999999999999999")]).member(b'0', "x", b"").end());
    refused(&Build::new().pax(&[("size", b"18446744073709551615")]).member(b'0', "x", b"").end());
    refused(&Build::new().pax(&[("size", b"9999")]).member(b'0', "x", b"").end());
}

#[test]
fn ids_that_wrap_round_are_refused() {
    for id in ["2147483648", "4294967296", "4294967295", "-1"] {
        for key in ["uid", "gid"] {
            assert!(
                refused(&Build::new().pax(&[(key, id.as_bytes())]).member(b'0', "x", b"").end()).contains("outside 0 to"),
                "{key} {id}"
            );
        }
    }
    let base256 = |bytes: &[u8]| Build::new().raw(b'0', "x", b"", |header| header.set(UID, bytes)).end();
    refused(&base256(&[0x80, 0, 0, 1, 0, 0, 0, 0]));
    refused(&base256(&[0xff; 8]));
    refused(&base256(&[0x80, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]));
    let tar = base256(&[0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff]);
    assert_eq!(read(TarReader::new(tar.as_slice())).unwrap()[0].0.entry.uid, 0x7fff_ffff);
}

#[test]
fn numbers_that_are_none_and_absurd_sizes_are_refused() {
    refused(&Build::new().raw(b'0', "x", b"", |header| header.set(SIZE, b"12x")).end());
    refused(&Build::new().raw(b'0', "x", b"", |header| header.set(SIZE, &[0xff; 12])).end());
    refused(
        &Build::new()
            .raw(b'0', "x", b"", |header| header.set(SIZE, &[0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]))
            .end(),
    );
    refused(&Build::new().raw(b'0', "x", b"", |header| header.set(MTIME, b"yesterday")).end());
    refused(&Build::new().raw(b'3', "x", b"", |header| header.set(MAJOR, b"9")).end());
    refused(&Build::new().raw(b'0', "x", b"", |header| header.set(UID, b"1 2")).end());
    refused(&Build::new().raw(b'L', "x", b"", |header| assert!(header.set_number(SIZE, 2 << 20))).end());
}

#[test]
fn what_has_no_content_claims_none() {
    for kind in *b"123456" {
        refused(&Build::new().raw(kind, "x", &[0; 512], |header| header.set(LINK, b"y")).end());
    }
    refused(&Build::new().link(b'2', "x", "").end());
}

#[test]
fn sparse_and_unknown_kinds_say_so() {
    let sparse = [Build::new().member(b'S', "x", b"").end(), Build::new().pax(&[("GNU.sparse.major", b"1")]).member(b'0', "x", b"").end()];
    for tar in sparse {
        assert!(refused(&tar).contains("without --sparse"));
    }
    assert!(refused(&Build::new().member(b'V', "label", b"").end()).contains("kind"));
}

#[test]
fn cut_spoilt_and_followed_archives_are_refused() {
    let file = || Build::new().member(b'0', "x", &[1; 600]);
    assert!(refused(&file().cut()).contains("truncated"));
    assert!(refused(&file().cut()[..1024]).contains("truncated"));
    assert!(refused(b"").contains("no tar archive") && refused(b"#!/bin/sh\n").contains("truncated"));
    assert!(refused(&[b'x'; 2048]).contains("no tar archive"));
    let mut spoilt = file().member(b'0', "y", b"").end();
    spoilt[512 + 1024] ^= 1;
    assert!(refused(&spoilt).contains("checksum"));
    let mut followed = file().end();
    followed.extend_from_slice(&file().end());
    assert!(refused(&followed).contains("something follows"));
    let single = [file().cut(), vec![0; 512], file().end()].concat();
    assert!(refused(&single).contains("single empty block"));
    let mut padded = file().end();
    padded.resize(20 * 512, 0);
    assert_eq!(paths(&padded), ["x"]);
    let tar = file().cut();
    assert_eq!(read(TarReader::new(tar.as_slice()).allow_unterminated()).unwrap().len(), 1);
    assert!(read(TarReader::new(&tar[..1400]).allow_unterminated()).is_err());
}

#[test]
fn after_an_error_there_are_no_members() {
    let tar = Build::new().member(b'0', "../x", b"").member(b'0', "y", b"").end();
    let mut reader = TarReader::new(tar.as_slice());
    assert!(reader.next_entry().is_err() && reader.next_entry().is_err());
}

#[test]
fn names_of_old_tars() {
    let v7 = |header: &mut Header| header.set(LINK, b"");
    let tar = Build::new().raw(0, "folder/", b"", v7).raw(0, "folder/file", b"1", v7).raw(b'7', "contiguous", b"", v7).end();
    let kinds: Vec<Kind> = read(TarReader::new(tar.as_slice())).unwrap().iter().map(|(member, _)| member.entry.kind).collect();
    assert_eq!(kinds, [Kind::Directory, Kind::File, Kind::File]);
}

#[test]
fn numbers_of_old_tars() {
    for field in [b"  17 \0  ".as_slice(), b"\x0017\0\0\0\0\0", b"0000017\0", b"17      ", b"17\0junk!"] {
        let tar = Build::new().raw(b'0', "x", b"", |header| header.set(UID, &field[..8])).end();
        assert_eq!(read(TarReader::new(tar.as_slice())).unwrap()[0].0.entry.uid, 0o17, "{field:?}");
    }
}
