//! `cp`: which files go where, by the rules of `docker cp` (moby's `pkg/archive/copy.go`), and how they get there: as a tar.

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, IsTerminal, PipeReader, PipeWriter, Write, pipe},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    thread,
};

use anyhow::{Context as _, Result, bail};
use nacre_layer::{Extracting, Kind, Owners, TarReader, TarWriter, archive, extract, path::join};
use nacre_runtime::{CopyIn, Files};
use rustix::fs::{FileType, Mode, OFlags, open};

use crate::{failure::warn, output};

/// How many symbolic links are followed to where a copy goes.
const LINKS: usize = 40;
/// How many bytes of a tar are passed on at a time.
const PIECE: usize = 128 << 10;

/// One side of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    /// `-`: a tar on a standard stream.
    Stream,
    /// A path of the host's.
    Local(&'a str),
    /// A container, and a path in it.
    Container(&'a str, &'a str),
}

impl<'a> Place<'a> {
    /// `CONTAINER:PATH`. What begins with a `/` or a dot is a path of the host's, whatever follows.
    pub(crate) fn of(text: &'a str) -> Self {
        match text.split_once(':') {
            _ if text == "-" => Self::Stream,
            Some((container, path)) if !text.starts_with(['/', '.']) => Self::Container(container, path),
            _ => Self::Local(text),
        }
    }
}

/// What is copied.
struct Source {
    /// Its name in the tar; empty where only what it holds is meant: `FOLDER/.`
    base: String,
    is_folder: bool,
}

/// Where it is to go.
struct Target {
    path: PathBuf,
    /// What is there, if anything is: whether it is a folder.
    there: Option<bool>,
}

/// Into which folder, and under which name.
fn destination(source: &Source, target: &Target, shown: &str) -> Result<(PathBuf, String)> {
    let asserts_folder = shown.ends_with('/') || shown.ends_with("/.");
    match target.there {
        Some(true) => return Ok((target.path.clone(), source.base.clone())),
        Some(false) if source.is_folder => bail!("cannot copy a folder over the file {shown}"),
        None if asserts_folder && !source.is_folder => bail!("there is no folder {shown}"),
        _ => {}
    }
    let name = target.path.file_name().with_context(|| format!("there is no {shown}"))?;
    let folder = target.path.parent().unwrap_or(Path::new("/"));
    Ok((folder.to_owned(), name.to_string_lossy().into_owned()))
}

/// Writes what has a path in a container as a tar.
pub(crate) fn to_stream(files: &mut Files<'_>, path: &str, follow: bool) -> Result<()> {
    if io::stdout().is_terminal() {
        bail!("cowardly refusing to write an archive to a terminal: use a redirection");
    }
    output::stream(|out| files.copy_out(path, follow, out))
}

/// Copies what has a path in a container to a path of the host's. Owners are those of whoever copies, unless they are kept.
pub(crate) fn to_host(files: &mut Files<'_>, path: &str, follow: bool, to: &str, keep_owners: bool) -> Result<()> {
    let source = in_container(files, path, follow)?;
    let (folder, name) = destination(&source, &on_host(to)?, to)?;
    let root: OwnedFd = File::open(&folder).with_context(|| format!("cannot open the folder {}", folder.display()))?.into();
    let owners = if keep_owners { Owners::Kept } else { Owners::Own };
    let how = Extracting { owners, replace: false, privileged: rustix::process::geteuid().is_root() };
    let ((plain, mut out), (renamed, tar)) = (pipe()?, pipe()?);
    let done = thread::scope(|scope| {
        let extracted = scope.spawn(move || extract(&mut BufReader::with_capacity(PIECE, renamed), root, b"", &how));
        let renaming = scope.spawn(|| rename(plain, source.base.as_bytes(), name.as_bytes(), tar));
        let sent = files.copy_out(path, follow, &mut out);
        drop(out);
        // Whoever is nearer to the end knows better why the others fail.
        let done = extracted.join().expect("it does not panic")?;
        renaming.join().expect("it does not panic")?;
        sent?;
        Ok::<_, anyhow::Error>(done)
    })?;
    if done.skipped_devices > 0 {
        warn(&format!("left out {} device nodes: only root can make them", done.skipped_devices));
    }
    Ok(())
}

