//! Which layer's bytes are seen in the image, and which a later layer hides.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use nacre_sdk::files::{Entry, Kind};

/// A file's content in the layer that brought it.
#[derive(Debug)]
pub struct File {
    /// The first of its names.
    pub path: String,
    /// Its bytes.
    pub size: u64,
    layer: usize,
    /// How many names it has in the image so far.
    names: u32,
}

impl File {
    /// Whether no name of it is left in the image: its bytes are wasted.
    pub fn is_hidden(&self) -> bool {
        self.names == 0
    }
}

/// The layers so far, applied one on the other.
#[derive(Default)]
pub struct Layers {
    count: usize,
    files: Vec<File>,
    /// What each path stands for: a file's position in `files`, or nothing that has bytes.
    paths: BTreeMap<String, Option<usize>>,
}

impl Layers {
    /// Puts the next layer on top. What its whiteouts name goes first: they are about the layers below, wherever
    /// in the layer they stand.
    pub fn add(&mut self, entries: &[Entry]) {
        for entry in entries {
            match entry.kind {
                Kind::Whiteout => self.remove(&entry.path),
                Kind::Opaque => self.remove_below(&entry.path),
                _ => {}
            }
        }
        for entry in entries.iter().filter(|entry| !matches!(entry.kind, Kind::Whiteout | Kind::Opaque)) {
            self.put(entry);
        }
        self.count += 1;
    }

    fn put(&mut self, entry: &Entry) {
        let target = match entry.kind {
            // Before its own path is taken: a link to itself changes nothing.
            Kind::Hardlink => entry.link.as_ref().and_then(|link| self.paths.get(link).copied().flatten()),
            Kind::File => {
                self.files.push(File { path: entry.path.clone(), size: entry.size, layer: self.count, names: 0 });
                Some(self.files.len() - 1)
            }
            _ => None,
        };
        if let Some(file) = target {
            self.files[file].names += 1;
        }
        if entry.kind != Kind::Directory {
            self.remove_below(&entry.path);
        }
        let before = self.paths.insert(entry.path.clone(), target);
        self.forget(before.flatten());
    }

    fn remove(&mut self, path: &str) {
        self.remove_below(path);
        let before = self.paths.remove(path);
        self.forget(before.flatten());
    }

    /// Takes away what a folder holds. The character behind `/` is `0`, so that everything below lies between them.
    fn remove_below(&mut self, folder: &str) {
        let (from, to) = match folder {
            "" => (String::new(), String::from(char::MAX)),
            _ => (format!("{folder}/"), format!("{folder}0")),
        };
        let gone: Vec<String> = self.paths.range(from..to).map(|(path, _)| path.clone()).collect();
        for path in gone {
            let before = self.paths.remove(&path);
            self.forget(before.flatten());
        }
    }

    fn forget(&mut self, file: Option<usize>) {
        if let Some(file) = file {
            self.files[file].names -= 1;
        }
    }

    /// The layers' positions by the bytes of their files; of equal ones the base first.
    pub fn largest_first(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.count).collect();
        order.sort_by_cached_key(|layer| Reverse(self.totals(*layer).0));
        order
    }

    /// A layer's files, largest first and then by path; the empty ones only with `all`.
    pub fn files_of(&self, layer: usize, all: bool) -> Vec<&File> {
        let mut files: Vec<&File> = self.files.iter().filter(|file| file.layer == layer && (all || file.size > 0)).collect();
        files.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.path.cmp(&b.path)));
        files
    }

    /// The bytes of a layer's files, and how many of them are wasted.
    pub fn totals(&self, layer: usize) -> (u64, u64) {
        sum(self.files.iter().filter(|file| file.layer == layer))
    }

    /// The same of all layers.
    pub fn all_totals(&self) -> (u64, u64) {
        sum(self.files.iter())
    }
}

