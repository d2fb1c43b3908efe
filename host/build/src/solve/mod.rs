//! Carrying graphs out.

mod cache;
mod diff;
mod exec;
mod file;
mod layers;
mod missing;
mod mounts;
pub(crate) mod trees;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

pub(crate) use trees::codec;

use nacre_oci::{Descriptor, Digest, Result as Data};
use nacre_plugin::graph::{Definition, Network, Node, Operation, Source, Vertex};
use nacre_runtime::Sandbox;
use nacre_store::{Acquired, CacheRecord, Session};

use crate::{
    Context, Environment, Error, Event, Imported, Lent, Material, Reach, Request, Result, Snapshot, Step, StepId, Watcher,
    files::FileTree,
    graph::{Plan, Planned, check, platform},
    schedule::{self, Values},
    sources::{self, Image},
};

/// The most layers of one root filesystem: merges could double them again and again.
const MAX_LAYERS: usize = 10_000;

/// What an operation makes.
#[derive(Clone)]
pub(crate) enum Value {
    /// A root filesystem.
    Root(Snapshot),
    /// A folder of the user's, which becomes a layer only where a root filesystem is needed.
    Folder(Arc<dyn FileTree>),
}

impl Value {
    /// The root filesystem that an output is; a plan makes one of each folder that is an output.
    fn into_root(self) -> Snapshot {
        match self {
            Self::Root(root) => root,
            Self::Folder(_) => Snapshot::default(),
        }
    }
}

/// One build under way.
pub(crate) struct Solver {
    pub(crate) environment: Environment,
    pub(crate) contexts: BTreeMap<String, Context>,
    pub(crate) lent: Lent,
    pub(crate) pull: bool,
    /// The time of what is made, if the user or the file gave one.
    epoch: OnceLock<i64>,
    pub(crate) reach: Option<Reach>,
    imports: Vec<Imported>,
    plugin: String,
    sandbox: OnceLock<Sandbox>,
    session: Arc<Session>,
    pub(crate) watcher: Arc<dyn Watcher>,
    /// Something has failed.
    stop: Arc<AtomicBool>,
    /// Layers of caches that could not be had.
    lost: Arc<Mutex<BTreeSet<Digest>>>,
    /// The number of its first operation.
    first: StepId,
    memory: Mutex<Memory>,
}

/// What the build knows so far.
#[derive(Default)]
struct Memory {
    /// Numbers of operations, by identity.
    ids: HashMap<Digest, StepId>,
    /// Results, by identity.
    values: HashMap<Digest, Value>,
    /// Layers that operations added, by key. Locked while they are made.
    made: HashMap<(Digest, bool), cache::Slot>,
    /// Images, by name and platform.
    images: HashMap<String, Arc<Image>>,
    /// Files, by chain or by folder and patterns.
    trees: HashMap<Digest, Arc<dyn FileTree>>,
    steps: Vec<Step>,
    /// Records that were found in the cache.
    used: Vec<CacheRecord>,
    materials: BTreeSet<Material>,
}

impl Solver {
    /// A build whose operations are numbered from `first` on.
    pub(crate) fn new(environment: &Environment, request: &Request, watcher: &Arc<dyn Watcher>, first: StepId) -> Result<Self> {
        Ok(Self {
            environment: environment.clone(),
            contexts: request.contexts.clone(),
            lent: request.lent.clone(),
            pull: request.pull,
            epoch: request.output.epoch.map_or_else(OnceLock::new, OnceLock::from),
            reach: request.reach.clone(),
            imports: request.imports.clone(),
            plugin: request.plugin.clone(),
            sandbox: OnceLock::new(),
            session: Arc::new(environment.store.session(Acquired::Built)?),
            watcher: Arc::clone(watcher),
            stop: Arc::default(),
            lost: Arc::default(),
            first,
            memory: Mutex::default(),
        })
    }

    /// Fixes the time of what is made from here on, unless that is done.
    pub(crate) fn set_epoch(&self, epoch: i64) {
        // The user's own stays.
        _ = self.epoch.set(epoch);
    }

