#![allow(clippy::unwrap_used, reason = "tests")]
use proptest::prelude::*;

use super::*;

fn entry(path: &str, kind: Kind, link: &str) -> Entry {
    let link = (!link.is_empty()).then(|| link.into());
    Entry { link, ..Entry::new(path, kind) }
}

/// Entries as `path`, `path/` for folders, `path -> text`, `path = target`, `path -`, `path *`; files get their number
/// in the layer as their offset and 10 as their size.
fn layer(lines: &[&str]) -> Vec<Member> {
    let parse = |line: &str| match line.split_once(' ') {
        Some((path, "-")) => entry(path, Kind::Whiteout, ""),
        Some((path, "*")) => entry(path, Kind::Opaque, ""),
        Some((path, link)) if link.starts_with("->") => entry(path, Kind::Symlink, link.trim_start_matches("-> ")),
        Some((path, link)) => entry(path, Kind::Hardlink, link.trim_start_matches("= ")),
        None => match line.strip_suffix('/') {
            Some(path) => entry(path, Kind::Directory, ""),
            None => Entry { size: 10, ..entry(line, Kind::File, "") },
        },
    };
    lines.iter().enumerate().map(|(index, line)| Member { entry: parse(line), offset: index as u64 }).collect()
}

/// The nodes in the same spelling, with the content's layer and offset.
fn shown(tree: &Tree) -> Vec<String> {
    let show = |node: &Node| {
        let (name, link) = (node.entry.name(), path::to_text(node.entry.link.as_deref().unwrap_or_default()));
        match node.entry.kind {
            Kind::Directory => format!("{name}/"),
            Kind::Symlink => format!("{name} -> {link}"),
            Kind::Hardlink => format!("{name} = {link} @{}.{}", node.layer, node.offset),
            _ => format!("{name} @{}.{}", node.layer, node.offset),
        }
    };
    tree.nodes().iter().map(show).collect()
}

fn applied(layers: &[&[&str]]) -> Vec<String> {
    shown(&Tree::new(layers.iter().map(|lines| layer(lines))).unwrap())
}

#[test]
fn upper_layers_replace_add_and_take_away() {
    let base = ["etc/", "etc/a", "etc/b", "usr/", "usr/lib/", "usr/lib/x", "lib -> usr/lib", "file"];
    assert_eq!(
        applied(&[&base, &["etc/a", "lib/y"]]),
        ["etc/", "etc/a @1.0", "etc/b @0.2", "file @0.7", "lib -> usr/lib", "usr/", "usr/lib/", "usr/lib/x @0.5", "usr/lib/y @1.1"]
    );
    assert_eq!(applied(&[&base, &["etc/a -", "usr -", "lib -"]]), ["etc/", "etc/b @0.2", "file @0.7"]);
    assert_eq!(
        applied(&[&base, &["etc *", "etc/new", "usr/lib *"]]),
        ["etc/", "etc/new @1.1", "file @0.7", "lib -> usr/lib", "usr/", "usr/lib/"]
    );
    assert_eq!(applied(&[&base, &[" *", "only"]]), ["only @1.1"]);
    assert_eq!(
        applied(&[&base, &["etc", "usr -> elsewhere", "file/", "lib/", "lib/z"]]),
        ["etc @1.0", "file/", "lib/", "lib/z @1.4", "usr -> elsewhere"]
    );
}

#[test]
fn whiteouts_leave_their_own_layer_alone() {
    let base = ["d/", "d/old"];
    for upper in [["d/new", "d *"], ["d *", "d/new"]] {
        let left = applied(&[&base, &upper]);
        assert!(left.len() == 2 && left[0] == "d/" && left[1].starts_with("d/new @1."), "{left:?}");
    }
    assert_eq!(applied(&[&base, &["d/new", "d -"]]), ["d/", "d/new @1.0"]);
    assert_eq!(applied(&[&base, &["d -", "d"]]), ["d @1.1"]);
    assert_eq!(applied(&[&base, &["none -", "none *", "d/old/x -"]]), ["d/", "d/old @0.1"]);
}

