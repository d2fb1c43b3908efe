//! Where the harnesses try commands: a store that is the same before each, what the command should make of it, and what has to be
//! true afterwards whatever came between.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs, io,
    os::unix::fs::{DirBuilderExt, symlink},
    path::Path,
    process::Command,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use nacre_oci::{Memory, copy};
use nacre_store::{Acquired, Finding, Store};

use crate::{
    conformance::everything,
    images::{Recipe, image, layer, noise},
    sandbox::{Output, Sandbox, Server},
};

/// What a result is, or which promise was broken.
pub type Kept<T = ()> = Result<T, String>;

/// A command that changes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// Of a name that has got another image meanwhile.
    Pull,
    /// The same after one that was killed.
    PullAgain,
    /// Of an image that the registry has not.
    Push,
    /// Of two images, one of which takes a name away from another.
    Load,
    /// Over a file that is there.
    Save,
    /// Of a name that another image has.
    Tag,
    /// Of an image with one name.
    Rmi,
    /// Of an image without a name.
    Prune,
    /// Of a name that another image has.
    Import,
}

impl Verb {
    /// All.
    pub const ALL: [Self; 9] =
        [Self::Pull, Self::PullAgain, Self::Push, Self::Load, Self::Save, Self::Tag, Self::Rmi, Self::Prune, Self::Import];

    fn arguments(self, server: &Server) -> Vec<String> {
        let line = match self {
            Self::Pull | Self::PullAgain => format!("pull -q {}", server.name("app:1")),
            Self::Push => format!("push -q {}", server.name("pushed:1")),
            Self::Load => "load -q -i two.tar".to_owned(),
            Self::Save => "save -o out/saved.tar keep:1".to_owned(),
            Self::Tag => "tag keep:1 moved:1".to_owned(),
            Self::Rmi => "rmi gone:1".to_owned(),
            Self::Prune => "image prune -f".to_owned(),
            Self::Import => "import -q files.tar imported:1".to_owned(),
        };
        line.split(' ').map(str::to_owned).collect()
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format!("{self:?}").to_lowercase())
    }
}

/// The names in a store and the images that they mean.
type Names = BTreeMap<String, String>;

/// What an undisturbed command makes of the store.
#[derive(Clone, Debug, Default)]
pub struct Undisturbed {
    names: Names,
    /// What is in the root after a prune.
    files: BTreeSet<String>,
    saved: Vec<u8>,
}

/// A store to try commands on, and a registry beside it.
pub struct Stage {
    sandbox: Sandbox,
    origin: Sandbox,
    server: Server,
    before: Names,
    undisturbed: BTreeMap<Verb, Undisturbed>,
}

const OLD: &[u8] = b"what was there before";

fn place(sandbox: &Sandbox, name: &str, seed: u64) {
    let memory = Memory::new();
    let mut layers: Vec<Vec<u8>> = (0..3).map(|n| layer(&format!("own/{n}"), &noise(20_000, seed * 10 + n))).collect();
    layers.insert(0, layer("shared", &noise(30_000, 1)));
    let root = image(&memory, &Recipe { layers, ..Recipe::default() });
    let store = Store::open(sandbox.root()).unwrap();
    let session = store.session(Acquired::Loaded).unwrap();
    let copied = copy(&memory, &session, &root, &[], &everything()).unwrap();
    store.add_tagged(&name.parse().unwrap(), &copied.root, Acquired::Loaded).unwrap();
}

impl Stage {
    /// The store, the registry, and what each command makes of them undisturbed.
    ///
    /// # Panics
    /// If a command fails though nothing disturbs it.
    pub fn new() -> Self {
        let (sandbox, origin) = (Sandbox::new(), Sandbox::new());
        place(&origin, "app:1", 1);
        let server = origin.serve_with(["-q"]);
        let mut stage = Self { sandbox, origin, server, before: Names::new(), undisturbed: BTreeMap::new() };
        stage.furnish();
        stage.before = stage.names().unwrap();
        for verb in Verb::ALL {
            stage.undisturbed.insert(verb, stage.measure(verb));
        }
        stage
    }

    /// Two, for two threads.
    ///
    /// # Panics
    /// As [`Stage::new`].
    pub fn two() -> [Self; 2] {
        thread::scope(|scope| [scope.spawn(Self::new), scope.spawn(Self::new)].map(|stage| stage.join().unwrap()))
    }

