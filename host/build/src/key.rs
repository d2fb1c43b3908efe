//! Keys of the cache: the digest of an operation and of what it works on, without what must not matter.

use std::io;

use nacre_oci::{Algorithm, Digest, Hasher};
use nacre_plugin::graph::Operation;
use serde::Serialize;

use crate::graph;

/// Counts up whenever the same operation makes other layers than before, or is written differently into its key.
const VERSION: u64 = 1;

/// Hashes parts so that no two lists of parts hash the same bytes.
pub(crate) struct KeyHasher(Hasher);

impl KeyHasher {
    /// A key of this kind.
    pub(crate) fn new(kind: &str) -> Self {
        let mut hasher = Self(Hasher::new(Algorithm::Sha256));
        hasher.bytes(&VERSION.to_le_bytes());
        hasher.bytes(kind.as_bytes());
        hasher
    }

    /// Adds bytes.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    /// Adds plain data.
    pub(crate) fn json(&mut self, data: &impl Serialize) {
        // JSON ends where it ends, so it needs no length.
        serde_json::to_writer(Writer(&mut self.0), data).expect("data of lists, maps and strings is always JSON");
    }

    /// The key.
    pub(crate) fn finish(self) -> Digest {
        self.0.digest()
    }
}

struct Writer<'a>(&'a mut Hasher);

impl io::Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What of an operation counts by itself: all but where its inputs stand and what is lent to its program.
pub(crate) fn own(operation: &Operation) -> Operation {
    let mut own = operation.clone();
    graph::inputs(&mut own).into_iter().for_each(|input| *input = 0);
    if let Operation::Exec(exec) = &mut own {
        exec.uncached_env.clear();
    }
    own
}

#[cfg(test)]
mod tests {
    use nacre_plugin::{
        Kv,
        graph::{CacheMount, Exec, Mount, MountKind, Network, SecretEnv, Sharing},
    };

    use super::*;

    fn exec() -> Exec {
        let cache = CacheMount { id: "c".into(), sharing: Sharing::Shared, from: Some(2), source: "/".into(), mode: 0o755, uid: 0, gid: 0 };
        Exec {
            base: 1,
            args: vec!["make".into()],
            env: vec![Kv::new("A", "b")],
            uncached_env: vec![Kv::new("HTTP_PROXY", "proxy")],
            secret_env: vec![SecretEnv { name: "TOKEN".into(), id: "token".into(), required: true }],
            cwd: "/".into(),
            user: String::new(),
            mounts: vec![Mount { target: "/cache".into(), readonly: false, kind: MountKind::Cache(cache) }],
            network: Network::Sandbox,
            hostname: String::new(),
        }
    }

    fn key(change: impl FnOnce(&mut Exec)) -> Digest {
        let mut exec = exec();
        change(&mut exec);
        let mut key = KeyHasher::new("exec");
        key.json(&own(&Operation::Exec(exec)));
        key.finish()
    }

    #[test]
    fn all_that_a_program_is_told_counts() {
        let changes: [fn(&mut Exec); 8] = [
            |exec| exec.args.push("all".into()),
            |exec| exec.env[0].value.push('c'),
            |exec| exec.secret_env[0].id = "other".into(),
            |exec| exec.cwd = "/src".into(),
            |exec| exec.user = "1000".into(),
            |exec| exec.mounts[0].readonly = true,
            |exec| exec.network = Network::None,
            |exec| exec.hostname = "builder".into(),
        ];
        let mut keys: Vec<Digest> = changes.into_iter().map(key).chain([key(|_| ())]).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), 9);
    }

    #[test]
    fn where_inputs_stand_and_the_proxy_do_not_count() {
        assert_eq!(key(|exec| (exec.base, exec.uncached_env) = (7, Vec::new())), key(|_| ()));
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        let of = |parts: [&str; 2]| {
            let mut key = KeyHasher::new("test");
            parts.into_iter().for_each(|part| key.bytes(part.as_bytes()));
            key.finish()
        };
        assert_ne!(of(["ab", "c"]), of(["a", "bc"]));
    }
}