#[test]
fn hard_links_reach_across_layers_and_outlive_their_target() {
    let base = ["m", "d/"];
    assert_eq!(applied(&[&base, &["z = m", "a = m"]]), ["a @0.0", "d/", "m = a @0.0", "z = a @0.0"]);
    assert_eq!(applied(&[&base, &["a = m"], &["m -"]]), ["a @0.0", "d/"]);
    assert_eq!(applied(&[&base, &["a = m", "m"]]), ["a @0.0", "d/", "m @1.1"]);
    assert_eq!(applied(&[&["s -> x", "h = s"]]), ["h -> x", "s = h @0.0"]);
    let tree = Tree::new([layer(&["b", "a = b"])]).unwrap();
    assert_eq!(tree.get(b"b").unwrap().size, 10);
    assert_eq!((tree.get(b"b").unwrap().entry.size, tree.get(b"a").unwrap().entry.size), (0, 10));
    assert!(tree.get(b"c").is_none());
}

#[test]
fn what_cannot_be_applied_is_refused() {
    let bad: [&[&str]; 5] = [&["f", "f/x"], &["h = nothing"], &["d/", "h = d"], &["a -> b", "b -> a", "a/x"], &["x -> f", "f", "x/y"]];
    for lines in bad {
        assert!(Tree::new([layer(lines)]).is_err(), "{lines:?} was accepted");
    }
}

#[test]
fn a_hundred_thousand_files_and_as_many_whiteouts_are_no_matter() {
    let lines: Vec<String> = (0..100_000).map(|n| format!("usr/share/{:02}/{n}", n % 100)).collect();
    let gone: Vec<String> = (0..100_000).map(|n| format!("usr/share/{:02} *", n % 100)).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let gone: Vec<&str> = gone.iter().map(String::as_str).collect();
    let both = Tree::new([layer(&lines), layer(&lines)]).unwrap();
    assert_eq!(both.nodes().len(), 100_102);
    assert!(both.nodes().iter().all(|node| node.layer == 1 || node.entry.kind == Kind::Directory));
    assert_eq!(Tree::new([layer(&lines), layer(&gone)]).unwrap().nodes().len(), 102);
}

/// The obvious way: folders that hold things.
#[derive(Clone, Debug)]
enum Thing {
    Folder(BTreeMap<String, Thing>, usize),
    Link(String, usize),
    File(String, usize),
}

impl Thing {
    fn layer(&self) -> usize {
        match self {
            Self::Folder(_, layer) | Self::Link(_, layer) | Self::File(_, layer) => *layer,
        }
    }

    /// Takes away what lower layers put in here; whether anything is left.
    fn clear(&mut self, layer: usize) -> bool {
        if let Self::Folder(held, own) = self {
            held.retain(|_, thing| thing.clear(layer));
            if !held.is_empty() {
                *own = layer;
            }
        }
        self.layer() == layer
    }
}

/// The parts of the real folder that these parts lead to; None if there is none.
fn real(root: &Thing, parts: &[String], links: &mut u32) -> Option<Vec<String>> {
    let mut at: Vec<String> = Vec::new();
    for part in parts {
        if part == ".." {
            at.pop();
            continue;
        }
        let mut thing = Some(root);
        for name in at.iter().chain([part]) {
            thing = match thing {
                Some(Thing::Folder(held, _)) => held.get(name),
                _ => None,
            };
        }
        match thing {
            Some(Thing::File(..)) => return None,
            Some(Thing::Link(text, _)) => {
                *links += 1;
                if *links > 40 {
                    return None;
                }
                let mut target = if text.starts_with('/') { Vec::new() } else { at };
                target.extend(text.split('/').filter(|part| !matches!(*part, "" | ".")).map(String::from));
                at = real(root, &target, links)?;
            }
            _ => at.push(part.clone()),
        }
    }
    Some(at)
}

