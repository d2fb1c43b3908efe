//! Running programs.

use std::fs;

use nacre_layer::{Compression, Layer};
use nacre_oci::{Digest, Error as Data, Platform, Staging};
use nacre_plugin::{
    Diagnostic,
    graph::{Exec, Network},
};
use nacre_runtime::{Run, Sandbox, Status, Watch};

use super::{Job, Solver, Value};
use crate::{
    Error, Event, Result, Snapshot, Stream,
    key::{KeyHasher, own},
};

impl Job<'_> {
    /// Runs a program unless the cache has what it changes.
    pub(super) fn exec(&self, exec: &Exec) -> Result<Snapshot> {
        let base = self.root(exec.base)?;
        let command = quoted(&exec.args.join(" "));
        self.check_mounts(exec, &command, true)?;
        let key = self.exec_key(exec, &base)?;
        let added = self.cached(&key, None, || Ok(vec![self.run(exec, command, &base)?]))?;
        Ok(base.with(added))
    }

    fn exec_key(&self, exec: &Exec, base: &Snapshot) -> Result<Digest> {
        let mut key = KeyHasher::new("exec");
        key.json(&(own(&self.planned.vertex.operation), &self.solver.lent.hosts));
        key.bytes(base.chain().hex().as_bytes());
        for mount in &exec.mounts {
            if let Some((node, source)) = super::mounts::input(mount) {
                let input = match self.value(node) {
                    Value::Root(root) => root.chain(),
                    Value::Folder(_) => self.content(node, source)?,
                };
                key.bytes(input.hex().as_bytes());
            }
        }
        Ok(key.finish())
    }

    fn run(&self, exec: &Exec, command: String, base: &Snapshot) -> Result<Layer> {
        can_run(base.platform())?;
        self.check_mounts(exec, &command, false)?;
        let sandbox = self.solver.sandbox()?;
        let run = self.described(exec, base)?;
        let output = |stream, bytes: &[u8]| {
            let stream = if stream == nacre_runtime::Stream::Stdout { Stream::Output } else { Stream::Error };
            self.tell(Event::Output { id: self.id, stream, bytes });
        };
        let cancelled = || self.solver.cancelled();
        let watch = Watch { output: &output, cancelled: &cancelled };
        let ran = sandbox.run(run, Compression::None, self.solver.session().stage()?, watch)?;
        self.solver.warn(&ran.warnings);
        match ran.status {
            Status::Exited(0) => Ok(ran.layer.ok_or_else(|| Data::Other("the sandbox process sent no layer".into()))?),
            Status::Exited(code) => Err(Error::Exit { command, code: code.into() }),
            // BuildKit sees only that the runtime failed, as if it were the program.
            Status::NotStarted { why, .. } if why.contains("run failed") => {
                Err(Error::NotStarted { command, why: format!("exit code: 1: {why}") })
            }
            Status::NotStarted { why, .. } => Err(Error::NotStarted { command, why }),
        }
    }

    /// The program and its surroundings, with all layers at hand.
    fn described(&self, exec: &Exec, base: &Snapshot) -> Result<Run> {
        let lent = &self.solver.lent;
        let mut env: Vec<(String, String)> = exec.env.iter().map(|kv| (kv.key.clone(), kv.value.clone())).collect();
        let secrets = self.secret_variables(exec)?;
        let more = exec.uncached_env.iter().map(|kv| (kv.key.clone(), kv.value.clone())).chain(secrets);
        for (key, value) in more {
            env.retain(|(held, _)| *held != key);
            env.push((key, value));
        }
        Ok(Run {
            layers: self.tree_layers(base)?,
            args: exec.args.clone(),
            env,
            cwd: exec.cwd.clone(),
            user: exec.user.clone(),
            mounts: self.mounts(exec)?,
            network: if exec.network == Network::None { nacre_runtime::Network::None } else { nacre_runtime::Network::Host },
            hostname: exec.hostname.clone(),
            hosts: lent.hosts.iter().map(|(name, address)| (name.clone(), address.to_string())).collect(),
            shm_size: lent.shm_size,
            limits: lent.limits.clone(),
        })
    }
}

impl Solver {
    /// What runs programs. Looked for once, when something has to be run.
    pub(super) fn sandbox(&self) -> Result<&Sandbox> {
        if let Some(sandbox) = self.sandbox.get() {
            return Ok(sandbox);
        }
        let sandbox = Sandbox::open(self.environment.runtime.clone())?;
        self.warn(sandbox.warnings());
        Ok(self.sandbox.get_or_init(|| sandbox))
    }

    fn warn(&self, warnings: &[String]) {
        for message in warnings {
            let diagnostic = Diagnostic { code: "runtime".into(), message: message.clone(), help: None, at: None };
            self.watcher.event(Event::Warning(&diagnostic));
        }
    }
}

/// Whether programs for `platform` can run here: by themselves, or by an emulator that the kernel knows.
fn can_run(platform: Option<&Platform>) -> Result<()> {
    let host = Platform::host();
    let Some(platform) = platform.filter(|platform| host.rank(platform).is_none()) else { return Ok(()) };
    let machine = match platform.architecture.as_str() {
        "amd64" => "x86_64",
        "arm64" => "aarch64",
        "386" => "i386",
        "loong64" => "loongarch64",
        "mips64le" => "mips64el",
        other => other,
    };
    let entry = fs::read_to_string(format!("/proc/sys/fs/binfmt_misc/qemu-{machine}")).unwrap_or_default();
    if entry.starts_with("enabled") {
        return Ok(());
    }
    let what = format!("running programs for {platform} on {host}");
    let why = format!("no emulator is registered; install one, as with 'apt-get install qemu-user-static binfmt-support' (qemu-{machine})");
    Err(Data::Unsupported { what, why }.into())
}

/// As Go's `%q` writes it, without the quotes.
fn quoted(text: &str) -> String {
    text.escape_debug().to_string().replace("\\'", "'").replace("\\0", "\\x00")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_quoted_as_buildkit_quotes_them() {
        assert_eq!(quoted("/bin/sh -c echo \"it's\"\n\ttrue\\"), r#"/bin/sh -c echo \"it's\"\n\ttrue\\"#);
    }

    #[test]
    fn what_runs_here_needs_no_emulator() {
        assert!(can_run(None).is_ok());
        assert!(can_run(Some(&Platform::host())).is_ok());
        let told = can_run(Some(&Platform::new("linux", "unheard", None))).expect_err("nobody emulates that").to_string();
        assert!(told.contains("linux/unheard") && told.contains("qemu-unheard"), "{told}");
    }
}
