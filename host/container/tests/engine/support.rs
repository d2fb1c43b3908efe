//! A store with small images in it.

use std::{collections::BTreeMap, fs, path::PathBuf};

use nacre_container::{Base, Container, Engine, Options};
use nacre_oci::{
    Content, Descriptor, Digest, ImageConfig, Manifest, Memory, Platform, RawManifest, RootFs, RunConfig, Silent, Sink, media_type,
};
use nacre_runtime::{Settings, container_folder};
use nacre_store::{Acquired, Store};
use nacre_tests::images::layer;
use tempfile::TempDir;

pub(crate) struct Bench {
    pub(crate) dir: TempDir,
    pub(crate) engine: Engine,
}

/// An image to make.
pub(crate) struct Image<'a> {
    pub(crate) name: &'a str,
    pub(crate) config: RunConfig,
    pub(crate) platform: &'a str,
    /// Each becomes a layer with one file of this name.
    pub(crate) files: &'a [&'a str],
}

impl Default for Image<'_> {
    fn default() -> Self {
        let config = RunConfig { cmd: Some(words("env")), env: words("A=image B=two"), ..RunConfig::default() };
        Self { name: "base", config, platform: "linux/amd64", files: &["one"] }
    }
}

pub(crate) fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

impl Bench {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("store");
        let store = Store::open(&root).unwrap();
        let settings = Settings { program: PathBuf::from("/nonexistent"), root, runtime: None, path: "/nonexistent".into() };
        Self { engine: Engine::new(store, settings), dir }
    }

    /// With the default image.
    pub(crate) fn with_base() -> Self {
        let bench = Self::new();
        bench.image(Image::default());
        bench
    }

    pub(crate) fn store(&self) -> &Store {
        self.engine.store()
    }

    /// Puts an image into the store.
    pub(crate) fn image(&self, image: Image<'_>) -> Digest {
        let raw = self.manifest(&image);
        self.store().add_tagged(&image.name.parse::<nacre_oci::Reference>().unwrap().or_latest(), &raw, Acquired::Built).unwrap();
        raw.descriptor.digest
    }

    /// Puts an image's content into the store.
    pub(crate) fn manifest(&self, image: &Image<'_>) -> RawManifest {
        let platform: Platform = image.platform.parse().unwrap();
        let tars: Vec<Vec<u8>> = image.files.iter().map(|name| layer(name, name.as_bytes())).collect();
        let config = ImageConfig {
            architecture: platform.architecture.clone(),
            variant: platform.variant.clone(),
            os: platform.os,
            config: image.config.clone(),
            rootfs: RootFs { diff_ids: tars.iter().map(|tar| Digest::of(tar)).collect(), ..RootFs::default() },
            ..ImageConfig::default()
        };
        let manifest = Manifest {
            schema_version: 2,
            media_type: media_type::OCI_MANIFEST.into(),
            artifact_type: None,
            config: self.put(media_type::OCI_CONFIG, config.to_bytes()),
            layers: tars.into_iter().map(|tar| self.put(media_type::OCI_LAYER, tar)).collect(),
            subject: None,
            annotations: BTreeMap::new(),
        };
        let bytes = serde_json::to_vec(&manifest).unwrap();
        RawManifest { descriptor: self.put(media_type::OCI_MANIFEST, bytes.clone()), bytes }
    }

    pub(crate) fn put(&self, media_type: &str, bytes: Vec<u8>) -> Descriptor {
        let memory = Memory::new();
        let descriptor = memory.add(media_type, bytes);
        self.store().put(&descriptor, &Content::new(&memory, &descriptor, &Silent)).unwrap();
        descriptor
    }

    pub(crate) fn base(&self) -> Base {
        Base::find(self.store(), "base", None).unwrap()
    }

    pub(crate) fn create(&self, options: &Options) -> Container {
        self.engine.create(&self.base(), options).unwrap().container
    }

    /// Why it cannot be created.
    pub(crate) fn refused(&self, options: &Options) -> String {
        let why = self.engine.create(&self.base(), options).unwrap_err().to_string();
        assert!(self.folders().is_empty(), "something is left over");
        why
    }

    pub(crate) fn named(&self, name: &str) -> Container {
        self.create(&Options { name: Some(name.into()), ..Options::default() })
    }

    /// The folders of containers.
    pub(crate) fn folders(&self) -> Vec<String> {
        let list = fs::read_dir(self.store().root().join("containers")).into_iter().flatten();
        list.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// Writes a file into a container's folder.
    pub(crate) fn write(&self, container: &Container, name: &str, content: &str) {
        fs::write(container_folder(self.store().root(), &container.id).join(name), content).unwrap();
    }
}
