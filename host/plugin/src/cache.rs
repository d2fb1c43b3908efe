//! Compiled plugins, kept from one run to the next.
//!
//! Loading compiled code runs it: whoever can write the cache can run anything as this user. So the
//! folder must belong to the user and be closed to all others, only this module writes it, and
//! nothing compiled is loaded from anywhere else. A file's name is its key: the component's
//! digest and the engine's compatibility hash. It is written aside, flushed and renamed, and never
//! changes after that, because it is mapped into memory. The digest of its content lies beside it, and what
//! does not have it is not loaded: damage and tampering cost a compilation.

use std::borrow::Cow;
use std::fs::{self, DirBuilder, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use wasmtime::component::Component;

use crate::check::Surface;
use crate::engine::Host;
use crate::error::{Fault, one_line};
use crate::plugin::{MAX_WASM, read_capped, sha256};
use crate::stamp::Stamp;

/// What was compiled longer ago than this goes when something new is compiled: it may be of an older
/// nacre or of a plugin that is gone, and if not, compiling it again costs little.
const MAX_AGE: Duration = Duration::from_secs(60 * 24 * 3600);

/// Bytes of what is written down about a file: names of imports and exports mostly.
const MAX_NOTE: u64 = 1 << 20;

/// The cache folder; without one everything is read and compiled for this run only.
pub(crate) struct Cache(Option<PathBuf>);

/// What is known about a component.
#[derive(Deserialize, Serialize)]
pub(crate) struct Known {
    stamp: Stamp,
    /// The digest's hexadecimal part.
    pub(crate) sha256: String,
    /// What it imports and exports.
    pub(crate) surface: Surface,
    /// Its bytes, if they had to be read.
    #[serde(skip)]
    pub(crate) wasm: Option<Vec<u8>>,
}

/// The content that a compiled file has to have.
#[derive(Deserialize, Serialize)]
struct Compiled {
    /// As it was when the content was hashed; none if it could have been changed unnoticed since.
    stamp: Option<Stamp>,
    sha256: String,
}

impl Cache {
    /// Makes the folder if need be. A disk that is full or a home that cannot be written costs time only.
    ///
    /// # Errors
    /// Somebody else could write it.
    pub(crate) fn open(dir: &Path) -> Result<Cache, Fault> {
        if make_folder(dir).is_err() {
            return Ok(Cache(None));
        }
        check_folder(dir)?;
        Ok(Cache(Some(dir.to_owned())))
    }

    /// What is known about the component in the file `path`, read only if it has changed since.
    pub(crate) fn known(&self, path: &Path) -> Result<Known, Fault> {
        let failed = |error: io::Error| Fault::Read { path: path.to_owned(), reason: error.to_string() };
        let stamp = Stamp::of(&fs::metadata(path).map_err(failed)?);
        let note = self.0.as_ref().map(|dir| dir.join(format!("{}.known", sha256(path.as_os_str().as_encoded_bytes()))));
        let before = note.as_deref().and_then(recall::<Known>);
        if let Some(known) = before.filter(|known| known.stamp == stamp) {
            return Ok(known);
        }
        let wasm = read_capped(path, MAX_WASM)?;
        let known = Known { stamp, sha256: sha256(&wasm), surface: Surface::read(&wasm)?, wasm: Some(wasm) };
        if let Some(note) = note.filter(|_| stamp.is_settled()) {
            remember(&note, &known);
        }
        Ok(known)
    }

    /// The compiled component of this digest; `wasm` reads it if it has to be compiled.
    pub(crate) fn load<'a>(
        &self,
        host: &Host,
        sha256: &str,
        wasm: impl FnOnce() -> Result<Cow<'a, [u8]>, Fault>,
    ) -> Result<Component, Fault> {
        let Some(dir) = &self.0 else { return compile(host, &wasm()?) };
        let path = dir.join(format!("{sha256}-{:016x}.cwasm", host.compatibility));
        if check_file(&path)?
            && is_unchanged(&path)
            && let Some(component) = map(host, &path)
        {
            return Ok(component);
        }
        let wasm = wasm()?;
        let compiled = host.engine.precompile_component(&wasm).map_err(compile_fault)?;
        match write(dir, &path, &compiled).and_then(|()| sweep(dir)) {
            Ok(()) => map(host, &path).map_or_else(|| compile(host, &wasm), Ok),
            Err(_) => compile(host, &wasm),
        }
    }
}

/// Where the content that a compiled file has to have is written down.
fn note_of(path: &Path) -> PathBuf {
    path.with_extension("stamp")
}

/// Whether a compiled file holds what was written to it. Its content is hashed only if its stamp is another than it was.
fn is_unchanged(path: &Path) -> bool {
    let note = note_of(path);
    let (Some(compiled), Ok(found)) = (recall::<Compiled>(&note), fs::metadata(path)) else { return false };
    let stamp = Stamp::of(&found);
    if compiled.stamp == Some(stamp) {
        return true;
    }
    let same = fs::read(path).is_ok_and(|bytes| sha256(&bytes) == compiled.sha256);
    if same && stamp.is_settled() {
        remember(&note, &Compiled { stamp: Some(stamp), ..compiled });
    }
    same
}

/// Reads what was written down; nothing if it cannot be trusted or read.
fn recall<T: DeserializeOwned>(note: &Path) -> Option<T> {
    let is_ours = check_file(note).is_ok_and(|exists| exists);
    let text = is_ours.then(|| read_capped(note, MAX_NOTE).ok()).flatten()?;
    serde_json::from_slice(&text).ok()
}

/// Writes it down, as far as that works: without it the file is read again.
fn remember<T: Serialize>(note: &Path, what: &T) {
    let write = || {
        let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(note.parent()?).ok()?;
        file.write_all(&serde_json::to_vec(what).ok()?).ok()?;
        file.persist(note).ok()
    };
    let _ = write();
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
    // this file, `is_unchanged` (or `write`, a moment ago) that its content is what was compiled, and of this
    // user's programs only `write` below writes here, by renaming a whole and flushed file that is never opened
    // for writing again. Its name holds the engine's compatibility hash, which wasmtime checks once more in the
    // file itself.
    unsafe { Component::deserialize_file(&host.engine, path) }.ok()
}

/// Writes compiled code and, after it, the content that it has to have: a kill in between leaves a file that is not used.
fn write(dir: &Path, path: &Path, compiled: &[u8]) -> io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(dir)?;
    file.write_all(compiled)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    remember(&note_of(path), &Compiled { stamp: None, sha256: sha256(compiled) });
    Ok(())
}

/// Removes old files, compiled or half-written, as far as that works. Who has one mapped keeps it.
fn sweep(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name().into_encoded_bytes();
        let ours = [&b".cwasm"[..], b".stamp", b".known"].iter().any(|end| name.ends_with(end)) || name.starts_with(b".new-");
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
