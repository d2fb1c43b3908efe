//! What a run mounts over its root filesystem: each made ready at a place of nacre's own, from which the OCI runtime only
//! has to bind it.

use std::{
    fs::{self, File},
    io::Write,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd},
        unix::fs::{OpenOptionsExt, fchown},
    },
    path::{Path, PathBuf},
};

use nacre_oci::{Error, Result};
use rustix::{
    fs::{FileType, StatVfsMountFlags, fchmod, statvfs},
    mount::{UnmountFlags, mount_bind, unmount},
};
use serde_json::{Value, json};

use crate::{
    inside::{
        beneath::{self, Missing, Traces},
        caches::Caches,
        root::{Root, Roots},
        socket,
        stubs::Stubs,
        volumes,
    },
    request::{Mount, MountKind, Run, Secret, TreeLayer},
};

/// Below these the OCI runtime mounts what is no part of the root filesystem.
const OWN: [&str; 3] = ["/proc", "/dev", "/sys"];

/// Mounts that are ready.
#[derive(Default)]
pub(crate) struct Mounts {
    /// For the container's configuration.
    pub(crate) specs: Vec<Value>,
    trees: Vec<Root>,
    binds: Vec<PathBuf>,
    caches: Caches,
}

/// Where a mount comes from.
struct Source {
    path: PathBuf,
    is_file: bool,
    options: &'static [&'static str],
}

impl Mounts {
    /// Makes all mounts of a run ready. `memory` is a folder of a tmpfs.
    pub(crate) fn ready(run: &Run, roots: &Roots<'_>, stubs: &mut Stubs, memory: &Path) -> Result<Self> {
        let mut ready = Self { caches: Caches::hold(run, roots)?, ..Self::default() };
        let mut targets: Vec<(PathBuf, &Mount)> = run.mounts.iter().map(|mount| (absolute(&run.cwd, &mount.target), mount)).collect();
        // What lies below another is mounted after it (BuildKit's order).
        targets.sort_by(|one, other| one.0.cmp(&other.0));
        for (index, (target, mount)) in targets.iter().enumerate() {
            let spec = ready.one(index, target, mount, roots, stubs, memory);
            ready.specs.push(spec.map_err(|error| Error::Other(format!("cannot mount {}: {error}", target.display()).into()))?);
        }
        Ok(ready)
    }

    fn one(&mut self, index: usize, target: &Path, mount: &Mount, roots: &Roots<'_>, stubs: &mut Stubs, memory: &Path) -> Result<Value> {
        if target == Path::new("/") {
            return Err(Error::Unsupported { what: "mounting over the whole root filesystem".into(), why: "name a folder in it".into() });
        }
        let place = memory.join(format!("m{index}"));
        let source = match &mount.kind {
            MountKind::Tmpfs(size) => return tmpfs(*size, mount.readonly, &point(stubs, target, Missing::Folder)?),
            MountKind::Tree { layers, source } => self.tree(index, layers, source, roots, place)?,
            MountKind::Cache(cache) => Source { path: self.caches.path(cache)?.to_owned(), is_file: false, options: &[] },
            MountKind::Secret(secret) => {
                write_secret(&place, secret, roots.place.owners).map_err(Error::io("write a secret"))?;
                Source { path: place, is_file: true, options: &["nosuid", "nodev", "noexec"] }
            }
            MountKind::Socket { path, mode, uid, gid } => {
                let owner = roots.place.owners.then_some((*uid, *gid));
                socket::pass_on(path, &place, *mode, owner).map_err(Error::io(format!("pass on the socket {}", path.display())))?;
                Source { path: place, is_file: true, options: &[] }
            }
            MountKind::Bind { source, create } => host(source, *create)?,
            MountKind::Volume(name) => {
                Source { path: volumes::ready(name, target, stubs.root(), roots)?, is_file: false, options: &["rprivate"] }
            }
        };
        let target = point(stubs, target, if source.is_file { Missing::File } else { Missing::Folder })?;
        let mut options = vec!["rbind", if mount.readonly { "ro" } else { "rw" }];
        options.extend(source.options);
        // To make it read-only is to mount it again, which must not take away flags that users cannot.
        options.extend(if mount.readonly { flags(&source.path) } else { Vec::new() });
        Ok(json!({"destination": target, "type": "bind", "source": source.path, "options": options}))
    }

