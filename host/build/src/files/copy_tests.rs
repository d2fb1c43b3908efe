#![allow(clippy::unwrap_used, reason = "tests")]
use super::*;
use crate::files::testing::{make, tree};

const CONTEXT: &str = "a.txt 0644 0:0 a\nb.txt 0644 0:0 bb\ntree/ 0700 0:0\ntree/one 0644 0:0 1\ntree/sub/ 0750 0:0\ntree/sub/two 0600 0:0 2\nln -> tree/one\nup -> ../../a.txt\nlinked -> tree";
const BASE: &str = "srv/\nsrv/real/\nsrv/real/kept\nsrv/dirlink -> real\nsrv/abslink -> /srv/real\nsrv/filelink -> lower/a\nsrv/dangling -> no/such\nsrv/lower/\nsrv/lower/a 0640 3:4 old\nsrv/www/ 2775 33:33\netc/passwd 0644 0:0 diver:x:1000:1001:\\n";

fn context(lines: &str) -> Arc<dyn FileTree> {
    Arc::new(tree(lines))
}

fn on_scratch(text: &str) -> Vec<String> {
    make(&[], &context(CONTEXT), text).unwrap().tree
}

/// The entries of the layer that is made over the base.
fn over_base(text: &str) -> Vec<String> {
    make(&[BASE], &context(CONTEXT), text).unwrap().layer
}

fn failing(base: &[&str], text: &str) -> String {
    make(base, &context(CONTEXT), text).err().unwrap().to_string()
}

#[test]
fn files_go_to_new_names_folders_and_folders_that_are_there() {
    assert_eq!(on_scratch("copy a.txt /new/dirs/b"), ["new/", "new/dirs/", "new/dirs/b 'a'"]);
    assert_eq!(on_scratch("copy a.txt /d/"), ["d/", "d/a.txt 'a'"]);
    assert_eq!(on_scratch("copy a.txt /d/."), ["d/", "d/a.txt 'a'"]);
    assert_eq!(on_scratch("copy a.txt/ //x//y"), ["x/", "x/y 'a'"]);
    assert_eq!(on_scratch("copy a.txt /"), ["a.txt 'a'"]);
    assert_eq!(over_base("copy a.txt /srv/lower"), ["srv/", "srv/lower/", "srv/lower/a.txt 'a'"]);
    assert_eq!(over_base("copy a.txt /srv/lower/a"), ["srv/", "srv/lower/", "srv/lower/a 'a'"]);
}

#[test]
fn folders_give_their_contents() {
    let want = ["d/", "d/one '1'", "d/sub/ 0750", "d/sub/two 0600 '2'"];
    for text in ["copy tree /d", "copy tree/ /d/", "copy tree/. /d/.", "copy linked /d", "copy ./tree/../linked /d"] {
        assert_eq!(on_scratch(text), want, "{text}");
    }
    assert_eq!(on_scratch("copy tree /"), ["one '1'", "sub/ 0750", "sub/two 0600 '2'"]);
    assert_eq!(on_scratch("copy tree /d plain"), ["d/ 0700", "d/one '1'", "d/sub/ 0750", "d/sub/two 0600 '2'"]);
    assert_eq!(on_scratch("mkdir /d\ncopy tree/sub /d plain"), ["d/", "d/sub/ 0750", "d/sub/two 0600 '2'"]);
}

#[test]
fn links_are_followed_when_named_and_kept_inside() {
    assert_eq!(on_scratch("copy ln /x\ncopy up /y"), ["x '1'", "y 'a'"]);
    assert_eq!(on_scratch("copy l* /d/")[..2], ["d/".to_owned(), "d/ln '1'".into()]);
    let made = on_scratch("copy / /d");
    assert!(made.contains(&"d/ln -> tree/one".into()) && made.contains(&"d/up -> ../../a.txt".into()), "{made:?}");
}

#[test]
fn destinations_go_through_the_bases_links() {
    let inside = ["srv/", "srv/real/", "srv/real/x 'a'"];
    assert_eq!(over_base("copy a.txt /srv/dirlink/x"), inside);
    assert_eq!(over_base("copy a.txt /srv/abslink/x"), inside);
    assert_eq!(over_base("copy a.txt /srv/filelink"), ["srv/", "srv/lower/", "srv/lower/a 'a'"]);
    assert_eq!(over_base("copy a.txt /srv/dangling"), ["srv/", "srv/no/", "srv/no/such 'a'"]);
    assert_eq!(over_base("copy tree/sub /srv/dirlink"), ["srv/", "srv/real/", "srv/real/two 0600 '2'"]);
    assert_eq!(over_base("copy a.txt ../../srv/real/../real/x"), inside);
}

#[test]
fn patterns_may_match_nothing_and_the_last_of_several_wins() {
    assert_eq!(on_scratch("copy none* /all/"), Vec::<String>::new());
    assert_eq!(on_scratch("copy *.txt /all/"), ["all/", "all/a.txt 'a'", "all/b.txt 'bb'"]);
    assert_eq!(on_scratch("copy *.txt /all"), ["all 'bb'"]);
    assert_eq!(on_scratch("copy a.txt /all\ncopy b.txt /all"), ["all 'bb'"]);
}

