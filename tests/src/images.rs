//! Small real images, made in memory and the same bytes every time.

use std::{collections::BTreeMap, fs, io::Read, path::Path};

use nacre_oci::{
    Descriptor, Digest, History, ImageConfig, Index, Manifest, Memory, Platform, RawManifest, RunConfig, Sink, Source, media_type,
};

/// A tar layer with one file in it.
pub fn layer(path: &str, content: &[u8]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, path, content).unwrap();
    tar.into_inner().unwrap()
}

/// A docker-archive of one image, as `docker save` wrote it before 25.
pub fn docker_archive(name: &str, layers: &[Vec<u8>]) -> Vec<u8> {
    let diff_ids: Vec<Digest> = layers.iter().map(|tar| Digest::of(tar)).collect();
    let paths: Vec<String> = diff_ids.iter().map(|id| format!("{}/layer.tar", id.hex())).collect();
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "config": {"Labels": {"name": name}}, "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    let list = serde_json::json!([{"Config": "config.json", "RepoTags": [name], "Layers": paths}]);
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |path: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, bytes).unwrap();
    };
    add("config.json", config.to_string().as_bytes());
    add("manifest.json", list.to_string().as_bytes());
    paths.iter().zip(layers).for_each(|(path, layer)| add(path, layer));
    tar.into_inner().unwrap()
}

/// 4 GiB of zeros in 128 KiB of zstd: one frame of run-length blocks of 128 KiB each (RFC 8878, 3.1.1.2).
pub fn bomb() -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38];
    let header = |last: u32| ((128 << 10) << 3 | 1 << 1 | last).to_le_bytes();
    for block in 0..32_768_u32 {
        frame.extend_from_slice(&header(u32::from(block == 32_767))[..3]);
        frame.push(0);
    }
    frame
}

/// Bytes that do not compress, the same for the same seed.
pub fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> = std::iter::repeat_with(&mut next).take(len / 8 + 1).flatten().collect();
    bytes.truncate(len);
    bytes
}

/// What an image is made of.
pub struct Recipe<'a> {
    /// `linux/amd64`, …
    pub platform: &'a str,
    /// RFC 3339.
    pub created: &'a str,
    /// The config's labels.
    pub labels: &'a [(&'a str, &'a str)],
    /// Uncompressed tars, base first.
    pub layers: Vec<Vec<u8>>,
    /// Docker's media types instead of OCI's.
    pub docker: bool,
}

impl Default for Recipe<'_> {
    fn default() -> Self {
        let layers = vec![layer("etc/hello", b"hello\n")];
        Self { platform: "linux/amd64", created: "2026-01-02T03:04:05Z", labels: &[], layers, docker: false }
    }
}

/// Puts an image together and returns its manifest's descriptor, with the platform.
pub fn image(memory: &Memory, recipe: &Recipe<'_>) -> Descriptor {
    let platform: Platform = recipe.platform.parse().unwrap();
    let types = if recipe.docker {
        [media_type::DOCKER_MANIFEST, media_type::DOCKER_CONFIG, media_type::DOCKER_LAYER]
    } else {
        [media_type::OCI_MANIFEST, media_type::OCI_CONFIG, media_type::OCI_LAYER]
    };
    let mut config = ImageConfig {
        created: Some(recipe.created.to_owned()),
        architecture: platform.architecture.clone(),
        variant: platform.variant.clone(),
        os: platform.os.clone(),
        config: RunConfig {
            cmd: Some(vec!["/bin/sh".into()]),
            labels: recipe.labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            ..RunConfig::default()
        },
        ..ImageConfig::default()
    };
    let row = |n: usize| History { created: config.created.clone(), created_by: Some(format!("ADD layer {n}")), ..History::default() };
    config.history = (0..recipe.layers.len()).map(row).collect();
    config.rootfs.diff_ids = recipe.layers.iter().map(|tar| Digest::of(tar)).collect();
    let manifest = Manifest {
        schema_version: 2,
        media_type: types[0].into(),
        artifact_type: None,
        config: memory.add(types[1], config.to_bytes()),
        layers: recipe.layers.iter().map(|tar| memory.add(types[2], tar.clone())).collect(),
        subject: None,
        annotations: BTreeMap::new(),
    };
    let mut descriptor = memory.add(types[0], serde_json::to_vec(&manifest).unwrap());
    descriptor.platform = Some(platform);
    descriptor
}

/// Puts an index over `manifests` together.
pub fn index(memory: &Memory, manifests: &[Descriptor]) -> Descriptor {
    let index = Index {
        schema_version: 2,
        media_type: media_type::OCI_INDEX.into(),
        artifact_type: None,
        manifests: manifests.to_vec(),
        subject: None,
        annotations: BTreeMap::new(),
    };
    memory.add(media_type::OCI_INDEX, serde_json::to_vec(&index).unwrap())
}

/// An index of two images, amd64 and arm64, that share a layer.
pub fn multi_platform(memory: &Memory) -> Descriptor {
    let shared = layer("etc/shared", &noise(70_000, 1));
    let one = |platform: &'static str, own: &[u8]| {
        image(memory, &Recipe { platform, layers: vec![shared.clone(), layer("bin/program", own)], ..Recipe::default() })
    };
    let manifests = [one("linux/amd64", b"for amd64"), one("linux/arm64", b"for arm64")];
    index(memory, &manifests)
}

/// Writes an OCI layout with everything in memory, and the image at `root` listed.
pub fn layout(memory: &Memory, root: &Descriptor, folder: &Path) {
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    for digest in memory.digests() {
        let blob = Descriptor::new("application/octet-stream", digest.clone(), 0);
        let mut bytes = Vec::new();
        memory.open_unverified(&blob, 0).unwrap().read_to_end(&mut bytes).unwrap();
        fs::write(blobs.join(digest.hex()), bytes).unwrap();
    }
    let held = Memory::new();
    let listed = index(&held, std::slice::from_ref(root));
    fs::write(folder.join("index.json"), nacre_oci::read_small(&held, &listed, u64::MAX).unwrap()).unwrap();
}

/// Gives a document in memory a name.
pub fn tag(memory: &Memory, name: &str, target: &Descriptor) {
    let bytes = nacre_oci::read_small(memory, target, u64::MAX).unwrap();
    memory.tag(name, &RawManifest { descriptor: target.clone(), bytes }).unwrap();
}
