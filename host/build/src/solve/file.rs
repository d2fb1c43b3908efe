//! Changing files: only what changes is read and written, nothing is unpacked.

use std::sync::Arc;

use nacre_layer::{Compression, Layer, LayerWriter};
use nacre_oci::{Digest, Result as Data, Staging};
use nacre_plugin::graph::{Action, CopyFiles, File, Node};

use super::{Job, Value};
use crate::{
    Result, Snapshot,
    files::{self, FileTree, Time},
    graph::all_of,
    key::{KeyHasher, own},
};

impl Job<'_> {
    /// Changes files unless the cache has the result. What is copied counts by its content, which takes its layers' indexes to
    /// find out; so between root filesystems there is a second key that counts by these as a whole.
    pub(super) fn file(&self, file: &File) -> Result<Snapshot> {
        let base = self.root(file.base)?;
        let whole = self.key_by_chains(file, &base);
        if let Some(whole) = &whole
            && let Some((added, _)) = self.known(whole)?
        {
            return Ok(base.with(added));
        }
        let key = self.key_by_content(&file.actions, &base)?;
        let added = self.cached(&key, whole.as_ref(), || Ok(vec![self.change(&file.actions, &base)?]))?;
        Ok(base.with(added))
    }

    /// An input as a root filesystem.
    pub(super) fn root(&self, node: Node) -> Result<Snapshot> {
        match self.value(node) {
            Value::Root(root) => Ok(root.clone()),
            Value::Folder(_) => self.folder_layer(node, "/"),
        }
    }

    /// The files at and below a path of a folder of the user's, where they were, as a layer.
    pub(super) fn folder_layer(&self, node: Node, path: &str) -> Result<Snapshot> {
        let (actions, base) = ([Action::Copy(all_of(node, path))], Snapshot::default());
        let key = self.key_by_content(&actions, &base)?;
        Ok(base.with(self.helped(&key, || Ok(vec![self.change(&actions, &base)?]))?))
    }

    /// The digest of the files at and below a path of an input.
    pub(super) fn content(&self, node: Node, path: &str) -> Result<Digest> {
        self.content_of(&[Action::Copy(all_of(node, path))])
    }

    /// A key for copies out of nothing but root filesystems.
    fn key_by_chains(&self, file: &File, base: &Snapshot) -> Option<Digest> {
        let mut key = KeyHasher::new("file by chains");
        key.json(&(own(&self.planned.vertex.operation), self.solver.epoch()));
        key.bytes(base.chain().hex().as_bytes());
        let copies: Vec<&CopyFiles> = file.actions.iter().filter_map(copy).collect();
        for copy in &copies {
            let Value::Root(root) = self.value(copy.from) else { return None };
            key.bytes(root.chain().hex().as_bytes());
        }
        (!copies.is_empty()).then(|| key.finish())
    }

    fn key_by_content(&self, actions: &[Action], base: &Snapshot) -> Result<Digest> {
        let mut key = KeyHasher::new("file");
        key.json(&self.solver.epoch());
        key.bytes(base.chain().hex().as_bytes());
        key.bytes(self.content_of(actions)?.hex().as_bytes());
        Ok(key.finish())
    }

    fn content_of(&self, actions: &[Action]) -> Result<Digest> {
        self.with_job(actions, None, files::key)
    }

    fn change(&self, actions: &[Action], base: &Snapshot) -> Result<Layer> {
        let tree = if base.layers().is_empty() { None } else { Some(self.solver.tree(self.id, base)?) };
        let writer = LayerWriter::new(self.solver.session().stage()?, Compression::None);
        let ended = self.with_job(actions, tree.as_deref(), |job| files::run(job, writer))?;
        Ok(ended.commit()?)
    }

    fn with_job<T>(&self, actions: &[Action], base: Option<&dyn FileTree>, work: impl FnOnce(&files::Job<'_>) -> Data<T>) -> Result<T> {
        let inputs = |node| self.tree(self.value(node));
        let cancelled = || self.solver.cancelled();
        let made = Time { seconds: self.solver.epoch().unwrap_or(self.solver.environment.now), nanos: 0 };
        let own = &self.own_inputs(actions);
        Ok(work(&files::Job {
            base,
            own,
            actions,
            inputs: &inputs,
            made,
            touched: self.solver.epoch().map(|_| made),
            cancelled: &cancelled,
        })?)
    }

    /// The files of an input.
    fn tree(&self, value: &Value) -> Data<Arc<dyn FileTree>> {
        match value {
            Value::Root(root) => self.solver.tree(self.id, root),
            Value::Folder(tree) => Ok(Arc::clone(tree)),
        }
    }
}

fn copy(action: &Action) -> Option<&CopyFiles> {
    if let Action::Copy(copy) = action { Some(copy) } else { None }
}