    fn furnish(&self) {
        let Self { sandbox, origin, server, .. } = self;
        fs::write(sandbox.path("files.tar"), layer("etc/old", b"old")).unwrap();
        sandbox.nacre(["import", "-q", "files.tar", "imported:1"]).ok();
        fs::write(sandbox.path("files.tar"), layer("etc/new", &noise(20_000, 9))).unwrap();
        sandbox.nacre(["pull", "-q", &server.name("app:1")]).ok();
        for (name, seed) in [("keep:1", 3), ("gone:1", 4), ("moved:1", 5), ("loaded:1", 6), ("dangling:1", 7), ("dangling:1", 8)] {
            place(sandbox, name, seed);
        }
        sandbox.nacre(["tag", "keep:1", &server.name("pushed:1")]).ok();
        for (name, seed) in [("app:1", 2), ("loaded:1", 11), ("loaded:2", 12)] {
            place(origin, name, seed);
        }
        origin.nacre(["save", "-o", sandbox.path("two.tar").to_str().unwrap(), "loaded:1", "loaded:2"]).ok();
        copy_folder(sandbox.root(), &sandbox.path("template")).unwrap();
        fs::create_dir(sandbox.path("sentinel")).unwrap();
        fs::write(sandbox.path("sentinel/file"), b"untouched").unwrap();
        symlink("/", sandbox.path("sentinel/link")).unwrap();
    }

    fn measure(&self, verb: Verb) -> Undisturbed {
        self.restore(verb);
        self.run(verb).ok();
        let names = self.names().unwrap();
        let saved = fs::read(self.saved()).unwrap();
        self.sandbox.nacre(["image", "prune", "-f"]).ok();
        Undisturbed { names, files: files(self.sandbox.root()).unwrap(), saved }
    }

    /// The folder that the store is in.
    pub fn root(&self) -> &Path {
        self.sandbox.root()
    }

    /// The command, to be run after [`Stage::restore`].
    pub fn command(&self, verb: Verb) -> Command {
        let mut command = self.sandbox.command(verb.arguments(&self.server));
        command.env("SOURCE_DATE_EPOCH", "1700000000");
        command
    }

    /// Runs the command undisturbed.
    pub fn run(&self, verb: Verb) -> Output {
        self.sandbox.run(self.command(verb), b"")
    }

    /// The bytes that the store takes before a command.
    ///
    /// # Panics
    /// If it cannot be read.
    pub fn bytes(&self) -> u64 {
        let template = self.sandbox.path("template");
        let page = |name: &String| fs::metadata(template.join(name)).unwrap().len().next_multiple_of(4096);
        all_files(&template).unwrap().iter().map(page).sum()
    }

    fn saved(&self) -> std::path::PathBuf {
        self.sandbox.path("out/saved.tar")
    }

    /// Makes everything as it was before any command.
    ///
    /// # Panics
    /// If that does not succeed.
    pub fn restore(&self, verb: Verb) {
        self.try_restore(verb).unwrap();
    }

    /// [`Stage::restore`] where the disk may be too small.
    ///
    /// # Errors
    /// If it is.
    pub fn try_restore(&self, verb: Verb) -> io::Result<()> {
        for folder in [self.sandbox.path("out"), self.sandbox.path("tmp")] {
            empty(&folder)?;
        }
        fs::write(self.saved(), OLD)?;
        empty(self.root())?;
        copy_folder(&self.sandbox.path("template"), self.root())?;
        if verb == Verb::Push {
            // What is not there cannot be removed.
            self.origin.nacre(["rmi", "pushed:1"]);
        }
        Ok(())
    }

    fn store(&self) -> Kept<Store> {
        Store::open(self.root()).map_err(|e| format!("the store does not open: {e}"))
    }

    fn names(&self) -> Kept<Names> {
        let images = self.store()?.images().map_err(|e| format!("the images cannot be listed: {e}"))?;
        let named = |image: nacre_store::Image| image.references.into_iter().map(move |name| (name.to_string(), image.id.to_string()));
        Ok(images.into_iter().flat_map(named).collect())
    }

    fn findings(&self, deep: bool) -> Kept<Vec<Finding>> {
        self.store()?.check(deep).map_err(|e| format!("the store cannot be checked: {e}"))
    }

    /// Checks what has to be true right after a command that was disturbed and then ended with this code. `deep` also reads all
    /// content, which needs a few bytes of room.
    ///
    /// # Errors
    /// The promise that was broken.
    pub fn ended(&self, verb: Verb, code: Option<i32>, deep: bool) -> Kept {
        let (names, after) = (self.names()?, &self.undisturbed[&verb]);
        for name in self.before.keys().chain(after.names.keys()) {
            let now = names.get(name);
            let known = now == self.before.get(name) || now == after.names.get(name);
            expect(known, || format!("{name} is neither old nor new but {now:?}"))?;
        }
        let saved = fs::read(self.saved()).map_err(|e| format!("what was saved before: {e}"))?;
        expect(saved == OLD || saved == after.saved, || format!("the saved file is neither old nor new: {} bytes", saved.len()))?;
        let damage = self.findings(deep)?.into_iter().find(|finding| matches!(finding, Finding::Damage(_)));
        damage.map_or(Ok(()), |damage| Err(damage.to_string()))?;
        if code != Some(0) {
            return Ok(());
        }
        expect(names == after.names && saved == after.saved, || "false success: the result is not there".to_owned())?;
        let pushed = verb != Verb::Push || self.origin.nacre(["inspect", "pushed:1"]).code == Some(0);
        expect(pushed, || "false success: the registry has no such image".to_owned())
    }

