//! A store, a context, and graphs in a few words.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, UNIX_EPOCH},
};

use nacre_build::{Built, Context, Environment, Error, Event, Imported, Lent, MAIN_CONTEXT, Output, Request, Watcher, build};
use nacre_layer::{Spool, TarReader};
use nacre_oci::{Document, ImageConfig, MAX_CONFIG, Manifest, Memory, Options, Select, Silent, copy as copy_image, read_small};
use nacre_plugin::{
    BuildImage, Platform,
    graph::{
        Action, CopyFiles, Definition, Exec, File, FolderSource, ImageName, ImageSource, MakeFile, Network, Node, Operation, Source, Vertex,
    },
};
use nacre_store::Store;
use nacre_tests::images::{self, Recipe};

pub(crate) const NOW: i64 = 1_800_000_000;

/// Writes down what happens.
#[derive(Default)]
pub(crate) struct Heard(Mutex<Vec<String>>);

impl Watcher for Heard {
    fn event(&self, event: Event<'_>) {
        let line = match event {
            Event::Started { id, name } => format!("{id} start {name}"),
            Event::Cached { id } => format!("{id} cached"),
            Event::Done { id } => format!("{id} done"),
            Event::Failed { id, .. } => format!("{id} failed"),
            Event::Warning(diagnostic) => format!("warning {}", diagnostic.message),
            Event::Output { bytes, .. } => format!("output {}", String::from_utf8_lossy(bytes)),
            Event::Moved { .. } => return,
        };
        self.0.lock().unwrap().push(line);
    }
}

impl Heard {
    pub(crate) fn count(&self, what: &str) -> usize {
        self.0.lock().unwrap().iter().filter(|line| line.contains(what)).count()
    }
}

pub(crate) struct Fixture {
    pub(crate) environment: Environment,
    pub(crate) contexts: BTreeMap<String, Context>,
    pub(crate) output: Output,
    pub(crate) imports: Vec<Imported>,
    pub(crate) lent: Lent,
    dir: tempfile::TempDir,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        let context = dir.path().join("context");
        fs::create_dir(&context).unwrap();
        let runtime = nacre_runtime::Settings {
            program: "/nowhere/nacre".into(),
            root: root.clone(),
            runtime: None,
            path: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into(),
        };
        let environment = Environment {
            store: Store::open(&root).unwrap(),
            registries: Arc::new(|| Err(nacre_oci::Error::not_found("a registry in this test"))),
            runtime,
            cache: root.join("cache"),
            spool: Spool::new(&root.join("ingest")),
            now: NOW,
            proxies: Vec::new(),
            parallel: 4,
        };
        let contexts = BTreeMap::from([(MAIN_CONTEXT.to_owned(), Context::Folder(context))]);
        Self { environment, contexts, output: Output::default(), imports: Vec::new(), lent: Lent::default(), dir }
    }

    /// A path beside the store and the context.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file of the context.
    pub(crate) fn write(&self, name: &str, content: &str) {
        let path = self.path("context").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        // Its time is part of a layer, and not of a key: with one of its own no two stores would make the same.
        fs::File::options().write(true).open(path).unwrap().set_modified(UNIX_EPOCH + Duration::from_secs(1_700_000_000)).unwrap();
    }

    pub(crate) fn request(&self, images: Vec<BuildImage>) -> Request {
        Request {
            frontend: Box::new(move |_| Ok(images.clone())),
            plugin: "test".into(),
            reach: None,
            contexts: self.contexts.clone(),
            lent: self.lent.clone(),
            pull: false,
            imports: self.imports.clone(),
            output: self.output.clone(),
        }
    }

    pub(crate) fn try_build(&self, graph: &Graph) -> (Result<Built, Error>, Arc<Heard>) {
        let heard = Arc::new(Heard::default());
        let watcher: Arc<dyn Watcher> = heard.clone();
        (build(&self.environment, self.request(vec![graph.image("linux/amd64", "{}")]), &watcher), heard)
    }

    pub(crate) fn build(&self, graph: &Graph) -> (Built, Arc<Heard>) {
        let (built, heard) = self.try_build(graph);
        let built = built.unwrap();
        built.store().unwrap();
        (built, heard)
    }

    pub(crate) fn config(&self, built: &Built) -> ImageConfig {
        ImageConfig::parse(&read_small(&built.content, &built.images[0].config, MAX_CONFIG).unwrap()).unwrap()
    }

    pub(crate) fn manifest(&self, built: &Built) -> Manifest {
        match built.images[0].manifest.document().unwrap() {
            Document::Manifest(manifest) => manifest,
            Document::Index(_) => panic!("an index"),
        }
    }

    /// The entries of the image's layers, each as `path size@mtime`.
    pub(crate) fn files(&self, built: &Built) -> Vec<Vec<String>> {
        let list = |layer: &nacre_layer::Layer| {
            let mut tar = TarReader::new(self.environment.store.open_blob(&layer.descriptor.digest).unwrap()).as_layer();
            let mut found = Vec::new();
            while let Some(member) = tar.next_entry().unwrap() {
                found.push(format!("{} {}@{}", member.entry.name(), member.entry.size, member.entry.mtime));
            }
            found
        };
        built.images[0].layers.iter().map(list).collect()
    }
}

