//! A store with an image of one static busybox.

use std::{collections::BTreeMap, fs, io::Read, path::PathBuf};

use nacre_container::{Base, Container, Engine, Options};
use nacre_layer::{Entry, Kind, TarReader, TarWriter};
use nacre_oci::{
    Content, Descriptor, Digest, History, ImageConfig, Manifest, Memory, Platform, RawManifest, Reference, RootFs, RunConfig, Silent, Sink,
    media_type,
};
use nacre_runtime::{Event, Outcome, Session, Settings};
use nacre_store::{Acquired, Store};
use nacre_tests::peers::available;
use tempfile::TempDir;

const BUSYBOX: &str = "/usr/bin/busybox";

/// Whether containers can run here; says so if not.
#[allow(clippy::print_stderr, reason = "a skipped test has to say so")]
pub(crate) fn can_run() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("skipped: the test needs root");
    }
    root && available("runc") && available("busybox")
}

pub(crate) struct Bench {
    pub(crate) engine: Engine,
    _dir: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::of(false)
    }

    /// With Docker's media types or OCI's.
    pub(crate) fn of(docker: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("store");
        let store = Store::open(&root).unwrap();
        base(&store, docker);
        let program = PathBuf::from(env!("CARGO_BIN_EXE_nacre-container-job"));
        let settings = Settings { program, root, runtime: None, path: "/usr/sbin:/usr/bin:/sbin:/bin".into() };
        Self { engine: Engine::new(store, settings), _dir: dir }
    }

    pub(crate) fn store(&self) -> &Store {
        self.engine.store()
    }

    pub(crate) fn create(&self, image: &str, options: &Options) -> Container {
        let base = Base::find(self.store(), image, None).unwrap();
        self.engine.create(&base, options).unwrap().container
    }

    /// A container of the image that is to run a script.
    pub(crate) fn script(&self, image: &str, script: &str) -> Container {
        self.create(image, &Options { args: ["sh", "-c", script].map(str::to_owned).to_vec(), ..Options::default() })
    }

    pub(crate) fn start(&self, container: &Container) -> Session {
        match self.engine.start(container, true, None).unwrap().outcome {
            Outcome::Running(Some(session)) => session,
            other => panic!("{other:?}"),
        }
    }

    /// Runs a container to its end: what it printed, and its exit code.
    pub(crate) fn run(&self, container: &Container) -> (String, u8) {
        let mut session = self.start(container);
        let mut text = String::new();
        loop {
            match session.output.next().unwrap() {
                Some(Event::Output(_, bytes)) => text.push_str(&String::from_utf8_lossy(&bytes)),
                Some(Event::Ended(code)) => return (text, code),
                None => panic!("no end was told of"),
            }
        }
    }

    /// What a started container prints until this word is there.
    pub(crate) fn until(session: &mut Session, word: &str) {
        let mut text = String::new();
        while !text.contains(word) {
            match session.output.next().unwrap() {
                Some(Event::Output(_, bytes)) => text.push_str(&String::from_utf8_lossy(&bytes)),
                other => panic!("{other:?} after {text}"),
            }
        }
    }

    /// All files of a container: what they are, by path.
    pub(crate) fn tree(&self, container: &Container) -> BTreeMap<String, String> {
        let mut tar = Vec::new();
        self.engine.files(container).unwrap().export(&mut tar).unwrap();
        let mut reader = TarReader::new(tar.as_slice());
        let mut tree: BTreeMap<String, String> = BTreeMap::new();
        while let Some(member) = reader.next_entry().unwrap() {
            let mut content = Vec::new();
            reader.read_to_end(&mut content).unwrap();
            // A link to a file of a lower layer becomes a file in the layer above.
            let target = member.entry.link.as_deref().filter(|_| member.entry.kind == Kind::Hardlink).map(String::from_utf8_lossy);
            let described = match target {
                Some(target) => tree[&*target].clone(),
                None => described(&member.entry, &content),
            };
            // Mount points that each start makes anew.
            if !["etc/hosts", "etc/hostname", "etc/resolv.conf"].contains(&member.entry.name().as_str()) {
                tree.insert(member.entry.name(), described);
            }
        }
        tree
    }

    /// An image's config and manifest.
    pub(crate) fn image(&self, id: &Digest) -> (ImageConfig, Manifest) {
        let image = self.store().image(id).unwrap().unwrap();
        let nacre_oci::Document::Manifest(manifest) = nacre_oci::read_document(self.store(), &image.descriptor).unwrap().1 else {
            panic!("an index was committed")
        };
        let config = nacre_oci::read_small(self.store(), &manifest.config, u64::MAX).unwrap();
        (ImageConfig::parse(&config).unwrap(), manifest)
    }

    /// What is left in the store's folder of containers.
    pub(crate) fn folders(&self) -> usize {
        fs::read_dir(self.store().root().join("containers")).map_or(0, Iterator::count)
    }
}

