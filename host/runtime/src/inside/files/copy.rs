//! Copying out of a container and into it (moby's `ContainerArchivePath` and `ContainerExtractToDir`).

use std::{
    io::{Read, Write},
    os::{fd::AsFd, unix::ffi::OsStrExt},
    path::Path,
};

use nacre_layer::{Codec, Extracting, Owners, archive, extract};
use nacre_oci::{Error, Result};
use rustix::fs::{FileType, fstat};

use crate::{
    files::{CopyIn, protocol::Incoming},
    inside::{
        accounts::Accounts,
        beneath::kind,
        files::{Patient, View, is_system},
        mounts::absolute,
    },
};

impl View<'_> {
    pub(super) fn copy_out(&self, path: &str, follow: bool, out: &mut dyn Write) -> Result<()> {
        let mut seen = self.look(path)?;
        if follow {
            let found = self.follow(path, &seen.path)?;
            (seen.file, seen.path) = (found.file, found.path);
        }
        let below = |inside: &[u8]| is_system(&seen.path.join(Path::new(std::ffi::OsStr::from_bytes(inside))));
        archive(seen.file, Some(&seen.name), &below, out)
    }

    /// Extracts what comes next from the client.
    pub(super) fn copy_in(&self, folder: &str, options: &CopyIn, client: &Patient) -> Result<()> {
        let mut content = Incoming::new(client.clone());
        let done = self.extract(folder, options, &mut content);
        // What is not read now would be taken for the next question.
        if content.finish() { done } else { Err(Error::Cancelled) }
    }

    fn extract(&self, folder: &str, options: &CopyIn, content: &mut (impl Read + Send)) -> Result<()> {
        let found = self.follow(folder, &absolute("/", folder))?;
        let stat = fstat(&found.file).map_err(|error| Error::io(format!("look at {folder}"))(error.into()))?;
        if kind(&stat) != FileType::Directory {
            return Err(in_mobys_words("extraction point is not a directory"));
        }
        self.refuse_readonly(&found.path)?;
        let root = self.eyes.try_clone().map_err(Error::io("open the container's root"))?;
        let how = Extracting { owners: self.owners(options)?, replace: options.replace, privileged: self.place.privileged };
        let doing = || Error::io("read the archive");
        let mut head = Vec::new();
        (&mut *content).take(Codec::HEAD as u64).read_to_end(&mut head).map_err(doing())?;
        let all = head.as_slice().chain(content);
        match Codec::detect(&head) {
            Some(codec) => extract(&mut codec.reader(all).map_err(doing())?, root, found.path.as_os_str().as_bytes(), &how).map(drop),
            None => extract(&mut { all }, root, found.path.as_os_str().as_bytes(), &how).map(drop),
        }
    }

    /// A folder of a volume that cannot be written, or of a container that cannot be.
    fn refuse_readonly(&self, path: &Path) -> Result<()> {
        let path = Path::new("/").join(path);
        let volume = self.targets().filter(|(target, _)| path.starts_with(target)).max_by_key(|(target, _)| target.as_os_str().len());
        match volume {
            Some((_, true)) => Err(in_mobys_words("mounted volume is marked read-only")),
            None if self.boot.readonly => Err(in_mobys_words("container rootfs is marked read-only")),
            _ => Ok(()),
        }
    }

    fn owners(&self, options: &CopyIn) -> Result<Owners> {
        let user = &self.boot.run.user;
        if !self.place.owners {
            return Ok(Owners::Own);
        }
        if !options.as_user || user.is_empty() {
            return Ok(Owners::Kept);
        }
        let account = Accounts::of(self.eyes.as_fd()).find(user).map_err(|why| in_mobys_words(&why))?;
        Ok(Owners::All(account.uid, account.gid))
    }
}

fn in_mobys_words(why: &str) -> Error {
    Error::Other(why.into())
}
