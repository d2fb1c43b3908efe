//! The one way in which images move: pull, push, save, load and copy all call [`copy`].

use std::{
    collections::HashSet,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use crate::{
    Content, Descriptor, Document, Error, ImageConfig, MAX_CONFIG, Memory, Outcome, Platform, Progress, Put, RawManifest, Result, Sink,
    Source, read_document, read_small,
};

/// Indexes within indexes, and how many documents one image may have: far above what is real, to end hostile graphs.
const MAX_DEPTH: usize = 8;
const MAX_DOCUMENTS: usize = 10_000;
/// How many platforms an error names.
const MOST_NAMED: usize = 20;

/// Which manifests of an index are copied. A manifest that is no index's child is always copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Select {
    /// Every one.
    All,
    /// The best fit for each platform; the index itself is kept whole, as in Docker.
    Platforms(Vec<Platform>),
    /// Those that the source has: a store may hold an index of which only one platform was pulled.
    Present,
}

/// How to copy.
pub struct Options<'a> {
    /// Which manifests of an index.
    pub select: Select,
    /// How many blobs move at a time; at least 1.
    pub parallel: usize,
    /// Who hears about it.
    pub progress: &'a dyn Progress,
}

/// What a copy would move, children before parents.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Configs and layers, each once, largest first.
    pub blobs: Vec<Descriptor>,
    /// Manifests and indexes, each once, children first, the root last.
    pub documents: Vec<RawManifest>,
}

/// What was copied.
#[derive(Clone, Debug)]
pub struct Copied {
    /// The root document.
    pub root: RawManifest,
    /// How many pieces of content moved, of those that the image has.
    pub moved: usize,
    /// How many pieces of content the image has.
    pub total: usize,
}

/// Copies the image at `root` from one place to another and gives it `tags` there.
///
/// Children go first and the root last, what is there already is skipped, blobs move in parallel. The first failure
/// stops the rest.
///
/// # Errors
/// [`Error::NoPlatform`], or what source or sink say.
pub fn copy(from: &dyn Source, to: &dyn Sink, root: &Descriptor, tags: &[String], options: &Options<'_>) -> Result<Copied> {
    let plan = plan(from, root, &options.select)?;
    let moved = put_blobs(from, to, &plan.blobs, options)? + put_documents(to, &plan.documents, options.progress)?;
    let total = plan.blobs.len() + plan.documents.len();
    let root = plan.documents.into_iter().next_back().expect("a plan ends with its root");
    for tag in tags {
        to.tag(tag, &root)?;
    }
    Ok(Copied { root, moved, total })
}

/// Finds everything that belongs to the image at `root`, reading only its documents.
///
/// # Errors
/// [`Error::NoPlatform`], [`Error::TooLarge`] for absurd nesting, or what the source says.
pub fn plan(from: &dyn Source, root: &Descriptor, select: &Select) -> Result<Plan> {
    let mut walk = Walk { from, select, seen: HashSet::new(), plan: Plan::default() };
    walk.visit(root, 0)?;
    walk.plan.blobs.sort_by_key(|blob| std::cmp::Reverse(blob.size));
    Ok(walk.plan)
}

struct Walk<'a> {
    from: &'a dyn Source,
    select: &'a Select,
    seen: HashSet<crate::Digest>,
    plan: Plan,
}

impl Walk<'_> {
    fn visit(&mut self, at: &Descriptor, depth: usize) -> Result<()> {
        if depth > MAX_DEPTH || self.seen.len() > MAX_DOCUMENTS * 16 || self.plan.documents.len() > MAX_DOCUMENTS {
            let limit = format!("{MAX_DEPTH} levels or {MAX_DOCUMENTS} documents");
            return Err(Error::TooLarge { what: format!("the image index at {}", at.digest), limit });
        }
        if !self.seen.insert(at.digest.clone()) {
            return Ok(());
        }
        let (raw, document) = read_document(self.from, at)?;
        match &document {
            Document::Index(index) => {
                for child in self.selected(at, &index.manifests)? {
                    self.visit_child(child, depth)?;
                }
            }
            Document::Manifest(_) => {
                let blobs = document.children().into_iter().filter(|blob| self.seen.insert(blob.digest.clone()));
                self.plan.blobs.extend(blobs.cloned().collect::<Vec<_>>());
            }
        }
        self.plan.documents.push(raw);
        Ok(())
    }

    fn visit_child(&mut self, child: &Descriptor, depth: usize) -> Result<()> {
        if !child.is_document() {
            // An index may list content of any type; what is no document is carried as a blob.
            if self.seen.insert(child.digest.clone()) {
                self.plan.blobs.push(child.clone());
            }
            return Ok(());
        }
        match self.visit(child, depth + 1) {
            Err(Error::NotFound { .. }) if *self.select == Select::Present => Ok(()),
            other => other,
        }
    }

    fn selected<'d>(&self, index: &Descriptor, children: &'d [Descriptor]) -> Result<Vec<&'d Descriptor>> {
        let Select::Platforms(platforms) = self.select else { return Ok(children.iter().collect()) };
        let mut picked: Vec<&Descriptor> = Vec::new();
        for platform in platforms {
            let best = pick_platform(self.from, index, children, platform)?;
            if !picked.contains(&best) {
                picked.push(best);
            }
        }
        Ok(picked)
    }
}