fn described(entry: &Entry, content: &[u8]) -> String {
    // Mounting changes the times of the folders that are mounted on.
    let time = if entry.kind == Kind::Directory { 0 } else { entry.mtime };
    let link = entry.link.as_deref().map(String::from_utf8_lossy);
    format!("{:?} {:o} {}:{} {time} {link:?} {:?} {}", entry.kind, entry.mode, entry.uid, entry.gid, entry.xattrs, Digest::of(content))
}

/// An image `base`.
fn base(store: &Store, docker: bool) {
    let config = RunConfig {
        cmd: Some(vec!["sh".into()]),
        env: vec!["PATH=/bin".into(), "A=image".into()],
        volumes: [("/volume".to_owned(), serde_json::json!({}))].into(),
        ..RunConfig::default()
    };
    make(store, "base", config, docker);
}

/// An image of OCI's media types.
pub(crate) fn image(store: &Store, name: &str, config: RunConfig) {
    make(store, name, config, false);
}

fn make(store: &Store, name: &str, config: RunConfig, docker: bool) {
    let tar = layer();
    let host = Platform::host();
    let config = ImageConfig {
        architecture: host.architecture,
        os: host.os,
        author: Some("base's".into()),
        config,
        rootfs: RootFs { diff_ids: vec![Digest::of(&tar)], ..RootFs::default() },
        history: vec![History { created_by: Some("base".into()), ..History::default() }],
        ..ImageConfig::default()
    };
    let types = if docker {
        [media_type::DOCKER_MANIFEST, media_type::DOCKER_CONFIG, media_type::DOCKER_LAYER]
    } else {
        [media_type::OCI_MANIFEST, media_type::OCI_CONFIG, media_type::OCI_LAYER]
    };
    let manifest = Manifest {
        schema_version: 2,
        media_type: types[0].into(),
        artifact_type: None,
        config: put(store, types[1], config.to_bytes()),
        layers: vec![put(store, types[2], tar)],
        subject: None,
        annotations: BTreeMap::new(),
    };
    let bytes = serde_json::to_vec(&manifest).unwrap();
    let raw = RawManifest { descriptor: put(store, types[0], bytes.clone()), bytes };
    store.add_tagged(&name.parse::<Reference>().unwrap().or_latest(), &raw, Acquired::Built).unwrap();
}

fn put(store: &Store, media_type: &str, bytes: Vec<u8>) -> Descriptor {
    let memory = Memory::new();
    let descriptor = memory.add(media_type, bytes);
    store.put(&descriptor, &Content::new(&memory, &descriptor, &Silent)).unwrap();
    descriptor
}

pub(crate) fn layer() -> Vec<u8> {
    let mut tar = TarWriter::new(Vec::new());
    let mut add = |entry: Entry, content: &[u8]| {
        let entry = Entry { size: content.len() as u64, mtime: 1_700_000_000, ..entry };
        tar.add(&entry, &mut &*content).unwrap();
    };
    for folder in ["bin", "data", "data/deep", "etc", "tmp", "volume", "dev", "proc", "sys"] {
        add(Entry::new(folder, Kind::Directory), b"");
    }
    add(Entry { mode: 0o755, ..Entry::new("bin/busybox", Kind::File) }, &fs::read(BUSYBOX).unwrap());
    for name in "sh true cat env sleep rm mkdir chmod chown ln mv touch mkfifo echo kill id".split(' ') {
        add(Entry { link: Some(b"busybox".to_vec()), mode: 0o777, ..Entry::new(format!("bin/{name}"), Kind::Symlink) }, b"");
    }
    for file in ["data/a", "data/b", "data/deep/c", "volume/v"] {
        add(Entry::new(file, Kind::File), file.as_bytes());
    }
    tar.finish().unwrap()
}
