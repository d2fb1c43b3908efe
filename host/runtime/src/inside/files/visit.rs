//! The files of a container that does not run: mounted for a client, as long as the client is there.

use std::{
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use nacre_oci::{Error, Result};
use rustix::{
    fs::{FileType, StatVfsMountFlags, fstat, fstatvfs},
    mount::{MountFlags, UnmountFlags, mount_bind, mount_bind_recursive, mount_remount, unmount},
};

use crate::{
    boot::Boot,
    inside::{
        beneath::{self, Missing, Traces, kind},
        files::{STANDARD, View, serve},
        folder::{Folder, Place},
        mounts::absolute,
        port::Port,
        root::{Home, Root, Roots},
        stubs::Stubs,
        trees::Trees,
        volumes,
    },
    lock::{Locked, lock},
    request::{Mount, MountKind},
    state::container_folder,
};

/// Answers a client about a stopped container. If the container runs by now, the client is not greeted.
pub(crate) fn visit(boot: &Boot, place: &Place, port: &Port) -> Result<()> {
    let root = place.path.ancestors().nth(2).unwrap_or(&place.path);
    let home = container_folder(root, &boot.id);
    let Locked::Own(_lock) = lock(&home)? else { return Ok(()) };
    place.sweep()?;
    let folder = Folder::new(place)?;
    let done = in_folder(boot, place, port, &folder, home);
    let removed = folder.remove(place);
    done.and(removed)
}

fn in_folder(boot: &Boot, place: &Place, port: &Port, folder: &Folder, home: PathBuf) -> Result<()> {
    rustix::process::chdir(&folder.path).map_err(|error| Error::io("enter the visit's folder")(error.into()))?;
    let trees = Trees::new(place, folder);
    let mut roots = Roots::new(place, folder, &trees, port);
    roots.home = Some(Home { path: home.clone(), volatile: false });
    let root = roots.container(&boot.run.layers)?;
    let mut stubs = Stubs::new(&root.path)?;
    let served = see(boot, &roots, &root, &home, &mut stubs, port.socket()?);
    stubs.remove();
    served.and(root.unmount())
}

/// Shows the container to the client, with all that would be mounted in it if it ran.
fn see(boot: &Boot, roots: &Roots<'_>, root: &Root, home: &Path, stubs: &mut Stubs, client: UnixStream) -> Result<()> {
    for standard in STANDARD {
        stubs.point(Path::new(standard), if standard.starts_with("/etc/") { Missing::File } else { Missing::Folder })?;
    }
    let mut volumes = Vec::new();
    for (target, mount) in sorted(boot) {
        let source = source(mount, &target, stubs.root(), roots)?;
        let is_file = source.as_deref().is_some_and(|source| !source.is_dir());
        stubs.point(&target, if is_file { Missing::File } else { Missing::Folder })?;
        volumes.extend(source.map(|source| (source, target, mount.readonly)));
    }
    let files = ["hosts", "hostname", "resolv.conf"].map(|name| (home.join(name), Path::new("/etc").join(name), false));
    volumes.extend(files.into_iter().filter(|(source, ..)| source.exists()));
    let path = roots.folder.make("eyes")?;
    mount_bind(&root.path, &path).map_err(|error| Error::io("mount the container's files")(error.into()))?;
    let eyes = beneath::open_root(&path).map_err(Error::io("open the container's root"))?;
    for (source, target, readonly) in &volumes {
        show(eyes.as_fd(), source, target, *readonly).map_err(Error::io(format!("mount {}", target.display())))?;
    }
    // The client may break off as it likes.
    let _ = serve(client, Arc::new(|| false), &View { root, place: roots.place, boot, eyes });
    unmount(&path, UnmountFlags::DETACH).map_err(|error| Error::io("unmount the container's files")(error.into()))
}

/// What lies below another is mounted after it.
fn sorted(boot: &Boot) -> Vec<(PathBuf, &Mount)> {
    let run = &boot.run;
    let mut targets: Vec<_> = run.mounts.iter().map(|mount| (absolute(&run.cwd, &mount.target), mount)).collect();
    targets.sort_by(|one, other| one.0.cmp(&other.0));
    targets
}

/// Where the files of a mount are; of what is only there while the container runs, nowhere.
fn source(mount: &Mount, target: &Path, root: BorrowedFd<'_>, roots: &Roots<'_>) -> Result<Option<PathBuf>> {
    match &mount.kind {
        MountKind::Bind { source, .. } => Ok(source.exists().then(|| source.clone())),
        MountKind::Volume(name) => volumes::ready(name, target, root, roots).map(Some),
        _ => Ok(None),
    }
}

/// Mounts a folder or file where the container's programs would find it.
fn show(eyes: BorrowedFd<'_>, source: &Path, target: &Path, readonly: bool) -> std::io::Result<()> {
    let missing = if source.is_dir() { Missing::Folder } else { Missing::File };
    let found = beneath::find(eyes, target, missing, Traces::None)?;
    if (kind(&fstat(&found.file)?) == FileType::Directory) != source.is_dir() {
        return Err(std::io::ErrorKind::NotADirectory.into());
    }
    mount_bind_recursive(source, opened(&found.file))?;
    if readonly {
        // The same place again, and what is mounted there now.
        let mounted = beneath::find(eyes, &found.path, Missing::Fail, Traces::None)?.file;
        mount_remount(opened(&mounted), MountFlags::BIND | MountFlags::RDONLY | flags(&mounted)?, "")?;
    }
    Ok(())
}

/// A mount's own flags, which a user namespace may not take away.
fn flags(mounted: &OwnedFd) -> std::io::Result<MountFlags> {
    let has = fstatvfs(mounted)?.f_flag;
    let all = [
        (StatVfsMountFlags::NOSUID, MountFlags::NOSUID),
        (StatVfsMountFlags::NODEV, MountFlags::NODEV),
        (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
        (StatVfsMountFlags::NOATIME, MountFlags::NOATIME),
        (StatVfsMountFlags::NODIRATIME, MountFlags::NODIRATIME),
        (StatVfsMountFlags::RELATIME, MountFlags::RELATIME),
    ];
    Ok(all.into_iter().filter(|(flag, _)| has.contains(*flag)).map(|(_, flag)| flag).collect())
}

fn opened(file: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}
