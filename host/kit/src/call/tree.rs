//! Images as cases write them: layers of entries, with their content as text or in a file beside.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use nacre_layer::{Compression, Entry, Kind, LayerWriter, TarReader, Xattr, path};
use nacre_oci::{Descriptor, Digest, History, ImageConfig, Manifest, Memory, Platform, RunConfig, Staging, media_type};
use nacre_plugin::ImageView;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::case::Case;

/// Bytes of a content that is shown as text.
const MAX_TEXT: usize = 4 << 10;

/// An image.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Image {
    /// Its name in full.
    pub(super) name: String,
    #[serde(default)]
    platform: Option<nacre_plugin::Platform>,
    #[serde(default)]
    config: RunConfig,
    #[serde(default)]
    layers: Vec<Layer>,
}

/// A layer.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Layer {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    created_by: String,
    #[serde(default)]
    entries: Vec<File>,
}

/// An entry: what `files.wit` says of it, the mode in octal, and its content.
#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct File {
    path: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    mode: String,
    #[serde(skip_serializing_if = "is_zero")]
    uid: u32,
    #[serde(skip_serializing_if = "is_zero")]
    gid: u32,
    #[serde(skip_serializing_if = "is_zero")]
    mtime: i64,
    #[serde(skip_serializing_if = "is_zero")]
    nanos: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<(u32, u32)>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    xattrs: BTreeMap<String, String>,
    /// The content.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// A file of the case with the content.
    #[serde(skip_serializing)]
    file: Option<String>,
    /// What is said of a content that is too long or no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
}

fn is_zero<T: PartialEq + Default>(number: &T) -> bool {
    *number == T::default()
}

const KINDS: [(Kind, &str); 9] = [
    (Kind::File, "file"),
    (Kind::Directory, "directory"),
    (Kind::Symlink, "symlink"),
    (Kind::Hardlink, "hardlink"),
    (Kind::CharDevice, "char-device"),
    (Kind::BlockDevice, "block-device"),
    (Kind::Fifo, "fifo"),
    (Kind::Whiteout, "whiteout"),
    (Kind::Opaque, "opaque"),
];

impl File {
    /// The entry and its content.
    fn entry(&self, case: &Case) -> Result<(Entry, Vec<u8>), Error> {
        let name = if self.kind.is_empty() { "file" } else { &self.kind };
        let kind = KINDS.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind);
        let kind = kind.ok_or_else(|| case.wrong(format!("{}: no such kind: {name}", self.path)))?;
        let content = match (&self.file, &self.text) {
            (Some(file), _) => case.file(file)?,
            (None, text) => text.clone().unwrap_or_default().into_bytes(),
        };
        let mut entry = Entry::new(path::from_text(&self.path), kind);
        if !self.mode.is_empty() {
            let wrong = |_| case.wrong(format!("{}: mode {:?}: want octal digits such as 0755", self.path, self.mode));
            entry.mode = u32::from_str_radix(&self.mode, 8).map_err(wrong)?;
        }
        (entry.uid, entry.gid, entry.size, entry.mtime, entry.nanos) = (self.uid, self.gid, content.len() as u64, self.mtime, self.nanos);
        entry.link = self.link.as_deref().map(path::from_text);
        entry.device = self.device;
        let xattrs = self.xattrs.iter().map(|(name, value)| Xattr { name: name.clone(), value: path::from_text(value) });
        entry.xattrs = xattrs.collect();
        Ok((entry, content))
    }

    fn of(entry: &Entry, content: &[u8]) -> File {
        let kind = KINDS.iter().find(|(kind, _)| *kind == entry.kind).map_or("", |(_, name)| name);
        let text = as_text(content);
        let is_file = entry.kind == Kind::File;
        let long = is_file && text.is_none();
        File {
            path: path::to_text(&entry.path),
            kind: if is_file { String::new() } else { kind.into() },
            mode: format!("{:04o}", entry.mode),
            uid: entry.uid,
            gid: entry.gid,
            mtime: entry.mtime,
            nanos: entry.nanos,
            link: entry.link.as_deref().map(path::to_text),
            device: entry.device,
            xattrs: entry.xattrs.iter().map(|xattr| (xattr.name.clone(), path::to_text(&xattr.value))).collect(),
            text: text.filter(|_| is_file),
            file: None,
            size: long.then_some(entry.size),
            digest: long.then(|| Digest::of(content).to_string()),
        }
    }
}

/// Content that people can read in a case's answer.
pub(super) fn as_text(content: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(content).ok().filter(|text| text.len() <= MAX_TEXT)?;
    text.chars().all(|c| !c.is_control() || "\n\t".contains(c)).then(|| text.to_owned())
}

/// What was built, as a case writes it.
pub(super) fn layer(created_by: String, tar: &mut dyn Read) -> std::io::Result<Layer> {
    let mut tar = TarReader::new(tar).as_layer();
    let mut entries = Vec::new();
    while let Some(member) = tar.next_entry()? {
        let mut content = Vec::new();
        tar.read_to_end(&mut content)?;
        entries.push(File::of(&member.entry, &content));
    }
    Ok(Layer { created_by, entries })
}

impl Image {
    /// Puts the image into `memory` and returns its manifest.
    pub(super) fn build(&self, memory: &Arc<Memory>, case: &Case) -> Result<Descriptor, Error> {
        let failed = |error: nacre_oci::Error| case.wrong(format!("image {}: {error}", self.name));
        let mut layers = Vec::new();
        for layer in &self.layers {
            let mut writer = LayerWriter::new(memory.stage().map_err(failed)?, Compression::None);
            for file in &layer.entries {
                let (entry, content) = file.entry(case)?;
                writer.add(&entry, &mut content.as_slice()).map_err(failed)?;
            }
            layers.push(writer.finish().map_err(failed)?);
        }
        let platform = self
            .platform
            .as_ref()
            .map_or_else(|| Platform::new("linux", "amd64", None), |own| Platform::new(&own.os, &own.arch, own.variant.as_deref()));
        let mut config = ImageConfig { config: self.config.clone(), ..ImageConfig::default() };
        (config.os, config.architecture, config.variant) = (platform.os, platform.architecture, platform.variant);
        config.rootfs.diff_ids = layers.iter().map(|layer| layer.diff_id.clone()).collect();
        let step = |layer: &Layer| History { created_by: Some(layer.created_by.clone()), ..History::default() };
        config.history = self.layers.iter().map(step).collect();
        let manifest = Manifest {
            schema_version: 2,
            media_type: media_type::OCI_MANIFEST.into(),
            config: memory.add(media_type::OCI_CONFIG, config.to_bytes()),
            layers: layers.into_iter().map(|layer| layer.descriptor).collect(),
            artifact_type: None,
            subject: None,
            annotations: BTreeMap::default(),
        };
        let bytes = serde_json::to_vec(&manifest).map_err(|error| case.wrong(error))?;
        Ok(memory.add(media_type::OCI_MANIFEST, bytes))
    }

    /// The image as a plugin sees it.
    pub(super) fn view(&self, memory: &Arc<Memory>, case: &Case, spool: &nacre_layer::Spool) -> Result<ImageView, Error> {
        let manifest = self.build(memory, case)?;
        let source: Arc<dyn nacre_oci::Source> = Arc::<Memory>::clone(memory);
        ImageView::open(source, &manifest, &self.name, spool).map_err(|error| case.wrong(error))
    }
}