    /// The time of what is made, if there is a fixed one.
    pub(crate) fn epoch(&self) -> Option<i64> {
        self.epoch.get().copied()
    }

    /// Whether a graph keeps to the rules.
    pub(crate) fn check(&self, definition: &Definition) -> Result<()> {
        check(definition, &self.contexts).map_err(|why| self.malformed(why))?;
        definition.vertices.iter().try_for_each(|vertex| self.check_network(vertex))
    }

    /// Whether a program gets no more of the network than the user allows.
    fn check_network(&self, vertex: &Vertex) -> Result<()> {
        match &vertex.operation {
            Operation::Exec(exec) if exec.network == Network::Host && !self.lent.host_network => {
                // BuildKit's words.
                let why = "failed to load LLB: network.host is not allowed; allow it with --allow network.host";
                let (label, at) = (vertex.label.clone(), vertex.at.clone());
                Err(Error::Step { label, at, source: Box::new(nacre_oci::Error::Other(why.into()).into()) })
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn malformed(&self, why: impl Into<String>) -> Error {
        Error::Graph { plugin: self.plugin.clone(), why: why.into() }
    }

    /// Carries graphs out and returns what their outputs are.
    pub(crate) fn solve(&self, definitions: &[&Definition]) -> Result<Vec<Snapshot>> {
        definitions.iter().try_for_each(|definition| self.check(definition))?;
        let plan = Plan::new(definitions);
        let inputs: Vec<&[usize]> = plan.steps.iter().map(|step| step.inputs.as_slice()).collect();
        let work = |index: usize, values: &Values<Value>| self.step(&plan.steps[index], values);
        let values = schedule::run(&inputs, self.environment.parallel, &self.stop, work)?;
        Ok(plan.outputs.iter().map(|output| values[*output as usize].clone()).map(Value::into_root).collect())
    }

    /// Carries one operation out, unless that was done.
    fn step(&self, planned: &Planned, values: &Values<Value>) -> Result<Value> {
        if let Some(value) = self.memory().values.get(&planned.identity) {
            return Ok(value.clone());
        }
        if self.cancelled() {
            return Err(nacre_oci::Error::Cancelled.into());
        }
        let vertex = &planned.vertex;
        if matches!(vertex.operation, Operation::Source(Source::Scratch)) {
            return Ok(Value::Root(Snapshot::default()));
        }
        let job = Job { solver: self, id: self.id(&planned.identity), planned, values };
        self.watcher.event(Event::Started { id: job.id, name: &vertex.label });
        match job.carry_out() {
            Ok(value) => {
                self.watcher.event(Event::Done { id: job.id });
                self.memory().values.insert(planned.identity.clone(), value.clone());
                Ok(value)
            }
            Err(error) => {
                self.watcher.event(Event::Failed { id: job.id, error: &error });
                let (label, at) = (vertex.label.clone(), vertex.at.clone());
                Err(Error::Step { label, at, source: Box::new(error) })
            }
        }
    }

    /// Writes down which records of the cache were used.
    pub(crate) fn finish(&self) -> Result<()> {
        let used = std::mem::take(&mut self.memory().used);
        Ok(self.environment.store.touch_cache_records(&used)?)
    }

    /// The image that was found by `name` before, or what `find` finds.
    pub(crate) fn remembered_image(&self, name: &str, find: impl FnOnce() -> Result<Image>) -> Result<Arc<Image>> {
        if let Some(image) = self.memory().images.get(name) {
            return Ok(Arc::clone(image));
        }
        let image = Arc::new(find()?);
        self.memory().images.insert(name.to_owned(), Arc::clone(&image));
        Ok(image)
    }

    /// The files that were opened with `key` before, or what `open` opens.
    fn remembered_tree<T: FileTree + 'static>(&self, key: &Digest, open: impl FnOnce() -> Data<Arc<T>>) -> Data<Arc<dyn FileTree>> {
        if let Some(tree) = self.memory().trees.get(key) {
            return Ok(Arc::clone(tree));
        }
        let tree: Arc<dyn FileTree> = open()?;
        self.memory().trees.insert(key.clone(), Arc::clone(&tree));
        Ok(tree)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn id(&self, identity: &Digest) -> StepId {
        let mut memory = self.memory();
        let next = self.first + memory.ids.len();
        *memory.ids.entry(identity.clone()).or_insert(next)
    }

    /// The number that no operation has yet.
    pub(crate) fn next_id(&self) -> StepId {
        self.first + self.memory().ids.len()
    }

    /// Layers of caches that could not be had.
    pub(crate) fn lost(&self) -> BTreeSet<Digest> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The layers of the records that were found in the store's cache.
    pub(crate) fn used_layers(&self) -> Vec<Descriptor> {
        let memory = self.memory();
        let layers = memory.used.iter().flat_map(|record| &record.layers).map(|layer| (&layer.descriptor.digest, &layer.descriptor));
        layers.collect::<BTreeMap<_, _>>().into_values().cloned().collect()
    }

    /// Whether the work should stop, as the user wishes or because something has failed.
    pub(crate) fn cancelled(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.watcher.cancelled()
    }

    /// What writes to the store and protects the build's content.
    pub(crate) fn session(&self) -> Arc<Session> {
        Arc::clone(&self.session)
    }

    /// What was done so far.
    pub(crate) fn steps(&self) -> Vec<Step> {
        self.memory().steps.clone()
    }

    /// Notes what the build takes in.
    pub(crate) fn add_material(&self, material: Material) {
        self.memory().materials.insert(material);
    }

    /// What the build took in so far, sorted.
    pub(crate) fn materials(&self) -> Vec<Material> {
        self.memory().materials.iter().cloned().collect()
    }
}

/// One operation that is being carried out.
pub(crate) struct Job<'a> {
    pub(crate) solver: &'a Solver,
    pub(crate) id: StepId,
    planned: &'a Planned,
    values: &'a Values<Value>,
}

impl Job<'_> {
    fn carry_out(&self) -> Result<Value> {
        match &self.planned.vertex.operation {
            Operation::Source(source) => self.source(source),
            Operation::File(file) => self.file(file).map(Value::Root),
            Operation::Exec(exec) => self.exec(exec).map(Value::Root),
            Operation::Merge(nodes) => self.merge(nodes).map(Value::Root),
            Operation::Diff(diff) => self.diff(diff).map(Value::Root),
        }
    }

    fn source(&self, source: &Source) -> Result<Value> {
        match source {
            Source::Scratch => Ok(Value::Root(Snapshot::default())),
            Source::Image(image) => Ok(Value::Root(self.solver.image(&image.name, &platform(&image.platform))?.snapshot.clone())),
            Source::Folder(folder) => self.solver.folder(folder).map(Value::Folder),
            Source::Http(http) => sources::http::fetch(self, http).map(Value::Root),
            Source::Git(git) => sources::git::checkout(self, git).map(Value::Root),
        }
    }

    /// The layers of root filesystems, one over the other.
    fn merge(&self, nodes: &[Node]) -> Result<Snapshot> {
        let roots: Vec<Snapshot> = nodes.iter().map(|node| self.root(*node)).collect::<Result<_>>()?;
        let count: usize = roots.iter().map(|root| root.layers().len()).sum();
        if count > MAX_LAYERS {
            return Err(self.solver.malformed(format!("a root filesystem of {count} layers, more than {MAX_LAYERS}")));
        }
        let mut roots = roots.into_iter();
        let first = roots.next().unwrap_or_default();
        Ok(roots.fold(first, |all, root| all.with(root.layers().iter().cloned())))
    }

    /// What an input made.
    fn value(&self, node: Node) -> &Value {
        self.values[node as usize].get().expect("an operation begins when its inputs are done")
    }

    /// What programs write, what is fetched: what happens in this operation.
    pub(crate) fn tell(&self, event: Event<'_>) {
        self.solver.watcher.event(event);
    }
}
