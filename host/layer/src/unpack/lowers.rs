//! What overlayfs shows of folders that lie one over the other (Linux' `overlayfs.rst`).

use std::{io, path::Path};

use nacre_oci::Result;

use crate::unpack::{
    OverlayAttributes,
    root::{Node, Root},
};

/// Unpacked layers, topmost first.
pub(crate) struct Lowers {
    roots: Vec<Root>,
    opaque: &'static str,
}

/// What one path shows.
pub(crate) struct Shown {
    /// What is topmost.
    pub(crate) node: Node,
    /// Of a folder, the trees that it merges, topmost first; otherwise the one that it is in.
    pub(crate) trees: Vec<usize>,
}

impl Lowers {
    pub(crate) fn open(paths: &[&Path], attributes: OverlayAttributes) -> Result<Self> {
        let roots = paths.iter().map(|path| Root::open(path)).collect::<Result<_>>()?;
        Ok(Self { roots, opaque: attributes.opaque() })
    }

    /// All trees: what the root merges.
    pub(crate) fn all(&self) -> Vec<usize> {
        (0..self.roots.len()).collect()
    }

    pub(crate) fn root(&self, tree: usize) -> &Root {
        &self.roots[tree]
    }

    /// What `path` shows, which lies in a folder that `trees` merge.
    pub(crate) fn look(&self, trees: &[usize], path: &[u8]) -> io::Result<Option<Shown>> {
        let mut shown: Option<Shown> = None;
        for tree in trees {
            let Some(node) = self.roots[*tree].look(path)? else { continue };
            if node.is_whiteout() {
                break;
            }
            if !node.is_folder() {
                return Ok(shown.or(Some(Shown { node, trees: vec![*tree] })));
            }
            let ends = is_opaque(&node, self.opaque)?;
            match &mut shown {
                Some(shown) => shown.trees.push(*tree),
                None => shown = Some(Shown { node, trees: vec![*tree] }),
            }
            if ends {
                break;
            }
        }
        Ok(shown)
    }
}

/// Whether a folder hides what folders below it hold.
pub(crate) fn is_opaque(node: &Node, attribute: &str) -> io::Result<bool> {
    Ok(node.xattr(attribute)?.as_deref() == Some(b"y"))
}
