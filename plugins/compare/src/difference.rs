//! What differs between two sets of files, by what is known of them without reading their content.

use std::collections::BTreeMap;

use nacre_sdk::files::{Entry, Kind};

/// What became of a path, with the bytes that its file had and has.
#[derive(Debug, PartialEq, Eq)]
pub enum Change {
    Added(u64),
    Removed(u64),
    Changed(u64, u64, Vec<&'static str>),
}

impl Change {
    /// For the table.
    pub fn name(&self) -> &'static str {
        match self {
            Change::Added(_) => "added",
            Change::Removed(_) => "removed",
            Change::Changed(..) => "changed",
        }
    }

    /// The bytes before and after.
    pub fn sizes(&self) -> (Option<u64>, Option<u64>) {
        match *self {
            Change::Added(size) => (None, Some(size)),
            Change::Removed(size) => (Some(size), None),
            Change::Changed(before, after, _) => (Some(before), Some(after)),
        }
    }

    /// What of it changed, such as `mode, owner`.
    pub fn what(&self) -> String {
        match self {
            Change::Changed(_, _, what) => what.join(", "),
            _ => String::new(),
        }
    }
}

/// The paths that only one of both has.
pub fn names<'a, P>(before: &'a BTreeMap<String, (P, Entry)>, after: &'a BTreeMap<String, (P, Entry)>) -> BTreeMap<&'a str, Change> {
    let only = |one: &'a BTreeMap<String, (P, Entry)>, other: &'a BTreeMap<String, (P, Entry)>, change: fn(u64) -> Change| {
        let missing = one.iter().filter(|(path, _)| !other.contains_key(*path));
        missing.map(move |(path, (_, entry))| (path.as_str(), change(entry.size))).collect::<Vec<_>>()
    };
    only(before, after, Change::Removed).into_iter().chain(only(after, before, Change::Added)).collect()
}

/// What differs between two entries of one path. Times are left aside: every build sets them anew.
pub fn aspects(a: &Entry, b: &Entry) -> Vec<&'static str> {
    // Which of its names a file is archived under, and which are links to it, is chance.
    let kind = |entry: &Entry| if entry.kind == Kind::Hardlink { Kind::File } else { entry.kind };
    let link = |entry: &'_ Entry| if entry.kind == Kind::Symlink { entry.link.clone() } else { None };
    let device = |entry: &Entry| entry.device;
    let xattrs = |entry: &Entry| {
        let mut all: Vec<(String, Vec<u8>)> = entry.xattrs.iter().map(|x| (x.name.clone(), x.value.clone())).collect();
        all.sort();
        all
    };
    let content = a.kind == Kind::File && b.kind == Kind::File && a.size != b.size;
    let differs = [
        ("kind", kind(a) != kind(b)),
        ("mode", a.mode != b.mode && a.kind != Kind::Symlink),
        ("owner", (a.uid, a.gid) != (b.uid, b.gid)),
        ("link", link(a) != link(b)),
        ("device", device(a) != device(b)),
        ("attributes", xattrs(a) != xattrs(b)),
        ("content", content),
    ];
    differs.into_iter().filter(|(_, differs)| *differs).map(|(aspect, _)| aspect).collect()
}

/// How many of each, and their bytes.
#[derive(Default)]
pub struct Totals {
    added: (u64, u64),
    removed: (u64, u64),
    changed: (u64, i128),
}

impl Totals {
    /// Counts one more.
    pub fn count(&mut self, change: &Change) {
        match *change {
            Change::Added(size) => self.added = (self.added.0 + 1, self.added.1.saturating_add(size)),
            Change::Removed(size) => self.removed = (self.removed.0 + 1, self.removed.1.saturating_add(size)),
            Change::Changed(before, after, _) => {
                self.changed = (self.changed.0 + 1, self.changed.1 + i128::from(after) - i128::from(before));
            }
        }
    }

    /// One line for people.
    pub fn line(&self, show: fn(u64) -> String) -> String {
        let (count, by) = self.changed;
        let sign = if by < 0 { '-' } else { '+' };
        let by = show(u64::try_from(by.unsigned_abs()).unwrap_or(u64::MAX));
        let part = |(count, bytes): (u64, u64), what: &str| format!("{count} {what} ({})", show(bytes));
        format!("{}, {count} changed ({sign}{by}), {}", part(self.added, "added"), part(self.removed, "removed"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nacre_sdk::files::Xattr;

    fn file(path: &str, size: u64) -> Entry {
        let (path, kind, link, device, xattrs) = (path.into(), Kind::File, None, None, Vec::new());
        Entry { path, kind, mode: 0o644, uid: 0, gid: 0, size, mtime: 0, nanos: 0, link, device, xattrs }
    }

    fn root(entries: &[Entry]) -> BTreeMap<String, ((), Entry)> {
        entries.iter().map(|entry| (entry.path.clone(), ((), entry.clone()))).collect()
    }

    #[test]
    fn names_that_only_one_has_are_added_or_removed() {
        let (before, after) = (root(&[file("a", 1), file("b", 2)]), root(&[file("b", 9), file("c", 3)]));
        let expected = BTreeMap::from([("a", Change::Removed(1)), ("c", Change::Added(3))]);
        assert_eq!(names(&before, &after), expected);
    }

    #[test]
    fn every_aspect_but_the_time_counts() {
        let a = file("a", 1);
        assert!(aspects(&a, &Entry { mtime: 7, nanos: 8, ..a.clone() }).is_empty());
        let xattr = |name: &str| Xattr { name: name.into(), value: vec![1] };
        for (b, aspect) in [
            (Entry { mode: 0o755, ..a.clone() }, "mode"),
            (Entry { gid: 1, ..a.clone() }, "owner"),
            (Entry { size: 2, ..a.clone() }, "content"),
            (Entry { xattrs: vec![xattr("user.a")], ..a.clone() }, "attributes"),
            (Entry { kind: Kind::Directory, ..a.clone() }, "kind"),
            (Entry { device: Some((1, 2)), ..a.clone() }, "device"),
        ] {
            assert_eq!(aspects(&a, &b), [aspect]);
        }
        let link = |to: &str| Entry { kind: Kind::Symlink, link: Some(to.into()), ..file("l", 0) };
        assert_eq!(aspects(&link("x"), &link("y")), ["link"]);
        let (x, y) = (xattr("user.x"), xattr("user.y"));
        let both = |all: [&Xattr; 2]| Entry { xattrs: all.map(Clone::clone).to_vec(), ..a.clone() };
        assert!(aspects(&both([&x, &y]), &both([&y, &x])).is_empty());
    }

    #[test]
    fn the_sum_is_one_line() {
        let mut totals = Totals::default();
        for change in [Change::Added(5), Change::Added(6), Change::Removed(7), Change::Changed(9, 1, vec!["content"])] {
            totals.count(&change);
        }
        assert_eq!(totals.line(|bytes| bytes.to_string()), "2 added (11), 1 changed (-8), 1 removed (7)");
    }
}
