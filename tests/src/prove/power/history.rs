//! What a store was made to do, change by change, and what it had promised after each step.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Cursor, Read, Write as _},
    path::Path,
    sync::Arc,
};

use nacre_oci::{
    Content, Descriptor, Digest, Error, Memory, Options, RawManifest, Result, Select, Silent, Sink, Source, Staging, copy, read_document,
};
use nacre_store::{Acquired, Action, CacheRecord, CachedLayer, Decision, Store};

use super::journal::{Journal, Op};
use crate::{
    images::{self, Recipe, layer},
    prove::Dice,
};

/// What a store has said that it holds, durably.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Promise {
    pub(super) names: BTreeMap<String, Digest>,
    pub(super) images: BTreeSet<Digest>,
}

/// A step that has returned.
pub(super) struct Step {
    pub(super) what: String,
    /// How many changes there had been.
    pub(super) end: usize,
    pub(super) promise: Promise,
}

pub(super) struct History {
    pub(super) ops: Vec<Op>,
    pub(super) steps: Vec<Step>,
}

const TAGS: [&str; 3] = ["app:1", "app:2", "other:1"];

/// Does `count` things, drawn from the dice, to a new store in an empty folder.
pub(super) fn record(root: &Path, dice: &mut Dice, count: usize) -> History {
    let journal = Arc::new(Journal::new(root));
    let store = Store::open_watched(root, Arc::<Journal>::clone(&journal)).unwrap();
    let actor = Actor { store, memory: Memory::new() };
    let images: Vec<Descriptor> = (0..5).map(|number| actor.image(number)).chain([actor.index()]).collect();
    let mut history = History { ops: Vec::new(), steps: Vec::new() };
    let mut done = |what: String| history.steps.push(Step { what, end: journal.len(), promise: actor.promise() });
    done("open".into());
    for number in 0..count {
        let (image, tag) = (dice.below(6), dice.below(3));
        let (image, tag) = (&images[usize::try_from(image).unwrap()], TAGS[usize::try_from(tag).unwrap()]);
        // To begin with there is nothing to take away.
        let kind = if number < 2 { dice.below(2) } else { dice.below(10) };
        done(actor.act(kind, image, tag));
    }
    history.ops = journal.ops();
    history
}

struct Actor {
    store: Store,
    memory: Memory,
}

impl Actor {
    /// With a layer of its own and one that all share.
    fn image(&self, number: u8) -> Descriptor {
        let layers = vec![layer("etc/shared", b"by all of them"), layer("etc/own", &[number; 100])];
        images::image(&self.memory, &Recipe { layers, ..Recipe::default() })
    }

    /// Of two images, one of which is known alone too.
    fn index(&self) -> Descriptor {
        let other = images::image(&self.memory, &Recipe { platform: "linux/arm64", ..Recipe::default() });
        images::index(&self.memory, &[self.image(0), other])
    }

    fn promise(&self) -> Promise {
        let mut promise = Promise::default();
        for image in self.store.images().unwrap() {
            promise.names.extend(image.references.iter().map(|name| (name.to_string(), image.id.clone())));
            promise.images.insert(image.id);
        }
        promise
    }

    fn act(&self, kind: u64, image: &Descriptor, tag: &str) -> String {
        let id = image.digest.short();
        match kind {
            0 | 2 => self.pull(image, tag),
            1 | 3 => self.load(image, tag),
            4 => return self.break_off(image),
            5 => {
                let Some(held) = self.store.images().unwrap().into_iter().next() else { return "nothing".into() };
                self.store.tag(&tag.parse().unwrap(), &held.id).unwrap();
                return format!("tag {} {tag}", held.id.short());
            }
            6 => return format!("rmi -f {tag}: {}", self.store.remove(tag, true).is_ok()),
            7 => return format!("untag {tag}: {}", self.store.untag(&tag.parse().unwrap()).is_ok()),
            8 => self.cache(image),
            _ => return self.prune(),
        }
        format!("{} {id} {tag}", ["pull", "load", "pull", "load", "", "", "", "", "cache"][usize::try_from(kind).unwrap()])
    }

