//! The graph of a frontend, as far as nothing of it is carried out: its rules, its pruning, and how it is shown.

mod check;
mod plan;
mod show;

use nacre_plugin::graph::{Action, CopyFiles, MountKind, Node, Operation};

pub(crate) use check::check;
pub(crate) use plan::{Plan, Planned};
pub use show::{to_dot, to_json};

/// A frontend's platform in nacre's own terms.
pub(crate) fn platform(from: &nacre_plugin::Platform) -> nacre_oci::Platform {
    nacre_oci::Platform::new(&from.os, &from.arch, from.variant.as_deref())
}

/// The earlier operations that an operation needs, in the order of `wit/graph.wit`; some perhaps several times.
pub(crate) fn inputs(operation: &mut Operation) -> Vec<&mut Node> {
    match operation {
        Operation::Source(_) => Vec::new(),
        Operation::File(file) => {
            let copied = file.actions.iter_mut().filter_map(|action| match action {
                Action::Copy(copy) => Some(&mut copy.from),
                _ => None,
            });
            std::iter::once(&mut file.base).chain(copied).collect()
        }
        Operation::Exec(exec) => {
            let mounted = exec.mounts.iter_mut().filter_map(|mount| match &mut mount.kind {
                MountKind::Bind(bind) => Some(&mut bind.from),
                MountKind::Cache(cache) => cache.from.as_mut(),
                _ => None,
            });
            std::iter::once(&mut exec.base).chain(mounted).collect()
        }
        Operation::Merge(nodes) => nodes.iter_mut().collect(),
        Operation::Diff(diff) => vec![&mut diff.lower, &mut diff.upper],
    }
}

/// Copies everything at and below a path to where it was.
pub(crate) fn all_of(from: Node, path: &str) -> CopyFiles {
    CopyFiles {
        from,
        source: path.to_owned(),
        wildcard: false,
        allow_empty: false,
        dest: path.to_owned(),
        contents: true,
        unpack: false,
        parents: false,
        replace: false,
        exclude: Vec::new(),
        owner: None,
        permissions: None,
    }
}
