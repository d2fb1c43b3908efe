//! `RUN --mount`.

use super::suggest::did_you_mean;
use super::{Mistake, csv, number, quoted};

/// One `--mount` as it is written. Its variables are expanded where the `RUN` stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountFlag {
    /// What stands behind `--mount=`.
    pub text: String,
    /// Its `from`, in which there are no variables: known before anything is expanded.
    pub from: Option<String>,
}

/// What a `--mount` asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mount {
    /// `type`
    pub kind: MountKind,
    /// `from`; empty if it is not given, as are the further texts.
    pub from: String,
    /// `source`, `src`
    pub source: String,
    /// `target`, `dst`, `destination`
    pub target: String,
    /// `readonly`, `ro`, `readwrite`, `rw`, or what its type is without them.
    pub readonly: bool,
    /// `size` of a tmpfs, in bytes; 0 for no limit.
    pub size: u64,
    /// `id`
    pub id: String,
    /// `sharing` of a cache.
    pub sharing: Option<Sharing>,
    /// `required` of a secret or of ssh.
    pub required: bool,
    /// `env` of a secret: the variable's name; an empty one means the secret's.
    pub env: Option<String>,
    /// `mode`
    pub mode: Option<u32>,
    /// `uid`
    pub uid: Option<u32>,
    /// `gid`
    pub gid: Option<u32>,
}

/// What is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MountKind {
    /// Files of the context, a stage or an image.
    #[default]
    Bind,
    /// A folder that lasts from build to build.
    Cache,
    /// Memory.
    Tmpfs,
    /// A secret of the user's.
    Secret,
    /// The user's ssh agent.
    Ssh,
}

/// How builds share a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Any number of builds at a time.
    Shared,
    /// A build that finds it in use gets another one.
    Private,
    /// One build at a time.
    Locked,
}

const KINDS: [&str; 5] = ["bind", "cache", "secret", "ssh", "tmpfs"];
const SHARINGS: [&str; 3] = ["locked", "private", "shared"];
const KEYS: [&str; 19] = [
    "type",
    "from",
    "source",
    "target",
    "readonly",
    "id",
    "sharing",
    "required",
    "size",
    "mode",
    "uid",
    "gid",
    "src",
    "dst",
    "destination",
    "ro",
    "rw",
    "readwrite",
    "env",
];

impl MountFlag {
    /// Reads as much as is known before variables are: fields, and a `from` without variables.
    pub(super) fn parse(text: &str) -> Result<MountFlag, Mistake> {
        let mut from = None;
        for field in fields(text)? {
            if let Some((key, value)) = field.split_once('=')
                && key.eq_ignore_ascii_case("from")
            {
                if value.find('$').is_some_and(|at| at + 1 < value.len()) {
                    return Err(bad("'from' doesn't support variable expansion, define alias stage instead"));
                }
                from = Some(value.to_owned()).filter(|from| !from.is_empty());
            }
        }
        Ok(MountFlag { text: text.into(), from })
    }

    /// The mount, each value being expanded first. What a key means can depend on the `type` before it (BuildKit's
    /// `parseMount`).
    pub fn expand(&self, expand: &mut dyn FnMut(&str) -> Result<String, Mistake>) -> Result<Mount, Mistake> {
        let mut mount = Mount::default();
        let mut readonly = None;
        for field in fields(&self.text)? {
            let (key, value) = match field.split_once('=') {
                Some((key, value)) => (key.to_lowercase(), Some(expand(value)?)),
                None => (field.to_lowercase(), None),
            };
            match (key.as_str(), value) {
                ("readonly" | "ro", value) => readonly = Some(truth(&key, value)?),
                ("readwrite" | "rw", value) => readonly = Some(!truth(&key, value)?),
                ("required", value) => mount.set_required(&key, value)?,
                (_, Some(value)) => mount.set(&key, value, &field)?,
                (_, None) => return Err(bad(format!("invalid field '{field}' must be a key=value pair"))),
            }
        }
        mount.readonly = readonly.unwrap_or(!matches!(mount.kind, MountKind::Cache | MountKind::Tmpfs));
        mount.check().map(|()| mount)
    }
}

