//! The images that are moved around and built on: gzip layers of this machine's own files.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Result, bail};
use flate2::{Compression, GzBuilder, write::GzEncoder};
use nacre_archive::Layout;
use nacre_oci::{Algorithm, Descriptor, Digest, Hasher, ImageConfig, Manifest, RawManifest, RootFs, media_type};

use crate::run::checked;

/// Compressed sizes of layers in MB: a large base and smaller ones above it, as in most images.
pub const IMAGE: &[u64] = &[80, 50, 40, 20, 10];
/// Those of an image that others are built on.
pub const BASE: &[u64] = &[80, 40, 20];
const SOURCES: &[&str] = &["/usr/lib", "/usr/share", "/usr/bin"];

/// How large the image is, in bytes.
#[derive(Clone, Copy)]
pub struct Size {
    pub compressed: u64,
    pub plain: u64,
}

/// Makes an image of these layers in `folder` and puts it into the registry as `bench:1`.
pub fn publish(nacre: &Path, folder: &Path, registry: &str, layers: &[u64]) -> Result<Size> {
    eprintln!("making an image");
    let path = folder.join("image");
    let layout = Layout::create(&path)?;
    fs::create_dir_all(path.join("blobs/sha256"))?;
    let mut files = Files::new();
    let layers = layers.iter().map(|megabytes| layer(&path, &mut files, megabytes * 1_000_000)).collect::<Result<Vec<_>>>()?;
    let config = ImageConfig {
        created: Some("2026-01-01T00:00:00Z".into()),
        architecture: nacre_oci::Platform::host().architecture,
        os: "linux".into(),
        rootfs: RootFs { diff_ids: layers.iter().map(|layer| layer.diff_id.clone()).collect(), ..RootFs::default() },
        ..ImageConfig::default()
    };
    let manifest = Manifest {
        schema_version: 2,
        media_type: media_type::DOCKER_MANIFEST.into(),
        artifact_type: None,
        config: small(&path, media_type::DOCKER_CONFIG, &config.to_bytes())?,
        layers: layers.iter().map(|layer| layer.blob.clone()).collect(),
        subject: None,
        annotations: BTreeMap::new(),
    };
    let bytes = serde_json::to_vec(&manifest)?;
    let descriptor = small(&path, media_type::DOCKER_MANIFEST, &bytes)?;
    layout.add(&RawManifest { descriptor, bytes })?;
    let mut copy = Command::new(nacre);
    copy.args(["--progress", "quiet", "copy"]).arg(format!("oci:{}", path.display())).arg(format!("docker://{registry}/bench:1"));
    checked(copy.env("NACRE_ROOT", folder.join("unused")).stdout(Stdio::null()))?;
    Ok(Size { compressed: layers.iter().map(|layer| layer.blob.size).sum(), plain: layers.iter().map(|layer| layer.plain).sum() })
}

fn small(layout: &Path, media_type: &str, bytes: &[u8]) -> Result<Descriptor> {
    let descriptor = Descriptor::of(media_type, bytes);
    fs::write(layout.join("blobs/sha256").join(descriptor.digest.hex()), bytes)?;
    Ok(descriptor)
}

/// Regular files in a fixed order. They are listed as they are needed: the memory of this process is the least that the
/// system reports for those that it starts.
struct Files {
    open: Vec<PathBuf>,
}

impl Files {
    fn new() -> Self {
        Self { open: SOURCES.iter().rev().map(PathBuf::from).collect() }
    }
}

impl Iterator for Files {
    type Item = Result<PathBuf>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(path) = self.open.pop() {
            match fs::symlink_metadata(&path) {
                Ok(meta) if meta.is_file() => return Some(Ok(path)),
                Ok(meta) if meta.is_dir() => match sorted(&path) {
                    Ok(entries) => self.open.extend(entries.into_iter().rev()),
                    Err(error) => return Some(Err(error)),
                },
                Ok(_) => {}
                Err(error) => return Some(Err(error.into())),
            }
        }
        None
    }
}

fn sorted(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    entries.sort();
    Ok(entries)
}

struct Layer {
    blob: Descriptor,
    diff_id: Digest,
    plain: u64,
}

/// Writes files into a layer until it has `size` compressed bytes.
fn layer(layout: &Path, files: &mut Files, size: u64) -> Result<Layer> {
    let path = layout.join("blobs/sha256/layer");
    let out = Hashing::new(File::create(&path)?);
    let gzip = GzBuilder::new().mtime(0).write(out, Compression::new(6));
    let mut tar = tar::Builder::new(Hashing::new(gzip));
    while compressed(&tar) < size {
        let Some(file) = files.next() else { bail!("{} have too few files for the image", SOURCES.join(", ")) };
        append(&mut tar, &file?)?;
    }
    let plain = tar.into_inner()?;
    let (diff_id, length) = (plain.hasher.digest(), plain.hasher.count());
    let out = plain.inner.finish()?;
    let blob = Descriptor::new(media_type::DOCKER_LAYER_GZIP, out.hasher.digest(), out.hasher.count());
    fs::rename(&path, layout.join("blobs/sha256").join(blob.digest.hex()))?;
    Ok(Layer { blob, diff_id, plain: length })
}

fn compressed(tar: &tar::Builder<Hashing<GzEncoder<Hashing<File>>>>) -> u64 {
    tar.get_ref().inner.get_ref().hasher.count()
}

fn append(tar: &mut tar::Builder<impl Write>, path: &Path) -> Result<()> {
    let file = File::open(path)?;
    let meta = file.metadata()?;
    let mut header = tar::Header::new_gnu();
    header.set_size(meta.len());
    header.set_mode(meta.permissions().mode() & 0o755);
    Ok(tar.append_data(&mut header, path.strip_prefix("/")?, file)?)
}

struct Hashing<W> {
    inner: W,
    hasher: Hasher,
}

impl<W> Hashing<W> {
    fn new(inner: W) -> Self {
        Self { inner, hasher: Hasher::new(Algorithm::Sha256) }
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
