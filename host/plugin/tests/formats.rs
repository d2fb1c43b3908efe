//! The bundled formats for archives, as components: what they make of files, and of files that lie.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::collections::BTreeMap;
use std::io::{Read, Seek};
use std::sync::Arc;

use nacre_layer::{Bytes, Codec, Compression, Entry, Kind};
use nacre_oci::Memory;
use nacre_plugin::{Built, Confidence, Head, ImageBuilder, Kv, Output, Plugins};
use support::data::{Kept, file, folder, image, link, listed, packed, stored, tar, view};
use tempfile::TempDir;

/// The bundled plugins, and where streams and layers are kept.
struct Desk {
    _cache: TempDir,
    plugins: Plugins,
    kept: Kept,
    memory: Memory,
}

impl Desk {
    fn new() -> Desk {
        let cache = tempfile::tempdir().unwrap();
        let plugins = Plugins::discover(&[], nacre_bundled::PLUGINS, &cache.path().join("cache"), &BTreeMap::new());
        Desk { _cache: cache, plugins, kept: Kept::new(), memory: Memory::new() }
    }

    /// The format that is surest of a file.
    fn told(&self, bytes: &[u8]) -> String {
        let head = Head::read(None, &self.kept.bytes(bytes)).unwrap();
        let sure = |(plugin, format): &(&nacre_plugin::Plugin, &str)| plugin.probe(format, &head).unwrap() == Confidence::Certain;
        let formats: Vec<&str> = self.plugins.import_formats().filter(sure).map(|(_, format)| format).collect();
        formats.join(" ")
    }

    fn convert(&self, format: &str, files: &[&[u8]], opts: &[(&str, &str)]) -> Result<Built, String> {
        let image = ImageBuilder::new(Arc::new(self.memory.clone()), Compression::None);
        let opts: Vec<Kv> = opts.iter().map(|(key, value)| Kv::new(*key, *value)).collect();
        let sources: Vec<Bytes> = files.iter().map(|file| self.kept.bytes(file)).collect();
        let plugin = self.plugins.import_format(format).unwrap();
        let image = plugin.convert(format, sources, image, &opts).map_err(|error| error.to_string())?;
        image.finish().map_err(|error| error.to_string())
    }

    /// What is in the layers that a file becomes.
    fn listed(&self, format: &str, files: &[&[u8]]) -> Result<Vec<String>, String> {
        let built = self.convert(format, files, &[])?;
        Ok(built.layers.iter().flat_map(|(layer, _)| listed(&self.plain(&layer.descriptor))).collect())
    }

    /// A layer, uncompressed.
    fn plain(&self, layer: &nacre_oci::Descriptor) -> Vec<u8> {
        let mut plain = Vec::new();
        let stored = self.kept.bytes(&stored(&self.memory, layer));
        stored.decompress(None).unwrap().read_to_end(&mut plain).unwrap();
        plain
    }

    /// An image of one tar, saved.
    fn saved(&self, format: &str, tar: &[u8], opts: &[(&str, &str)]) -> Vec<u8> {
        let manifest = image(&self.memory, &[(tar.to_vec(), Some(Codec::Gzip))]);
        let image = view(&self.memory, &manifest, &self.kept);
        let opts: Vec<Kv> = opts.iter().map(|(key, value)| Kv::new(*key, *value)).collect();
        let out = Output::new(tempfile::tempfile().unwrap());
        let out = self.plugins.export_format(format).unwrap().export(format, image, out, &opts).unwrap();
        let mut file = out.finish().unwrap();
        let mut bytes = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut bytes).unwrap();
        bytes
    }
}

