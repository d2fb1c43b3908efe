//! One run, from the request to the layer.

use std::path::{Path, PathBuf};

use nacre_layer::{Layer, LayerWriter};
use nacre_oci::{Error, Result};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use crate::{
    inside::{
        accounts::Accounts,
        beneath::Missing,
        folder::{Folder, Place},
        mounts::Mounts,
        network,
        port::{Port, Uplink, compression},
        root::{Root, Roots},
        spec::{Parts, spec},
        start::Oci,
        stubs::Stubs,
        trees::Trees,
    },
    request::Run,
    sandbox::Status,
    wire::Message,
};

/// The host name of programs that are given none (BuildKit's).
const HOSTNAME: &str = "buildkitsandbox";

/// Runs a program, tells how it ended, and sends the layer if it ended well.
pub(crate) fn run(mut run: Run, place: &Place, port: &Port) -> Result<()> {
    if run.hostname.is_empty() {
        run.hostname = HOSTNAME.into();
    }
    place.sweep()?;
    let folder = Folder::new(place)?;
    let done = in_folder(&run, place, port, &folder);
    // Whatever cannot be removed now is swept by the next run.
    let removed = folder.remove(place);
    done.and(removed)
}

fn in_folder(run: &Run, place: &Place, port: &Port, folder: &Folder) -> Result<()> {
    rustix::process::chdir(&folder.path).map_err(|error| Error::io("enter the run's folder")(error.into()))?;
    let trees = Trees::new(place, folder);
    let roots = Roots::new(place, folder, &trees, port);
    let root = roots.mount(&run.layers, "root")?;
    let memory = memory(folder)?;
    let status = started(run, &roots, &root, &memory, folder)?;
    unmount(&memory, UnmountFlags::DETACH).map_err(|error| Error::io("unmount what a program used")(error.into()))?;
    let well = status == Status::Exited(0);
    port.tell(&match status {
        Status::Exited(code) => Message::Ended { code },
        Status::NotStarted { code, why } => Message::NotStarted { code, why },
    })?;
    if !well {
        return root.unmount();
    }
    send_layer(&root, &trees, place, port)
}

/// Everything between a mounted root filesystem and the end of the program in it.
fn started(run: &Run, roots: &Roots<'_>, root: &Root, memory: &Path, folder: &Folder) -> Result<Status> {
    let mut stubs = Stubs::new(&root.path)?;
    let account = match Accounts::of(stubs.root()).find(&run.user) {
        Ok(account) => account,
        Err(why) => return Ok(Status::NotStarted { code: 126, why }),
    };
    for standard in ["/proc", "/dev", "/sys"] {
        stubs.folder(standard, 0, 0, roots.place.owners)?;
    }
    stubs.folder(&run.cwd, account.uid, account.gid, roots.place.owners)?;
    network::write(memory, &run.hostname, &run.hosts)?;
    let mut mounts = Vec::new();
    for name in ["hosts", "resolv.conf"] {
        let target = stubs.point(&Path::new("/etc").join(name), Missing::File)?;
        mounts.push(serde_json::json!({"destination": target, "type": "bind", "source": memory.join(name), "options": ["rbind", "ro"]}));
    }
    let ready = Mounts::ready(run, roots, &mut stubs, memory)?;
    mounts.extend(ready.specs.iter().cloned());
    let parts = Parts::new(&account, &root.path, mounts, roots.place);
    let status = Oci::new(&spec(run, parts), memory, folder, roots.place)?.run()?;
    ready.end()?;
    stubs.remove();
    Ok(status)
}

/// A folder whose files are only ever in memory.
pub(crate) fn memory(folder: &Folder) -> Result<PathBuf> {
    let path = folder.make("memory")?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    mount("tmpfs", &path, "tmpfs", flags, c"mode=0700").map_err(|error| Error::io("mount a tmpfs")(error.into()))?;
    Ok(path)
}

fn send_layer(root: &Root, trees: &Trees<'_>, place: &Place, port: &Port) -> Result<()> {
    let mut writer = LayerWriter::new(Box::new(Uplink::new(port)?), compression(&place.compression));
    root.difference(place, &mut writer)?;
    let Layer { descriptor, diff_id } = writer.finish()?;
    port.tell(&Message::Layer { descriptor: Box::new(descriptor), diff_id: diff_id.clone() })?;
    root.unmount()?;
    root.keep(trees, &diff_id)
}
