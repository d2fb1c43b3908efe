//! Installing and removing: files first, then the lock file, which is what counts.
//!
//! A kill at any moment leaves the old plugin or the new one. What it leaves beside that is swept at the next change.

use std::borrow::Cow;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::cache::Cache;
use crate::capability::Capabilities;
use crate::engine::Runtime;
use crate::error::Fault;
use crate::lifecycle::lock::{Lock, Locked, failed, installed, sync};
use crate::lifecycle::package::Package;
use crate::plugin::sha256;

/// What is known about a package once it was looked at: all that goes into the lock file beside it.
#[derive(Clone, Debug)]
pub struct Installation {
    /// The component, as [`Package::component`] made it.
    pub component: Vec<u8>,
    /// What the user grants.
    pub grants: Capabilities,
    /// The id of the key that signed it.
    pub signer: Option<String>,
    /// The time now (RFC 3339).
    pub now: String,
    /// Whether it shall be used.
    pub enabled: bool,
}

/// What lies in the folder of installed plugins without being installed.
pub type Leftover = PathBuf;

/// Compiles a component into the cache folder `cache`, so that its first call is as fast as the next.
///
/// # Errors
/// It cannot be compiled, or the folder is not safe.
pub fn compile(component: &[u8], cache: &Path) -> Result<(), Fault> {
    let runtime = Runtime::new(cache.to_owned());
    Cache::open(cache)?.load(runtime.host()?, &sha256(component), || Ok(Cow::Borrowed(component))).map(drop)
}

/// Whether nobody else can write the cache folder. One that is not there is safe.
///
/// # Errors
/// Somebody can; the text says how to change that.
pub fn check_cache(cache: &Path) -> Result<(), Fault> {
    if cache.exists() { Cache::open(cache).map(drop) } else { Ok(()) }
}

/// Installs a package in the plugins folder `dir`, in place of another version of it.
///
/// # Errors
/// More is asked for than granted; a file cannot be written.
pub fn install(dir: &Path, package: &Package, installation: &Installation) -> Result<Locked, Fault> {
    package.asks().within(&installation.grants).map_err(Fault::NotGranted)?;
    let about = &package.manifest.plugin;
    let mut locked = Locked {
        name: about.name.clone(),
        version: about.version.clone(),
        source: package.source.clone(),
        digest: package.digest.clone(),
        component: format!("sha256:{}", sha256(&installation.component)),
        signer: installation.signer.clone(),
        enabled: installation.enabled,
        installed: installation.now.clone(),
        granted: String::new(),
        grants: installation.grants.clone(),
        manifest: package.manifest.clone(),
    };
    locked.granted = locked.seal();
    Lock::change(dir, |lock| {
        let signature = package.signature.as_deref().filter(|_| package.embedded && !package.is_core());
        write_folder(&locked.folder(dir), &installation.component, signature)?;
        lock.plugins.retain(|other| other.name != locked.name);
        lock.plugins.push(locked.clone());
        Ok(())
    })?;
    sweep(dir);
    Ok(locked)
}

/// Removes an installed plugin.
///
/// # Errors
/// There is none of this name; the lock file cannot be written.
pub fn remove(dir: &Path, name: &str) -> Result<Locked, Fault> {
    let removed = Lock::change(dir, |lock| {
        let found = lock.get(name)?.clone();
        lock.plugins.retain(|other| other.name != found.name);
        Ok(found)
    })?;
    sweep(dir);
    Ok(removed)
}

/// Enables or disables an installed plugin; returns its full name.
///
/// # Errors
/// There is none of this name; the lock file cannot be written.
pub fn set_enabled(dir: &Path, name: &str, enabled: bool) -> Result<String, Fault> {
    Lock::change(dir, |lock| {
        let name = lock.get(name)?.name.clone();
        lock.plugins.iter_mut().filter(|locked| locked.name == name).for_each(|locked| locked.enabled = enabled);
        Ok(name)
    })
}

/// What a kill or a lost lock file left in `dir`.
pub fn leftovers(dir: &Path) -> Vec<Leftover> {
    let Ok(lock) = Lock::read(dir) else { return Vec::new() };
    let kept: Vec<PathBuf> = lock.plugins.iter().map(|locked| locked.folder(dir)).collect();
    let entries = fs::read_dir(installed(dir)).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| !kept.contains(path)).collect()
}

/// Removes what is left over, as far as that works: it does no harm where it stays.
fn sweep(dir: &Path) {
    let _ = Lock::change(dir, |_| {
        leftovers(dir).iter().for_each(|path| _ = fs::remove_dir_all(path));
        Ok(())
    });
}

/// Writes the folder aside, flushes it and renames it.
fn write_folder(folder: &Path, component: &[u8], signature: Option<&str>) -> Result<(), Fault> {
    let parent = folder.parent().unwrap_or(folder);
    fs::create_dir_all(parent).map_err(failed(parent))?;
    let new = tempfile::Builder::new().prefix(".new-").tempdir_in(parent).map_err(failed(parent))?;
    write_file(&new.path().join("plugin.wasm"), component)?;
    if let Some(signature) = signature {
        write_file(&new.path().join("plugin.wasm.minisig"), signature.as_bytes())?;
    }
    sync(new.path())?;
    match renameat_with(CWD, new.path(), CWD, folder, RenameFlags::EXCHANGE) {
        // The same component again: what lay there goes with the temporary folder.
        Ok(()) => {}
        Err(_) => fs::rename(new.keep(), folder).map_err(failed(folder))?,
    }
    sync(parent)
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Fault> {
    let mut file = fs::File::create_new(path).map_err(failed(path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed(path))
}
