//! A container's files, looked at and changed from inside of its sandbox.

mod copy;
mod look;
mod patient;
mod visit;

use std::{
    io::{BufWriter, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::{ffi::OsStrExt, net::UnixStream},
    },
    path::{Path, PathBuf},
};

use nacre_layer::{Change, ChangeKind, Layer, LayerWriter, archive, changes, difference_with_links};
use nacre_oci::{Error, Result};

use crate::{
    boot::Boot,
    files::protocol::{Answer, Outgoing, Question},
    inside::{
        beneath::{self, Missing, Traces},
        folder::Place,
        mounts::absolute,
        port::{Uplink, compression},
        root::Root,
    },
    wire::{self, Frame, Message},
};

pub(crate) use patient::{Over, Patient};
pub(crate) use visit::visit;

/// What is mounted in every container, or whose content the OCI runtime gives it.
const STANDARD: [&str; 6] = ["/proc", "/dev", "/sys", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"];

/// What of a container can be seen.
pub(crate) struct View<'a> {
    /// Its root filesystem, mounted, without anything mounted over it.
    pub(crate) root: &'a Root,
    /// The place of the sandbox.
    pub(crate) place: &'a Place,
    /// What it was started as.
    pub(crate) boot: &'a Boot,
    /// The root folder with volumes and all, as the container's programs see it; opened by its place.
    pub(crate) eyes: OwnedFd,
}

/// Greets a client, and answers it until it is gone, or rests when all is over.
///
/// # Errors
/// If the client breaks off in the middle. That is nothing to worry about.
pub(crate) fn serve(socket: UnixStream, over: Over, view: &View<'_>) -> Result<()> {
    let talking = || Error::io("talk to a client");
    let mut client = Patient::new(socket, over).map_err(talking())?;
    wire::send(&mut client, &Message::Started { exec: None }).map_err(talking())?;
    while let Some(question) = wire::receive(&mut client).map_err(talking())? {
        let Frame::Message(question) = question else { return Err(Error::Cancelled) };
        let answer = view.answer(question, &client).unwrap_or_else(|error| Answer::Failed(error.into()));
        wire::send(&mut client, &answer).map_err(talking())?;
    }
    Ok(())
}

impl View<'_> {
    fn answer(&self, question: Question, client: &Patient) -> Result<Answer> {
        match question {
            Question::Changes => self.changes(&mut BufWriter::with_capacity(64 << 10, Outgoing(client.clone())))?,
            Question::Layer { compression } => return self.layer(&compression, client),
            Question::Export => {
                let top = beneath::open_root(&self.root.path).map_err(Error::io("open the container's root"))?;
                archive(top, None, &|_| false, &mut BufWriter::with_capacity(1 << 20, Outgoing(client.clone())))?;
            }
            Question::Stat { path } => return self.stat(&path).map(Answer::Stat),
            Question::CopyOut { path, follow } => {
                self.copy_out(&path, follow, &mut BufWriter::with_capacity(1 << 20, Outgoing(client.clone())))?;
            }
            Question::CopyIn { folder, options } => self.copy_in(&folder, &options, client)?,
        }
        Ok(Answer::Done)
    }

    fn changes(&self, out: &mut dyn Write) -> Result<()> {
        let exclude = self.mount_points();
        let mut tell = |change: Change| {
            let kind = match change.kind {
                ChangeKind::Added => b"A",
                ChangeKind::Changed => b"C",
                ChangeKind::Deleted => b"D",
            };
            out.write_all(&[kind, change.path.as_slice(), b"\0"].concat()).map_err(Error::io("talk to a client"))
        };
        self.root.compared(self.place, |of| changes(of, &exclude, &mut tell))?;
        out.flush().map_err(Error::io("talk to a client"))
    }

    fn layer(&self, media_type: &str, client: &Patient) -> Result<Answer> {
        let exclude = self.mount_points();
        let mut writer = LayerWriter::new(Box::new(Uplink::over(client.clone())), compression(media_type));
        let done = self.root.compared(self.place, |of| difference_with_links(of, &exclude, &mut writer))?;
        if done.entries == 0 {
            return Ok(Answer::Layer(None));
        }
        let Layer { descriptor, diff_id } = writer.finish()?;
        Ok(Answer::Layer(Some((Box::new(descriptor), diff_id))))
    }

    /// Where something is mounted over the root filesystem: tidy paths, without links. Nothing there is the container's own.
    fn mount_points(&self) -> Vec<Vec<u8>> {
        let Ok(root) = beneath::open_root(&self.root.path) else { return Vec::new() };
        let real = |point: PathBuf| beneath::find(root.as_fd(), &point, Missing::Fail, Traces::None).ok();
        let points = STANDARD.iter().map(PathBuf::from).chain(self.targets().map(|(target, _)| target));
        points.filter_map(real).map(|found| found.path.as_os_str().as_bytes().to_vec()).collect()
    }

    /// Where volumes and such are mounted, and whether each can only be read.
    fn targets(&self) -> impl Iterator<Item = (PathBuf, bool)> {
        let run = &self.boot.run;
        run.mounts.iter().map(|mount| (absolute(&run.cwd, &mount.target), mount.readonly))
    }
}

/// Whether the kernel and the OCI runtime decide what a folder holds.
fn is_system(path: &Path) -> bool {
    ["proc", "sys", "dev"].iter().any(|own| path == Path::new(own))
}
