//! A plugin on its way: read from a file, a folder or a registry, checked, not installed yet.

use std::fs;
use std::path::Path;

use wasmparser::Parser;

use crate::capability::Capabilities;
use crate::check::Surface;
use crate::error::Fault;
use crate::lifecycle::artifact::Preview;
use crate::lifecycle::{componentize, embed};
use crate::manifest::{self, Manifest};
use crate::plugin::{MAX_WASM, read_capped, sha256};

/// Bytes that a signature file may have.
pub(crate) const MAX_SIGNATURE: u64 = 4 << 10;

/// A whole plugin.
#[derive(Clone, Debug)]
pub struct Package {
    /// What it says about itself.
    pub manifest: Manifest,
    /// Its component or core module, as it is distributed.
    pub wasm: Vec<u8>,
    /// The text of its signature file.
    pub signature: Option<String>,
    /// Whether `wasm` holds its `plugin.toml`, so that a signature is about that too.
    pub embedded: bool,
    /// Where it comes from: a path or a reference.
    pub source: String,
    /// The digest of the manifest that the reference stands for.
    pub digest: Option<String>,
    text: String,
}

impl Package {
    /// Reads a folder with `plugin.wasm` and, unless that holds it, `plugin.toml`; or a file that is a whole plugin.
    /// A signature lies beside the component, with `.minisig` behind its name.
    ///
    /// # Errors
    /// Something is missing, damaged or contradictory.
    pub fn read(path: &Path) -> Result<Package, Fault> {
        let (file, beside) = match path.is_dir() {
            true => (path.join("plugin.wasm"), Some(path.join("plugin.toml"))),
            false => (path.to_owned(), None),
        };
        let wasm = read_capped(&file, MAX_WASM)?;
        let text = beside.filter(|path| path.exists()).map(|path| read_text(&path, manifest::MAX_BYTES)).transpose()?;
        let mut signature = file.into_os_string();
        signature.push(".minisig");
        let signature = Some(Path::new(&signature)).filter(|path| path.exists()).map(|path| read_text(path, MAX_SIGNATURE)).transpose()?;
        let source = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()).display().to_string();
        Package::new(wasm, text, signature, source)
    }

    /// Puts together what was read. `text` is a `plugin.toml` that came beside the component.
    ///
    /// # Errors
    /// There is no manifest, there are two that differ, or it is wrong.
    pub fn new(wasm: Vec<u8>, text: Option<String>, signature: Option<String>, source: String) -> Result<Package, Fault> {
        let inside = embed::read(&wasm)?;
        let embedded = inside.is_some();
        let text = match (inside, text) {
            (Some(inside), Some(beside)) if inside != beside => {
                return Err(Fault::Manifest("is not the one that plugin.wasm holds: build it again with nacre plugin build".into()));
            }
            (Some(text), _) | (None, Some(text)) => text,
            (None, None) => return Err(Fault::NoManifest),
        };
        let manifest = Manifest::parse(&text)?;
        if manifest.is_reserved() {
            return Err(Fault::Reserved);
        }
        Ok(Package { manifest, wasm, signature, embedded, source, digest: None, text })
    }

    /// The text of its `plugin.toml`.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The component to install: with its `plugin.toml` inside, and checked to import what its manifest asks for and to
    /// export what it promises.
    ///
    /// # Errors
    /// It is no component and cannot become one, or it imports too much or exports too little.
    pub fn component(&self) -> Result<Vec<u8>, Fault> {
        let component = componentize::component(&self.wasm)?;
        Surface::read(&component)?.check(&self.manifest)?;
        if self.embedded { Ok(component.into_owned()) } else { embed::write(&component, &self.text) }
    }

    /// What is known of it, without running it.
    ///
    /// # Errors
    /// It is no component and cannot become one.
    pub fn preview(&self) -> Result<Preview, Fault> {
        let surface = Surface::read(&componentize::component(&self.wasm)?)?;
        let problem = surface.check(&self.manifest).err().map(|fault| fault.to_string());
        Ok(Preview {
            digest: self.digest.clone(),
            component: self.component_digest(),
            size: self.wasm.len() as u64,
            imports: surface.imports,
            exports: surface.exports,
            manifest: Some(self.manifest.clone()),
            signed: self.signature.is_some(),
            problem,
        })
    }

    /// Whether it is a core module, which changes when it becomes a component.
    pub fn is_core(&self) -> bool {
        Parser::is_core_wasm(&self.wasm)
    }

    /// What it asks for.
    pub fn asks(&self) -> &Capabilities {
        &self.manifest.capabilities
    }

    /// The digest of its component as it is distributed.
    pub fn component_digest(&self) -> String {
        format!("sha256:{}", sha256(&self.wasm))
    }
}

fn read_text(path: &Path, limit: u64) -> Result<String, Fault> {
    let bytes = read_capped(path, limit)?;
    String::from_utf8(bytes).map_err(|_| Fault::Read { path: path.to_owned(), reason: "it is not UTF-8".into() })
}
