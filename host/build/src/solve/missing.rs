//! What mounts name that is not there.

use std::collections::BTreeSet;

use nacre_oci::{Error as Data, Result as DataResult};
use nacre_plugin::graph::{Action, Exec, Node, Operation};

use super::{Job, Value, mounts::input};
use crate::{Error, Result, files};

impl Job<'_> {
    /// The inputs of copies that are what is changed, too.
    pub(super) fn own_inputs(&self, actions: &[Action]) -> Vec<Node> {
        let Operation::File(file) = &self.planned.vertex.operation else { return Vec::new() };
        let copied = actions.iter().filter_map(|action| if let Action::Copy(copy) = action { Some(copy.from) } else { None });
        copied.filter(|node| self.is_same(*node, file.base)).collect()
    }

    fn is_same(&self, one: Node, other: Node) -> bool {
        match (self.value(one), self.value(other)) {
            (Value::Root(one), Value::Root(other)) => one.chain() == other.chain(),
            _ => false,
        }
    }

    /// Looks for what a program's mounts show: before it is run, unless all of an input is mounted too or it is the program's
    /// own root filesystem, where BuildKit has other words for it. `command` is what they call the program. Either only in
    /// the user's folders, or only in root filesystems, which may first have to be fetched.
    pub(super) fn check_mounts(&self, exec: &Exec, command: &str, folders: bool) -> Result<()> {
        let shown: Vec<(Node, &str)> = exec.mounts.iter().filter_map(input).collect();
        let clean = |path: &str| nacre_layer::path::clamp(path.as_bytes()).map_err(|why| Data::malformed(format!("'{path}'"), why));
        let looked_at = |node: &Node| matches!(self.value(*node), Value::Folder(_)) == folders;
        for (node, source) in shown.iter().filter(|(node, _)| looked_at(node)) {
            let path = clean(source)?;
            if path.is_empty() || self.is_there(*node, &path)? {
                continue;
            }
            let others = shown.iter().filter(|(other, _)| other == node).map(|(_, source)| clean(source));
            let others = others.collect::<DataResult<BTreeSet<Vec<u8>>>>()?;
            if !self.is_same(*node, exec.base) && !files::lies_in_another(&path, &others) {
                return Err(files::not_found(&path).into());
            }
            let path = nacre_layer::path::shown(&path);
            return Err(Error::NotStarted { command: command.into(), why: format!("open /{path}: no such file or directory") });
        }
        Ok(())
    }

    fn is_there(&self, node: Node, path: &[u8]) -> Result<bool> {
        let tree = match self.value(node) {
            Value::Root(root) => self.solver.tree(self.id, root)?,
            Value::Folder(tree) => tree.clone(),
        };
        let at = files::resolve(&*tree, path)?;
        Ok(tree.get(&at)?.is_some())
    }
}
