#![allow(clippy::unwrap_used, reason = "tests")]
use nacre_layer::Compression;
use nacre_oci::{Memory, Staging};

use super::*;
use crate::files::testing::{make, tree};

#[test]
fn a_tree_becomes_one_layer_without_a_root() {
    let lines = "a 0644 1:2 x\nd/ 0700 0:0\nd/b = a\nl -> a";
    let source: Arc<dyn FileTree> = Arc::new(tree(lines));
    let memory = Memory::new();
    let out = LayerWriter::new(memory.stage().unwrap(), Compression::None);
    let layer = whole(&source, out, &|| false).unwrap().commit().unwrap();
    let want = make(&[], &source, "copy / /").unwrap().layer;
    assert_eq!(want, ["a 1:2 'x'", "d/ 0700", "d/b = a", "l -> a"]);
    let bytes = nacre_oci::read_small(&memory, &layer.descriptor, 1 << 20).unwrap();
    assert_eq!(layer.diff_id, nacre_oci::Digest::of(&bytes));
}

#[test]
fn the_same_actions_make_the_same_layer() {
    let source: Arc<dyn FileTree> = Arc::new(tree("t/a 0644 0:0 x\nt/b/c 0644 0:0 y"));
    let text = "copy t /d\nmkdir /e/f parents\nmkfile /e/g x";
    assert_eq!(make(&[], &source, text).unwrap().entries, make(&[], &source, text).unwrap().entries);
}

#[test]
fn a_cancelled_job_ends() {
    let source: Arc<dyn FileTree> = Arc::new(tree("t/a"));
    let out = LayerWriter::new(Memory::new().stage().unwrap(), Compression::None);
    assert!(matches!(whole(&source, out, &|| true), Err(Error::Cancelled)));
}