/// A graph in the making.
#[derive(Clone, Default)]
pub(crate) struct Graph(pub(crate) Vec<Vertex>);

impl Graph {
    pub(crate) fn add(&mut self, label: &str, operation: Operation) -> Node {
        self.0.push(Vertex { operation, label: label.into(), at: None, no_cache: false });
        self.0.len() as Node - 1
    }

    pub(crate) fn scratch(&mut self) -> Node {
        self.add("", Operation::Source(Source::Scratch))
    }

    pub(crate) fn context(&mut self) -> Node {
        self.folder(MAIN_CONTEXT)
    }

    pub(crate) fn folder(&mut self, context: &str) -> Node {
        let folder = FolderSource { context: context.into(), exclude: Vec::new() };
        self.add(&format!("load {context}"), Operation::Source(Source::Folder(folder)))
    }

    pub(crate) fn base(&mut self, context: &str) -> Node {
        let image = ImageSource { name: ImageName::Context(context.into()), platform: platform("linux/amd64") };
        self.add(&format!("FROM {context}"), Operation::Source(Source::Image(image)))
    }

    pub(crate) fn copy(&mut self, base: Node, from: Node, source: &str, dest: &str) -> Node {
        self.add(&format!("COPY {source} {dest}"), Operation::File(File { base, actions: vec![copy(from, source, dest)] }))
    }

    /// Makes a file that holds its own name.
    pub(crate) fn make(&mut self, base: Node, path: &str) -> Node {
        let file = MakeFile { path: path.into(), content: path.into(), mode: 0o644, owner: None };
        self.add(&format!("MAKE {path}"), Operation::File(File { base, actions: vec![Action::MakeFile(file)] }))
    }

    /// The operation that a context is.
    pub(crate) fn context_operation(mut self) -> Operation {
        let node = self.context();
        self.0.swap_remove(node as usize).operation
    }

    pub(crate) fn definition(&self) -> Definition {
        Definition { vertices: self.0.clone(), output: (self.0.len() as Node).saturating_sub(1) }
    }

    pub(crate) fn image(&self, for_platform: &str, config: &str) -> BuildImage {
        BuildImage { platform: platform(for_platform), definition: self.definition(), config: config.into() }
    }
}

pub(crate) fn platform(text: &str) -> Platform {
    (&text.parse::<nacre_oci::Platform>().unwrap()).into()
}

pub(crate) fn copy(from: Node, source: &str, dest: &str) -> Action {
    Action::Copy(CopyFiles {
        from,
        source: source.into(),
        wildcard: false,
        allow_empty: false,
        dest: dest.into(),
        contents: true,
        unpack: false,
        parents: false,
        replace: false,
        exclude: Vec::new(),
        owner: None,
        permissions: None,
    })
}

/// A program, `true` unless `change` makes it something else.
pub(crate) fn exec(base: Node, change: impl FnOnce(&mut Exec)) -> Operation {
    let mut exec = Exec {
        base,
        args: vec!["true".into()],
        env: Vec::new(),
        uncached_env: Vec::new(),
        secret_env: Vec::new(),
        cwd: "/".into(),
        user: String::new(),
        mounts: Vec::new(),
        network: Network::Sandbox,
        hostname: String::new(),
    };
    change(&mut exec);
    Operation::Exec(exec)
}

impl Fixture {
    /// An OCI layout with an image for each platform, as the context `name`. What is no platform makes another image.
    pub(crate) fn layout(&mut self, name: &str, platforms: &[&'static str]) {
        let memory = Memory::new();
        let one = |platform: &&'static str| {
            let known = platform.contains('/');
            let layers = vec![images::layer("etc/base", format!("{platform} of {platforms:?}").as_bytes())];
            images::image(&memory, &Recipe { platform: if known { platform } else { "linux/s390x" }, layers, ..Recipe::default() })
        };
        let mut made: Vec<_> = platforms.iter().map(one).collect();
        let root = if made.len() == 1 { made.remove(0) } else { images::index(&memory, &made) };
        let layout = nacre_archive::Layout::create(&self.path(name)).unwrap();
        let options = Options { select: Select::All, parallel: 1, progress: &Silent };
        copy_image(&memory, &layout, &root, &["latest".to_owned()], &options).unwrap();
        self.contexts.insert(name.into(), Context::Layout { folder: self.path(name), name: Some("latest".into()) });
    }
}
