//! `nacre plugin build`: the component of a project, with its manifest inside.

mod c;
mod js;
mod python;
mod rust;
mod tool;

use std::fs;
use std::path::{Path, PathBuf};

use nacre_plugin::Manifest;
use nacre_plugin::lifecycle::embed;

use crate::embedded::WIT;
use crate::{Error, Lang, world};

/// What was built.
#[derive(Debug)]
pub struct Built {
    /// The component: `plugin.wasm` in the project's folder.
    pub wasm: PathBuf,
    /// Its size in bytes.
    pub size: u64,
}

/// Builds the project in `folder`. The words of its compiler go to standard error as they come.
///
/// # Errors
/// The manifest is wrong, a tool of the language is missing or fails, or a file cannot be read or written.
pub fn build(folder: &Path) -> Result<Built, Error> {
    let (text, manifest) = manifest(folder)?;
    let lang = Lang::detect(folder)?;
    let scratch = folder.join("build");
    if lang != Lang::Rust {
        write_wit(folder, &scratch, &manifest)?;
    }
    let component = match lang {
        Lang::Rust => rust::build(folder)?,
        Lang::Python => python::build(folder)?,
        Lang::Js => js::build(folder)?,
        Lang::C => c::build(folder)?,
    };
    let wasm = folder.join("plugin.wasm");
    let bytes = embed::write(&component, &text).map_err(|fault| Error::Project(fault.to_string()))?;
    fs::write(&wasm, &bytes).map_err(Error::writing(&wasm))?;
    Ok(Built { wasm, size: bytes.len() as u64 })
}

/// The `plugin.toml` of a project: its text and what it says.
///
/// # Errors
/// It cannot be read or is wrong.
pub fn manifest(folder: &Path) -> Result<(String, Manifest), Error> {
    let path = folder.join("plugin.toml");
    let text = fs::read_to_string(&path).map_err(Error::reading(&path))?;
    let manifest = Manifest::parse(&text).map_err(|fault| Error::Project(fault.to_string()))?;
    Ok((text, manifest))
}

/// Puts the interfaces where the tools look for them, with a world for this plugin: the project's own `wit/`, or
/// those of this nacre if it has none.
fn write_wit(folder: &Path, scratch: &Path, manifest: &Manifest) -> Result<(), Error> {
    let wit = scratch.join("wit");
    fs::create_dir_all(&wit).map_err(Error::writing(&wit))?;
    let own = folder.join("wit");
    let texts = if own.is_dir() { read_wit(&own)? } else { WIT.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect() };
    for (name, text) in texts.into_iter().chain([("plugin.wit".to_owned(), world::wit(manifest))]) {
        let path = wit.join(name);
        fs::write(&path, text).map_err(Error::writing(&path))?;
    }
    Ok(())
}

fn read_wit(folder: &Path) -> Result<Vec<(String, String)>, Error> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::reading(folder))? {
        let entry = entry.map_err(Error::reading(folder))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".wit") {
            texts.push((name, fs::read_to_string(entry.path()).map_err(Error::reading(&entry.path()))?));
        }
    }
    texts.sort();
    Ok(texts)
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(Error::reading(path))
}
