//! Root filesystems that can be written: an overlay mount of trees, fuse-overlayfs over one whole tree, or a copy of it.

use std::{
    cell::Cell,
    ffi::CString,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use nacre_layer::{Changes, LayerWriter, difference, remove_tree};
use nacre_oci::{Digest, Error, Result};
use rustix::{
    io::Errno,
    mount::{MountFlags, UnmountFlags, mount, mount_bind, unmount},
};

use crate::{
    inside::{
        copy::copy,
        folder::{Folder, Place},
        port::Port,
        trees::{Trees, borrowed},
    },
    request::TreeLayer,
};

/// Options that the kernel may know, best first. What `difference` could not tell is kept out: renamed folders and files
/// whose content stayed below. Nothing has to reach the disk: what is written is in the layer, or lost with this run.
const OPTIONS: [&str; 3] = [",redirect_dir=off,metacopy=off,index=off,volatile", ",redirect_dir=off,metacopy=off,index=off", ""];
/// The same in a user namespace, where the kernel refuses the others by itself.
const USER_OPTIONS: [&str; 3] = [",userxattr,index=off,volatile", ",userxattr,volatile", ",userxattr"];

/// A mounted root filesystem.
pub(crate) struct Root {
    pub(crate) path: PathBuf,
    layers: Vec<TreeLayer>,
    kind: Kind,
}

enum Kind {
    Overlay { lowers: Vec<PathBuf>, upper: PathBuf },
    Fuse { whole: PathBuf },
    Copy { whole: PathBuf },
}

/// Where a container keeps what is written, from start to start.
pub(crate) struct Home {
    /// The container's folder.
    pub(crate) path: PathBuf,
    /// Whether it is thrown away at the end, so that nothing has to reach the disk.
    pub(crate) volatile: bool,
}

/// Mounts root filesystems in a run's folder.
pub(crate) struct Roots<'a> {
    pub(crate) place: &'a Place,
    pub(crate) folder: &'a Folder,
    pub(crate) trees: &'a Trees<'a>,
    pub(crate) port: &'a Port,
    /// The container's, if it is one's.
    pub(crate) home: Option<Home>,
    /// What the kernel said to a trial, if it was not content.
    refused: Cell<Option<Errno>>,
}

impl<'a> Roots<'a> {
    pub(crate) fn new(place: &'a Place, folder: &'a Folder, trees: &'a Trees<'a>, port: &'a Port) -> Self {
        Self { place, folder, trees, port, home: None, refused: Cell::new(None) }
    }

    /// Mounts one. `name` is its own in this run.
    pub(crate) fn mount(&self, layers: &[TreeLayer], name: &str) -> Result<Root> {
        self.mount_for(layers, name, None)
    }

    /// Mounts the container's own.
    pub(crate) fn container(&self, layers: &[TreeLayer]) -> Result<Root> {
        self.mount_for(layers, "root", self.home.as_ref())
    }

    fn mount_for(&self, layers: &[TreeLayer], name: &str, home: Option<&Home>) -> Result<Root> {
        let path = self.folder.make(name)?;
        let kind = match self.overlay_refused()? {
            None => self.overlay(layers, name, home)?,
            Some(refused) => self.fall_back(layers, name, &path, home, refused)?,
        };
        Ok(Root { path, layers: layers.to_vec(), kind })
    }

    /// Tries an overlay mount of nothing. Where the kernel refuses that, trees for overlay mounts may not even be made.
    fn overlay_refused(&self) -> Result<Option<Errno>> {
        let known = self.place.path.join(format!("overlay-{}", self.place.boot));
        if self.refused.get().is_none() && !known.exists() {
            let (path, empty) = (self.folder.make("trial")?, self.trees.empty()?);
            self.upper("trial", &empty, None)?;
            self.refused.set(self.mount_overlay(&[empty], "trial", true).and_then(|()| unmount(&path, UnmountFlags::DETACH)).err());
            if self.refused.get().is_none() {
                fs::write(&known, "").map_err(Error::io(format!("write {}", known.display())))?;
            }
        }
        Ok(self.refused.get())
    }

    fn overlay(&self, layers: &[TreeLayer], name: &str, home: Option<&Home>) -> Result<Kind> {
        let lowers = self.trees.lowers(layers)?;
        let upper = self.upper(name, &lowers[0], home)?;
        self.mount_overlay(&lowers, name, home.is_none_or(|home| home.volatile))
            .map_err(|error| Error::io("mount the root filesystem")(error.into()))?;
        Ok(Kind::Overlay { lowers, upper })
    }

    fn fall_back(&self, layers: &[TreeLayer], name: &str, path: &Path, home: Option<&Home>, refused: Errno) -> Result<Kind> {
        let whole = self.trees.whole(layers)?;
        self.upper(name, &whole, home)?;
        if self.fuse(&whole, name) {
            self.port.warn(format!("fuse-overlayfs is used, which is slow, because the kernel refuses an overlay mount: {refused}"));
            return Ok(Kind::Fuse { whole });
        }
        let advice = if self.place.fuse.is_none() { "; 'apt install fuse-overlayfs' may help" } else { "" };
        self.port
            .warn(format!("the root filesystem is copied, which is slow, because the kernel refuses an overlay mount: {refused}{advice}"));
        match home {
            None => copy(&whole, path, &self.trees.empty()?, self.place)?,
            Some(home) => self.kept_copy(&whole, path, home)?,
        }
        Ok(Kind::Copy { whole })
    }

