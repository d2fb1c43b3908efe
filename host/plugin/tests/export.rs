//! Export formats: what a plugin sees of an image, and what it writes.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::fs::File;
use std::io::{Read, Seek};

use nacre_layer::{Codec, Entry, Kind};
use nacre_oci::{Descriptor, Memory};
use nacre_plugin::{ImageView, Output, Plugin};
use support::data::{Kept, file, folder, hasty, image, link, listed, plugin, sandbox, seen, tar, view};
use support::doing;

fn export(plugin: &Plugin, what: &str, image: ImageView) -> Result<Vec<u8>, String> {
    written(plugin, what, image, Output::new(tempfile::tempfile().unwrap()))
}

fn written(plugin: &Plugin, what: &str, image: ImageView, out: Output) -> Result<Vec<u8>, String> {
    let out = plugin.export("data", image, out, &doing(what)).map_err(|error| error.to_string())?;
    let mut file: File = out.finish().unwrap();
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    Ok(bytes)
}

/// Two layers; the upper takes a file away and adds one.
fn app(memory: &Memory) -> Descriptor {
    let base = tar(&[
        (folder("etc"), b""),
        (file("etc/a"), b"alpha"),
        (link("etc/z", Kind::Hardlink, "etc/a"), b""),
        (file("gone"), b"gone"),
        (link("sh", Kind::Symlink, "bin/sh"), b""),
    ]);
    let top = tar(&[(Entry::new("gone", Kind::Whiteout), b""), (file("bin/sh"), &[b'#'; 9_000])]);
    image(memory, &[(base, Some(Codec::Gzip)), (top, None)])
}

#[test]
fn an_image_shows_what_it_is() {
    let (sandbox, kept, memory) = (sandbox(), Kept::new(), Memory::new());
    let plugins = sandbox.plugins();
    let manifest = app(&memory);
    export(plugin(&plugins), "show", view(&memory, &manifest, &kept)).unwrap();
    let seen = seen(plugin(&plugins));
    assert_eq!(seen[0], format!("acme/app:1 {} linux/arm64/None", manifest.digest));
    assert!(seen[1].starts_with("{\"architecture\":\"arm64\""), "{}", seen[1]);
    assert!(seen[2].ends_with("\"step 0\"") && seen[3].ends_with("\"step 1\""), "{seen:?}");
    assert_eq!(kept.left(), 0, "no layer was read");
}

#[test]
fn layers_are_listed_with_their_whiteouts() {
    let (sandbox, kept, memory) = (sandbox(), Kept::new(), Memory::new());
    let plugins = sandbox.plugins();
    let manifest = app(&memory);
    export(plugin(&plugins), "layers", view(&memory, &manifest, &kept)).unwrap();
    let seen: Vec<String> = seen(plugin(&plugins)).into_iter().filter(|line| !line.starts_with("open ")).collect();
    assert_eq!(
        seen,
        [
            "etc Kind::Directory 755 0 -",
            "etc/a Kind::File 644 5 alpha",
            "etc/z Kind::Hardlink 644 0 alpha",
            "gone Kind::File 644 4 gone",
            "sh Kind::Symlink 644 0 -",
            "gone Kind::Whiteout 644 0 -",
            "bin/sh Kind::File 644 9000 ##########",
        ]
    );
    export(plugin(&plugins), "none", view(&memory, &manifest, &kept)).unwrap();
    assert_eq!(support::data::seen(plugin(&plugins)), ["no layer: invalid: the image has no layer 77"]);
}

#[test]
fn the_root_filesystem_is_all_layers_applied() {
    let (sandbox, kept, memory) = (sandbox(), Kept::new(), Memory::new());
    let plugins = sandbox.plugins();
    let manifest = app(&memory);
    export(plugin(&plugins), "files", view(&memory, &manifest, &kept)).unwrap();
    let seen: Vec<String> = seen(plugin(&plugins)).into_iter().filter(|line| !line.starts_with("open ")).collect();
    assert_eq!(
        seen,
        [
            "bin Kind::Directory 755 0 -",
            "bin/sh Kind::File 644 9000 ##########",
            "etc Kind::Directory 755 0 -",
            "etc/a Kind::File 644 5 alpha",
            "etc/z Kind::Hardlink 644 0 alpha",
            "sh Kind::Symlink 644 0 -",
        ]
    );
    let flat = export(plugin(&plugins), "tar", view(&memory, &manifest, &kept)).unwrap();
    let shell = format!("bin/sh File {}", "#".repeat(9_000));
    let lines = ["bin Directory ", &shell, "etc Directory ", "etc/a File alpha", "etc/z Hardlink  -> etc/a", "sh Symlink  -> bin/sh"];
    assert_eq!(listed(&flat), lines);
    let again = export(plugin(&plugins), "tar", view(&memory, &manifest, &kept)).unwrap();
    assert!(flat == again, "the same image gives the same bytes");
    assert_eq!(kept.left(), 0);
}

