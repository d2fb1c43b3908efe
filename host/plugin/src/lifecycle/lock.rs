//! `plugins.lock`: what is installed in a plugins folder, and what it was granted.
//!
//! The file is the only authority: the manifests, grants and digests that count are those that it holds, and
//! whatever else lies in the folder has no capability. It is read in one go, so that the command line knows
//! all subcommands without opening a file for each plugin.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::capability::Capabilities;
use crate::error::{Fault, one_line};
use crate::manifest::Manifest;
use crate::plugin::{read_capped, sha256};

/// The lock file's name in its plugins folder.
pub const LOCK_FILE: &str = "plugins.lock";
/// Where what is installed lies in a plugins folder: hidden from the search for further plugins.
const INSTALLED: &str = ".installed";
/// Whoever holds a lock on this file may change the other.
const GUARD: &str = ".plugins.lock.guard";
/// The format that is written here.
const VERSION: u32 = 1;
/// Bytes that the file may have.
const MAX_BYTES: u64 = 16 << 20;

/// The lock file of a plugins folder.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    version: u32,
    /// What is installed, sorted by name.
    #[serde(default, rename = "plugin", skip_serializing_if = "Vec::is_empty")]
    pub plugins: Vec<Locked>,
}

/// One installed plugin.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Locked {
    /// Its name, as in its manifest.
    pub name: String,
    /// Its version, as in its manifest.
    pub version: String,
    /// Where it came from: a path, or a reference in a registry.
    pub source: String,
    /// The digest of the manifest that the reference stood for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The digest of its component.
    pub component: String,
    /// The id of the key that signed it, as minisign shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<String>,
    /// Whether it is used.
    pub enabled: bool,
    /// When it was installed (RFC 3339).
    pub installed: String,
    /// The digest of what was granted to which component: see [`Locked::seal`].
    pub granted: String,
    /// Its `plugin.toml`, as JSON in a string: that is read ten times as fast, and nobody shall edit it.
    #[serde(with = "json")]
    pub manifest: Manifest,
    /// What the user granted.
    pub grants: Capabilities,
}

/// A value as JSON in a string.
mod json {
    use serde::de::{DeserializeOwned, Error as _};
    use serde::ser::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<T: Serialize, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&serde_json::to_string(value).map_err(S::Error::custom)?)
    }

    pub(super) fn deserialize<'de, T: DeserializeOwned, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
        serde_json::from_str(&String::deserialize(from)?).map_err(D::Error::custom)
    }
}

impl Default for Lock {
    fn default() -> Lock {
        Lock { version: VERSION, plugins: Vec::new() }
    }
}

impl Lock {
    /// Reads the lock file of the plugins folder `dir`; empty if there is none.
    ///
    /// # Errors
    /// It cannot be read, or is of another format.
    pub fn read(dir: &Path) -> Result<Lock, Fault> {
        let path = dir.join(LOCK_FILE);
        if fs::symlink_metadata(&path).is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            return Ok(Lock::default());
        }
        let wrong =
            |what: String| Fault::Lock(format!("{} {what}: restore it, or remove it and install the plugins again", path.display()));
        let text = String::from_utf8(read_capped(&path, MAX_BYTES)?).map_err(|_| wrong("is not UTF-8".into()))?;
        let lock: Lock = toml::from_str(&text).map_err(|error| {
            let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            wrong(format!("is damaged in line {line} ({})", one_line(error.message())))
        })?;
        if lock.version != VERSION {
            return Err(wrong(format!("has version {}, this nacre knows {VERSION}", lock.version)));
        }
        Ok(lock)
    }

    /// The plugin of this name; the publisher in front may be left out where that leaves one.
    ///
    /// # Errors
    /// There is none, or there are several.
    pub fn get(&self, name: &str) -> Result<&Locked, Fault> {
        let mut fitting = self.plugins.iter().filter(|locked| locked.name == name || locked.name.ends_with(&format!("/{name}")));
        let exact = self.plugins.iter().find(|locked| locked.name == name);
        match (exact.or_else(|| fitting.next()), fitting.next()) {
            (None, _) => Err(Fault::Lock(format!("'{name}' is not installed: see nacre plugin ls"))),
            (Some(first), Some(second)) if exact.is_none() => {
                Err(Fault::Lock(format!("'{name}' may be {} or {}: give the whole name", first.name, second.name)))
            }
            (Some(found), _) => Ok(found),
        }
    }

    /// Changes the lock file of `dir` as one step, one process at a time.
    ///
    /// # Errors
    /// What `change` says, which then changed nothing; the file cannot be read or written.
    pub fn change<T>(dir: &Path, change: impl FnOnce(&mut Lock) -> Result<T, Fault>) -> Result<T, Fault> {
        fs::create_dir_all(dir).map_err(failed(dir))?;
        let guard = dir.join(GUARD);
        let held = OpenOptions::new().create(true).append(true).mode(0o600).open(&guard).map_err(failed(&guard))?;
        held.lock().map_err(failed(&guard))?;
        let mut lock = Lock::read(dir)?;
        let done = change(&mut lock)?;
        lock.plugins.sort_by(|a, b| a.name.cmp(&b.name));
        lock.write(dir)?;
        Ok(done)
    }

    fn write(&self, dir: &Path) -> Result<(), Fault> {
        let path = dir.join(LOCK_FILE);
        let text = toml::to_string(self).map_err(|error| Fault::Lock(format!("{} cannot be written: {error}", path.display())))?;
        let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(dir).map_err(failed(dir))?;
        let whole = format!("# Written by nacre plugin install: do not edit.\n{text}");
        file.write_all(whole.as_bytes()).and_then(|()| file.as_file().sync_all()).map_err(failed(&path))?;
        file.persist(&path).map_err(|error| failed(&path)(error.error))?;
        sync(dir)
    }
}