/// Sizes are what archives claim: their sum must not overflow.
fn sum<'a>(files: impl Iterator<Item = &'a File>) -> (u64, u64) {
    files.fold((0, 0), |(size, wasted), file| {
        let hidden = if file.is_hidden() { file.size } else { 0 };
        (size.saturating_add(file.size), wasted.saturating_add(hidden))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str, kind: Kind, size: u64) -> Entry {
        let (path, link, device, xattrs) = (path.into(), None, None, Vec::new());
        Entry { path, kind, mode: 0o644, uid: 0, gid: 0, size, mtime: 0, nanos: 0, link, device, xattrs }
    }

    fn file(path: &str, size: u64) -> Entry {
        entry(path, Kind::File, size)
    }

    fn hardlink(path: &str, to: &str) -> Entry {
        Entry { link: Some(to.into()), ..entry(path, Kind::Hardlink, 0) }
    }

    fn layers(all: &[&[Entry]]) -> Layers {
        let mut layers = Layers::default();
        all.iter().for_each(|entries| layers.add(entries));
        layers
    }

    #[test]
    fn what_is_replaced_or_deleted_is_wasted() {
        let base = [file("a", 10), file("b", 20), file("d/x", 3), file("d/y", 4), file("d.z", 5)];
        let top = [file("a", 1), entry("d", Kind::Whiteout, 0), entry("b", Kind::Directory, 0)];
        let layers = layers(&[&base, &top]);
        assert_eq!((layers.totals(0), layers.totals(1)), ((42, 37), (1, 0)), "only d.z is left");
        assert_eq!(layers.all_totals(), (43, 37));
        assert_eq!(layers.largest_first(), [0, 1]);
    }

    #[test]
    fn an_opaque_folder_hides_the_layers_below_and_not_its_own() {
        let base = [file("d/x", 3), file("d/sub/y", 4), file("e", 5)];
        let top = [file("d/new", 1), entry("d", Kind::Opaque, 0)];
        let below = layers(&[&base, &top]);
        assert_eq!((below.totals(0), below.totals(1)), ((12, 7), (1, 0)));
        let root = layers(&[&base, &[entry("", Kind::Opaque, 0)]]);
        assert_eq!(root.totals(0), (12, 12));
    }

    #[test]
    fn a_file_in_a_folders_place_hides_what_the_folder_held() {
        let layers = layers(&[&[entry("d", Kind::Directory, 0), file("d/x", 3)], &[entry("d", Kind::Symlink, 0)]]);
        assert_eq!(layers.totals(0), (3, 3));
    }

    #[test]
    fn content_is_wasted_only_with_the_last_of_its_names() {
        let base = [file("a", 10), hardlink("b", "a"), hardlink("a", "a"), hardlink("c", "nowhere")];
        let gone = |path: &str| entry(path, Kind::Whiteout, 0);
        assert_eq!(layers(&[&base, &[gone("a")]]).totals(0), (10, 0));
        assert_eq!(layers(&[&base, &[gone("a"), gone("b"), gone("c")]]).totals(0), (10, 10));
    }

    #[test]
    fn a_path_twice_in_a_layer_counts_once_in_the_image() {
        let layers = layers(&[&[file("a", 10), file("a", 1)]]);
        assert_eq!(layers.totals(0), (11, 10));
        let sizes: Vec<u64> = layers.files_of(0, false).iter().map(|file| file.size).collect();
        assert_eq!(sizes, [10, 1]);
    }

    #[test]
    fn empty_files_are_shown_only_with_all() {
        let layers = layers(&[&[file("a", 0), file("c", 2), file("b", 2)]]);
        let shown = |all| layers.files_of(0, all).iter().map(|file| file.path.as_str()).collect::<Vec<_>>();
        assert_eq!((shown(false), shown(true)), (vec!["b", "c"], vec!["b", "c", "a"]));
    }

    #[test]
    fn claimed_sizes_do_not_overflow() {
        assert_eq!(layers(&[&[file("a", u64::MAX), file("b", 1)]]).totals(0).0, u64::MAX);
    }
}
