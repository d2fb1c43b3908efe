//! Calls of the guest `data`, and what it saw.

use std::io::{Cursor, Read, Write};
use std::sync::Arc;

use nacre_layer::{Bytes, Codec, Compression, Entry, Kind, Spool, TarReader, TarWriter};
use nacre_oci::{Descriptor, Digest, Document, ImageConfig, Manifest, Memory, Progress, Source, media_type};
use nacre_plugin::{Built, ImageBuilder, ImageView, Plugin, Plugins};
use tempfile::TempDir;

use super::{Sandbox, doing, guest};

pub(crate) const MANIFEST: &str = r#"
[plugin]
name = "acme/data"
version = "1.0.0"
api = "0.1"
[provides]
import-format = ["data"]
export-format = ["data"]
admission = ["data"]
[options]
do = "what to do"
[limits]
time = "20s"
"#;

/// The guest `data`, installed.
pub(crate) fn sandbox() -> Sandbox {
    Sandbox::new(MANIFEST, &guest("tests/guests", "data"))
}

/// The same with less time.
pub(crate) fn hasty() -> Sandbox {
    Sandbox::new(&MANIFEST.replace("20s", "200ms"), &guest("tests/guests", "data"))
}

pub(crate) fn plugin(plugins: &Plugins) -> &Plugin {
    plugins.get("acme/data").unwrap()
}

/// Where streams are kept.
pub(crate) struct Kept {
    folder: TempDir,
    pub(crate) spool: Spool,
}

impl Kept {
    pub(crate) fn new() -> Kept {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::new(folder.path());
        Kept { folder, spool }
    }

    /// Ends what is kept when `progress` says so.
    pub(crate) fn watched(self, progress: Arc<dyn Progress>) -> Kept {
        Kept { spool: self.spool.watched(progress), ..self }
    }

    pub(crate) fn bytes(&self, bytes: &[u8]) -> Bytes {
        Bytes::from_vec(bytes.to_vec(), &self.spool)
    }

    pub(crate) fn stream(&self, bytes: impl Read + Send + 'static) -> Bytes {
        Bytes::from_reader(Box::new(bytes), &self.spool)
    }

    /// How many files are kept by name: none should be.
    pub(crate) fn left(&self) -> usize {
        self.folder.path().read_dir().unwrap().count()
    }
}

/// Has the guest convert `bytes` into an image in `memory`.
pub(crate) fn convert(plugin: &Plugin, what: &str, bytes: Bytes, memory: &Memory) -> Result<Built, String> {
    let image = ImageBuilder::new(Arc::new(memory.clone()), Compression::None);
    let image = plugin.convert("data", vec![bytes], image, &doing(what)).map_err(|error| error.to_string())?;
    image.finish().map_err(|error| error.to_string())
}

/// What the guest logged.
pub(crate) fn seen(plugin: &Plugin) -> Vec<String> {
    plugin.take_log().entries.into_iter().map(|entry| entry.message).collect()
}

/// A tar of these entries with their content.
pub(crate) fn tar(entries: &[(Entry, &[u8])]) -> Vec<u8> {
    let mut tar = TarWriter::new(Vec::new());
    for (entry, content) in entries {
        tar.add(&Entry { size: content.len() as u64, ..entry.clone() }, &mut &content[..]).unwrap();
    }
    tar.finish().unwrap()
}

pub(crate) fn file(path: &str) -> Entry {
    Entry::new(path, Kind::File)
}

pub(crate) fn folder(path: &str) -> Entry {
    Entry::new(path, Kind::Directory)
}

pub(crate) fn link(path: &str, kind: Kind, to: &str) -> Entry {
    Entry { link: Some(to.into()), ..Entry::new(path, kind) }
}

/// The entries of a tar as `path kind content`.
pub(crate) fn listed(tar: &[u8]) -> Vec<String> {
    let mut tar = TarReader::new(tar).as_layer();
    let mut lines = Vec::new();
    while let Some(member) = tar.next_entry().unwrap() {
        let mut content = String::new();
        tar.read_to_string(&mut content).unwrap();
        let link = member.entry.link.as_deref().map(|link| format!(" -> {}", String::from_utf8_lossy(link)));
        lines.push(format!("{} {:?} {content}{}", member.entry.name(), member.entry.kind, link.unwrap_or_default()));
    }
    lines
}

/// What is stored of a layer.
pub(crate) fn stored(memory: &Memory, layer: &Descriptor) -> Vec<u8> {
    let mut bytes = Vec::new();
    nacre_oci::open(memory, layer).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

pub(crate) fn packed(codec: Codec, bytes: &[u8]) -> Vec<u8> {
    let mut encoder = codec.writer(Vec::new()).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// An image of these layers, each a tar and how it is compressed.
pub(crate) fn image(memory: &Memory, layers: &[(Vec<u8>, Option<Codec>)]) -> Descriptor {
    let mut config = ImageConfig { os: "linux".into(), architecture: "arm64".into(), ..ImageConfig::default() };
    let mut descriptors = Vec::new();
    for (index, (tar, codec)) in layers.iter().enumerate() {
        config.rootfs.diff_ids.push(Digest::of(tar));
        let created_by = Some(format!("step {index}"));
        config.history.push(nacre_oci::History { created_by, ..Default::default() });
        config.history.push(nacre_oci::History { empty_layer: true, ..Default::default() });
        let bytes = codec.map_or_else(|| tar.clone(), |codec| packed(codec, tar));
        descriptors.push(memory.add(media_type::OCI_LAYER_GZIP, bytes));
    }
    let manifest = Manifest {
        schema_version: 2,
        media_type: media_type::OCI_MANIFEST.into(),
        artifact_type: None,
        config: memory.add(media_type::OCI_CONFIG, config.to_bytes()),
        layers: descriptors,
        subject: None,
        annotations: Default::default(),
    };
    let bytes = serde_json::to_vec(&manifest).unwrap();
    assert!(matches!(Document::parse(&bytes, None).unwrap(), Document::Manifest(_)));
    memory.add(media_type::OCI_MANIFEST, bytes)
}

pub(crate) fn view(memory: &Memory, manifest: &Descriptor, kept: &Kept) -> ImageView {
    let source: Arc<dyn Source> = Arc::new(memory.clone());
    ImageView::open(source, manifest, "acme/app:1", &kept.spool).unwrap()
}

/// Bytes that never end.
pub(crate) struct Endless;

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        buffer.fill(b'x');
        Ok(buffer.len())
    }
}

/// Bytes that end in an error of the disk.
pub(crate) fn failing(before: &[u8]) -> impl Read + Send + 'static {
    struct Fails;
    impl Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::from_raw_os_error(5))
        }
    }
    Cursor::new(before.to_vec()).chain(Fails)
}
