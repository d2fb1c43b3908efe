//! One plugin that was found.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};
use wasmtime::component::Component;

use crate::Settings;
use crate::cache::Cache;
use crate::capability::Capabilities;
use crate::check::Surface;
use crate::engine::Runtime;
use crate::error::{Error, Fault, one_line};
use crate::lifecycle::{Locked, Package, Signatures};
use crate::limits::show_memory;
use crate::log::{Log, LogEntry};
use crate::manifest::Manifest;
use crate::policy::Policy;

/// The largest `plugin.wasm` that is read: interpreters come in 20 MB.
pub(crate) const MAX_WASM: u64 = 64 << 20;

/// Where a plugin comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It is part of nacre.
    Bundled,
    /// It lies in this folder, with `plugin.toml` and `plugin.wasm`: somebody put it there.
    Folder(PathBuf),
    /// It was installed.
    Installed {
        /// Where its component lies.
        folder: PathBuf,
        /// Where it came from.
        source: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Bundled => f.write_str("bundled"),
            Origin::Folder(path) => path.display().fmt(f),
            Origin::Installed { source, .. } => f.write_str(source),
        }
    }
}

/// A plugin whose manifest was read. Its component is read at the first call.
pub struct Plugin {
    /// Its `plugin.toml`.
    pub manifest: Manifest,
    /// Where it was found.
    pub origin: Origin,
    /// Plugins of the same name that it takes the place of, such as a bundled one.
    pub shadows: Vec<Origin>,
    /// Its settings with the user's in their place.
    pub settings: Settings,
    /// What it may do, in every call: what it asks for, was granted, and the ceiling allows.
    pub granted: Capabilities,
    /// Its entry in the lock file, if it was installed.
    pub locked: Option<Box<Locked>>,
    pub(crate) policy: Arc<Policy>,
    pub(crate) bundled: &'static [u8],
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) loaded: Mutex<Option<Component>>,
    pub(crate) log: Mutex<Log>,
}

impl Plugin {
    /// Its name: unique, as in `nacre plugin inspect NAME`.
    pub fn name(&self) -> &str {
        &self.manifest.plugin.name
    }

    /// Adds an entry of nacre's own to its log.
    pub(crate) fn note(&self, entry: LogEntry) {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
    }

    /// What it logged in all calls so far, which are then forgotten.
    pub fn take_log(&self) -> Log {
        std::mem::take(&mut *self.log.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads, checks and compiles its component, so that the first call is as fast as the next.
    ///
    /// # Errors
    /// It cannot be read or may not be run.
    pub fn prepare(&self) -> Result<(), Error> {
        self.component().map(drop).map_err(|fault| fault.of(self.name()))
    }

    /// The SHA-256 of its component, in hexadecimal.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn component_sha256(&self) -> Result<String, Error> {
        Ok(sha256(&self.wasm().map_err(|fault| fault.of(self.name()))?))
    }

    /// Its component, checked and compiled: looked up at the first call, and read if that does not help.
    pub(crate) fn component(&self) -> Result<Component, Fault> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(component) = &*loaded {
            return Ok(component.clone());
        }
        let cache = Cache::open(&self.runtime.cache)?;
        let component = match self.file() {
            None => {
                self.check(&sha256(self.bundled), &Surface::read(self.bundled)?)?;
                cache.load(self.runtime.host()?, &sha256(self.bundled), || Ok(Cow::Borrowed(self.bundled)))?
            }
            Some(file) => {
                let known = cache.known(&file)?;
                self.check(&known.sha256, &known.surface)?;
                cache.load(self.runtime.host()?, &known.sha256, || unchanged(known.wasm, &file, &known.sha256).map(Cow::Owned))?
            }
        };
        *loaded = Some(component.clone());
        Ok(component)
    }

    /// Whether a component of this digest and with these imports and exports may be run as this plugin. Nothing of it
    /// has been compiled yet.
    pub(crate) fn check(&self, sha256: &str, surface: &Surface) -> Result<(), Fault> {
        if self.locked.as_ref().is_some_and(|locked| locked.component.strip_prefix("sha256:") != Some(sha256)) {
            return Err(Fault::Changed);
        }
        self.check_signature(sha256)?;
        surface.check(&self.manifest)?;
        if surface.needs_grants() { self.check_grants() } else { Ok(()) }
    }

    /// What is asked for has to be granted, and the ceiling over it.
    fn check_grants(&self) -> Result<(), Fault> {
        let asks = &self.manifest.capabilities;
        match (&self.origin, &self.locked) {
            // Its author has what it asks for: see `Plugins::open`.
            (Origin::Folder(folder), _) if asks.within(&self.granted).is_err() => {
                return Err(Fault::NotInstalled { asks: one_line(&asks.lines().join(", ")), folder: folder.clone() });
            }
            (_, Some(locked)) => asks.within(&locked.grants).map_err(Fault::NotGranted)?,
            _ => {}
        }
        self.policy.ceiling.check(asks).map_err(Fault::Ceiling)
    }

    /// Where signatures are required, what nobody installed has to have one as well.
    fn check_signature(&self, sha256: &str) -> Result<(), Fault> {
        let trust = &self.policy.trust;
        if trust.rule() != Signatures::Required {
            return Ok(());
        }
        match (&self.origin, &self.locked) {
            (_, Some(locked)) if !locked.signer.as_ref().is_some_and(|signer| trust.knows(signer)) => {
                Err(Fault::Signature("was installed without a signature of a trusted key: install it again".into()))
            }
            (Origin::Folder(folder), _) if !self.policy.trusted.iter().any(|trusted| folder.starts_with(trusted)) => {
                let package = Package::read(folder)?;
                trust.verify(&package)?;
                if package.component_digest().ends_with(sha256) { Ok(()) } else { Err(Fault::Changed) }
            }
            _ => Ok(()),
        }
    }

    /// The file of its component, if it is not bundled.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        match &self.origin {
            Origin::Bundled => None,
            Origin::Folder(folder) | Origin::Installed { folder, .. } => Some(folder.join("plugin.wasm")),
        }
    }

    /// The bytes of its component.
    pub(crate) fn wasm(&self) -> Result<Cow<'static, [u8]>, Fault> {
        match self.file() {
            None => Ok(Cow::Borrowed(self.bundled)),
            Some(file) => Ok(Cow::Owned(read_capped(&file, MAX_WASM)?)),
        }
    }
}

/// The component's bytes as they were checked: those that were read then, or the file's if it is the same still.
fn unchanged(read: Option<Vec<u8>>, file: &Path, digest: &str) -> Result<Vec<u8>, Fault> {
    if let Some(wasm) = read {
        return Ok(wasm);
    }
    let wasm = read_capped(file, MAX_WASM)?;
    if sha256(&wasm) == digest { Ok(wasm) } else { Err(Fault::Changed) }
}

/// Reads a whole file of at most `limit` bytes.
pub(crate) fn read_capped(path: &Path, limit: u64) -> Result<Vec<u8>, Fault> {
    let because = |reason: String| Fault::Read { path: path.to_owned(), reason };
    let failed = |error: std::io::Error| because(error.to_string());
    let file = File::open(path).map_err(failed)?;
    let found = file.metadata().map_err(failed)?;
    if !found.is_file() {
        return Err(because("it is not a file".into()));
    }
    let mut bytes = Vec::with_capacity(found.len().min(limit) as usize);
    file.take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limit {
        return Err(because(format!("it has more than {}", show_memory(limit))));
    }
    Ok(bytes)
}

/// A digest's hexadecimal part.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
