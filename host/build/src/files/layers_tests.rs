#![allow(clippy::unwrap_used, reason = "tests")]
use std::sync::atomic::{AtomicUsize, Ordering};

use nacre_layer::{TarReader, Tree};
use proptest::prelude::*;

use super::*;
use crate::files::testing::{layer, layers, line, shown, tar};

fn applied(lines: &[&str]) -> Vec<String> {
    shown(&layers(lines).unwrap())
}

#[test]
fn upper_layers_replace_add_and_take_away() {
    let base = "etc/\netc/a 0644 0:0 1\netc/b\nusr/lib/x\nlib -> usr/lib\nfile 0644 0:0 f";
    assert_eq!(
        applied(&[base, "etc/a 0600 1:2 new\nlib/y"]),
        ["etc/", "etc/a 0600 1:2 'new'", "etc/b", "file 'f'", "lib -> usr/lib", "usr/", "usr/lib/", "usr/lib/x", "usr/lib/y"]
    );
    assert_eq!(applied(&[base, "etc/a -\nusr -\nlib -"]), ["etc/", "etc/b", "file 'f'"]);
    assert_eq!(applied(&[base, "etc *\netc/new\nusr/lib *"]), ["etc/", "etc/new", "file 'f'", "lib -> usr/lib", "usr/", "usr/lib/"]);
    assert_eq!(applied(&[base, "etc\nusr -> x\nfile/\nlib/\nlib/z"]), ["etc", "file/", "lib/", "lib/z", "usr -> x"]);
    assert_eq!(applied(&[base, "etc", "etc/\netc/n"])[..2], ["etc/", "etc/n"]);
    assert_eq!(applied(&[base, " *\nonly"]), ["only"]);
}

#[test]
fn hard_links_are_one_file_also_across_layers() {
    let tree = layers(&["m 0600 0:0 x\na = m", "z = m\nm -"]).unwrap();
    assert_eq!(shown(&tree), ["a 0600 'x'", "z 0600 'x'"]);
    let inode = |path: &str| tree.get(path.as_bytes()).unwrap().unwrap().inode;
    assert!(inode("a").is_some() && inode("a") == inode("z"));
    assert!(layers(&["h = none"]).is_err() && layers(&["d/\nh = d"]).is_err());
}

#[test]
fn what_cannot_be_applied_is_refused() {
    for bad in ["f\nf/x", "a -> b\nb -> a\na/x", "x -> f\nf\nx/y"] {
        assert!(layers(&[bad]).is_err(), "{bad}");
    }
}

#[test]
fn an_index_is_made_once_and_a_damaged_one_again() {
    let dir = tempfile::tempdir().unwrap();
    let opened = Arc::new(AtomicUsize::new(0));
    let layer = layer(tar("a 0644 0:0 content\nb/"));
    let counting = {
        let (opened, open) = (Arc::clone(&opened), Arc::clone(&layer.open));
        TreeLayer { open: Arc::new(move || open().inspect(|_| _ = opened.fetch_add(1, Ordering::Relaxed))), ..layer }
    };
    let names = |tree: &LayerTree| tree.list(b"").unwrap().len();
    assert_eq!(names(&LayerTree::new(vec![counting.clone()], dir.path()).unwrap()), 2);
    assert_eq!(names(&LayerTree::new(vec![counting.clone()], dir.path()).unwrap()), 2);
    assert_eq!(opened.load(Ordering::Relaxed), 1);
    for file in std::fs::read_dir(dir.path().join("layers")).unwrap() {
        std::fs::write(file.unwrap().path(), "damaged").unwrap();
    }
    let tree = LayerTree::new(vec![counting.clone()], dir.path()).unwrap();
    assert_eq!((names(&tree), opened.load(Ordering::Relaxed)), (2, 2));
    let sums = tree.digests(&[b"a".to_vec()]).unwrap();
    let again = LayerTree::new(vec![counting], dir.path()).unwrap();
    assert_eq!((again.digests(&[b"a".to_vec()]).unwrap(), opened.load(Ordering::Relaxed)), (sums, 2));
    assert!(again.digests(&[b"b".to_vec()]).is_err() && again.open(b"none").is_err());
}

#[test]
fn a_layer_with_another_digest_is_refused() {
    let lying = TreeLayer { diff_id: Digest::of(b"another"), ..layer(tar("a")) };
    assert!(matches!(LayerTree::new(vec![lying], crate::files::testing::nowhere()), Err(Error::Mismatch { .. })));
}

prop_compose! {
    fn some_line()(
        path in proptest::sample::select(&["a", "b", "a/b", "b/a", "a/b/c", "b/a/c", "c/a/b", "c", "a/b/c/d"][..]),
        what in proptest::sample::select(&["", "", "/", "/", " -", " *", " -> a", " -> /b", " -> ..", " -> ../c"][..]),
    ) -> String {
        format!("{path}{what}")
    }
}

/// What the layer crate makes of the same layers, in memory.
fn model(tars: &[Vec<u8>]) -> Option<Vec<String>> {
    let members = tars.iter().map(|tar| {
        let mut reader = TarReader::new(tar.as_slice()).as_layer();
        let mut members = Vec::new();
        while let Some(member) = reader.next_entry().unwrap() {
            members.push(member);
        }
        members
    });
    let tree = Tree::new(members.collect::<Vec<_>>()).ok()?;
    let mut lines: Vec<String> = tree.nodes().iter().map(|node| line(&node.entry, "")).collect();
    lines.sort();
    Some(lines)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn is_what_the_tree_in_memory_is(texts in proptest::collection::vec(proptest::collection::vec(some_line(), 0..8), 1..4)) {
        let tars: Vec<Vec<u8>> = texts.iter().map(|lines| tar(&lines.join("\n"))).collect();
        let tree = LayerTree::new(tars.iter().cloned().map(layer).collect(), crate::files::testing::nowhere());
        // Where an archive contradicts itself either may refuse it.
        if let (Some(model), Ok(tree)) = (model(&tars), tree) {
            let mut lines = shown(&tree);
            lines.sort();
            prop_assert_eq!(lines, model);
        }
    }
}