/// Everything that a cpio archive can hold.
fn tree() -> Vec<(Entry, &'static [u8])> {
    vec![
        (Entry { mode: 0o1777, ..folder("bin") }, &b""[..]),
        (Entry { mode: 0o4755, uid: 5, gid: 6, mtime: 1_700_000_000, ..file("bin/sh") }, b"#!"),
        (link("bin/zsh", Kind::Hardlink, "bin/sh"), b""),
        (Entry { device: Some((4, 300)), ..Entry::new("disk", Kind::BlockDevice) }, b""),
        (file("empty"), b""),
        (link("link", Kind::Symlink, "../../etc/passwd"), b""),
        (Entry::new("pipe", Kind::Fifo), b""),
    ]
}

#[test]
fn what_is_saved_is_imported_as_it_was() {
    let desk = Desk::new();
    let expected = listed(&tar(&tree()));
    for (format, opts) in [
        ("cpio", &[][..]),
        ("cpio", &[("compress", "zstd")]),
        ("cpio", &[("compress", "xz")]),
        ("tarball", &[]),
        ("tarball", &[("compress", "gzip")]),
    ] {
        let saved = desk.saved(format, &tar(&tree()), opts);
        assert_eq!(saved, desk.saved(format, &tar(&tree()), opts), "the same image is saved as the same bytes");
        assert_eq!(desk.told(&saved), format);
        let entries = desk.listed(format, &[&saved]).unwrap();
        let entries: Vec<String> = entries.into_iter().filter(|line| line != "/ Directory " && line != " Directory ").collect();
        assert_eq!(entries, expected, "{format} {opts:?}");
    }
}

#[test]
fn tarballs_are_layers_as_they_are() {
    let desk = Desk::new();
    let (one, two) = (tar(&[(file("a"), b"1")]), packed(Codec::Zstd, &tar(&[(file("b"), b"2")])));
    let built = desk.convert("tarball", &[&one, &two], &[]).unwrap();
    assert_eq!(built.layers.len(), 2);
    assert_eq!(stored(&desk.memory, &built.layers[1].0.descriptor), two);
    assert_eq!(desk.told(&two), "tarball");
    assert_eq!(desk.listed("tarball", &[&one[..700]]).unwrap_err().lines().count(), 1);
}

