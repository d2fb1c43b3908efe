//! A checked-out tree as a layer.

use std::{
    fs::{self, File},
    io,
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::PermissionsExt,
    },
    path::{Path, PathBuf},
};

use nacre_layer::{Entry, Kind, LayerWriter};
use nacre_oci::{Error, Result};

/// The folder of a checkout that becomes the root. The repository's symbolic links could lead anywhere, so none is followed.
/// Errors are in BuildKit's words.
pub(super) fn folder(top: &Path, folder: &str) -> Result<PathBuf> {
    let mut at = PathBuf::new();
    for part in folder.split('/').filter(|part| !matches!(*part, "" | ".")) {
        at.push(part);
        let shown = at.display();
        let why = match fs::symlink_metadata(top.join(&at)) {
            Ok(meta) if meta.is_dir() && part != ".." => continue,
            Ok(_) => format!("git subpath \"{folder}\" contains non-directory \"{shown}\""),
            Err(_) => format!("failed to lstat \"{shown}\": statat {part}: no such file or directory"),
        };
        return Err(Error::Other(format!("invalid subdir {folder}: {why}").into()));
    }
    Ok(top.join(at))
}

/// Writes a folder's content: everything is root's and has one time; of modes only whether a program may be run counts, as
/// git knows no more.
pub(super) fn write(top: &Path, time: i64, keep_git_dir: bool, layer: &mut LayerWriter) -> Result<()> {
    let mut todo = vec![Vec::new()];
    while let Some(folder) = todo.pop() {
        let mut names = names(&top.join(path_of(&folder)))?;
        names.retain(|name| keep_git_dir || name != b".git");
        for name in names {
            let path = if folder.is_empty() { name } else { [&folder, &b"/"[..], &name].concat() };
            if one(top, &path, time, layer)? {
                todo.push(path);
            }
        }
    }
    Ok(())
}

/// Writes one entry; true for a folder.
fn one(top: &Path, path: &[u8], time: i64, layer: &mut LayerWriter) -> Result<bool> {
    let at = top.join(path_of(path));
    let reading = || Error::io(format!("read {}", at.display()));
    let meta = fs::symlink_metadata(&at).map_err(reading())?;
    let entry = |kind, mode| Entry { mode, mtime: time, ..Entry::new(path, kind) };
    if meta.is_dir() {
        layer.add(&entry(Kind::Directory, 0o755), &mut io::empty())?;
    } else if meta.is_symlink() {
        let link = fs::read_link(&at).map_err(reading())?.into_os_string().into_vec();
        layer.add(&Entry { link: Some(link), ..entry(Kind::Symlink, 0o777) }, &mut io::empty())?;
    } else if meta.is_file() {
        let mode = if meta.permissions().mode() & 0o100 != 0 { 0o755 } else { 0o644 };
        layer.add(&Entry { size: meta.len(), ..entry(Kind::File, mode) }, &mut File::open(&at).map_err(reading())?)?;
    }
    Ok(meta.is_dir())
}

fn path_of(path: &[u8]) -> &Path {
    Path::new(std::ffi::OsStr::from_bytes(path))
}

fn names(folder: &Path) -> Result<Vec<Vec<u8>>> {
    let reading = || Error::io(format!("read {}", folder.display()));
    let entries = fs::read_dir(folder).map_err(reading())?;
    let names = entries.map(|entry| Ok(entry?.file_name().into_vec()));
    let mut names = names.collect::<io::Result<Vec<_>>>().map_err(reading())?;
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use nacre_layer::{Compression, TarReader};
    use nacre_oci::{Memory, Staging, read_small};

    use super::*;

    fn lines(top: &Path, keep: bool) -> Vec<String> {
        let memory = Memory::new();
        let mut layer = LayerWriter::new(memory.stage().unwrap(), Compression::None);
        write(top, 7, keep, &mut layer).unwrap();
        let tar = read_small(&memory, &layer.finish().unwrap().descriptor, u64::MAX).unwrap();
        let mut tar = TarReader::new(tar.as_slice());
        let members = std::iter::from_fn(|| tar.next_entry().unwrap()).map(|member| member.entry);
        members.map(|entry| format!("{} {:o} {}", entry.name(), entry.mode, entry.mtime)).collect()
    }

    #[test]
    fn trees_are_written_as_git_knows_them() {
        let top = tempfile::tempdir().unwrap();
        fs::create_dir_all(top.path().join("sub/.git")).unwrap();
        fs::create_dir(top.path().join(".git")).unwrap();
        fs::write(top.path().join("run"), "x").unwrap();
        fs::set_permissions(top.path().join("run"), fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(top.path().join("sub/plain"), "x").unwrap();
        fs::set_permissions(top.path().join("sub/plain"), fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink("../../etc", top.path().join("link")).unwrap();
        assert_eq!(lines(top.path(), false), ["link 777 7", "run 755 7", "sub 755 7", "sub/plain 644 7"]);
        assert_eq!(lines(top.path(), true).len(), 6);
    }

    #[test]
    fn folders_are_not_reached_through_links() {
        let top = tempfile::tempdir().unwrap();
        fs::create_dir_all(top.path().join("a/b")).unwrap();
        std::os::unix::fs::symlink("/", top.path().join("out")).unwrap();
        assert_eq!(folder(top.path(), "a/b/").unwrap(), top.path().join("a/b"));
        assert_eq!(folder(top.path(), "").unwrap(), top.path());
        for bad in ["out", "out/etc", "none", "a/../../x", ".."] {
            assert!(folder(top.path(), bad).is_err(), "{bad}");
        }
        let why = |path: &str| folder(top.path(), path).unwrap_err().to_string();
        assert_eq!(why("out/etc"), "invalid subdir out/etc: git subpath \"out/etc\" contains non-directory \"out\"");
        assert_eq!(why("none"), "invalid subdir none: failed to lstat \"none\": statat none: no such file or directory");
    }
}
