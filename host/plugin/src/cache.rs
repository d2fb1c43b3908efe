//! Compiled plugins, kept from one run to the next.
//!
//! Loading compiled code runs it: whoever can write the cache can run anything as this user. So the
//! folder must belong to the user and be closed to all others, only this module writes it, and
//! nothing compiled is loaded from anywhere else. A file's name is its key: the component's
//! digest and the engine's compatibility hash. It is written aside, flushed and renamed, and never
//! changes after that, because it is mapped into memory.

use std::fs::{self, DirBuilder, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;
use std::time::Duration;

use wasmtime::component::Component;

use crate::engine::Host;
use crate::error::{Fault, one_line};

/// What was compiled longer ago than this goes when something new is compiled: it may be of an older
/// nacre or of a plugin that is gone, and if not, compiling it again costs little.
const MAX_AGE: Duration = Duration::from_secs(60 * 24 * 3600);

/// Loads a component from the cache folder `dir`, compiling it first if it is not there.
///
/// A folder that cannot be made or written (a full disk, a read-only home) costs time only: the
/// component is compiled for this run.
pub(crate) fn load(host: &Host, dir: &Path, sha256: &str, wasm: &[u8]) -> Result<Component, Fault> {
    if make_folder(dir).is_err() {
        return compile(host, wasm);
    }
    check_folder(dir)?;
    let path = dir.join(format!("{sha256}-{:016x}.cwasm", host.compatibility));
    if check_file(&path)?
        && let Some(component) = map(host, &path)
    {
        return Ok(component);
    }
    let compiled = host.engine.precompile_component(wasm).map_err(compile_fault)?;
    match write(dir, &path, &compiled).and_then(|()| sweep(dir)) {
        Ok(()) => map(host, &path).map_or_else(|| compile(host, wasm), Ok),
        Err(_) => compile(host, wasm),
    }
}

fn compile(host: &Host, wasm: &[u8]) -> Result<Component, Fault> {
    Component::new(&host.engine, wasm).map_err(compile_fault)
}

fn compile_fault(error: wasmtime::Error) -> Fault {
    Fault::Compile(one_line(&format!("{:#}", error)))
}

/// Maps compiled code; `None` if it is not of this engine or cannot be read.
#[expect(unsafe_code, reason = "loading compiled code runs it; see the proof")]
fn map(host: &Host, path: &Path) -> Option<Component> {
    // SAFETY: the bytes must come from this engine's compiler and never change. `check_folder` has shown
    // that nobody but this user (and root) can create or change a file here, `check_file` the same of
    // this file, and of this user's programs only `write` below does, by renaming a whole and flushed file
    // that is never opened for writing again. Its name holds the engine's compatibility hash, which
    // wasmtime checks once more in the file itself.
    unsafe { Component::deserialize_file(&host.engine, path) }.ok()
}

fn write(dir: &Path, path: &Path, compiled: &[u8]) -> io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(dir)?;
    file.write_all(compiled)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// Removes old files, compiled or half-written, as far as that works. Who has one mapped keeps it.
fn sweep(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name().into_encoded_bytes();
        let ours = name.ends_with(b".cwasm") || name.starts_with(b".new-");
        if ours && entry.metadata()?.modified()?.elapsed().is_ok_and(|age| age > MAX_AGE) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn make_folder(dir: &Path) -> io::Result<()> {
    if fs::symlink_metadata(dir).is_ok() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

fn check_folder(dir: &Path) -> Result<(), Fault> {
    let unsafe_ = |what: String| Fault::Cache(format!("{} {what}", dir.display()));
    let found = fs::symlink_metadata(dir).map_err(|error| unsafe_(error.to_string()))?;
    if !found.is_dir() {
        return Err(unsafe_("is not a folder".into()));
    }
    check_owner(&found).map_err(unsafe_)?;
    match found.mode() & 0o077 {
        0 => Ok(()),
        _ => Err(unsafe_(format!("has mode {:o}, others may use it: run chmod 700 on it", found.mode() & 0o777))),
    }
}

/// Whether the file is there. One that somebody else may have written is an error.
fn check_file(path: &Path) -> Result<bool, Fault> {
    let unsafe_ = |what: String| Fault::Cache(format!("{} {what}: remove it", path.display()));
    let Ok(found) = fs::symlink_metadata(path) else { return Ok(false) };
    if !found.is_file() || found.mode() & 0o022 != 0 {
        return Err(unsafe_("is not a file that only its owner may write".into()));
    }
    check_owner(&found).map_err(unsafe_)?;
    Ok(true)
}

fn check_owner(found: &Metadata) -> Result<(), String> {
    let user = rustix::process::geteuid().as_raw();
    match found.uid() == user {
        true => Ok(()),
        false => Err(format!("belongs to user {}, not to user {user}", found.uid())),
    }
}
