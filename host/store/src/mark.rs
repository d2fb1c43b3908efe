//! Reachability: what is needed follows from the roots, and everything else is garbage.

use std::collections::{HashMap, HashSet};

use nacre_oci::{Descriptor, Digest};
use rusqlite::Connection;

use crate::{
    meta::{
        cache, containers,
        edges::{self, Edge},
    },
    planted::{Bug, planted},
};

/// Which content each document lists.
#[derive(Clone, Debug, Default)]
pub(crate) struct Graph {
    children: HashMap<Digest, Vec<Descriptor>>,
}

impl Graph {
    pub(crate) fn add(&mut self, edge: Edge) {
        self.children.entry(edge.parent).or_default().push(edge.child);
    }

    pub(crate) fn has(&self, parent: &Digest, child: &Digest) -> bool {
        self.children.get(parent).is_some_and(|children| children.iter().any(|held| held.digest == *child))
    }

    pub(crate) fn parents(&self) -> impl Iterator<Item = &Digest> {
        self.children.keys()
    }

    pub(crate) fn edges(&self) -> impl Iterator<Item = &Descriptor> {
        self.children.values().flatten()
    }

    /// The roots and everything below them, present or not.
    pub(crate) fn reach<'a>(&self, roots: impl IntoIterator<Item = &'a Digest>) -> HashSet<Digest> {
        let mut reached = HashSet::new();
        let mut open: Vec<&Digest> = roots.into_iter().collect();
        while let Some(at) = open.pop() {
            if reached.insert(at.clone()) {
                open.extend(self.children.get(at).into_iter().flatten().map(|child| &child.digest));
            }
        }
        reached
    }
}

/// Whether an image is, or contains, the content, or a container runs it, or the build cache has it.
pub(crate) fn is_needed(db: &Connection, content: &Digest) -> rusqlite::Result<bool> {
    let image = db.prepare_cached("SELECT 1 FROM images WHERE digest = ?")?.exists([content.to_string()])?;
    Ok(image || cache::has_blob(db, content)? || !edges::images_above(db, content)?.is_empty() || containers::needs(db, content)?)
}

/// What only the image, or the manifest of a container, at `root`, whose row is gone already, needed. It looks at nothing but
/// the image's own content, so that removing one image of very many is quick.
pub(crate) fn orphans(db: &Connection, root: &Digest, leased: &HashSet<Digest>) -> rusqlite::Result<HashSet<Digest>> {
    let graph = edges::below(db, root)?;
    let own = graph.reach([root]);
    let mut is_root = db.prepare_cached("SELECT 1 FROM images WHERE digest = ?1 UNION ALL SELECT 1 FROM containers WHERE manifest = ?1")?;
    let mut needed = Vec::new();
    for content in &own {
        let elsewhere = || edges::parents(db, content).map(|parents| parents.iter().any(|parent| !own.contains(parent)));
        let mut kept = || Ok::<_, rusqlite::Error>(is_root.exists([content.to_string()])? || cache::has_blob(db, content)?);
        if leased.contains(content) || kept()? || (elsewhere()? && !planted(Bug::SharedForgotten)) {
            needed.push(content);
        }
    }
    let kept = graph.reach(needed);
    Ok(own.into_iter().filter(|content| !kept.contains(content)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(&str, &str)]) -> Graph {
        let mut graph = Graph::default();
        for (parent, child) in edges {
            graph.add(Edge { parent: Digest::of(parent.as_bytes()), child: Descriptor::of("x", child.as_bytes()) });
        }
        graph
    }

    #[test]
    fn reaches_what_is_below_the_roots_and_nothing_else() {
        let graph = graph(&[("index", "a"), ("index", "b"), ("a", "layer"), ("b", "layer"), ("c", "other"), ("loop", "loop")]);
        let names = |roots: &[&str]| {
            let roots: Vec<Digest> = roots.iter().map(|name| Digest::of(name.as_bytes())).collect();
            graph.reach(&roots)
        };
        let expected: HashSet<Digest> = ["index", "a", "b", "layer"].iter().map(|name| Digest::of(name.as_bytes())).collect();
        assert_eq!(names(&["index"]), expected);
        assert_eq!(names(&["loop", "c"]).len(), 3);
        assert!(names(&[]).is_empty());
    }
}