/// Extracts the tar on standard input into a folder of a container.
pub(crate) fn from_stream(files: &mut Files<'_>, path: &str, as_user: bool) -> Result<()> {
    let target = target_in_container(files, path)?;
    if target.there != Some(true) {
        bail!("the destination {path} must be a folder of the container");
    }
    Ok(files.copy_in(&target.path.to_string_lossy(), &mut io::stdin().lock(), &CopyIn { replace: false, as_user })?)
}

/// Copies what has a path on the host into a container.
pub(crate) fn to_container(files: &mut Files<'_>, from: &str, follow: bool, path: &str, as_user: bool) -> Result<()> {
    let (top, source) = open_on_host(from, follow)?;
    let (folder, name) = destination(&source, &target_in_container(files, path)?, path)?;
    let (mut tar, mut out) = pipe()?;
    thread::scope(|scope| {
        let packed = scope.spawn(move || archive(top, Some(name.as_bytes()), &|_| false, &mut out));
        let copied = files.copy_in(&folder.to_string_lossy(), &mut tar, &CopyIn { replace: false, as_user });
        drop(tar);
        copied?;
        Ok(packed.join().expect("it does not panic")?)
    })
}

fn in_container(files: &mut Files<'_>, path: &str, follow: bool) -> Result<Source> {
    let stat = files.stat(path)?;
    let kind = FileType::from_raw_mode(stat.mode);
    let leads_to_folder = kind == FileType::Symlink && follow && files.stat(&format!("{path}/.")).is_ok();
    let base = if matches!(stat.name.as_str(), "/" | ".") { String::new() } else { stat.name };
    Ok(Source { base, is_folder: kind == FileType::Directory || leads_to_folder })
}

/// What has a path in a container, with a link at its end followed.
fn target_in_container(files: &mut Files<'_>, path: &str) -> Result<Target> {
    let mut path = format!("/{}", path.trim_start_matches('/'));
    for _ in 0..LINKS {
        let stat = match files.stat(&path) {
            Err(nacre_oci::Error::NotFound { .. }) => return Ok(Target { path: tidy(&path), there: None }),
            stat => stat?,
        };
        match FileType::from_raw_mode(stat.mode) {
            FileType::Symlink => path = stat.link_target,
            FileType::Directory => return Ok(Target { path: path.into(), there: Some(true) }),
            FileType::RegularFile => return Ok(Target { path: tidy(&path), there: Some(false) }),
            _ => bail!("the destination {path} is neither a folder nor a file"),
        }
    }
    bail!("too many symbolic links at {path}")
}

/// Without the slashes and dots at its end.
fn tidy(path: &str) -> PathBuf {
    Path::new(path).components().collect()
}

/// What has a path on the host, with a link at its end followed. Something may be made there if its folder is there.
fn on_host(path: &str) -> Result<Target> {
    let mut at = std::path::absolute(path).with_context(|| format!("cannot tell what {path} is"))?;
    for _ in 0..LINKS {
        match fs::read_link(tidy(&at.to_string_lossy())) {
            Ok(link) => at = at.parent().unwrap_or(Path::new("/")).join(link),
            Err(_) => break,
        }
    }
    let there = fs::metadata(&at).ok().map(|found| found.is_dir());
    let folder = at.parent().unwrap_or(Path::new("/"));
    if there.is_none() && !folder.is_dir() {
        bail!("there is no folder {}", folder.display());
    }
    Ok(Target { path: at, there })
}