/// One member of a `newc` archive.
fn newc(name: &str, mode: u32, body: &[u8]) -> Vec<u8> {
    let fields = [1, mode, 0, 0, 1, 0, body.len() as u32, 0, 0, 0, 0, name.len() as u32 + 1, 0];
    let mut bytes = format!("070701{}", fields.map(|field| format!("{field:08x}")).concat()).into_bytes();
    bytes.extend([name.as_bytes(), b"\0"].concat());
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes.extend(body);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

const FILE: u32 = 0o100_644;
const SYMLINK: u32 = 0o120_777;

fn cpio(members: &[(&str, u32, &[u8])]) -> Vec<u8> {
    let files = members.iter().flat_map(|(name, mode, body)| newc(name, *mode, body));
    files.chain(newc("TRAILER!!!", 0, b"")).collect()
}

#[test]
fn an_initramfs_has_parts_and_the_later_wins() {
    let desk = Desk::new();
    let early = cpio(&[("kernel", FILE, b"microcode"), ("init", FILE, b"1")]);
    let main = cpio(&[("init", FILE, b"2")]);
    for codec in [Codec::Gzip, Codec::Zstd, Codec::Xz] {
        let initramfs = [&early[..], &[0; 512], &packed(codec, &main)].concat();
        assert_eq!(desk.told(&initramfs), "cpio");
        assert_eq!(desk.listed("cpio", &[&initramfs]).unwrap(), ["kernel File microcode", "init File 1", "init File 2"]);
        let cut = desk.listed("cpio", &[&initramfs[..initramfs.len() - 9]]).unwrap_err();
        assert_eq!(cut.lines().count(), 1, "{cut}");
    }
    let junk = desk.listed("cpio", &[&[&early[..], b"junk"].concat()]).unwrap_err();
    assert!(junk.ends_with("is no cpio archive (newc, crc or odc)"), "{junk}");
}

#[test]
fn what_leads_out_is_refused_or_stays_inside() {
    let desk = Desk::new();
    let slip = desk.listed("cpio", &[&cpio(&[("../x", FILE, b"")])]).unwrap_err();
    assert_eq!(slip, "plugin nacre/cpio: the path '../x' at byte 0 leads out of the root with '..'");
    let inside = [("/etc/abs", FILE, &b"1"[..]), ("out", SYMLINK, b"../../.."), ("out/tmp/x", FILE, b"2"), ("self", SYMLINK, b"self")];
    let expected =
        ["etc Directory ", "etc/abs File 1", "out Symlink  -> ../../..", "tmp Directory ", "tmp/x File 2", "self Symlink  -> self"];
    assert_eq!(desk.listed("cpio", &[&cpio(&inside)]).unwrap(), expected);
    let looped = [&inside[..], &[("self/x", FILE, b"3")]].concat();
    assert_eq!(desk.listed("cpio", &[&cpio(&looped)]).unwrap_err().lines().count(), 1);
}

/// A zip archive of these files, deflated: name, attributes, content.
fn zip(files: &[(&str, u32, &[u8])]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, attributes, content) in files {
        let packed = Codec::Deflate.encode_block(content).unwrap();
        let sizes = [0, packed.len() as u32, content.len() as u32].map(u32::to_le_bytes).concat();
        let common = [&[20, 0, 0, 0, 8, 0, 0, 0, 33, 0][..], &sizes, &(name.len() as u16).to_le_bytes(), &[0, 0]].concat();
        let at = (bytes.len() as u32).to_le_bytes();
        let central = [b"PK\x01\x02\x14\x03", &common[..], &[0; 6], &(attributes << 16).to_le_bytes(), &at, name.as_bytes()];
        directory.extend(central.concat());
        bytes.extend([b"PK\x03\x04", &common[..], name.as_bytes(), &packed].concat());
    }
    let count = (files.len() as u16).to_le_bytes();
    let place = [directory.len() as u32, bytes.len() as u32].map(u32::to_le_bytes).concat();
    [&bytes[..], &directory, b"PK\x05\x06\0\0\0\0", &count, &count, &place, b"\0\0"].concat()
}

#[test]
fn a_zip_is_unpacked() {
    let desk = Desk::new();
    let text = b"some text ".repeat(100_000);
    let bytes = zip(&[("bin/", 0o040_755, b""), ("bin/text", FILE, &text), ("link", SYMLINK, b"bin/text"), ("none", FILE, b"")]);
    assert_eq!(desk.told(&bytes), "zip");
    let entries = desk.listed("zip", &[&bytes]).unwrap();
    let expected =
        ["bin Directory ", &format!("bin/text File {}", String::from_utf8_lossy(&text)), "link Symlink  -> bin/text", "none File "];
    assert!(entries == expected, "{} entries", entries.len());
    let slip = desk.listed("zip", &[&zip(&[("out", SYMLINK, b"/etc"), ("out/../../x", FILE, b"")])]).unwrap_err();
    assert!(slip.contains("leads out of the root"), "{slip}");
    let bomb = zip(&[("bomb", FILE, &vec![0; 8 << 20])]);
    let at = bomb.windows(4).position(|window| window == (8_u32 << 20).to_le_bytes()).unwrap();
    let mut lies = bomb;
    lies[at] = 1;
    let last = lies.windows(4).rposition(|window| window == (8_u32 << 20).to_le_bytes()).unwrap();
    lies[last] = 1;
    assert_eq!(desk.listed("zip", &[&lies]).unwrap_err().lines().count(), 1, "another size than it says");
}

fn ar(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = b"!<arch>\n".to_vec();
    for (name, content) in members {
        bytes.extend(format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 100_644, content.len()).into_bytes());
        bytes.extend(content);
        bytes.resize(bytes.len().next_multiple_of(2), b'\n');
    }
    bytes
}