/// The folder at real parts, made where it is missing.
fn folder<'a>(root: &'a mut Thing, parts: &[String], layer: usize) -> &'a mut BTreeMap<String, Thing> {
    let mut at = root;
    for part in parts {
        let Thing::Folder(held, _) = at else { unreachable!("real parts are folders") };
        at = held.entry(part.clone()).or_insert_with(|| Thing::Folder(BTreeMap::new(), layer));
    }
    let Thing::Folder(held, _) = at else { unreachable!("real parts are folders") };
    held
}

fn apply(root: &mut Thing, entry: &Entry, layer: usize, id: &str) -> Option<()> {
    let parts: Vec<String> = entry.name().split('/').map(String::from).collect();
    let (name, parents) = parts.split_last().unwrap();
    let gone = matches!(entry.kind, Kind::Whiteout | Kind::Opaque);
    let deep = if entry.kind == Kind::Opaque { &parts[..] } else { parents };
    let mut links = 0;
    let Some(at) = real(root, deep, &mut links) else { return (gone && links <= 40).then_some(()) };
    if gone {
        let mut thing = &mut *root;
        let last = (entry.kind == Kind::Whiteout).then_some(name);
        let mut way = at.iter().chain(last).peekable();
        while let Some(part) = way.next() {
            let Thing::Folder(held, _) = thing else { return Some(()) };
            if way.peek().is_none() && last.is_some() {
                held.retain(|name, thing| name != part || thing.clear(layer));
                return Some(());
            }
            let Some(next) = held.get_mut(part) else { return Some(()) };
            thing = next;
        }
        if let Thing::Folder(held, _) = thing {
            held.retain(|_, thing| thing.clear(layer));
        }
        return Some(());
    }
    let folder = folder(root, &at, layer);
    match (entry.kind, folder.get_mut(name)) {
        (Kind::Directory, Some(Thing::Folder(_, own))) => *own = layer,
        (Kind::Directory, _) => _ = folder.insert(name.clone(), Thing::Folder(BTreeMap::new(), layer)),
        (Kind::Symlink, _) => _ = folder.insert(name.clone(), Thing::Link(path::to_text(entry.link.as_ref().unwrap()), layer)),
        _ => _ = folder.insert(name.clone(), Thing::File(id.into(), layer)),
    }
    Some(())
}

fn listed(thing: &Thing, at: &str, lines: &mut Vec<String>) {
    let Thing::Folder(held, _) = thing else { return };
    for (name, thing) in held {
        let path = if at.is_empty() { name.clone() } else { format!("{at}/{name}") };
        match thing {
            Thing::Folder(..) => lines.push(format!("{path}/")),
            Thing::Link(text, _) => lines.push(format!("{path} -> {text}")),
            Thing::File(id, _) => lines.push(format!("{path} {id}")),
        }
        listed(thing, &path, lines);
    }
}

prop_compose! {
    fn line()(
        path in proptest::sample::select(&["a", "b", "a/b", "b/a", "a/b/c", "b/a/c", "c/a/b", "c", "a/b/c/d"][..]),
        what in proptest::sample::select(&["", "", "/", "/", " -", " *", " -> a", " -> /b", " -> ..", " -> ../c", " -> .", " -> b/a/.."][..]),
    ) -> String {
        format!("{path}{what}")
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn is_what_the_obvious_way_gives(layers in proptest::collection::vec(proptest::collection::vec(line(), 0..10), 1..4)) {
        let layers: Vec<Vec<Member>> = layers.iter().map(|lines| layer(&lines.iter().map(String::as_str).collect::<Vec<_>>())).collect();
        let mut root = Thing::Folder(BTreeMap::new(), 0);
        let model = layers.iter().enumerate().try_for_each(|(index, members)| {
            members.iter().try_for_each(|member| apply(&mut root, &member.entry, index, &format!("@{index}.{}", member.offset)))
        });
        let tree = Tree::new(layers);
        prop_assert_eq!(tree.is_ok(), model.is_some(), "{:?}", tree);
        if let Ok(tree) = tree {
            let mut lines = Vec::new();
            listed(&root, "", &mut lines);
            let mut shown = shown(&tree);
            // Both in the same order: a folder's slash counts in one and not in the other.
            lines.sort();
            shown.sort();
            prop_assert_eq!(shown, lines);
        }
    }
}