impl Locked {
    /// The folder that it lies in, below the plugins folder `dir`. A new component gets a new folder, so that
    /// the old one is whole until the lock file names the new.
    pub fn folder(&self, dir: &Path) -> PathBuf {
        let digest = self.component.trim_start_matches("sha256:");
        let start = digest.get(..16).unwrap_or(digest);
        installed(dir).join(format!("{}@{start}", self.name.replace('/', "+")))
    }

    /// The digest over the name, the component and each grant. It shows an entry that was changed by hand, not
    /// one that was forged: whoever can write the file can do that.
    pub fn seal(&self) -> String {
        let lines = self.grants.lines().join("\n");
        format!("sha256:{}", sha256(format!("{}\n{}\n{lines}", self.name, self.component).as_bytes()))
    }

    /// Whether the entry agrees with itself.
    ///
    /// # Errors
    /// It was changed by hand.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        let hex = self.component.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()));
        let about = &self.manifest.plugin;
        self.manifest.check().map_err(Fault::Manifest)?;
        match hex && self.granted == self.seal() && about.name == self.name && about.version == self.version {
            true => Ok(()),
            false => Err(Fault::Lock(format!("its entry in {LOCK_FILE} was changed by hand: install it again"))),
        }
    }
}

/// The folder of everything that is installed.
pub(crate) fn installed(dir: &Path) -> PathBuf {
    dir.join(INSTALLED)
}

/// Makes what a folder lists last.
pub(crate) fn sync(dir: &Path) -> Result<(), Fault> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed(dir))
}

/// What the system says about a file.
pub(crate) fn failed(path: &Path) -> impl Fn(std::io::Error) -> Fault {
    move |error| Fault::Write { path: path.to_owned(), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn locked(name: &str) -> Locked {
        let text = format!(
            "plugin = {{ name = '{name}', version = '1.0.0', api = '0.1' }}\nprovides = {{ prune-policy = ['p'] }}\nsettings = {{ a = [1] }}"
        );
        let grants = toml::from_str("store = 'read'\nnet = ['a.example']").unwrap();
        let mut locked = Locked {
            name: name.into(),
            version: "1.0.0".into(),
            source: "ghcr.io/x/y:1".into(),
            digest: None,
            component: format!("sha256:{}", "ab".repeat(32)),
            signer: None,
            enabled: true,
            installed: "2026-01-01T00:00:00Z".into(),
            granted: String::new(),
            grants,
            manifest: Manifest::parse(&text).unwrap(),
        };
        locked.granted = locked.seal();
        locked
    }

    fn add(dir: &Path, name: &str) {
        Lock::change(dir, |lock| {
            lock.plugins.push(locked(name));
            Ok(())
        })
        .unwrap();
    }

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Lock::read(dir.path()).unwrap(), Lock::default());
        add(dir.path(), "b/x");
        add(dir.path(), "a/x");
        let lock = Lock::read(dir.path()).unwrap();
        assert_eq!(lock.plugins, [locked("a/x"), locked("b/x")]);
        assert!(lock.plugins.iter().all(|locked| locked.check().is_ok()));
        assert_eq!(lock.plugins[0].folder(dir.path()), dir.path().join(".installed/a+x@abababababababab"));
    }

    #[test]
    fn a_name_without_publisher_has_to_be_unambiguous() {
        let lock = Lock { plugins: vec![locked("a/x"), locked("a/y"), locked("b/x")], ..Lock::default() };
        assert_eq!((lock.get("y").unwrap().name.as_str(), lock.get("b/x").unwrap().name.as_str()), ("a/y", "b/x"));
        assert_eq!(lock.get("x").unwrap_err().to_string(), "'x' may be a/x or b/x: give the whole name");
        assert_eq!(lock.get("z").unwrap_err().to_string(), "'z' is not installed: see nacre plugin ls");
    }

    #[test]
    fn a_change_that_fails_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        add(dir.path(), "a/x");
        let failed: Result<(), Fault> = Lock::change(dir.path(), |lock| {
            lock.plugins.clear();
            Err(Fault::Lock("no".into()))
        });
        assert!(failed.is_err());
        assert_eq!(Lock::read(dir.path()).unwrap().plugins.len(), 1);
    }

    #[test]
    fn changes_do_not_lose_each_other() {
        let dir = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            (0..16).for_each(|n| {
                _ = scope.spawn({
                    let dir = dir.path();
                    move || add(dir, &format!("a/p{n}"))
                })
            });
        });
        assert_eq!(Lock::read(dir.path()).unwrap().plugins.len(), 16);
    }

    #[test]
    fn more_grants_by_hand_are_noticed() {
        let mut locked = locked("a/x");
        locked.grants.net.push("evil.example".into());
        assert_eq!(locked.check().unwrap_err().to_string(), "its entry in plugins.lock was changed by hand: install it again");
    }

    #[test]
    fn another_format_is_not_guessed_at() {
        let dir = tempfile::tempdir().unwrap();
        for (text, said) in [
            ("version = 2", "has version 2, this nacre knows 1"),
            ("version = 1\nx = 1", "is damaged in line 2"),
            ("\u{0}", "is damaged in line 1"),
        ] {
            fs::write(dir.path().join(LOCK_FILE), text).unwrap();
            let error = Lock::read(dir.path()).unwrap_err().to_string();
            assert!(error.contains(said) && error.ends_with("install the plugins again"), "{error}");
        }
    }
}
