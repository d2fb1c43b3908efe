//! Import formats: what a plugin can do with a source and a builder, and what it cannot.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nacre_layer::{Codec, Compression, Kind};
use nacre_oci::{Descriptor, Digest, Memory, Progress, Staged, Staging};
use nacre_plugin::{Confidence, Error, Head, ImageBuilder, Kv};
use support::data::{Endless, Kept, convert, failing, file, folder, hasty, link, listed, packed, plugin, sandbox, seen, stored, tar};
use support::doing;

#[test]
fn the_surest_probe_is_certain() {
    let (sandbox, kept) = (sandbox(), Kept::new());
    let plugins = sandbox.plugins();
    let probe = |bytes: &[u8]| {
        let head = Head::read(Some("x.zip"), &kept.bytes(bytes)).unwrap();
        plugin(&plugins).probe("data", &head).map_err(|error| error.to_string())
    };
    assert_eq!(probe(b"!").unwrap(), Confidence::Certain);
    assert_eq!(probe(b"?").unwrap(), Confidence::Maybe);
    assert_eq!(probe(b"").unwrap(), Confidence::No);
    assert_eq!(probe(&packed(Codec::Xz, b"!abc")).unwrap(), Confidence::Certain);
    assert_eq!(probe(b"~").unwrap_err(), "plugin acme/data: crashed: no idea; report it to its author");
    assert!(Confidence::Certain > Confidence::Maybe && Confidence::Maybe > Confidence::No);
    let said = plugin(&plugins).probe("zip", &Head::default()).unwrap_err().to_string();
    assert_eq!(said, "plugin acme/data: does not provide the import format 'zip'");
}

#[test]
fn a_head_is_what_a_file_begins_with() {
    let kept = Kept::new();
    let long = packed(Codec::Zstd, &[7; 100_000]);
    let head = Head::read(None, &kept.stream(std::io::Cursor::new(long.clone()))).unwrap();
    assert_eq!((head.compression, head.plain.len(), &head.raw), (Some(nacre_plugin::Codec::Zstd), 64 << 10, &long));
    let cut = Head::read(Some("a"), &kept.bytes(b"\x1f\x8b\x08\0cut")).unwrap();
    assert_eq!((cut.compression, cut.plain.len(), cut.name.as_deref()), (Some(nacre_plugin::Codec::Gzip), 0, Some("a")));
}

#[test]
fn formats_and_options_are_looked_up() {
    let sandbox = sandbox();
    let plugins = sandbox.plugins();
    assert_eq!(plugins.import_formats().map(|(plugin, format)| (plugin.name(), format)).collect::<Vec<_>>(), [("acme/data", "data")]);
    assert_eq!(plugins.import_format("data").unwrap().name(), "acme/data");
    let said = plugins.import_format("zip").err().unwrap().to_string();
    assert_eq!(said, "unknown import format 'zip': known are data");
    let image = ImageBuilder::new(Arc::new(Memory::new()), Compression::None);
    let said = plugin(&plugins).convert("data", Vec::new(), image, &[Kv::new("undo", "1")]).err().unwrap().to_string();
    assert_eq!(said, "unknown option 'undo' of import format 'data': known are do");
}

#[test]
fn a_whole_tar_becomes_a_layer_without_crossing() {
    let (sandbox, kept, memory) = (sandbox(), Kept::new(), Memory::new());
    let plugins = sandbox.plugins();
    let tar = tar(&[(folder("etc"), b""), (file("etc/name"), b"abc")]);
    let gzip = packed(Codec::Gzip, &tar);
    let built = convert(plugin(&plugins), "tar", kept.stream(std::io::Cursor::new(gzip.clone())), &memory).unwrap();
    let [(layer, created_by)] = &built.layers[..] else { panic!("{built:?}") };
    assert_eq!((created_by.as_str(), &layer.diff_id), ("all of it", &nacre_oci::Digest::of(&tar)));
    assert_eq!(stored(&memory, &layer.descriptor), gzip);
    let stats = plugin(&plugins).take_log().stats;
    assert_eq!(stats.iter().map(|call| (call.plugin.as_str(), call.call)).collect::<Vec<_>>(), [("acme/data", "convert")]);
    assert_eq!((stats[0].bytes_in, stats[0].bytes_out, stats[0].host_calls), (0, 0, 2));
    assert!(stats[0].memory > 0 && stats[0].wall >= stats[0].guest);
    assert_eq!(kept.left(), 0);
}

#[test]
fn layers_are_made_of_entries() {
    let (sandbox, kept, memory) = (sandbox(), Kept::new(), Memory::new());
    let plugins = sandbox.plugins();
    let built = convert(plugin(&plugins), "entries", kept.bytes(b"hello world"), &memory).unwrap();
    let layers: Vec<_> = built.layers.iter().map(|(layer, _)| listed(&stored(&memory, &layer.descriptor))).collect();
    assert_eq!(layers[0], ["etc Directory ", "etc/name File abc", "name Hardlink  -> etc/name", "conf Symlink  -> /etc"]);
    let top = ["opt Directory ", "opt/caf\u{f7e9} File hello", "dev Directory ", "dev/null CharDevice ", "name Whiteout "];
    assert_eq!(layers[1], top);
}

