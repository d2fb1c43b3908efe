//! Looking for damage, and for what killed commands have left.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fmt, fs,
    os::unix::fs::PermissionsExt,
};

use nacre_oci::{Algorithm, Descriptor, Digest, Error, Result};
use rusqlite::Connection;

use crate::{
    Image, Lease, Life, Store, ingest,
    layout::{ALGORITHMS, read_dir},
    lease,
    mark::Graph,
    meta::{Fault, cache, containers, edges, images},
    tree,
    usage::short,
};

/// Something that should not be so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Content or metadata is lost or wrong.
    Damage(String),
    /// A command that was killed has left this; the next prune deletes it.
    LeftOver(String),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damage(what) => write!(f, "damaged: {what}"),
            Self::LeftOver(what) => write!(f, "left over: {what}"),
        }
    }
}

impl Store {
    /// Looks at all that the store keeps. `deep` also reads all content and compares its digests.
    ///
    /// That a record of the build cache lacks content is no finding: it does no harm, and an imported one is like that
    /// until its layers are needed.
    ///
    /// # Errors
    /// If the metadata cannot be read at all.
    pub fn check(&self, deep: bool) -> Result<Vec<Finding>> {
        let mut check = Check { store: self, findings: Vec::new(), images: Vec::new(), graph: Graph::default() };
        // Nobody deletes content or changes the metadata meanwhile. What comes in has a lease before it is a blob.
        let lock = self.layout.lock_shared()?;
        let blobs = check.files()?;
        let leased = check.left_over()?;
        self.meta.read(|db| {
            check.metadata(db, &blobs, &leased, deep)?;
            check.containers(db, &blobs)
        })?;
        if deep {
            // Not as other commands, which clear away what is found here.
            let lease = Lease::new(&self.layout)?;
            lease.protect(blobs.keys())?;
            drop(lock);
            blobs.keys().for_each(|digest| check.content(digest));
        }
        Ok(check.findings)
    }
}

/// The rows that are about images or records of the build cache that are not there: their table, what they are to a user, the
/// column that says what they belong to, and which they are.
pub(crate) const STRAY: [(&str, &str, &str, &str); 4] = [
    ("refs", "'the name ' || name || ' ' || selector", "image", "image NOT IN (SELECT digest FROM images)"),
    ("origins", "'the origin ' || name", "image", "image NOT IN (SELECT digest FROM images)"),
    ("pushed", "'the digest in ' || name", "image", "image NOT IN (SELECT digest FROM images)"),
    ("cache_layers", "'the layer of a build ' || layer", "key", "key NOT IN (SELECT key FROM cache)"),
];

struct Check<'a> {
    store: &'a Store,
    findings: Vec<Finding>,
    images: Vec<Image>,
    graph: Graph,
}

