//! Which files of a package become files of the root filesystem, by dpkg's rules.

use std::collections::BTreeMap;

use nacre_sdk::files::{Entry, Kind};
use nacre_sdk::{Error, invalid};

/// The folders and symlinks of the packages so far, and the list of the current one.
#[derive(Default)]
pub struct Layout {
    /// Whether a path is a symlink (and else a folder).
    symlinks: BTreeMap<String, bool>,
    /// The paths of the current package, as dpkg's database lists them.
    pub list: String,
}

impl Layout {
    /// Lists an entry, and says whether it is to be added: for dpkg a folder does not replace a
    /// symlink, such as `/bin` to `usr/bin`, and a symlink does not replace a folder.
    ///
    /// # Errors
    /// The path has a line break, which the list cannot hold.
    pub fn take(&mut self, entry: &Entry) -> Result<bool, Error> {
        let path = tidy(&entry.path);
        if path.contains('\n') {
            return Err(invalid("bad-path", format!("the path '{}' has a line break", path.escape_default())));
        }
        self.list.push('/');
        self.list += if path.is_empty() { "." } else { &path };
        self.list.push('\n');
        let symlink = entry.kind == Kind::Symlink;
        if !symlink && entry.kind != Kind::Directory {
            return Ok(true);
        }
        Ok(*self.symlinks.entry(path).or_insert(symlink) == symlink)
    }
}

/// A path without empty parts and `.`.
fn tidy(path: &str) -> String {
    path.split('/').filter(|part| !matches!(*part, "" | ".")).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use nacre_sdk::entries::entry;

    #[test]
    fn folders_and_symlinks_do_not_replace_one_another() {
        let mut layout = Layout::default();
        let mut take = |kind, path| layout.take(&entry(path, kind, 0o755)).unwrap();
        assert!(take(Kind::Directory, "./"));
        assert!(take(Kind::Symlink, "./bin"));
        assert!(!take(Kind::Directory, "bin/"));
        assert!(take(Kind::File, "bin/sh"));
        assert!(take(Kind::Directory, "lib"));
        assert!(!take(Kind::Symlink, "./lib"));
        assert!(take(Kind::Symlink, "bin") && take(Kind::Directory, "lib"));
        assert_eq!(layout.list, "/.\n/bin\n/bin\n/bin/sh\n/lib\n/lib\n/bin\n/lib\n");
        assert!(layout.take(&entry("a\nb", Kind::File, 0o644)).is_err());
    }
}
