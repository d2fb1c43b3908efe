//! `RUN --mount`.

use nacre_sdk::graph::{BindMount, CacheMount, Mount, MountKind, Node, SecretEnv, SecretMount, Sharing, SshMount};

use super::stage::{Stage, Step};
use super::stop::{Lowered, Stop};
use super::vars::Vars;
use super::{Lowering, paths};
use crate::syntax::{self, Run, quoted};

/// What a `RUN` gets besides its root filesystem.
#[derive(Debug, Default)]
pub(super) struct Mounts {
    pub mounts: Vec<Mount>,
    pub secret_env: Vec<SecretEnv>,
    /// Where the first ssh agent is.
    agent: Option<String>,
    agents: usize,
}

impl Mounts {
    /// The variables of its programs: those of the stage, and where the ssh agent is.
    pub fn env(&self, vars: &Vars) -> Vars {
        let mut vars = vars.clone();
        if let Some(agent) = self.agent.as_ref().filter(|_| vars.get("SSH_AUTH_SOCK").is_none()) {
            vars.set("SSH_AUTH_SOCK", agent);
        }
        vars
    }

    /// Adds a secret: as a file, as a variable, or as both if it has a target too.
    fn add_secret(&mut self, mount: syntax::Mount) -> Lowered<()> {
        let id = [&mount.source, &mount.id].into_iter().find(|id| !id.is_empty()).cloned();
        let id = match id {
            Some(id) => id,
            None if mount.target.is_empty() => return Err(Stop::mistake("bad-mount", "one of source, target required")),
            None => paths::base(&mount.target).into(),
        };
        let target = Some(mount.target).filter(|target| !target.is_empty());
        let target = target.or_else(|| mount.env.is_none().then(|| format!("/run/secrets/{}", paths::base(&id))));
        if let Some(name) = mount.env {
            let name = if name.is_empty() { id.clone() } else { name };
            self.secret_env.push(SecretEnv { name, id: id.clone(), required: mount.required });
        }
        let (mode, uid, gid) = (mount.mode.unwrap_or(0o400), mount.uid.unwrap_or(0), mount.gid.unwrap_or(0));
        let kind = MountKind::Secret(SecretMount { id, required: mount.required, mode, uid, gid });
        self.mounts.extend(target.map(|target| Mount { target, readonly: mount.readonly, kind }));
        Ok(())
    }

    fn add_agent(&mut self, mount: syntax::Mount) -> Lowered<()> {
        if !mount.source.is_empty() {
            return Err(Stop::mistake("bad-mount", "ssh does not support source"));
        }
        let target = if mount.target.is_empty() { format!("/run/buildkit/ssh_agent.{}", self.agents) } else { mount.target };
        self.agents += 1;
        self.agent.get_or_insert_with(|| target.clone());
        let (mode, uid, gid) = (mount.mode.unwrap_or(0o600), mount.uid.unwrap_or(0), mount.gid.unwrap_or(0));
        let kind = MountKind::Ssh(SshMount { id: mount.id, required: mount.required, mode, uid, gid });
        self.mounts.push(Mount { target, readonly: mount.readonly, kind });
        Ok(())
    }
}

impl Lowering<'_> {
    pub(super) fn mounts(&mut self, stage: &Stage, step: &Step, run: &Run) -> Lowered<Mounts> {
        let mut mounts = Mounts::default();
        for (flag, source) in run.mounts.iter().zip(&step.sources) {
            let mount = flag.expand(&mut |text| self.word(stage, step, text))?;
            let from = source.map(|index| self.mounted(index, &mount)).transpose()?;
            match mount.kind {
                syntax::MountKind::Secret => mounts.add_secret(mount)?,
                syntax::MountKind::Ssh => mounts.add_agent(mount)?,
                _ => mounts.mounts.push(self.files_mount(stage, mount, from)?),
            }
        }
        Ok(mounts)
    }

    fn mounted(&mut self, index: usize, mount: &syntax::Mount) -> Lowered<Node> {
        let refuse = || {
            let (from, target) = (quoted(&mount.from), quoted(&mount.target));
            format!("cannot mount from stage {from} to {target}, stage needs to be defined before current command")
        };
        let node = self.source_state(index, refuse)?;
        Ok(node.unwrap_or_else(|| self.graph.scratch()))
    }

    /// A mount of files of the build's folder, of a stage, of a cache, or of memory.
    fn files_mount(&mut self, stage: &Stage, mount: syntax::Mount, from: Option<Node>) -> Lowered<Mount> {
        let target = paths::join(&stage.state.folder, &mount.target);
        if target == "/" {
            return Err(Stop::mistake("bad-mount", format!("invalid mount target {}", quoted(&target))));
        }
        let readonly = mount.readonly;
        let kind = match mount.kind {
            syntax::MountKind::Cache => MountKind::Cache(self.cache(mount, from)),
            syntax::MountKind::Tmpfs => MountKind::Tmpfs(mount.size),
            _ => {
                let from = from.unwrap_or_else(|| self.main_context());
                MountKind::Bind(BindMount { from, source: paths::join("/", &mount.source) })
            }
        };
        Ok(Mount { target, readonly, kind })
    }

    /// Its name is that of its target, unless it has one; `BUILDKIT_CACHE_MOUNT_NS` stands in front.
    fn cache(&self, mount: syntax::Mount, from: Option<Node>) -> CacheMount {
        let id = if mount.id.is_empty() { paths::clean(&mount.target) } else { mount.id };
        let space = self.given.get("BUILDKIT_CACHE_MOUNT_NS").filter(|space| !space.is_empty());
        CacheMount {
            id: space.map_or_else(|| id.clone(), |space| format!("{space}/{id}")),
            sharing: match mount.sharing {
                None | Some(syntax::Sharing::Shared) => Sharing::Shared,
                Some(syntax::Sharing::Private) => Sharing::Private,
                Some(syntax::Sharing::Locked) => Sharing::Locked,
            },
            from,
            source: paths::join("/", &mount.source),
            mode: mount.mode.unwrap_or(0o755),
            uid: mount.uid.unwrap_or(0),
            gid: mount.gid.unwrap_or(0),
        }
    }
}