    fn pull(&self, image: &Descriptor, tag: &str) {
        let session = self.store.session(Acquired::Pulled).unwrap();
        let options = Options { select: Select::All, parallel: 1, progress: &Silent };
        copy(&self.memory, &session, image, &[tag.to_owned()], &options).unwrap();
    }

    /// Layers come in pieces, as from an archive, and are told by what they turn out to be.
    fn load(&self, image: &Descriptor, tag: &str) {
        let session = self.store.session(Acquired::Loaded).unwrap();
        let (raw, _) = self.raw(image);
        for blob in nacre_oci::plan(&self.memory, image, &Select::All).unwrap().blobs {
            let mut staged = session.stage().unwrap();
            let bytes = nacre_oci::read_small(&self.memory, &blob, u64::MAX).unwrap();
            bytes.chunks(700).for_each(|piece| staged.write_all(piece).unwrap());
            staged.commit(&blob).unwrap();
        }
        for document in nacre_oci::plan(&self.memory, image, &Select::All).unwrap().documents {
            session.put(&document.descriptor, &Content::new(&self.memory, &document.descriptor, &Silent)).unwrap();
        }
        session.tag(tag, &raw).unwrap();
    }

    fn raw(&self, image: &Descriptor) -> (RawManifest, nacre_oci::Document) {
        read_document(&self.memory, image).unwrap()
    }

    /// A pull that ends in the middle of a layer.
    fn break_off(&self, image: &Descriptor) -> String {
        let session = self.store.session(Acquired::Pulled).unwrap();
        let blobs = nacre_oci::plan(&self.memory, image, &Select::All).unwrap().blobs;
        let last = blobs.last().unwrap();
        let failed = session.put(last, &Content::new(&Breaking(&self.memory), last, &Silent)).is_err();
        format!("half of a pull of {}, broken off: {failed}", image.digest.short())
    }

    /// Without promise: a power loss may take it back.
    fn cache(&self, image: &Descriptor) {
        self.store.touch(std::slice::from_ref(&image.digest)).unwrap();
        let session = self.store.session(Acquired::Built).unwrap();
        let descriptor = nacre_oci::plan(&self.memory, image, &Select::All).unwrap().blobs.last().unwrap().clone();
        session.put(&descriptor, &Content::new(&self.memory, &descriptor, &Silent)).unwrap();
        let layers = vec![CachedLayer { diff_id: descriptor.digest.clone(), descriptor }];
        // Long enough for the log to be copied back after a few.
        let description = "RUN ".repeat(60_000);
        let record = CacheRecord { key: image.digest.clone(), layers, created: 1, last_used: 1, description };
        self.store.add_cache_records(&[record]).unwrap();
    }

    /// Deletes what has no name, and the cache.
    fn prune(&self) -> String {
        let dangling = self.store.images().unwrap().into_iter().filter(|image| !image.is_tagged()).map(|image| image.id);
        let decide = |image| Decision { image, action: Action::Delete, reason: String::new(), policy: String::new() };
        let plan = self.store.plan(dangling.map(decide).collect()).unwrap();
        let applied = self.store.apply(&plan).unwrap();
        self.store.remove_cache_records(&self.store.cache_records().unwrap()).unwrap();
        format!("prune of {} images, {} blobs", applied.deleted.len(), applied.blobs)
    }
}

/// Content whose second half does not come.
struct Breaking<'a>(&'a Memory);

struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(Error::Transport { doing: "GET".into(), why: "connection reset".into() }.into())
    }
}

impl Source for Breaking<'_> {
    fn resolve(&self, name: &str) -> Result<Descriptor> {
        self.0.resolve(name)
    }

    fn open_unverified(&self, descriptor: &Descriptor, offset: u64) -> Result<Box<dyn Read + Send>> {
        let mut bytes = Vec::new();
        self.0.open_unverified(descriptor, offset)?.read_to_end(&mut bytes).map_err(Error::io("read"))?;
        bytes.truncate(bytes.len() / 2);
        Ok(Box::new(Cursor::new(bytes).chain(Broken)))
    }
}