    /// Checks that the next commands work: the same again, and a prune that leaves what an undisturbed command would have.
    ///
    /// # Errors
    /// The promise that was broken.
    pub fn works(&self, verb: Verb) -> Kept {
        let after = &self.undisturbed[&verb];
        // What is removed cannot be removed again.
        if verb != Verb::Rmi || self.names()? != after.names {
            self.succeeds(self.command(verb))?;
        }
        let names = self.names()?;
        expect(names == after.names, || format!("the next command makes something else: {names:?}"))?;
        self.succeeds(self.sandbox.command(["image", "prune", "-f"]))?;
        self.clean()?;
        let files = files(self.root()).map_err(|e| e.to_string())?;
        let other: Vec<&String> = files.symmetric_difference(&after.files).collect();
        expect(other.is_empty(), || format!("a prune leaves or takes {other:?}"))?;
        let sentinel = fs::read(self.sandbox.path("sentinel/file")).unwrap_or_default();
        let outside = fs::read_dir(self.sandbox.path("sentinel")).map(Iterator::count).unwrap_or_default();
        expect(sentinel == b"untouched" && outside == 2, || "what is outside the store has changed".to_owned())
    }

    /// Checks that a command works, and says what it said if not.
    ///
    /// # Errors
    /// That.
    pub fn succeeds(&self, command: Command) -> Kept {
        let output = self.sandbox.run(command, b"");
        expect(output.code == Some(0), || format!("{} ends with {:?}: {}", output.command, output.code, output.stderr.trim()))
    }

    /// [`Stage::succeeds`] by words.
    ///
    /// # Errors
    /// As there.
    pub fn nacre(&self, words: &[&str]) -> Kept {
        self.succeeds(self.sandbox.command(words))
    }

    /// Checks that nothing of the store is damaged or left over.
    ///
    /// # Errors
    /// The first finding.
    pub fn clean(&self) -> Kept {
        let findings = self.findings(true)?;
        expect(findings.is_empty(), || format!("after a prune, {}", findings[0]))
    }

    /// Checks that a command that could end by itself has left nothing outside the store.
    ///
    /// # Errors
    /// What it has left.
    pub fn tidy(&self) -> Kept {
        let left = |name| files(&self.sandbox.path(name)).map_err(|e| e.to_string());
        let (out, temporary) = (left("out")?, left("tmp")?);
        expect(out.len() == 1 && temporary.is_empty(), || format!("left outside the store: {out:?} {temporary:?}"))
    }
}

impl Default for Stage {
    fn default() -> Self {
        Self::new()
    }
}

/// A promise: kept, or else what became of it.
///
/// # Errors
/// If it was not kept.
pub fn expect(kept: bool, otherwise: impl FnOnce() -> String) -> Kept {
    if kept { Ok(()) } else { Err(otherwise()) }
}

/// Tries all cases, each on one of the stages, in a thread for each stage. Returns what came of them, in the cases' order.
pub fn each<C: Sync, R: Send>(stages: &[Stage], cases: &[C], attempt: impl Fn(&Stage, &C) -> R + Sync) -> Vec<R> {
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = |stage| {
        while let Some((at, case)) = Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, cases.get(at)?))) {
            let result = attempt(stage, case);
            results.lock().unwrap_or_else(PoisonError::into_inner).push((at, result));
        }
    };
    // Each in a thread of its own, because a thread that traces must have no other children.
    thread::scope(|scope| stages.iter().for_each(|stage| _ = scope.spawn(|| work(stage))));
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

/// The files below a folder, by their paths; without what SQLite keeps beside its file and the cache of compiled plugins.
fn files(folder: &Path) -> io::Result<BTreeSet<String>> {
    Ok(all_files(folder)?.into_iter().filter(|name| !name.starts_with("meta.db-") && !name.starts_with("cache/")).collect())
}

fn all_files(folder: &Path) -> io::Result<Vec<String>> {
    let (mut found, mut open) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.push(path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().into_owned());
            }
        }
    }
    Ok(found)
}

/// A folder without anything in it, made if it is not there.
fn empty(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { fs::remove_dir_all(path)? } else { fs::remove_file(path)? }
    }
    Ok(())
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(to)?;
    for entry in fs::read_dir(from)? {
        let (path, target) = (entry.as_ref().unwrap().path(), to.join(entry?.file_name()));
        if path.is_dir() { copy_folder(&path, &target)? } else { fs::copy(&path, &target).map(drop)? }
    }
    Ok(())
}
