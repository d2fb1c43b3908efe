//! The files of what operations made.

use std::sync::Arc;

use nacre_layer::{Bytes, Codec};
use nacre_oci::{Descriptor, Digest, Error, Result as Data};
use nacre_plugin::graph::FolderSource;

use super::{Job, Solver, layers::Fetcher};
use crate::{
    Context, Event, Result, Snapshot, Stacked, StepId,
    files::{self, FileTree, LayerTree, TreeLayer},
    key::KeyHasher,
};

impl Job<'_> {
    /// Fetches what of these layers the store does not have.
    pub(crate) fn fetch(&self, layers: &[Stacked]) -> Result<()> {
        Ok(self.solver.fetcher(self.id).fetch(layers)?)
    }
}

impl Solver {
    /// What brings layers into the store for the operation `id`.
    pub(crate) fn fetcher(&self, id: StepId) -> Fetcher {
        let (watcher, stop, lost) = (Arc::clone(&self.watcher), Arc::clone(&self.stop), Arc::clone(&self.lost));
        Fetcher { id, now: self.environment.now, session: self.session(), watcher, stop, lost }
    }

    /// The files of a root filesystem. Its layers are fetched only when they are read.
    pub(crate) fn tree(&self, id: StepId, root: &Snapshot) -> Data<Arc<dyn FileTree>> {
        self.remembered_tree(&root.chain(), || {
            let layers = root.layers().iter().map(|stacked| self.tree_layer(id, root, stacked)).collect();
            Ok(Arc::new(LayerTree::new(layers, &self.environment.cache)?))
        })
    }

    fn tree_layer(&self, id: StepId, root: &Snapshot, stacked: &Stacked) -> TreeLayer {
        let (fetcher, root, spool) = (self.fetcher(id), root.clone(), self.environment.spool.clone());
        let descriptor = stacked.layer.descriptor.clone();
        let open = move || {
            // All at once, since whoever needs one of them needs them all.
            fetcher.fetch(root.layers())?;
            let reading = || Error::io(format!("read layer {}", descriptor.digest));
            let stored = Bytes::from_file(fetcher.session.store().open_blob(&descriptor.digest)?, &spool).map_err(reading())?;
            match codec(&descriptor) {
                Some(codec) => stored.decompress(Some(codec)).map_err(reading()),
                None => Ok(stored),
            }
        };
        TreeLayer { diff_id: stacked.layer.diff_id.clone(), open: Arc::new(open) }
    }

    /// A folder of the user's.
    pub(crate) fn folder(&self, source: &FolderSource) -> Result<Arc<dyn FileTree>> {
        let Some(Context::Folder(path)) = self.contexts.get(&source.context) else {
            return Err(self.malformed(format!("the user gave no folder '{}'", source.context)));
        };
        let mut key = KeyHasher::new("folder");
        key.json(source);
        let open = || files::Folder::new(path, &source.exclude, &self.environment.cache, &self.environment.spool);
        Ok(self.remembered_tree(&key.finish(), || Ok(Arc::new(open()?)))?)
    }

    /// Tells of an operation of the solver's own, such as writing the image.
    pub(crate) fn told<T>(&self, name: &str, work: impl FnOnce(StepId) -> Result<T>) -> Result<T> {
        let id = self.id(&Digest::of(name.as_bytes()));
        self.watcher.event(Event::Started { id, name });
        let done = work(id);
        match &done {
            Ok(_) => self.watcher.event(Event::Done { id }),
            Err(error) => self.watcher.event(Event::Failed { id, error }),
        }
        done
    }
}

/// How a layer is compressed, by its media type.
pub(crate) fn codec(layer: &Descriptor) -> Option<Codec> {
    match layer.media_type.as_str() {
        text if text.ends_with("gzip") => Some(Codec::Gzip),
        text if text.ends_with("zstd") => Some(Codec::Zstd),
        _ => None,
    }
}