#[test]
fn what_is_missing_or_in_the_way_is_an_error() {
    assert!(failing(&[], "copy nowhere /x").ends_with("\"/nowhere\": not found"));
    assert!(failing(&[], "copy a.txt/x /y").ends_with("\"/a.txt/x\": not found"));
    assert!(failing(&[], "copy none* /x plain").contains("not found"));
    assert_eq!(failing(&[], "copy a.txt /x\ncopy tree /x"), "cannot copy to non-directory: /x");
    assert_eq!(failing(&[], "mkdir /x/a.txt parents\ncopy a.txt /x/"), "cannot replace to directory /x/a.txt with file");
    assert_eq!(failing(&[BASE], "copy a.txt /etc/passwd/x"), "mkdir /etc/passwd: not a directory");
    let merged = make(&[BASE], &context("new/dirlink/f"), "copy new /srv").err().unwrap();
    assert_eq!(merged.to_string(), "cannot copy to non-directory: /srv/dirlink");
}

#[test]
fn merging_keeps_the_named_folder_and_gives_inner_ones_the_sources_metadata() {
    let base = "d/ 0711 5:6\nd/sub/ 0777 7:8\nd/sub/old";
    let made = make(&[base], &context(CONTEXT), "copy tree /d").unwrap();
    assert_eq!(made.layer, ["d/ 0711 5:6", "d/one '1'", "d/sub/ 0750", "d/sub/two 0600 '2'"]);
    assert!(made.tree.contains(&"d/sub/old".into()));
}

#[test]
fn files_of_a_tree_replace_links() {
    let made = make(&[BASE], &context("new/dangling 0644 0:0 d\nnew/filelink 0644 0:0 f"), "copy new /srv").unwrap();
    assert_eq!(made.layer, ["srv/", "srv/dangling 'd'", "srv/filelink 'f'"]);
}

#[test]
fn owners_go_to_all_that_is_copied_or_made() {
    assert_eq!(on_scratch("copy a.txt /p/q/a chown=12:34"), ["p/ 12:34", "p/q/ 12:34", "p/q/a 12:34 'a'"]);
    assert_eq!(over_base("copy ln /c/ chown=diver")[..2], ["c/ 1000:1001", "c/ln 1000:1001 '1'"]);
    assert_eq!(over_base("copy a.txt /c chown=nobody"), ["c 'a'"]);
    assert!(failing(&[], "copy a.txt /c chown=diver").contains("invalid user index: -1"));
    let kept = make(&[], &context("f 4755 9:8 x"), "copy f /\ncopy f /g chown=1:2").unwrap();
    assert_eq!(kept.layer, ["f 4755 9:8 'x'", "g 4755 1:2 'x'"]);
    assert!(on_scratch("copy / /d chown=1:2").contains(&"d/ln -> tree/one 1:2".into()));
}

#[test]
fn modes_go_to_what_is_copied_and_octal_ones_to_made_folders() {
    assert_eq!(on_scratch("copy a.txt /r/s/a chmod=4700"), ["r/ 0700", "r/s/ 0700", "r/s/a 4700 'a'"]);
    assert_eq!(on_scratch("copy tree /t chmod=0640")[..2], ["t/ 0640", "t/one 0640 '1'"]);
    assert_eq!(on_scratch("copy tree /t chmod=u+X,go-rwx"), ["t/", "t/one 0600 '1'", "t/sub/ 0700", "t/sub/two 0600 '2'"]);
    assert!(on_scratch("copy / /d chmod=0600").contains(&"d/ln -> tree/one".into()));
    assert!(failing(&[], "copy a.txt /x chmod=u+q").contains("invalid syntax"));
}

#[test]
fn a_folder_with_a_set_group_id_bit_gives_its_group_and_that_bit_to_folders_that_are_made() {
    assert_eq!(
        over_base("copy a.txt /srv/www/n/m/a"),
        ["srv/", "srv/www/ 2775 33:33", "srv/www/n/ 2755 0:33", "srv/www/n/m/ 2755 0:33", "srv/www/n/m/a 'a'"]
    );
}

#[test]
fn names_of_one_file_stay_so_within_one_source() {
    let source = context("t/one 0644 0:0 x\nt/sub/two = t/one\nt/two = t/one\ns -> one\n");
    assert_eq!(make(&[], &source, "copy t /d").unwrap().layer, ["d/", "d/one 'x'", "d/sub/", "d/sub/two = d/one", "d/two = d/one"]);
    assert_eq!(make(&[], &source, "copy t/* /d/").unwrap().layer, ["d/", "d/one 'x'", "d/two 'x'"]);
    let mended = make(&[], &source, "copy t /d\ncopy t/one /d/one").unwrap();
    assert_eq!(mended.layer, ["d/", "d/one 'x'", "d/sub/", "d/sub/two 'x'", "d/two = d/sub/two"]);
}