    /// A copy that lies with the container, and is made only once.
    fn kept_copy(&self, whole: &Path, path: &Path, home: &Home) -> Result<()> {
        let (kept, new) = (home.path.join("whole"), home.path.join("whole.new"));
        if !kept.is_dir() {
            remove_tree(&new)?;
            fs::create_dir(&new).map_err(Error::io(format!("make {}", new.display())))?;
            copy(whole, &new, &self.trees.empty()?, self.place)?;
            fs::rename(&new, &kept).map_err(Error::io(format!("make {}", kept.display())))?;
        }
        mount_bind(&kept, path).map_err(|error| Error::io("mount the root filesystem")(error.into()))
    }

    /// The folder that takes what is written.
    fn upper(&self, name: &str, lower: &Path, home: Option<&Home>) -> Result<PathBuf> {
        let Some(home) = home else {
            self.folder.make(&work(name))?;
            let upper = self.folder.make(&format!("{name}-upper"))?;
            return resemble(&upper, lower).map(|()| upper);
        };
        let (upper, new, work_folder) = (home.path.join("upper"), home.path.join("upper.new"), home.path.join("work"));
        let doing = || Error::io(format!("make folders in {}", home.path.display()));
        // A volatile mount that was not ended leaves a mark there, because of which the kernel would refuse another.
        remove_tree(&work_folder)?;
        fs::create_dir(&work_folder).map_err(doing())?;
        if !upper.is_dir() {
            remove_tree(&new)?;
            fs::create_dir(&new).map_err(doing())?;
            resemble(&new, lower)?;
            fs::rename(&new, &upper).map_err(doing())?;
        }
        self.folder.link(&work(name), &work_folder)?;
        self.folder.link(&format!("{name}-upper"), &upper)?;
        Ok(upper)
    }

    /// All names are relative to the run's folder, which is this process's own: a mount's options must fit in a page.
    fn mount_overlay(&self, lowers: &[PathBuf], name: &str, volatile: bool) -> Result<(), Errno> {
        let names: Vec<_> = lowers.iter().filter_map(|lower| lower.file_name()?.to_str()).collect();
        let mut refused = Errno::INVAL;
        for options in if self.place.privileged { OPTIONS } else { USER_OPTIONS } {
            let options = if volatile { options.to_owned() } else { options.replace(",volatile", "") };
            let data = format!("lowerdir={},upperdir={name}-upper,workdir={}{options}", names.join(":"), work(name));
            let data = CString::new(data).map_err(|_| Errno::INVAL)?;
            match mount("overlay", name, "overlay", MountFlags::empty(), data.as_c_str()) {
                Ok(()) => return Ok(()),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    fn fuse(&self, whole: &Path, name: &str) -> bool {
        let (Some(program), Some(lower)) = (&self.place.fuse, whole.file_name().and_then(|name| name.to_str())) else { return false };
        let options = format!("lowerdir={lower},upperdir={name}-upper,workdir={}", work(name));
        let mut command = Command::new(program);
        command.args(["-o", &options, name]).env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }
}

impl Root {
    /// Writes the layer of what was changed.
    pub(crate) fn difference(&self, place: &Place, layer: &mut LayerWriter) -> Result<()> {
        self.compared(place, |changes| difference(changes, &[], layer).map(drop))
    }

    /// Does something with what was before and what is now.
    pub(crate) fn compared<T>(&self, place: &Place, work: impl FnOnce(&Changes<'_>) -> T) -> T {
        match &self.kind {
            Kind::Overlay { lowers, upper } => work(&Changes::Overlay { upper, lowers: &borrowed(lowers), attributes: place.attributes() }),
            Kind::Fuse { whole } | Kind::Copy { whole } => work(&Changes::Trees { before: whole, after: &self.path }),
        }
    }

    /// Ends the mount.
    pub(crate) fn unmount(&self) -> Result<()> {
        match self.kind {
            Kind::Copy { .. } => Ok(()),
            _ => unmount(&self.path, UnmountFlags::DETACH).map_err(|error| Error::io("unmount the root filesystem")(error.into())),
        }
    }

    /// Keeps what was written as the tree of the layer that was made of it.
    pub(crate) fn keep(&self, trees: &Trees<'_>, diff_id: &Digest) -> Result<()> {
        match &self.kind {
            Kind::Overlay { upper, .. } => trees.adopt(&self.layers, diff_id, upper, false),
            Kind::Copy { .. } => trees.adopt(&self.layers, diff_id, &self.path, true),
            // Its marks of what was deleted are its own.
            Kind::Fuse { .. } => Ok(()),
        }
    }
}

/// Makes a folder look like the topmost layer's, since it stands for the root itself.
fn resemble(folder: &Path, lower: &Path) -> Result<()> {
    let doing = || Error::io(format!("make {}", folder.display()));
    let like = fs::metadata(lower).map_err(doing())?;
    chown(folder, Some(like.uid()), Some(like.gid())).map_err(doing())?;
    fs::set_permissions(folder, fs::Permissions::from_mode(like.mode() & 0o7777)).map_err(doing())
}

fn work(name: &str) -> String {
    format!("{name}-work")
}