#[test]
fn a_damaged_layer_is_never_shown_as_whole() {
    let (sandbox, kept, memory) = (sandbox(), Kept::new(), Memory::new());
    let plugins = sandbox.plugins();
    let good = tar(&[(file("a"), b"alpha")]);
    let manifest = image(&memory, &[(good.clone(), None)]);
    let digest = nacre_oci::Digest::of(&good);
    // The content differs, the headers are the same.
    let bad: Vec<u8> = good.iter().map(|byte| if *byte == b'l' { b'L' } else { *byte }).collect();
    memory.add_unchecked(digest.clone(), bad);
    for what in ["layers", "files", "tar"] {
        let said = export(plugin(&plugins), what, view(&memory, &manifest, &kept)).unwrap_err();
        assert!(said.starts_with(&format!("content of {digest} is damaged: expected {digest}, got ")), "{what}: {said}");
        assert!(!seen(plugin(&plugins)).iter().any(|line| line.contains("aLpha")));
    }
}

#[test]
fn an_image_that_is_none_is_refused() {
    let (kept, memory) = (Kept::new(), Memory::new());
    let open = |manifest: &Descriptor| {
        let source: std::sync::Arc<dyn nacre_oci::Source> = std::sync::Arc::new(memory.clone());
        ImageView::open(source, manifest, "x", &kept.spool).err().unwrap().to_string()
    };
    let index = memory.add(
        nacre_oci::media_type::OCI_INDEX,
        br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#.to_vec(),
    );
    assert_eq!(open(&index), format!("image {} is not supported: it is an index: choose a platform", index.digest));
}

#[test]
fn a_header_is_written_last() {
    let (sandbox, kept, memory) = (sandbox(), Kept::new(), Memory::new());
    let plugins = sandbox.plugins();
    let manifest = app(&memory);
    assert_eq!(export(plugin(&plugins), "header", view(&memory, &manifest, &kept)).unwrap(), b"headbodytail");
    let seen = seen(plugin(&plugins));
    assert_eq!(seen[..2], ["at 8", "beyond: invalid: write-at(): 4 bytes at 5 reach beyond the end at 8"]);
    assert!(seen[2].starts_with("overflow: invalid: "), "{}", seen[2]);
    assert_eq!(seen[3], "late: Error::Unsupported(\"compress() behind the first byte\")");
}

#[test]
fn content_is_written_in_blocks() {
    let (sandbox, kept, memory) = (sandbox(), Kept::new(), Memory::new());
    let plugins = sandbox.plugins();
    let manifest = app(&memory);
    let written = export(plugin(&plugins), "blocks", view(&memory, &manifest, &kept)).unwrap();
    let seen = seen(plugin(&plugins));
    assert!(seen[0].starts_with("tiny: Error::Limit(") && seen[1].starts_with("giant: Error::Limit("), "{seen:?}");
    let sizes: Vec<usize> = seen[2..5].iter().map(|line| line.strip_suffix(" true").unwrap().parse().unwrap()).collect();
    assert_eq!((seen[5].as_str(), written.len()), ("and 9000", sizes.iter().sum::<usize>() + 9_000));
    let first = Codec::Zlib.decode_block(&written[..sizes[0]], 4_096).unwrap();
    assert_eq!(first, [b'#'; 4_096]);
    assert!(written.ends_with(&[b'#'; 9_000]));
}

#[test]
fn an_output_is_compressed_once() {
    let (sandbox, kept, memory) = (sandbox(), Kept::new(), Memory::new());
    let plugins = sandbox.plugins();
    let manifest = app(&memory);
    let unpack = |bytes: &[u8], codec: Codec| {
        let mut plain = String::new();
        codec.reader(bytes).unwrap().read_to_string(&mut plain).unwrap();
        plain
    };
    let written_ = export(plugin(&plugins), "compress", view(&memory, &manifest, &kept)).unwrap();
    assert_eq!(unpack(&written_, Codec::Zstd), "squeezed");
    let expected = ["again: Error::Unsupported(\"compress(): the output is compressed already\")".to_owned()]
        .into_iter()
        .chain(["position", "write-at"].map(|what| format!("{what}: Error::Unsupported(\"{what}() on a compressed output\")")));
    assert_eq!(seen(plugin(&plugins)), expected.collect::<Vec<_>>());
    let out = Output::compressed(tempfile::tempfile().unwrap(), Codec::Gzip).unwrap();
    let flat = written(plugin(&plugins), "tar", view(&memory, &manifest, &kept), out).unwrap();
    assert!(unpack(&flat, Codec::Gzip).contains("alpha"));
}

#[test]
fn formats_are_looked_up_and_limited() {
    let (sandbox, kept, memory) = (hasty(), Kept::new(), Memory::new());
    let plugins = sandbox.plugins();
    assert_eq!(plugins.export_format("data").unwrap().name(), "acme/data");
    assert_eq!(plugins.export_format("cpio").err().unwrap().to_string(), "unknown export format 'cpio': known are data");
    let manifest = app(&memory);
    let said = export(plugin(&plugins), "spin", view(&memory, &manifest, &kept)).unwrap_err();
    assert!(said.starts_with("plugin acme/data: took longer than 200 ms"), "{said}");
}