impl Mount {
    fn set(&mut self, key: &str, value: String, field: &str) -> Result<(), Mistake> {
        match key {
            "type" => self.kind = kind(&value)?,
            "from" => self.from = value,
            "source" | "src" => self.source = value,
            "target" | "dst" | "destination" => self.target = value,
            "size" if self.kind == MountKind::Tmpfs => {
                self.size = number::size(&value).ok_or_else(|| invalid_value(key, &value))?;
            }
            "size" => return Err(self.unexpected(key)),
            "id" => self.id = value,
            "sharing" => self.sharing = Some(sharing(&value)?),
            "mode" => self.mode = Some(numeric(key, &value, 8)?),
            "uid" => self.uid = Some(numeric(key, &value, 10)?),
            "gid" => self.gid = Some(numeric(key, &value, 10)?),
            "env" => self.env = Some(value),
            _ => {
                let hint = did_you_mean(key, &KEYS, true);
                return Err(bad(format!("unexpected key '{key}' in '{field}'{hint}")));
            }
        }
        Ok(())
    }

    fn set_required(&mut self, key: &str, value: Option<String>) -> Result<(), Mistake> {
        if !matches!(self.kind, MountKind::Secret | MountKind::Ssh) {
            return Err(self.unexpected(key));
        }
        self.required = truth(key, value)?;
        Ok(())
    }

    fn unexpected(&self, key: &str) -> Mistake {
        bad(format!("unexpected key '{key}' for mount type '{}'", self.kind.name()))
    }

    /// What fits together.
    fn check(&self) -> Result<(), Mistake> {
        let kind = self.kind.name();
        if matches!(self.kind, MountKind::Bind | MountKind::Tmpfs) {
            let owned = [("mode", self.mode), ("uid", self.uid), ("gid", self.gid)];
            if let Some((key, _)) = owned.into_iter().find(|(_, value)| value.is_some()) {
                return Err(bad(format!("{key} not allowed for {} type mounts", quoted(kind))));
            }
        }
        if self.kind == MountKind::Secret {
            self.check_secret()?;
        }
        if self.sharing.is_some() && self.kind != MountKind::Cache {
            return Err(bad(format!("invalid cache sharing set for {kind} mount")));
        }
        Ok(())
    }

    fn check_secret(&self) -> Result<(), Mistake> {
        let (source, target, id) = (!self.source.is_empty(), !self.target.is_empty(), !self.id.is_empty());
        Err(bad(match () {
            () if !self.from.is_empty() => "secret mount should not have a from",
            () if self.sharing.is_some() => "secret mount should not define sharing",
            () if !source && !target && !id => "invalid secret mount. one of source, target required",
            () if source && id => "both source and id can't be set",
            () => return Ok(()),
        }))
    }
}

impl MountKind {
    /// As `type=` names it.
    pub fn name(self) -> &'static str {
        match self {
            MountKind::Bind => "bind",
            MountKind::Cache => "cache",
            MountKind::Tmpfs => "tmpfs",
            MountKind::Secret => "secret",
            MountKind::Ssh => "ssh",
        }
    }
}

fn kind(value: &str) -> Result<MountKind, Mistake> {
    Ok(match value.to_lowercase().as_str() {
        "bind" => MountKind::Bind,
        "cache" => MountKind::Cache,
        "tmpfs" => MountKind::Tmpfs,
        "secret" => MountKind::Secret,
        "ssh" => MountKind::Ssh,
        _ => {
            let hint = did_you_mean(value, &KINDS, true);
            return Err(bad(format!("unsupported mount type {}{hint}", quoted(value))));
        }
    })
}

fn sharing(value: &str) -> Result<Sharing, Mistake> {
    Ok(match value.to_lowercase().as_str() {
        "shared" => Sharing::Shared,
        "private" => Sharing::Private,
        "locked" => Sharing::Locked,
        _ => {
            let hint = did_you_mean(value, &SHARINGS, true);
            return Err(bad(format!("unsupported sharing value {}{hint}", quoted(value))));
        }
    })
}

fn fields(text: &str) -> Result<Vec<String>, Mistake> {
    csv::fields(text).map_err(|reason| bad(format!("failed to parse csv mounts: {reason}")))
}

/// A key alone is true.
fn truth(key: &str, value: Option<String>) -> Result<bool, Mistake> {
    value.map_or(Ok(true), |value| number::boolean(&value).ok_or_else(|| invalid_value(key, &value)))
}

fn numeric(key: &str, value: &str, radix: u32) -> Result<u32, Mistake> {
    number::unsigned(value, radix).ok_or_else(|| bad(format!("invalid value {value} for {key}")))
}

fn invalid_value(key: &str, value: &str) -> Mistake {
    bad(format!("invalid value for {key}: {value}"))
}

fn bad(message: impl Into<String>) -> Mistake {
    Mistake::new("bad-mount", message)
}
