//! What the runtime needs to start a container.

use nacre_runtime::{Boot, Mount, MountKind, Run, TreeLayer};
use nacre_store::Store;

use crate::{MountSource, Record};

/// The search path of programs where the image says nothing (moby's `system.DefaultPathEnv`).
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The start of a container, in a terminal of `size` rows and columns if that is known.
pub(crate) fn boot(store: &Store, id: &str, remove: bool, record: &Record, size: Option<(u16, u16)>) -> Boot {
    let layer =
        |(diff_id, blob): &(nacre_oci::Digest, nacre_oci::Digest)| TreeLayer { diff_id: diff_id.clone(), blob: store.blob_path(blob) };
    let run = Run {
        layers: record.layers.iter().map(layer).collect(),
        args: record.command(),
        env: environment(record),
        cwd: nacre_oci::clean_path(&record.config.working_dir),
        user: record.config.user.clone(),
        mounts: mounts(record),
        network: record.network,
        hostname: record.hostname.clone(),
        hosts: record.hosts.clone(),
        shm_size: record.shm_size,
        limits: record.limits.clone(),
    };
    let stdin_once = record.stdin && record.attached;
    Boot { id: id.to_owned(), run, tty: record.tty, stdin: record.stdin, stdin_once, readonly: record.readonly, remove, size }
}

/// The program's variables, in Docker's order: its own first, each replaced where it stands by what the user or the image
/// says (moby's `container.CreateDaemonEnvironment`).
fn environment(record: &Record) -> Vec<(String, String)> {
    let mut all = vec![("PATH".to_owned(), PATH.to_owned()), ("HOSTNAME".to_owned(), record.hostname.clone())];
    all.extend(record.tty.then(|| ("TERM".to_owned(), "xterm".to_owned())));
    for one in &record.config.env {
        let Some((name, value)) = one.split_once('=') else {
            all.retain(|(held, _)| held != one);
            continue;
        };
        match all.iter_mut().find(|(held, _)| held == name) {
            Some((_, held)) => value.clone_into(held),
            None => all.push((name.to_owned(), value.to_owned())),
        }
    }
    all
}

fn mounts(record: &Record) -> Vec<Mount> {
    let mut volumes = 0..;
    let one = |mounting: &crate::Mounting| {
        let kind = match &mounting.source {
            MountSource::Bind { path, create } => MountKind::Bind { source: path.clone(), create: *create },
            MountSource::Tmpfs(size) => MountKind::Tmpfs(*size),
            MountSource::Anonymous => MountKind::Volume(volumes.next().unwrap_or(0).to_string()),
        };
        Mount { target: mounting.target.clone(), readonly: mounting.readonly, kind }
    };
    record.mounts.iter().map(one).collect()
}