fn deb(name: &str, data: &[(Entry, &[u8])]) -> Vec<u8> {
    let control = format!("Package: {name}\nVersion: 1\nArchitecture: arm64\nMaintainer: A\nDescription: d\n");
    let control = tar(&[(file("control"), control.as_bytes()), (file("postinst"), b"#!"), (file("conffiles"), b"/etc/c\n")]);
    ar(&[
        ("debian-binary", b"2.0\n".to_vec()),
        ("control.tar.xz", packed(Codec::Xz, &control)),
        ("data.tar.zst", packed(Codec::Zstd, &tar(data))),
    ])
}

#[test]
fn packages_become_a_root_filesystem_with_its_database() {
    let desk = Desk::new();
    let tool = deb("tool", &[(folder("bin"), b""), (file("bin/tool"), b"#!"), (file("etc/c"), b"c")]);
    let base = deb("base-files", &[(folder("usr/bin"), b""), (link("bin", Kind::Symlink, "usr/bin"), b"")]);
    assert_eq!(desk.told(&tool), "deb");
    let built = desk.convert("deb", &[&tool, &base], &[]).unwrap();
    assert_eq!(built.platform.unwrap().to_string(), "linux/arm64");
    let entries = listed(&stored(&desk.memory, &built.layers[0].0.descriptor));
    for expected in [
        "bin Symlink  -> usr/bin",
        "usr/bin/tool File #!",
        "var/lib/dpkg/info/tool.list File /bin\n/bin/tool\n/etc/c\n",
        "var/lib/dpkg/info/tool.postinst File #!",
    ] {
        assert!(entries.iter().any(|entry| entry == expected), "{expected}: {entries:#?}");
    }
    assert!(!entries.iter().any(|entry| entry == "bin Directory "), "a folder does not replace a symlink");
    let status = entries.iter().find(|entry| entry.starts_with("var/lib/dpkg/status ")).unwrap();
    assert_eq!(status.matches("Status: install ok unpacked\n").count(), 2);
    assert!(status.contains("Conffiles:\n /etc/c 4a8a08f09d37b73795649038408b5f33\n\n"), "{status}");
    assert!(status.contains("Conffiles:\n /etc/c newconffile\n\n"), "a file that the package does not bring: {status}");
    let twice = desk.listed("deb", &[&tool, &tool]).unwrap_err();
    assert_eq!(twice, "plugin nacre/deb: the package 'tool' is given twice: want one version of it");
    let cut = desk.listed("deb", &[&tool[..tool.len() - 5]]).unwrap_err();
    assert_eq!(cut.lines().count(), 1, "{cut}");
}

#[test]
fn webassembly_is_its_own_entrypoint() {
    let desk = Desk::new();
    let (_, component) = nacre_bundled::PLUGINS[0];
    assert_eq!(desk.told(component), "oci-wasm");
    let built = desk.convert("oci-wasm", &[component], &[("name", "hi.wasm")]).unwrap();
    assert_eq!(built.platform.unwrap().to_string(), "wasip2/wasm");
    assert_eq!(serde_json::to_value(built.config).unwrap()["Entrypoint"], serde_json::json!(["/hi.wasm"]));
    assert!(listed_names(&desk, &built.layers[0].0).starts_with(&["hi.wasm".to_owned()]));
    let module = b"\0asm\x01\0\0\0";
    assert_eq!(desk.convert("oci-wasm", &[module], &[]).unwrap().platform.unwrap().to_string(), "wasip1/wasm");
    assert_eq!(desk.convert("oci-wasm", &[b"\0asm"], &[]).unwrap_err(), "plugin nacre/oci-wasm: it does not begin like WebAssembly");
}

/// The paths in a layer whose content is no text.
fn listed_names(desk: &Desk, layer: &nacre_layer::Layer) -> Vec<String> {
    let bytes = stored(&desk.memory, &layer.descriptor);
    let mut tar = nacre_layer::TarReader::new(&bytes[..]);
    std::iter::from_fn(|| tar.next_entry().unwrap().map(|member| member.entry.name())).collect()
}
