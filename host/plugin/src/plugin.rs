//! One plugin that was found.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};
use wasmtime::component::Component;

use crate::check::Surface;
use crate::engine::Runtime;
use crate::error::Fault;
use crate::limits::show_memory;
use crate::log::Log;
use crate::manifest::Manifest;
use crate::{Settings, cache};

/// The largest `plugin.wasm` that is read: interpreters come in 20 MB.
const MAX_WASM: u64 = 64 << 20;

/// Where a plugin comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It is part of nacre.
    Bundled,
    /// It is this folder, with `plugin.toml` and `plugin.wasm`.
    Folder(PathBuf),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Bundled => f.write_str("bundled"),
            Origin::Folder(path) => path.display().fmt(f),
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

    /// What it logged in all calls so far, which are then forgotten.
    pub fn take_log(&self) -> Log {
        std::mem::take(&mut *self.log.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Its component, checked and compiled: read, hashed and looked up at the first call.
    pub(crate) fn component(&self) -> Result<Component, Fault> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(component) = &*loaded {
            return Ok(component.clone());
        }
        let wasm = self.wasm()?;
        Surface::read(&wasm)?.check(&self.manifest)?;
        let component = cache::load(self.runtime.host()?, &self.runtime.cache, &sha256(&wasm), &wasm)?;
        *loaded = Some(component.clone());
        Ok(component)
    }

    /// The bytes of its component.
    pub(crate) fn wasm(&self) -> Result<Cow<'static, [u8]>, Fault> {
        match &self.origin {
            Origin::Bundled => Ok(Cow::Borrowed(self.bundled)),
            Origin::Folder(folder) => Ok(Cow::Owned(read_capped(&folder.join("plugin.wasm"), MAX_WASM)?)),
        }
    }
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