/// The child that fits `platform` best; nested indexes are taken where nothing else fits. Attestations are never picked.
///
/// # Errors
/// [`Error::NoPlatform`], naming what there is.
pub fn pick_platform<'d>(from: &dyn Source, index: &Descriptor, children: &'d [Descriptor], platform: &Platform) -> Result<&'d Descriptor> {
    let (mut available, mut asked) = (Vec::new(), HashSet::new());
    let mut best: Option<(usize, &Descriptor)> = None;
    // Listed again, what has to be fetched to be known is no better.
    let news = children.iter().filter(|child| !child.is_attestation() && (child.platform.is_some() || asked.insert(&child.digest)));
    for child in news {
        let rank = match platform_of(from, child)? {
            Some(own) => {
                available.push(own.to_string());
                platform.rank(&own)
            }
            None => crate::media_type::is_index(&child.media_type).then_some(usize::MAX),
        };
        if let Some(rank) = rank.filter(|rank| best.is_none_or(|(held, _)| *rank < held)) {
            best = Some((rank, child));
        }
    }
    let none = || Error::NoPlatform { wanted: platform.to_string(), what: format!("index {}", index.digest), available: named(&available) };
    best.map(|(_, child)| child).ok_or_else(none)
}

fn named(platforms: &[String]) -> String {
    match platforms.len() {
        0 => "no images".into(),
        count if count > MOST_NAMED => format!("{} and {} more", platforms[..MOST_NAMED].join(", "), count - MOST_NAMED),
        _ => platforms.join(", "),
    }
}

/// What a manifest runs on: what its descriptor says, else what its config says. An index, and an artifact that is no
/// image, have none.
///
/// # Errors
/// What the source says.
pub fn platform_of(from: &dyn Source, manifest: &Descriptor) -> Result<Option<Platform>> {
    if manifest.platform.is_some() || !crate::media_type::is_manifest(&manifest.media_type) {
        return Ok(manifest.platform.clone());
    }
    let (_, document) = read_document(from, manifest)?;
    let Document::Manifest(manifest) = document else { return Ok(None) };
    if !crate::media_type::is_config(&manifest.config.media_type) {
        return Ok(None);
    }
    let config = ImageConfig::parse(&read_small(from, &manifest.config, MAX_CONFIG)?)?;
    Ok(Some(config.platform()))
}

fn put_documents(to: &dyn Sink, documents: &[RawManifest], progress: &dyn Progress) -> Result<usize> {
    let mut moved = 0;
    for raw in documents {
        let held = Memory::new();
        held.add_unchecked(raw.descriptor.digest.clone(), raw.bytes.clone());
        moved += usize::from(put_one(&held, to, &raw.descriptor, progress)?);
    }
    Ok(moved)
}

fn put_blobs(from: &dyn Source, to: &dyn Sink, blobs: &[Descriptor], options: &Options<'_>) -> Result<usize> {
    let failed = AtomicBool::new(false);
    let progress = Stoppable { inner: options.progress, stop: &failed };
    let queue = Mutex::new(blobs.iter());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || -> Result<usize> {
        let mut moved = 0;
        while let Some(blob) = next().filter(|_| !failed.load(Ordering::Relaxed)) {
            let one = put_one(from, to, blob, &progress).inspect_err(|_| failed.store(true, Ordering::Relaxed))?;
            moved += usize::from(one);
        }
        Ok(moved)
    };
    let workers = options.parallel.clamp(1, blobs.len().max(1));
    let results: Vec<Result<usize>> = thread::scope(|scope| {
        let threads: Vec<_> = (1..workers).map(|_| scope.spawn(work)).collect();
        let own = work();
        let others = threads.into_iter().map(|t| t.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        std::iter::once(own).chain(others.collect::<Vec<_>>()).collect()
    });
    first_real_error(results)
}

/// The sum, or the failure that came first: the others were only told to stop.
fn first_real_error(results: Vec<Result<usize>>) -> Result<usize> {
    let mut moved = 0;
    let mut failure = None;
    for result in results {
        match result {
            Ok(count) => moved += count,
            Err(Error::Cancelled) if failure.is_some() => {}
            Err(error) if failure.as_ref().is_none_or(|held| matches!(held, Error::Cancelled)) => failure = Some(error),
            Err(_) => {}
        }
    }
    failure.map_or(Ok(moved), Err)
}

fn put_one(from: &dyn Source, to: &dyn Sink, content: &Descriptor, progress: &dyn Progress) -> Result<bool> {
    if progress.cancelled() {
        return Err(Error::Cancelled);
    }
    if to.contains(content)? {
        progress.end(content, Outcome::Present);
        return Ok(false);
    }
    progress.begin(content);
    let put = to.put(content, &Content::new(from, content, progress))?;
    progress.end(content, if put == Put::Mounted { Outcome::Mounted } else { Outcome::Copied });
    Ok(true)
}

/// Passes everything on, and stops the other workers when one fails.
struct Stoppable<'a> {
    inner: &'a dyn Progress,
    stop: &'a AtomicBool,
}

impl Progress for Stoppable<'_> {
    fn begin(&self, content: &Descriptor) {
        self.inner.begin(content);
    }

    fn advance(&self, content: &Descriptor, bytes: u64) {
        self.inner.advance(content, bytes);
    }

    fn end(&self, content: &Descriptor, outcome: Outcome) {
        self.inner.end(content, outcome);
    }

    fn note(&self, text: &str) {
        self.inner.note(text);
    }

    fn cancelled(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.inner.cancelled()
    }
}