    /// A part of another root filesystem.
    fn tree(&mut self, index: usize, layers: &[TreeLayer], source: &str, roots: &Roots<'_>, place: PathBuf) -> Result<Source> {
        let root = roots.mount(layers, &format!("m{index}"))?;
        let doing = || Error::io(format!("find {source} in what is to be mounted"));
        let top = beneath::open_root(&root.path).map_err(doing())?;
        self.trees.push(root);
        let found = beneath::find(top.as_fd(), Path::new(source), Missing::Fail, Traces::None).map_err(doing())?;
        let is_file = bind(found.file.as_fd(), &place).map_err(doing())?;
        self.binds.push(place.clone());
        Ok(Source { path: place, is_file, options: &[] })
    }

    /// Ends them.
    pub(crate) fn end(self) -> Result<()> {
        for bind in &self.binds {
            unmount(bind, UnmountFlags::DETACH).map_err(|error| Error::io("unmount what a program used")(error.into()))?;
        }
        self.trees.iter().try_for_each(Root::unmount)
    }
}

/// A folder or file of the host's, which is as it is when the container is started.
fn host(source: &Path, create: bool) -> Result<Source> {
    let doing = || Error::io(format!("find {}", source.display()));
    let found = match fs::metadata(source) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && create => {
            fs::create_dir_all(source).and_then(|()| fs::metadata(source)).map_err(doing())?
        }
        other => other.map_err(doing())?,
    };
    Ok(Source { path: source.to_owned(), is_file: !found.is_dir(), options: &["rprivate"] })
}

/// The flags of the mount that a path is on.
fn flags(path: &Path) -> Vec<&'static str> {
    let flags = statvfs(path).map_or(StatVfsMountFlags::empty(), |found| found.f_flag);
    let known = [(StatVfsMountFlags::NOSUID, "nosuid"), (StatVfsMountFlags::NODEV, "nodev"), (StatVfsMountFlags::NOEXEC, "noexec")];
    known.iter().filter(|(flag, _)| flags.contains(*flag)).map(|(_, name)| *name).collect()
}

/// Binds what is opened to a place that no program has a say in. Returns whether it is a file.
fn bind(file: BorrowedFd<'_>, place: &Path) -> std::io::Result<bool> {
    let is_file = beneath::kind(&rustix::fs::fstat(file)?) != FileType::Directory;
    if is_file {
        File::create(place)?;
    } else {
        fs::create_dir(place)?;
    }
    mount_bind(format!("/proc/self/fd/{}", file.as_raw_fd()), place)?;
    Ok(is_file)
}

fn point(stubs: &mut Stubs, target: &Path, missing: Missing) -> Result<PathBuf> {
    if OWN.iter().any(|own| target.starts_with(own)) {
        return Ok(target.to_owned());
    }
    stubs.point(target, missing)
}

fn tmpfs(size: u64, readonly: bool, target: &Path) -> Result<Value> {
    let mut options = vec!["nosuid".to_owned(), "nodev".to_owned()];
    options.extend((size > 0).then(|| format!("size={size}")));
    options.extend(readonly.then(|| "ro".to_owned()));
    Ok(json!({"destination": target, "type": "tmpfs", "source": "tmpfs", "options": options}))
}

fn write_secret(place: &Path, secret: &Secret, owners: bool) -> std::io::Result<()> {
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(place)?;
    file.write_all(&secret.content)?;
    if owners {
        fchown(&file, Some(secret.uid), Some(secret.gid))?;
    }
    Ok(fchmod(&file, rustix::fs::Mode::from_raw_mode(secret.mode & 0o7777))?)
}

/// A target, which may be relative to the working folder, as an absolute path without `.` and `..`.
pub(crate) fn absolute(cwd: &str, target: &str) -> PathBuf {
    let mut path = PathBuf::from("/");
    for part in Path::new("/").join(cwd).join(target).components() {
        match part {
            std::path::Component::ParentDir => {
                path.pop();
            }
            std::path::Component::Normal(name) => path.push(name),
            _ => {}
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_relative_to_the_working_folder() {
        for (cwd, target, expected) in [("/w", "rel/x", "/w/rel/x"), ("/w", "/a/./b", "/a/b"), ("w", "../../../x", "/x"), ("", "", "/")] {
            assert_eq!(absolute(cwd, target), Path::new(expected));
        }
    }
}