#[test]
fn what_is_wrong_with_an_entry_is_said() {
    let (sandbox, kept, memory) = (sandbox(), Kept::new(), Memory::new());
    let plugins = sandbox.plugins();
    let said = convert(plugin(&plugins), "bad-entries", kept.bytes(b"hello"), &memory).unwrap_err();
    let seen = seen(plugin(&plugins));
    let short = "a does not have the 1099511627776 bytes that its entry says: it ends 1099511627771 bytes early";
    assert_eq!(
        seen,
        [
            "leaves: invalid: a/../../b: its path has '..', which may lead out of the root",
            "short: invalid: a: 3 bytes of content, not 4",
            "empty: invalid: a: 0 bytes of content, not 4",
            &format!("short source: invalid: {short}"),
        ]
    );
    assert_eq!(said, format!("plugin acme/data: the layer is malformed: {short}"));
}

#[test]
fn of_an_image_that_failed_nothing_is_kept() {
    let (sandbox, kept, memory) = (sandbox(), Kept::new(), Memory::new());
    let plugins = sandbox.plugins();
    let said = convert(plugin(&plugins), "ignore", kept.bytes(b"abc"), &memory).unwrap_err();
    let short = "a does not have the 1000 bytes that its entry says: it ends 997 bytes early";
    assert_eq!(said, format!("the layer is malformed: {short}"));
    let said = convert(plugin(&plugins), "half", kept.bytes(b"hello"), &memory).unwrap_err();
    assert_eq!(said, "plugin acme/data: half of it is there");
    assert_eq!(memory.digests(), []);
}

#[test]
fn a_layer_ends_when_the_next_begins() {
    let (sandbox, kept, memory) = (sandbox(), Kept::new(), Memory::new());
    let plugins = sandbox.plugins();
    let built = convert(plugin(&plugins), "late", kept.bytes(b""), &memory).unwrap();
    let layers: Vec<_> = built.layers.iter().map(|(layer, name)| (listed(&stored(&memory, &layer.descriptor)), name.as_str())).collect();
    assert_eq!(layers, [(vec!["a Directory ".to_owned()], "first"), (vec!["c Directory ".to_owned()], "second")]);
    assert_eq!(seen(plugin(&plugins)), ["late: Error::Unsupported(\"add(): the layer ended when the next one was begun\")"]);
    let said = convert(plugin(&plugins), "layers", kept.bytes(b""), &memory).unwrap_err();
    assert_eq!(said, "plugin acme/data: over a limit: more than 127 layers");
}

#[test]
fn an_image_is_described() {
    let (sandbox, kept, memory) = (sandbox(), Kept::new(), Memory::new());
    let plugins = sandbox.plugins();
    let built = convert(plugin(&plugins), "describe", kept.bytes(b""), &memory).unwrap();
    assert_eq!(built.platform.unwrap().to_string(), "linux/arm64");
    let config = built.config.unwrap();
    assert_eq!((config.cmd, config.labels["a"].as_str()), (Some(vec!["/bin/sh".to_owned()]), "b"));
    assert!(built.layers.is_empty());
    convert(plugin(&plugins), "bad-description", kept.bytes(b""), &memory).unwrap();
    let seen = seen(plugin(&plugins));
    assert_eq!(seen[0], "platform: invalid: invalid platform 'li nux/x': write OS/ARCHITECTURE[/VARIANT], such as linux/arm64/v8");
    assert!(seen[1].starts_with("config: invalid: the configuration is malformed: invalid type: integer `5`"), "{}", seen[1]);
    assert!(seen[2].starts_with("twice: invalid: the configuration is malformed: the key \"Cmd\" stands there twice"), "{}", seen[2]);
    assert_eq!(seen[3], "huge: Error::Limit(\"a configuration of 2097152 bytes, more than 1 MiB\")");
    assert_eq!(seen[4], "command: Error::Limit(\"a layer's command of 20000 bytes, more than 16384\")");
}

/// Fails as a full disk does.
struct Full;

impl Staging for Full {
    fn stage(&self) -> nacre_oci::Result<Box<dyn Staged>> {
        Ok(Box::new(Full))
    }
}

impl std::io::Write for Full {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::Error::from_raw_os_error(28))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Staged for Full {
    fn written(&self) -> (Digest, u64) {
        panic!("nothing was written")
    }

    fn commit(self: Box<Self>, _: &Descriptor) -> nacre_oci::Result<()> {
        panic!("nothing was written")
    }
}