#[test]
fn a_new_file_over_one_of_two_names_leaves_the_other() {
    let made = make(&["twin1 0644 0:0 twins\ntwin2 = twin1"], &context(CONTEXT), "copy a.txt /twin1").unwrap();
    assert_eq!(made.tree, ["twin1 'a'", "twin2 'twins'"]);
}

#[test]
fn excluded_files_stay_away_but_for_exceptions() {
    assert_eq!(on_scratch("copy tree /t exclude=sub"), ["t/", "t/one '1'"]);
    assert_eq!(on_scratch("copy *.txt /t/ exclude=b*"), ["t/", "t/a.txt 'a'", "t/b.txt 'bb'"]);
    let source = context("t/a/b/keep\nt/a/b/drop\nt/a/x\nt/one");
    assert_eq!(make(&[], &source, "copy t /d exclude=a exclude=!a/b/keep").unwrap().tree, ["d/", "d/a/", "d/a/b/", "d/a/b/keep", "d/one"]);
    assert_eq!(make(&[], &source, "copy t /d exclude=** exclude=!**/x").unwrap().tree, ["d/", "d/a/", "d/a/x"]);
    assert!(failing(&[], "copy tree /t exclude=[").contains("syntax error in pattern"));
}

#[test]
fn parents_come_along_with_their_modes() {
    let deep = "/tree/sub/two";
    assert_eq!(on_scratch(&format!("copy {deep} /o/ parents")), ["o/", "o/tree/ 0700", "o/tree/sub/ 0750", "o/tree/sub/two 0600 '2'"]);
    assert_eq!(
        on_scratch("copy tree/sub/two /o/ parents chown=5:6"),
        ["o/ 5:6", "o/tree/ 0700 5:6", "o/tree/sub/ 0750 5:6", "o/tree/sub/two 0600 5:6 '2'"]
    );
    assert_eq!(on_scratch("copy tree/./sub/two /o/ parents"), ["o/", "o/sub/ 0750", "o/sub/two 0600 '2'"]);
    assert_eq!(on_scratch("copy ./tree/./**/two /o/ parents"), ["o/", "o/sub/ 0750", "o/sub/two 0600 '2'"]);
    assert_eq!(on_scratch("copy tree/sub/./two /o/ parents"), ["o/", "o/two 0600 '2'"]);
    assert_eq!(on_scratch("copy tree/*.none /o/ parents"), ["o/"]);
    assert!(failing(&[], "copy tree/none /o/ parents").ends_with("\"/tree/none\": not found"));
}

#[test]
fn replacing_copies_know_nothing_of_the_base() {
    assert_eq!(over_base("copy a.txt /srv/dirlink/x replace"), ["srv/", "srv/dirlink/", "srv/dirlink/x 'a'"]);
    assert_eq!(over_base("copy tree/sub /srv/www replace"), ["srv/", "srv/www/", "srv/www/two 0600 '2'"]);
    let made = make(&[BASE], &context(CONTEXT), "copy tree /etc/passwd replace").unwrap();
    assert!(made.tree.contains(&"etc/passwd/one '1'".into()));
    let made = make(&[BASE], &context(CONTEXT), "copy a.txt /srv/real replace").unwrap();
    assert!(made.tree.contains(&"srv/real/a.txt 'a'".into()) || made.tree.contains(&"srv/real 'a'".into()));
    assert!(failing(&[BASE], "copy a.txt /x chown=diver replace").contains("invalid user index: -1"));
    assert_eq!(over_base("copy a.txt /x chown=7 replace"), ["x 7:7 'a'"]);
}

#[test]
fn times_and_attributes_come_from_the_source_and_made_folders_are_new() {
    let xattrs = vec![nacre_layer::Xattr { name: "security.capability".into(), value: vec![1, 0] }];
    let entry = Entry { mtime: 5, nanos: 6, xattrs, ..Entry::new("t/f", Kind::File) };
    let folder = Entry { mtime: 8, ..Entry::new("t", Kind::Directory) };
    let mut tar = nacre_layer::TarWriter::new(Vec::new());
    [folder, entry.clone()].iter().for_each(|entry| tar.add(entry, &mut std::io::empty()).unwrap());
    let layer = crate::files::testing::layer(tar.finish().unwrap());
    let source: Arc<dyn FileTree> = Arc::new(crate::files::LayerTree::new(vec![layer], crate::files::testing::nowhere()).unwrap());
    let made = make(&[], &source, "copy t /p/q").unwrap().entries;
    assert_eq!((made[0].mtime, made[0].nanos, made[1].mtime, made[2].mtime, made[2].nanos), (77, 7, 8, 5, 6));
    assert_eq!(made[2].xattrs, entry.xattrs);
}

#[test]
fn pipes_are_copied() {
    assert_eq!(make(&[], &context("t/p |"), "copy t /d").unwrap().layer, ["d/", "d/p |"]);
}

#[test]
fn deep_trees_do_not_exhaust_the_stack() {
    let path = vec!["d"; 700].join("/");
    let source = context(&path);
    let work = move || make(&[], &source, "copy / /x").unwrap().layer.len();
    assert_eq!(std::thread::Builder::new().stack_size(256 << 10).spawn(work).unwrap().join().unwrap(), 701);
}
