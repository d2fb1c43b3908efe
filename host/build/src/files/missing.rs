//! What copies name that is not there, told before anything is copied: as BuildKit does while it computes the key of a step.

use std::collections::{BTreeMap, BTreeSet};

use nacre_layer::{Kind, path::join};
use nacre_oci::Result;
use nacre_plugin::graph::{Action, CopyFiles, Node};

use super::{
    FileTree, Job,
    copy::{What, pivot, tidied},
    glob::{is_pattern, not_found},
    patterns::{Matched, Patterns},
    resolve::{folder_of, place, resolve},
};

/// Looks for every source that a copy names without a pattern, and for what the links lead to that patterns begin with. Not
/// in the tree that is being changed, and not for what lies in another source: there only copying itself fails, with other
/// words.
///
/// # Errors
/// In BuildKit's words for the first that is not there.
pub(super) fn check(job: &Job) -> Result<()> {
    let mut plain: BTreeMap<Node, BTreeSet<Vec<u8>>> = BTreeMap::new();
    let copies = job.actions.iter().filter_map(|action| if let Action::Copy(copy) = action { Some(copy) } else { None });
    for copy in copies.filter(|copy| !job.own.contains(&copy.from)) {
        if copy.parents || copy.wildcard && is_pattern(&copy.source) || !copy.exclude.is_empty() {
            patterned(&*(job.inputs)(copy.from)?, copy)?;
        } else {
            plain.entry(copy.from).or_default().insert(tidied(&copy.source)?);
        }
    }
    for (node, paths) in &plain {
        let tree = (job.inputs)(*node)?;
        for path in paths.iter().filter(|path| !lies_in_another(path, paths)) {
            leads_somewhere(&*tree, path)?;
        }
    }
    Ok(())
}

/// Whether one of the paths is a folder above this one.
pub(crate) fn lies_in_another(path: &[u8], paths: &BTreeSet<Vec<u8>>) -> bool {
    let mut at = path;
    while !at.is_empty() {
        at = folder_of(at);
        if paths.contains(at) {
            return true;
        }
    }
    false
}

fn leads_somewhere(tree: &dyn FileTree, path: &[u8]) -> Result<()> {
    match tree.get(&resolve(tree, path)?)? {
        Some(_) => Ok(()),
        None => Err(not_found(path)),
    }
}

fn patterned(tree: &dyn FileTree, copy: &CopyFiles) -> Result<()> {
    // What is no source of the user's follows no links.
    if !copy.wildcard && !copy.parents {
        return Ok(());
    }
    // What is wrong with the patterns is told when they are used.
    let Ok(what) = What::new(tree, copy) else { return Ok(()) };
    let source = if copy.parents { pivot(&copy.source)?.0 } else { &copy.source };
    if let (true, Some(required)) = (copy.parents, &what.required) {
        required_is_there(tree, copy, &what.exclude, required)?;
    }
    let tops = match tidied(source)?.is_empty() {
        true => tree.list(b"")?.into_iter().filter(|item| what.takes(&item.entry.path)).map(|item| item.entry.path).collect(),
        false if copy.parents => Vec::new(),
        false => what.sources,
    };
    for top in tops {
        if tree.get(&place(tree, &top)?)?.is_some_and(|item| item.entry.kind == Kind::Symlink) {
            leads_somewhere(tree, &top)?;
        }
    }
    Ok(())
}

/// Links are followed above the pivot, and neither it nor what lies below may be one.
fn required_is_there(tree: &dyn FileTree, copy: &CopyFiles, exclude: &Patterns, required: &[u8]) -> Result<()> {
    let (source, pattern) = pivot(&copy.source)?;
    let pattern = pattern.unwrap_or_default();
    let path = join(&place(tree, source.as_bytes())?, pattern.as_bytes());
    match tree.get(&path)? {
        Some(_) if !excludes(exclude, pattern.as_bytes()) => Ok(()),
        None if is_pattern(source) || path.is_empty() => Ok(()),
        _ => Err(not_found(required)),
    }
}

fn excludes(exclude: &Patterns, path: &[u8]) -> bool {
    let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(end, _)| end);
    let mut matched = (false, Matched::new());
    for end in ends.chain([path.len()]) {
        matched = exclude.matches(&path[..end], &matched.1);
    }
    matched.0
}

impl What {
    /// Whether something at the top of the source is copied, by its patterns.
    fn takes(&self, name: &[u8]) -> bool {
        let none = Matched::new();
        self.include.as_ref().is_none_or(|include| include.matches(name, &none).0) && !self.exclude.matches(name, &none).0
    }
}

#[cfg(test)]
#[path = "missing_tests.rs"]
mod tests;
