#![allow(clippy::unwrap_used, reason = "tests")]
use std::{fs, sync::Arc};

use crate::files::{
    FileTree, Folder,
    testing::{make, nowhere, spool, tree},
};

#[test]
fn folders_above_changes_are_written_as_they_are_and_others_not_at_all() {
    let base = "a/ 0711 1:2\na/b/ 2755 3:4\na/b/c\nz/ 0700 0:0\nz/y";
    let source: Arc<dyn FileTree> = Arc::new(tree("f 0644 0:0 x"));
    let made = make(&[base], &source, "copy f /a/b/f\nmkdir /z parents").unwrap();
    assert_eq!(made.layer, ["a/ 0711 1:2", "a/b/ 2755 3:4", "a/b/f 'x'"]);
    assert_eq!(made.tree.len(), 6);
}

#[test]
fn names_of_whiteouts_in_trees_are_whiteouts_in_the_layer() {
    let dir = tempfile::tempdir().unwrap();
    for name in [".wh.gone", "x/.wh..wh..opq", ".wh.d/in", ".wh.", "kept"] {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    let source: Arc<dyn FileTree> = Arc::new(Folder::new(dir.path(), &[], nowhere(), &spool()).unwrap());
    let made = make(&["gone\nd/\nd/e\nx/\nx/y"], &source, "copy / /").unwrap();
    assert_eq!(made.tree, ["kept", "x/"]);
    assert!(made.layer.contains(&"gone -".into()) && made.layer.contains(&"x *".into()), "{:?}", made.layer);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("f"), "x").unwrap();
    let folder = Folder::new(dir.path(), &[], nowhere(), &spool()).unwrap();
    assert!(crate::files::Names::get(&folder, b"f").unwrap().is_some());
    fs::remove_file(dir.path().join("f")).unwrap();
    let source: Arc<dyn FileTree> = Arc::new(folder);
    let error = make(&[], &source, "copy f /deep/g").err().unwrap().to_string();
    assert!(error.contains("/f") && error.contains("/deep/g"), "{error}");
}
