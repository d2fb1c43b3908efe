#![allow(clippy::unwrap_used, reason = "tests")]
use std::sync::Arc;

use crate::files::{
    FileTree,
    testing::{make, tree},
};

const BASE: &str = "srv/\nsrv/www/ 2775 33:33\nsrv/l -> www\nsrv/away -> no/where\nsrv/d/\nsrv/d/x\nsrv/d/y\netc/f 0640 3:4 old";

fn none() -> Arc<dyn FileTree> {
    Arc::new(tree(""))
}

fn made(text: &str) -> Vec<String> {
    make(&[BASE], &none(), text).unwrap().layer
}

fn failing(text: &str) -> String {
    make(&[BASE], &none(), text).err().unwrap().to_string()
}

#[test]
fn folders_are_made_with_their_parents_and_those_that_are_there_stay() {
    assert_eq!(made("mkdir /a/b/c parents chown=12:34"), ["a/ 12:34", "a/b/ 12:34", "a/b/c/ 12:34"]);
    assert!(made("mkdir /srv/www parents chown=1").is_empty() && made("mkdir / parents").is_empty());
    assert_eq!(made("mkdir /srv/l/in parents"), ["srv/", "srv/www/ 2775 33:33", "srv/www/in/ 2755 0:33"]);
    assert_eq!(made("mkdir /srv/l/in mode=700"), ["srv/", "srv/www/ 2775 33:33", "srv/www/in/ 2700 0:33"]);
    assert_eq!(made("mkdir /srv/away/in parents")[1..], ["srv/no/", "srv/no/where/", "srv/no/where/in/"]);
    assert_eq!(failing("mkdir /etc/f parents"), "mkdir /etc/f: not a directory");
    assert_eq!(failing("mkdir /etc/f/x/y parents"), "lstat /etc/f/x: not a directory");
    assert_eq!(failing("mkdir /none/in"), "mkdir /none/in: no such file or directory");
    assert!(made("mkdir /etc/f").is_empty());
}

#[test]
fn files_keep_what_they_are_when_they_get_new_content() {
    assert_eq!(made("mkfile /new text"), ["new 0600 'text'"]);
    assert_eq!(made("mkfile /etc/f text"), ["etc/", "etc/f 0640 3:4 'text'"]);
    assert_eq!(made("mkfile /etc/f text chown=5:6"), ["etc/", "etc/f 0640 5:6 'text'"]);
    assert!(failing("mkfile /none/in x").contains("no such file") && failing("mkfile /srv x").contains("regular"));
}

#[test]
fn links_are_made_where_nothing_is() {
    assert_eq!(made("symlink /new ../x chown=5:6"), ["new -> ../x 5:6"]);
    assert!(failing("symlink /etc/f x").contains("file exists") && failing("symlink / x").contains("file exists"));
}

#[test]
fn what_is_removed_gets_whiteouts_and_nothing_else_does() {
    assert_eq!(made("rm /srv/d"), ["srv/", "srv/d -"]);
    assert_eq!(made("rm /srv/d/x"), ["srv/", "srv/d/", "srv/d/x -"]);
    assert_eq!(made("rm /srv/*/x wildcard missing"), ["srv/", "srv/d/", "srv/d/x -"]);
    assert_eq!(made("rm /srv/l"), ["srv/", "srv/l -"]);
    assert!(made("mkfile /new x\nrm /new").is_empty() && made("rm /none missing").is_empty() && made("rm /n* wildcard").is_empty());
    assert!(failing("rm /none").contains("no such file") && failing("rm /srv/away").contains("no such file"));
    assert!(failing("rm /").contains("root") && failing("rm /srv/..").contains("root"));
}

#[test]
fn what_replaces_something_that_was_removed_hides_all_of_it() {
    assert_eq!(made("rm /srv/d\nmkdir /srv/d\nmkfile /srv/d/n x"), ["srv/", "srv/d/", "srv/d *", "srv/d/n 0600 'x'"]);
    assert_eq!(made("rm /srv/d\nmkfile /srv/d x"), ["srv/", "srv/d 0600 'x'"]);
    assert_eq!(made("rm /etc/f\nmkdir /etc/f"), ["etc/", "etc/f/"]);
    let tree = make(&[BASE], &none(), "rm /srv/d\nmkdir /srv/d").unwrap().tree;
    assert!(!tree.iter().any(|line| line.starts_with("srv/d/x")));
}
