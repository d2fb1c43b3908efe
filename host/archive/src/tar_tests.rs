#![allow(clippy::unwrap_used, reason = "tests")]

use ::tar::EntryType;
use nacre_tests::images;

use super::*;
use crate::testing::{Build, index};

fn content(tar: &Tar, name: &str) -> Option<String> {
    tar.read(name, 1 << 20).unwrap().map(|bytes| String::from_utf8(bytes).unwrap())
}

#[test]
fn finds_members_by_every_kind_of_name() {
    let long = format!("{}/x", "long/".repeat(60));
    let bytes = Build::new()
        .member(EntryType::Directory, "d/", "", b"")
        .file("./d//a", "first")
        .file("d/a", "last wins")
        .member(EntryType::GNULongName, "././@LongLink", "", format!("{long}\0").as_bytes())
        .file("cut off", "by long name")
        .pax(&[("path", "p\u{e4}x"), ("size", "3")])
        .claiming(EntryType::Regular, "other", "", 0, b"pax")
        .member(EntryType::XGlobalHeader, "g", "", b"13 comment=x\n")
        .file("/after", "")
        .finish();
    let tar = index(&bytes).unwrap();
    for (name, expected) in [("d/a", "last wins"), ("./d/a", "last wins"), (&long, "by long name"), ("p\u{e4}x", "pax"), ("after", "")] {
        assert_eq!(content(&tar, name).as_deref(), Some(expected), "{name}");
    }
    for name in ["cut off", "other", "d", "g", "none"] {
        assert_eq!(content(&tar, name), None, "{name}");
    }
    assert!(tar.find("../d/a").is_err() && tar.find("/d/a").is_err());
    assert!(matches!(tar.read("d/a", 3), Err(Error::TooLarge { .. })));
}

#[test]
fn follows_links_within_the_archive_only() {
    let bytes = Build::new()
        .file("a/layer.tar", "one")
        .symlink("b/layer.tar", "../a/layer.tar")
        .symlink("c/layer.tar", "../b/./layer.tar")
        .hard_link("d", "a/layer.tar")
        .hard_link("e/layer.tar", "b/layer.tar")
        .file("a/layer.tar", "two")
        .symlink("out", "../x")
        .symlink("deep/out", "../../x")
        .symlink("absolute", "/etc/passwd")
        .symlink("loop", "pool")
        .symlink("pool", "loop")
        .symlink("self", "self")
        .symlink("dangling", "nowhere")
        .finish();
    let tar = index(&bytes).unwrap();
    for (name, expected) in [("b/layer.tar", "two"), ("c/layer.tar", "two"), ("d", "one"), ("e/layer.tar", "two")] {
        assert_eq!(content(&tar, name).as_deref(), Some(expected), "{name}");
    }
    for name in ["out", "deep/out", "absolute", "loop", "self"] {
        assert!(matches!(tar.find(name), Err(Error::Malformed { .. })), "{name} was followed");
    }
    assert_eq!(tar.find("dangling").unwrap(), None);
}

#[test]
fn reads_from_an_offset_and_never_beyond() {
    let noise = images::noise(70_000, 3);
    let tar = index(&Build::new().file("a", &noise).file("b", "next").finish()).unwrap();
    let member = tar.find("a").unwrap().unwrap();
    for skip in [0, 1, 69_999, 70_000, 80_000] {
        let mut rest = Vec::new();
        tar.open(member, skip as u64).read_to_end(&mut rest).unwrap();
        assert_eq!(rest, noise[skip.min(noise.len())..]);
    }
}

#[test]
fn every_truncation_is_an_error() {
    let whole = Build::new().file("a", images::noise(700, 4)).symlink("b", "a").pax(&[("path", "c")]).file("x", "y");
    let cuts = whole.clone().unfinished().len();
    for keep in (0..=cuts).step_by(64) {
        let cut = &whole.clone().unfinished()[..keep];
        assert!(index(cut).is_err(), "cut to {keep} of {cuts} bytes it was accepted");
    }
    assert!(index(&whole.finish()).is_ok());
}

#[test]
fn refuses_what_readers_may_read_differently_or_what_leads_out() {
    let file = |name: &str| Build::new().file(name, "x");
    let cases: Vec<(&str, Build)> = vec![
        ("up", file("../x")),
        ("up inside", file("a/../../x")),
        ("folder up", Build::new().member(EntryType::Directory, "../", "", b"")),
        ("PAX up", Build::new().pax(&[("path", "../x")]).file("x", "y")),
        ("PAX NUL", Build::new().pax(&[("path", "a\0b")]).file("x", "y")),
        ("PAX size beyond the end", Build::new().pax(&[("size", "99999")]).file("x", "y")),
        ("PAX size not a number", Build::new().pax(&[("size", "-1")]).file("x", "y")),
        ("PAX size overflow", Build::new().pax(&[("size", "18446744073709551615")]).file("x", "y")),
        ("two PAX headers", Build::new().pax(&[("path", "a")]).pax(&[("path", "b")]).file("x", "y")),
        ("link with content", Build::new().member(EntryType::Symlink, "l", "x", b"content")),
        ("PAX gives a link content", Build::new().pax(&[("size", "512")]).claiming(EntryType::Link, "l", "x", 0, b"content")),
        ("hard link to nothing", Build::new().hard_link("l", "x")),
        ("hard link out", Build::new().hard_link("l", "../x")),
        ("GNU sparse", Build::new().member(EntryType::GNUSparse, "s", "", b"")),
        ("PAX sparse", Build::new().pax(&[("GNU.sparse.major", "1")]).file("x", "y")),
        ("huge name", Build::new().claiming(EntryType::GNULongName, "x", "", 1 << 40, b"")),
        ("size overflow", Build::new().claiming(EntryType::Regular, "x", "", u64::MAX, b"")),
        (
            "an empty block in between",
            Build::new().file("a", vec![0; 512]).claiming(EntryType::Regular, "b", "", 0, &[0; 512]).file("c", ""),
        ),
    ];
    for (what, build) in cases {
        assert!(index(&build.finish()).is_err(), "{what} was accepted");
    }
    let mut damaged = file("a").finish();
    damaged[3] ^= 1;
    assert!(index(&damaged).is_err(), "a wrong checksum was accepted");
    assert!(index(&[]).is_err() && index(b"text").is_err() && index(&images::noise(4096, 5)).is_err());
}
