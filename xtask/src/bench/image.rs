//! The image that is moved around: five gzip layers of this machine's own files, 200 MB in all.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, bail};
use flate2::{Compression, GzBuilder, write::GzEncoder};
use nacre_archive::Layout;
use nacre_oci::{Algorithm, Descriptor, Digest, Hasher, ImageConfig, Manifest, RawManifest, RootFs, media_type};

use crate::run::checked;

/// Compressed sizes in MB: a large base and smaller layers above it, as in most images.
const LAYERS: &[u64] = &[80, 50, 40, 20, 10];
const SOURCES: &[&str] = &["/usr/lib", "/usr/share", "/usr/bin"];

/// How large the image is, in bytes.
#[derive(Clone, Copy)]
pub struct Size {
    pub compressed: u64,
    pub plain: u64,
}

/// Makes the image in `folder` and puts it into the registry as `bench:1`.
pub fn publish(nacre: &Path, folder: &Path, registry: &str) -> Result<Size> {
    eprintln!("making an image");
    let path = folder.join("image");
    let layout = Layout::create(&path)?;
    fs::create_dir_all(path.join("blobs/sha256"))?;
    let mut files = files()?.into_iter();
    let layers = LAYERS.iter().map(|megabytes| layer(&path, &mut files, megabytes * 1_000_000)).collect::<Result<Vec<_>>>()?;
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
    checked(copy.env("NACRE_ROOT", folder.join("unused")))?;
    Ok(Size { compressed: layers.iter().map(|layer| layer.blob.size).sum(), plain: layers.iter().map(|layer| layer.plain).sum() })
}

fn small(layout: &Path, media_type: &str, bytes: &[u8]) -> Result<Descriptor> {
    let descriptor = Descriptor::of(media_type, bytes);
    fs::write(layout.join("blobs/sha256").join(descriptor.digest.hex()), bytes)?;
    Ok(descriptor)
}

/// Regular files in a fixed order.
fn files() -> Result<Vec<PathBuf>> {
    let mut open: Vec<PathBuf> = SOURCES.iter().rev().map(PathBuf::from).collect();
    let mut files = Vec::new();
    while let Some(folder) = open.pop() {
        let mut entries = fs::read_dir(&folder)?.collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            match entry.file_type()? {
                kind if kind.is_dir() => open.push(entry.path()),
                kind if kind.is_file() => files.push(entry.path()),
                _ => {}
            }
        }
    }
    Ok(files)
}

struct Layer {
    blob: Descriptor,
    diff_id: Digest,
    plain: u64,
}

/// Writes files into a layer until it has `size` compressed bytes.
fn layer(layout: &Path, files: &mut impl Iterator<Item = PathBuf>, size: u64) -> Result<Layer> {
    let path = layout.join("blobs/sha256/layer");
    let out = Hashing::new(File::create(&path)?);
    let gzip = GzBuilder::new().mtime(0).write(out, Compression::new(6));
    let mut tar = tar::Builder::new(Hashing::new(gzip));
    while compressed(&tar) < size {
        let Some(file) = files.next() else { bail!("{} have too few files for the image", SOURCES.join(", ")) };
        append(&mut tar, &file)?;
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
