//! What programs see besides their root filesystem.

use std::{fs::File, io::Read, path::PathBuf};

use nacre_oci::Error as Data;
use nacre_plugin::graph::{CacheMount, Exec, Mount, MountKind, Node, SecretMount, Sharing, SshMount};
use nacre_runtime::TreeLayer;

use super::{Job, Value};
use crate::{Result, Secret, Snapshot};

/// The most bytes of a secret (BuildKit's limit).
const MAX_SECRET: u64 = 500 << 10;

/// The input that a mount shows, and which path of it.
pub(super) fn input(mount: &Mount) -> Option<(Node, &str)> {
    match &mount.kind {
        MountKind::Bind(bind) => Some((bind.from, &bind.source)),
        MountKind::Cache(cache) => cache.from.map(|from| (from, cache.source.as_str())),
        _ => None,
    }
}

impl Job<'_> {
    /// The mounts of a program. Optional ones that the user did not give are left out.
    pub(super) fn mounts(&self, exec: &Exec) -> Result<Vec<nacre_runtime::Mount>> {
        let mut mounts = Vec::new();
        for mount in &exec.mounts {
            if let Some(kind) = self.mount(mount)? {
                mounts.push(nacre_runtime::Mount { target: mount.target.clone(), readonly: mount.readonly, kind });
            }
        }
        Ok(mounts)
    }

    fn mount(&self, mount: &Mount) -> Result<Option<nacre_runtime::MountKind>> {
        use nacre_runtime::MountKind as Kind;
        let tree = input(mount).map(|(node, source)| self.mounted(node, source)).transpose()?;
        Ok(match (&mount.kind, tree) {
            (MountKind::Cache(cache), initial) => Some(Kind::Cache(shared(cache, initial))),
            (MountKind::Tmpfs(size), _) => Some(Kind::Tmpfs(*size)),
            (MountKind::Secret(secret), _) => self.secret(secret)?.map(Kind::Secret),
            (MountKind::Ssh(ssh), _) => self.agent(ssh)?,
            (MountKind::Bind(bind), Some(layers)) => Some(Kind::Tree { layers, source: bind.source.clone() }),
            (MountKind::Bind(_), None) => None,
        })
    }

    /// The layers of an input, of a folder only those files that are mounted.
    fn mounted(&self, node: Node, source: &str) -> Result<Vec<TreeLayer>> {
        match self.value(node) {
            Value::Root(root) => self.tree_layers(root),
            Value::Folder(_) => self.tree_layers(&self.folder_layer(node, source)?),
        }
    }

    /// The layers of a root filesystem, in the store from now on.
    pub(super) fn tree_layers(&self, root: &Snapshot) -> Result<Vec<TreeLayer>> {
        self.fetch(root.layers())?;
        let store = &self.solver.environment.store;
        let one = |stacked: &crate::Stacked| TreeLayer {
            diff_id: stacked.layer.diff_id.clone(),
            blob: store.blob_path(&stacked.layer.descriptor.digest),
        };
        Ok(root.layers().iter().map(one).collect())
    }

    fn secret(&self, secret: &SecretMount) -> Result<Option<nacre_runtime::Secret>> {
        let content = self.secret_value(&secret.id, secret.required)?;
        let SecretMount { mode, uid, gid, .. } = *secret;
        Ok(content.map(|content| nacre_runtime::Secret { content, mode, uid, gid }))
    }

    /// The secrets that a program gets as variables.
    pub(super) fn secret_variables(&self, exec: &Exec) -> Result<Vec<(String, String)>> {
        let mut variables = Vec::new();
        for secret in &exec.secret_env {
            if let Some(value) = self.secret_value(&secret.id, secret.required)? {
                let bad = |_| Data::malformed(format!("secret {}", secret.id), "a variable must be UTF-8; mount it as a file");
                variables.push((secret.name.clone(), String::from_utf8(value).map_err(bad)?));
            }
        }
        Ok(variables)
    }

    fn secret_value(&self, id: &str, required: bool) -> Result<Option<Vec<u8>>> {
        match self.solver.lent.secrets.get(id) {
            Some(Secret::Value(value)) => Ok(Some(value.to_vec())),
            Some(Secret::File(path)) => Ok(Some(read(path, id)?)),
            None if required => Err(Data::Other(format!("secret {id}: not found; give it with --secret id={id},src=FILE").into()).into()),
            None => Ok(None),
        }
    }

    fn agent(&self, ssh: &SshMount) -> Result<Option<nacre_runtime::MountKind>> {
        let id = if ssh.id.is_empty() { "default" } else { &ssh.id };
        let SshMount { mode, uid, gid, .. } = *ssh;
        match self.solver.lent.ssh.get(id) {
            Some(path) => Ok(Some(nacre_runtime::MountKind::Socket { path: path.clone(), mode, uid, gid })),
            None if ssh.required => {
                let text = format!("no SSH key \"{}\" forwarded from the client; give an agent with --ssh {id}", ssh.id);
                Err(Data::Other(text.into()).into())
            }
            None => Ok(None),
        }
    }
}

fn shared(cache: &CacheMount, initial: Option<Vec<TreeLayer>>) -> nacre_runtime::Cache {
    nacre_runtime::Cache {
        id: cache.id.clone(),
        sharing: match cache.sharing {
            Sharing::Shared => nacre_runtime::Sharing::Shared,
            Sharing::Private => nacre_runtime::Sharing::Private,
            Sharing::Locked => nacre_runtime::Sharing::Locked,
        },
        initial: initial.map(|layers| (layers, cache.source.clone())),
        mode: cache.mode,
        uid: cache.uid,
        gid: cache.gid,
    }
}

fn read(path: &PathBuf, id: &str) -> Result<Vec<u8>, Data> {
    let doing = || Data::io(format!("read secret {id} from {}", path.display()));
    let mut content = Vec::new();
    File::open(path).and_then(|file| file.take(MAX_SECRET + 1).read_to_end(&mut content)).map_err(doing())?;
    if content.len() as u64 > MAX_SECRET {
        return Err(Data::TooLarge { what: format!("secret {id}"), limit: format!("{} KiB", MAX_SECRET >> 10) });
    }
    Ok(content)
}