impl Check<'_> {
    fn damaged(&mut self, what: String) {
        self.findings.push(Finding::Damage(what));
    }

    /// All blobs with their sizes; and what is wrong with the files as such.
    fn files(&mut self) -> Result<BTreeMap<Digest, u64>> {
        let root = self.store.root();
        if let Some(mode) = fs::metadata(root).ok().map(|meta| meta.permissions().mode() & 0o777).filter(|mode| mode & 0o077 != 0) {
            self.damaged(format!("{} has mode {mode:o}: others may look into it", root.display()));
        }
        let mut blobs = BTreeMap::new();
        for algorithm in ALGORITHMS {
            for entry in read_dir(&self.store.layout.blobs(algorithm))? {
                blobs.extend(self.file(algorithm, &entry));
            }
        }
        Ok(blobs)
    }

    fn file(&mut self, algorithm: Algorithm, entry: &fs::DirEntry) -> Option<(Digest, u64)> {
        let path = entry.path();
        // What is gone by now is none of the store's: nothing is deleted meanwhile.
        let meta = entry.metadata().ok()?;
        let digest = format!("{}:{}", algorithm.name(), entry.file_name().to_string_lossy()).parse::<Digest>();
        let Some(digest) = digest.ok().filter(|_| meta.is_file()) else {
            self.damaged(format!("{} is no blob", path.display()));
            return None;
        };
        let mode = meta.permissions().mode() & 0o7777;
        if mode != 0o444 {
            self.damaged(format!("blob {digest} has mode {mode:o} instead of 444"));
        }
        Some((digest, meta.len()))
    }

    /// Names dead leases and abandoned downloads and uploads; returns what the living protect.
    fn left_over(&mut self) -> Result<HashSet<Digest>> {
        let leased = lease::read(&self.store.layout, |path| {
            self.findings.push(Finding::LeftOver(format!("the lease {}: its command is gone", path.display())));
            Ok(())
        })?;
        ingest::abandoned(&self.store.layout, |path| {
            self.findings.push(Finding::LeftOver(format!("{}: nobody goes on writing it", path.display())));
            Ok(())
        })?;
        Ok(leased)
    }

    fn metadata(
        &mut self,
        db: &Connection,
        blobs: &BTreeMap<Digest, u64>,
        leased: &HashSet<Digest>,
        deep: bool,
    ) -> std::result::Result<(), Fault> {
        self.tables(db, deep)?;
        let (images, graph, cached) = (images::all(db)?, edges::graph(db)?, cache::all(db)?);
        images.iter().try_for_each(|image| self.image(db, image, &graph))?;
        let layers = || cached.iter().flat_map(|record| &record.layers).map(|layer| &layer.descriptor);
        self.sizes(blobs, images.iter().map(|image| &image.descriptor).chain(graph.edges()).chain(layers()));
        let run = containers::manifests(db)?;
        let roots = images.iter().map(|image| &image.id).chain(leased).chain(&run).chain(layers().map(|layer| &layer.digest));
        let needed = graph.reach(roots);
        for digest in blobs.keys().filter(|digest| !needed.contains(*digest)) {
            self.findings.push(Finding::LeftOver(format!("blob {digest}: nothing needs it")));
        }
        for parent in graph.parents().filter(|parent| !needed.contains(*parent)) {
            self.findings.push(Finding::LeftOver(format!("the metadata of {parent}: no image has it")));
        }
        (self.images, self.graph) = (images, graph);
        Ok(())
    }

    /// Containers that have lost what they run or their state, and what removed ones have left.
    fn containers(&mut self, db: &Connection, blobs: &BTreeMap<Digest, u64>) -> std::result::Result<(), Fault> {
        let rows = containers::all(db)?;
        for id in self.store.stray_folders(&rows)? {
            let folder = self.store.layout.containers().join(id);
            self.findings.push(Finding::LeftOver(format!("{}: no container has it", folder.display())));
        }
        for row in &rows {
            let (id, name) = (short(&row.id), &row.name);
            if self.store.layout.life(row)? == Life::Ended {
                self.findings.push(Finding::LeftOver(format!("the container {id} ({name}): it has ended")));
                continue;
            }
            let below = edges::below(db, &row.manifest)?;
            let needed = below.edges().map(|content| &content.digest).chain([&row.manifest]);
            needed.filter(|digest| !blobs.contains_key(*digest)).collect::<BTreeSet<_>>().into_iter().for_each(|digest| {
                self.damaged(format!("container {id} ({name}): {digest} is missing"));
            });
            if let Err(error) = self.store.layout.container_state(&row.id) {
                self.damaged(format!("container {id} ({name}): {error}"));
            }
        }
        Ok(())
    }

    /// What SQLite says, and rows without what they are about.
    fn tables(&mut self, db: &Connection, deep: bool) -> rusqlite::Result<()> {
        let file = self.store.layout.meta();
        let mut select = db.prepare(if deep { "PRAGMA integrity_check" } else { "PRAGMA quick_check" })?;
        for line in select.query_map([], |row| row.get::<_, String>(0))? {
            Some(line?).filter(|line| line != "ok").into_iter().for_each(|line| self.damaged(format!("{}: {line}", file.display())));
        }
        for (table, what, owner, stray) in STRAY {
            let mut select = db.prepare(&format!("SELECT DISTINCT {what}, {owner} FROM {table} WHERE {stray}"))?;
            let mut rows = select.query([])?;
            while let Some(row) = rows.next()? {
                self.damaged(format!("{} belongs to {}, which is not there", row.get::<_, String>(0)?, row.get::<_, String>(1)?));
            }
        }
        Ok(())
    }

    /// What was present of an image when it was recorded has to be present still, and what its documents say to be known.
    fn image(&mut self, db: &Connection, image: &Image, graph: &Graph) -> std::result::Result<(), Fault> {
        let read = self.store.read_manifest(db, &image.id).and_then(|raw| Ok(tree::read(self.store, &raw)?));
        let facts = match read {
            Ok(facts) => facts,
            Err(Fault::Own(error)) => {
                self.damaged(format!("{}: {error}", called(image)));
                return Ok(());
            }
            Err(fault) => return Err(fault),
        };
        for edge in facts.edges.iter().filter(|edge| !graph.has(&edge.parent, &edge.child.digest)) {
            self.damaged(format!("{}: the metadata does not know that {} lists {}", called(image), edge.parent, edge.child.digest));
        }
        if facts.size >= image.size {
            return Ok(());
        }
        let mut lost = 0;
        for edge in &facts.edges {
            if was_present(image, &edge.child) && !self.store.layout.has(&edge.child)? {
                self.damaged(format!("{}: {} is missing", called(image), edge.child.digest));
                lost += edge.child.size;
            }
        }
        if lost == 0 {
            self.damaged(format!("{}: {} bytes of it are missing", called(image), image.size - facts.size));
        }
        Ok(())
    }

    /// Content of which something says another size.
    fn sizes<'a>(&mut self, blobs: &BTreeMap<Digest, u64>, known: impl Iterator<Item = &'a Descriptor>) {
        let wrong =
            known.filter_map(|one| blobs.get(&one.digest).filter(|size| **size != one.size).map(|size| (&one.digest, (*size, one.size))));
        for (digest, (size, expected)) in wrong.collect::<BTreeMap<_, _>>() {
            self.damaged(format!("blob {digest} has {size} bytes instead of {expected}"));
        }
    }

    fn content(&mut self, digest: &Digest) {
        let hashed = self
            .store
            .layout
            .open_blob(digest)
            .and_then(|mut file| ingest::hash_file(&mut file, digest.algorithm()).map_err(Error::io(format!("read blob {digest}"))));
        match hashed {
            Ok(hasher) if hasher.digest() == *digest => {}
            Ok(hasher) => {
                self.damaged(format!("blob {digest} has other content: its digest is {}{}", hasher.digest(), self.harmed(digest)));
            }
            Err(error) => self.damaged(format!("{error}{}", self.harmed(digest))),
        }
    }

    /// The images that the content belongs to, as the end of a line.
    fn harmed(&self, content: &Digest) -> String {
        let harmed = self.images.iter().filter(|image| self.graph.reach([&image.id]).contains(content)).map(called);
        harmed.map(|image| format!("; it belongs to {image}")).collect()
    }
}

/// What a user knows the image by: its names, and its id.
fn called(image: &Image) -> String {
    let names: Vec<String> = image.references.iter().map(ToString::to_string).collect();
    if names.is_empty() { format!("image {}", image.id) } else { format!("image {} ({})", image.id, names.join(", ")) }
}

/// Of an index only some platforms may have been fetched; what they consist of is there then.
pub(crate) fn was_present(image: &Image, child: &Descriptor) -> bool {
    let platform = |platform| image.platforms.iter().any(|(held, present)| *present && held == platform);
    !child.is_document() || child.platform.as_ref().is_none_or(platform)
}
