//! An import and an export format that take what they can, as their option `do` tells them. Each would fill a disk, a
//! memory or a day, or leave the place it was given, if nobody stopped it.

use std::hint::black_box;

use nacre_sdk::bytes::{Codec, Piece, Range, Sink, Source, decode, encode};
use nacre_sdk::files::{Content, Entry, Kind, Layer};
use nacre_sdk::images::Image;
use nacre_sdk::import::{Builder, Confidence, Head};
use nacre_sdk::{Error, Options};

nacre_sdk::import_format!(probe, convert);
nacre_sdk::export_format!(write);

pub fn probe(_format: &str, _head: &Head) -> Confidence {
    Confidence::No
}

pub fn convert(_format: &str, sources: Vec<Source>, image: &Builder, opts: &Options) -> Result<(), Error> {
    let source = &sources[0];
    match opts.one("do")?.unwrap_or_default() {
        "hoard-handles" => hoard(source),
        "read-forever" => read_forever(source),
        "read-nothing-forever" => read_nothing(source),
        "inflate-forever" => inflate_forever(),
        "deflate-forever" => deflate_forever(),
        "zeros-without-end" => zeros(source, image, 1 << 60),
        "zeros-beyond-all-numbers" => zeros(source, image, u64::MAX),
        "compose-without-end" => compose(source),
        "layers-without-end" => layers(image),
        "entries-without-end" => entries(image),
        "one-long-name" => image.layer("x")?.add(&file(&"x".repeat(10 << 20), 0), &Content::None),
        "leave-by-dots" => image.layer("x")?.add(&file("a/../../etc/passwd", 0), &Content::None),
        "leave-by-link" => leave_by_link(image),
        "go-round-in-links" => round(image),
        "link-to-nothing" => link_to_nothing(image),
        "lie-about-a-size" => image.layer("x")?.add(&file("x", 1 << 40), &Content::Bytes(b"short".to_vec())),
        "hide-a-whiteout" => image.layer("x")?.add(&file(".wh..wh..opq", 0), &Content::None),
        "tar-of-nothing" => image.layer("x")?.add_tar(source),
        "config-of-nonsense" => image.set_config("{\"Cmd\": 7"),
        "config-of-megabytes" => image.set_config(&format!("{{\"Cmd\": [{:?}]}}", "x".repeat(8 << 20))),
        "nothing-at-all" => Ok(()),
        "give-up" => {
            image.layer("x")?.add(&file("x", 0), &Content::None)?;
            Err("and then no more".into())
        }
        other => Err(format!("what is {other}?").into()),
    }
}

pub fn write(_format: &str, _image: &Image, out: &Sink, opts: &Options) -> Result<(), Error> {
    match opts.one("do")?.unwrap_or_default() {
        "write-forever" => loop {
            out.write(&[1; 1 << 16])?;
        },
        "write-behind-the-end" => out.write_at(1 << 50, b"x"),
        "half-a-file" => {
            out.write(b"half")?;
            Err("and then no more".into())
        }
        other => Err(format!("what is {other}?").into()),
    }
}

fn file(path: &str, size: u64) -> Entry {
    let (kind, path) = (Kind::File, path.into());
    Entry { path, kind, mode: 0o644, uid: 0, gid: 0, size, mtime: 0, nanos: 0, link: None, device: None, xattrs: Vec::new() }
}

fn link(path: &str, kind: Kind, to: &str) -> Entry {
    Entry { kind, link: Some(to.into()), ..file(path, 0) }
}

fn hoard(source: &Source) -> Result<(), Error> {
    let mut kept = Vec::new();
    loop {
        kept.push(source.part(&[Piece::Plain(Range { offset: 0, size: 1 })])?);
    }
}

fn read_forever(source: &Source) -> Result<(), Error> {
    loop {
        black_box(source.read_at(0, u32::MAX)?);
    }
}

fn read_nothing(source: &Source) -> Result<(), Error> {
    loop {
        black_box(source.read_at(u64::MAX, u32::MAX)?);
    }
}

fn inflate_forever() -> Result<(), Error> {
    let bomb = encode(Codec::Zstd, &vec![0; 16 << 20])?;
    loop {
        black_box(decode(Codec::Zstd, &bomb, 16 << 20)?);
    }
}

fn deflate_forever() -> Result<(), Error> {
    let data = vec![7; 1 << 20];
    loop {
        black_box(encode(Codec::Xz, &data)?);
    }
}

fn zeros(source: &Source, image: &Builder, count: u64) -> Result<(), Error> {
    let endless = source.part(&[Piece::Zeros(count), Piece::Zeros(count)])?;
    image.layer("x")?.add(&file("zeros", count), &Content::Source(&endless))
}

fn compose(source: &Source) -> Result<(), Error> {
    let mut last = source.part(&[Piece::Zeros(1)])?;
    loop {
        let pieces = vec![Piece::Plain(Range { offset: 0, size: 1 }); 10_000];
        last = last.part(&pieces)?;
    }
}

fn layers(image: &Builder) -> Result<(), Error> {
    loop {
        image.layer("one more")?;
    }
}

fn entries(image: &Builder) -> Result<(), Error> {
    let layer = image.layer("x")?;
    for n in 0_u64.. {
        layer.add(&file(&format!("{n}"), 0), &Content::None)?;
    }
    Ok(())
}

/// A link out of the root, and a file through it: it must end up inside.
fn leave_by_link(image: &Builder) -> Result<(), Error> {
    let layer = image.layer("x")?;
    layer.add(&link("out", Kind::Symlink, "../../../../tmp"), &Content::None)?;
    put(&layer, "out/inside")
}

fn round(image: &Builder) -> Result<(), Error> {
    let layer = image.layer("x")?;
    layer.add(&link("a", Kind::Symlink, "b"), &Content::None)?;
    layer.add(&link("b", Kind::Symlink, "a"), &Content::None)?;
    put(&layer, "a/x")
}

fn link_to_nothing(image: &Builder) -> Result<(), Error> {
    image.layer("x")?.add(&link("x", Kind::Hardlink, "../etc/shadow"), &Content::None)
}

fn put(layer: &Layer, path: &str) -> Result<(), Error> {
    layer.add(&file(path, 4), &Content::Bytes(b"text".to_vec()))
}