/// What is to be copied from the host. A link at the end of its path is one, unless it is followed.
fn open_on_host(path: &str, follow: bool) -> Result<(OwnedFd, Source)> {
    let flags = OFlags::PATH | OFlags::CLOEXEC | if follow { OFlags::empty() } else { OFlags::NOFOLLOW };
    let top = open(path, flags, Mode::empty()).with_context(|| format!("cannot open {path}"))?;
    let is_folder = FileType::from_raw_mode(rustix::fs::fstat(&top)?.st_mode) == FileType::Directory;
    let only_content = path == "." || path.ends_with("/.");
    let own = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    // The name behind `..` and `/` is found out by the kernel.
    let named = || own(Path::new(path)).or_else(|| own(&fs::canonicalize(path).ok()?)).unwrap_or_default();
    Ok((top, Source { base: if only_content { String::new() } else { named() }, is_folder }))
}

/// Copies a tar with another name for its top.
fn rename(tar: PipeReader, from: &[u8], to: &[u8], out: PipeWriter) -> Result<()> {
    let (mut tar, mut out) = (TarReader::new(BufReader::with_capacity(PIECE, tar)), TarWriter::new(BufWriter::with_capacity(PIECE, out)));
    while let Some(member) = tar.next_entry()? {
        let mut entry = member.entry;
        entry.path = renamed(&entry.path, from, to);
        if entry.kind == Kind::Hardlink {
            entry.link = entry.link.map(|link| renamed(&link, from, to));
        }
        out.add(&entry, &mut tar)?;
    }
    tar.finish()?;
    out.finish()?.flush().context("cannot pass on the archive")
}

/// A tidy path below `to` instead of `from`; either may be empty.
fn renamed(path: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let rest = match path.strip_prefix(from) {
        Some([b'/', rest @ ..]) if !from.is_empty() => rest,
        Some(rest) if from.is_empty() || rest.is_empty() => rest,
        _ => return path.to_vec(),
    };
    if rest.is_empty() { to.to_vec() } else { join(to, rest) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn places_are_told_apart_as_in_docker() {
        for (text, place) in [
            ("-", Place::Stream),
            ("box:/etc", Place::Container("box", "/etc")),
            ("box:a:b", Place::Container("box", "a:b")),
            ("./box:x", Place::Local("./box:x")),
            ("/box:x", Place::Local("/box:x")),
            ("file", Place::Local("file")),
        ] {
            assert_eq!(Place::of(text), place, "{text}");
        }
    }

    #[test]
    fn destinations_are_dockers() {
        let source = |base: &str, is_folder| Source { base: base.into(), is_folder };
        let to = |source: &Source, there, path: &str| {
            let target = Target { path: tidy(path), there };
            destination(source, &target, path)
                .map(|(folder, name)| format!("{}|{name}", folder.display()))
                .map_err(|error| error.to_string())
        };
        let (file, folder, content) = (source("f", false), source("d", true), source("", true));
        assert_eq!(to(&file, Some(true), "/a").unwrap(), "/a|f");
        assert_eq!(to(&file, Some(false), "/a/b").unwrap(), "/a|b");
        assert_eq!(to(&file, None, "/a/b").unwrap(), "/a|b");
        assert_eq!(to(&file, None, "/a/b/").unwrap_err(), "there is no folder /a/b/");
        assert_eq!(to(&folder, Some(true), "/a").unwrap(), "/a|d");
        assert_eq!(to(&folder, None, "/a/b/").unwrap(), "/a|b");
        assert_eq!(to(&folder, Some(false), "/a").unwrap_err(), "cannot copy a folder over the file /a");
        assert_eq!(to(&content, Some(true), "/a").unwrap(), "/a|");
        assert_eq!(to(&content, None, "/a/b").unwrap(), "/a|b");
    }

    #[test]
    fn tops_are_renamed() {
        for (path, from, to, becomes) in [
            ("a", "a", "b", "b"),
            ("a/c", "a", "b", "b/c"),
            ("ab", "a", "b", "ab"),
            ("", "", "b", "b"),
            ("c", "", "b", "b/c"),
            ("a/c", "a", "", "c"),
            ("c/d", "", "", "c/d"),
        ] {
            assert_eq!(renamed(path.as_bytes(), from.as_bytes(), to.as_bytes()), becomes.as_bytes(), "{path}: {from} to {to}");
        }
    }
}
