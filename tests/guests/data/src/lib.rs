//! Import and export formats and an admission rule that do with their data what the option `do` tells them. What they
//! see goes to the log.

use std::hint::black_box;

use nacre_sdk::admission::{Decision, Request};
use nacre_sdk::bytes::{Codec, Packed, Piece, Range, Sink, Source, decode, encode};
use nacre_sdk::files::{Content, Entry, Kind, Listing, Xattr, read_tar, write_tar};
use nacre_sdk::images::Image;
use nacre_sdk::import::{Builder, Confidence, Head};
use nacre_sdk::{Diagnostic, Error, Level, Options, Platform, log};

nacre_sdk::import_format!(probe, convert);
nacre_sdk::export_format!(write);
nacre_sdk::admission!(review);

fn say(text: impl Into<String>) {
    log(Level::Info, &text.into(), &[]);
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What nacre said to something that cannot go well.
fn refused<T>(what: &str, result: Result<T, Error>) {
    match result {
        Ok(_) => say(format!("{what}: done")),
        Err(Error::Invalid(found)) => say(format!("{what}: invalid: {}", found[0].message)),
        Err(error) => say(format!("{what}: {error:?}")),
    }
}

fn plain(offset: u64, size: u64) -> Piece {
    Piece::Plain(Range { offset, size })
}

fn entry(path: &str, kind: Kind, size: u64) -> Entry {
    Entry { path: path.into(), kind, mode: 0o644, uid: 0, gid: 0, size, mtime: 5, nanos: 0, link: None, device: None, xattrs: Vec::new() }
}

pub fn probe(_format: &str, head: &Head) -> Confidence {
    match head.plain.first() {
        Some(b'!') => Confidence::Certain,
        Some(b'?') => Confidence::Maybe,
        Some(b'~') => panic!("no idea"),
        _ => Confidence::No,
    }
}

pub fn convert(_format: &str, sources: Vec<Source>, image: &Builder, opts: &Options) -> Result<(), Error> {
    let source = &sources[0];
    match opts.one("do")?.unwrap_or_default() {
        "read" => read(source)?,
        "parts" => parts(source)?,
        "blocks" => blocks()?,
        "unpack" => say(text(&source.decompress(None)?.read(1 << 20)?)),
        "list" => list(&read_tar(source)?)?,
        "tar" => image.layer("all of it")?.add_tar(source)?,
        "entries" => entries(source, image)?,
        "bad-entries" => bad_entries(source, image)?,
        "ignore" => drop(image.layer("x")?.add(&entry("a", Kind::File, 1_000), &Content::Source(source))),
        "late" => late(image)?,
        "describe" => describe(image)?,
        "bad-description" => bad_description(image)?,
        "layers" => (0..200).try_for_each(|_| image.layer("x").map(drop))?,
        "hoard" => drop((0..2_000).map(|_| source.part(&[plain(0, 1)])).collect::<Vec<_>>()),
        "heavy" => drop((0..50).map(|_| source.part(&scattered(source))).collect::<Result<Vec<_>, _>>()?),
        "ask-forever" => forever(|| drop(source.size())),
        "read-forever" => forever(|| drop(source.read_at(0, 1))),
        "encode-forever" => forever(|| drop(encode(Codec::Xz, &vec![7; 1 << 20]))),
        "spin" => forever(|| ()),
        "churn" => (0..5_000).try_for_each(|_| source.part(&[plain(0, 1)]).map(drop))?,
        "half" => {
            entries(source, image)?;
            image.layer("third")?;
            return Err("half of it is there".into());
        }
        "fail" => return Err("I cannot".into()),
        "give-up" => source.read_at(0, 1).map(drop).map_err(|_| "the file is no good")?,
        "shrug" => drop(source.read_at(0, 1)),
        other => return Err(format!("do what: {other}?").into()),
    }
    Ok(())
}

fn forever(work: impl Fn()) {
    loop {
        work();
        black_box(());
    }
}

/// Every other byte, so that no piece goes on where the last one ends.
fn scattered(source: &Source) -> Vec<Piece> {
    let size = source.size().unwrap_or_default();
    (0..size / 2).map(|at| plain(2 * at, 1)).collect()
}

fn read(source: &Source) -> Result<(), Error> {
    say(text(&source.read(4)?));
    say(text(&source.read_at(1, 3)?));
    say(text(&source.read(4)?));
    say(format!("{} of {}", source.read_at(0, u32::MAX)?.len(), source.size()?));
    say(format!("{} behind the end", source.read_at(1 << 60, 5)?.len()));
    while !source.read(u32::MAX)?.is_empty() {}
    say("end");
    Ok(())
}

fn parts(source: &Source) -> Result<(), Error> {
    let part = source.part(&[plain(3, 2), Piece::Zeros(2), plain(0, 3)])?;
    say(format!("{:?}", part.read(100)?));
    refused("beyond", source.part(&[plain(source.size()?, 1)]));
    refused("overflow", source.part(&[plain(u64::MAX, 2)]));
    refused("zeros", source.part(&[Piece::Zeros(u64::MAX), Piece::Zeros(u64::MAX)]));
    let packed = Packed { at: Range { offset: 0, size: 3 }, codec: Codec::Zstd, max: 17 << 20, skip: 0, take: 1 };
    refused("large block", source.part(&[Piece::Packed(packed)]));
    refused("damaged block", source.part(&[Piece::Packed(Packed { max: 10, ..packed })])?.read(1));
    Ok(())
}

fn blocks() -> Result<(), Error> {
    for codec in [Codec::Gzip, Codec::Zstd, Codec::Xz, Codec::Bzip2, Codec::Deflate, Codec::Zlib, Codec::Lz4Block] {
        let packed = encode(codec, &[b'a'; 1_000])?;
        say(format!("{codec:?} {} {}", packed.len() < 1_000, decode(codec, &packed, 1_000)? == [b'a'; 1_000]));
        refused("too large", decode(codec, &packed, 999));
    }
    refused("garbage", decode(Codec::Zlib, b"garbage", 10));
    refused("much", encode(Codec::Lz4Block, &vec![0; (16 << 20) + 1]));
    Ok(())
}

fn list(listing: &Listing) -> Result<(), Error> {
    refused("open before", listing.open(0));
    let mut entries = Vec::new();
    loop {
        let more = listing.next(2)?;
        if more.is_empty() {
            break;
        }
        entries.extend(more);
    }
    for (index, entry) in entries.iter().enumerate() {
        let content = listing.open(index as u32).and_then(|content| content.read(10));
        let content = content.map_or("-".into(), |content| text(&content));
        say(format!("{} {:?} {:o} {} {content}", entry.path, entry.kind, entry.mode, entry.size));
    }
    refused("open behind", listing.open(entries.len() as u32));
    Ok(())
}

fn entries(source: &Source, image: &Builder) -> Result<(), Error> {
    let base = image.layer("base")?;
    base.add(&Entry { mode: 0o700, ..entry("./etc//", Kind::Directory, 0) }, &Content::None)?;
    base.add(&entry("etc/name", Kind::File, 3), &Content::Bytes(b"abc".to_vec()))?;
    base.add(&Entry { link: Some("etc/name".into()), ..entry("name", Kind::Hardlink, 0) }, &Content::None)?;
    base.add(&Entry { link: Some("/etc".into()), ..entry("conf", Kind::Symlink, 0) }, &Content::None)?;
    let top = image.layer("top")?;
    let part = source.part(&[plain(0, 5)])?;
    let xattrs = vec![Xattr { name: "user.x".into(), value: vec![0, 255] }];
    top.add(&Entry { xattrs, ..entry("opt/caf\u{f7e9}", Kind::File, 5) }, &Content::Source(&part))?;
    top.add(&Entry { device: Some((1, 3)), ..entry("dev/null", Kind::CharDevice, 0) }, &Content::None)?;
    top.add(&entry("name", Kind::Whiteout, 0), &Content::None)
}

fn bad_entries(source: &Source, image: &Builder) -> Result<(), Error> {
    let three = || Content::Bytes(b"abc".to_vec());
    for (what, entry, content) in [
        ("leaves", entry("a/../../b", Kind::File, 3), three()),
        ("short", entry("a", Kind::File, 4), three()),
        ("empty", entry("a", Kind::File, 4), Content::None),
        ("short source", entry("a", Kind::File, 1 << 40), Content::Source(source)),
        ("link", Entry { link: Some("nowhere".into()), ..entry("a", Kind::Hardlink, 0) }, Content::None),
    ] {
        refused(what, image.layer("x")?.add(&entry, &content));
    }
    Ok(())
}

fn late(image: &Builder) -> Result<(), Error> {
    let first = image.layer("first")?;
    first.add(&entry("a", Kind::Directory, 0), &Content::None)?;
    let second = image.layer("second")?;
    refused("late", first.add(&entry("b", Kind::Directory, 0), &Content::None));
    second.add(&entry("c", Kind::Directory, 0), &Content::None)
}

fn describe(image: &Builder) -> Result<(), Error> {
    image.set_platform(&Platform { os: "linux".into(), arch: "aarch64".into(), variant: None })?;
    image.set_config(r#"{"Cmd": ["/bin/sh"], "Labels": {"a": "b"}}"#)
}

fn bad_description(image: &Builder) -> Result<(), Error> {
    refused("platform", image.set_platform(&Platform { os: "li nux".into(), arch: "x".into(), variant: None }));
    refused("config", image.set_config(r#"{"Cmd": 5}"#));
    refused("twice", image.set_config(r#"{"Cmd": [], "Cmd": []}"#));
    refused("huge", image.set_config(&" ".repeat(2 << 20)));
    refused("command", image.layer(&"x".repeat(20_000)));
    Ok(())
}

pub fn write(_format: &str, image: &Image, out: &Sink, opts: &Options) -> Result<(), Error> {
    match opts.one("do")?.unwrap_or_default() {
        "show" => show(image)?,
        "layers" => (0..image.layers().len()).try_for_each(|index| list(&image.layer_files(index as u32)?))?,
        "files" => list(&image.files()?)?,
        "none" => refused("no layer", image.layer_files(77)),
        "tar" => write_tar(&image.files()?, out)?,
        "header" => header(out)?,
        "blocks" => cut(image, out)?,
        "compress" => compress(out)?,
        "spin" => forever(|| ()),
        other => return Err(format!("do what: {other}?").into()),
    }
    Ok(())
}

fn show(image: &Image) -> Result<(), Error> {
    let Platform { os, arch, variant } = image.platform();
    say(format!("{} {} {os}/{arch}/{variant:?}", image.name(), image.id()));
    say(image.config());
    for layer in image.layers() {
        say(format!("{} {} {} {} {:?}", layer.digest, layer.diff_id, layer.media_type, layer.size, layer.created_by));
    }
    Ok(())
}

/// Writes a header whose content is known last.
fn header(out: &Sink) -> Result<(), Error> {
    out.write(b"????")?;
    out.write(b"body")?;
    say(format!("at {}", out.position()?));
    refused("beyond", out.write_at(5, b"long"));
    refused("overflow", out.write_at(u64::MAX, b"long"));
    out.write_at(0, b"head")?;
    refused("late", out.compress(Codec::Gzip));
    out.write(b"tail")
}

/// Writes the first file's content in compressed blocks.
fn cut(image: &Image, out: &Sink) -> Result<(), Error> {
    let files = image.files()?;
    let at = files.next(100)?.iter().position(|entry| entry.size > 0).unwrap_or_default();
    let content = files.open(at as u32)?;
    refused("tiny", out.splice_blocks(&content, 1, Codec::Zlib));
    refused("giant", out.splice_blocks(&content, u32::MAX, Codec::Zlib));
    for block in out.splice_blocks(&content, 4096, Codec::Zlib)? {
        say(format!("{} {}", block.size, block.compressed));
    }
    say(format!("and {}", out.splice(&content)?));
    Ok(())
}

fn compress(out: &Sink) -> Result<(), Error> {
    out.compress(Codec::Zstd)?;
    refused("again", out.compress(Codec::Gzip));
    out.write(b"squeezed")?;
    refused("position", out.position());
    refused("write-at", out.write_at(0, b"x"));
    Ok(())
}

pub fn review(request: &Request) -> Result<Decision, Error> {
    let because = |message: &str| Diagnostic { code: "rule".into(), message: message.into(), help: Some("ask".into()), at: None };
    Ok(match request.name.as_deref().unwrap_or_default() {
        "warn" => Decision::Warn(vec![because("careful")]),
        "deny" => Decision::Deny(vec![because(&format!("no {:?} of {}", request.operation, request.digest))]),
        "deny-why" => Decision::Deny(Vec::new()),
        "shout" => Decision::Deny(vec![because(&"x".repeat(1_001))]),
        "flood" => Decision::Warn((0..101).map(|_| because("x")).collect()),
        "spin" => {
            forever(|| ());
            Decision::Allow
        }
        "fail" => return Err("I cannot".into()),
        "now" => Decision::Warn(vec![because(&format!("{} {:?} {}", request.now, request.created, request.labels.len()))]),
        _ => Decision::Allow,
    })
}