#[test]
fn what_fails_in_nacre_is_said_by_nacre() {
    let (sandbox, kept, memory) = (sandbox(), Kept::new(), Memory::new());
    let plugins = sandbox.plugins();
    let image = ImageBuilder::new(Arc::new(Full), Compression::None);
    let error = plugin(&plugins).convert("data", vec![kept.bytes(&tar(&[(file("a"), b"b")]))], image, &doing("tar")).err().unwrap();
    assert!(matches!(&error, Error::Data { plugin, source: nacre_oci::Error::Io { .. } } if plugin == "acme/data"), "{error:?}");
    assert_eq!(error.to_string(), "cannot read the tar archive: No space left on device (os error 28)");
    // Whether the guest rephrases it or passes over it.
    for what in ["give-up", "shrug"] {
        let said = convert(plugin(&plugins), what, kept.stream(failing(b"")), &memory).unwrap_err();
        assert_eq!(said, "cannot read or write the data: Input/output error (os error 5)", "{what}");
    }
    assert_eq!(convert(plugin(&plugins), "fail", kept.bytes(b""), &memory).unwrap_err(), "plugin acme/data: I cannot");
}

#[test]
fn only_the_plugins_own_time_counts() {
    let (sandbox, kept, memory) = (hasty(), Kept::new(), Memory::new());
    let plugins = sandbox.plugins();
    let late = "plugin acme/data: took longer than 200 ms: raise [limits] time in its plugin.toml or report it to its author";
    for what in ["spin", "ask-forever", "read-forever", "encode-forever"] {
        assert_eq!(convert(plugin(&plugins), what, kept.bytes(b"abc"), &memory).unwrap_err(), late, "{what}");
    }
    let slow = tar(&[(file("a"), &[b'a'; 1 << 20])]);
    plugin(&plugins).take_log();
    let built = convert(plugin(&plugins), "tar", kept.stream(Slow(std::io::Cursor::new(slow))), &memory).unwrap();
    assert_eq!(built.layers.len(), 1);
    let stats = plugin(&plugins).take_log().stats.remove(0);
    assert!(stats.wall.as_millis() > 500 && stats.guest.as_millis() < 200, "{stats:?}");
}

/// A network's pace: more than half a second for a MiB.
struct Slow(std::io::Cursor<Vec<u8>>);

impl std::io::Read for Slow {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        std::thread::sleep(std::time::Duration::from_millis(40));
        let end = buffer.len().min(64 << 10);
        self.0.read(&mut buffer[..end])
    }
}

/// The user's wish to end.
#[derive(Default)]
struct Stop(AtomicBool);

impl Progress for Stop {
    fn cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

#[test]
fn the_user_can_end_it() {
    let stop = Arc::new(Stop::default());
    let (sandbox, kept, memory) = (sandbox(), Kept::new().watched(stop.clone()), Memory::new());
    let plugins = sandbox.plugins();
    plugins.watch(stop.clone());
    for (what, source) in [("spin", kept.bytes(b"")), ("tar", kept.stream(endless_tar())), ("read", kept.stream(Endless))] {
        std::thread::scope(|scope| {
            let call = scope.spawn(|| convert(plugin(&plugins), what, source, &memory).unwrap_err());
            std::thread::sleep(std::time::Duration::from_millis(100));
            stop.0.store(true, Ordering::Relaxed);
            assert_eq!(call.join().unwrap(), "cancelled", "{what}");
        });
        stop.0.store(false, Ordering::Relaxed);
    }
    assert_eq!(memory.digests(), []);
}

/// A tar of one file that is as large as can be.
fn endless_tar() -> impl std::io::Read + Send {
    let header = tar(&[(file("a"), &[b'a'; 600])])[..512].to_vec();
    std::io::Read::chain(std::io::Cursor::new(grown(header)), Endless)
}

/// The header with a size of 8 GiB less a byte.
fn grown(mut header: Vec<u8>) -> Vec<u8> {
    header[124..136].copy_from_slice(b"77777777777\0");
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

#[test]
fn hard_links_are_what_they_link_to() {
    let (sandbox, kept, memory) = (sandbox(), Kept::new(), Memory::new());
    let plugins = sandbox.plugins();
    let entries =
        [(file("a"), &b"alpha"[..]), (link("b", Kind::Hardlink, "a"), b""), (link("c", Kind::Symlink, "a"), b""), (file("a"), b"again")];
    let archive = tar(&[&entries[..], &[(link("d", Kind::Hardlink, "b"), b""), (link("e", Kind::Hardlink, "a"), b"")]].concat());
    convert(plugin(&plugins), "list", kept.stream(std::io::Cursor::new(archive)), &memory).unwrap();
    let seen = seen(plugin(&plugins));
    assert_eq!(seen[0], "open before: invalid: open(): entry 0 is no file that was listed");
    assert_eq!(
        seen[1..7],
        [
            "a Kind::File 644 5 alpha",
            "b Kind::Hardlink 644 0 alpha",
            "c Kind::Symlink 644 0 -",
            "a Kind::File 644 5 again",
            "d Kind::Hardlink 644 0 alpha",
            "e Kind::Hardlink 644 0 again"
        ]
    );
    assert_eq!(seen[7], "open behind: invalid: open(): entry 6 is no file that was listed");
}
