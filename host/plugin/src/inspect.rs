//! What `nacre plugin inspect` shows: everything about a plugin, without running it.

use serde::Serialize;

use crate::capability::Capabilities;
use crate::check::Surface;
use crate::error::{Error, Fault};
use crate::lifecycle::{MAX_SIGNATURE, Signatures};
use crate::manifest::Manifest;
use crate::plugin::{Plugin, read_capped, sha256};

/// All there is to know about a plugin before it is run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inspection {
    /// Its `plugin.toml`, with the settings that are in force.
    #[serde(flatten)]
    pub manifest: Manifest,
    /// Where it was found: `bundled` or a folder.
    pub origin: String,
    /// What it may do in every call.
    pub granted: Capabilities,
    /// Whether it is used.
    pub enabled: bool,
    /// The id of the key that signed it, as far as that was checked at install.
    pub signer: Option<String>,
    /// When it was installed (RFC 3339).
    pub installed: Option<String>,
    /// The digest of the artifact in its registry.
    pub artifact: Option<String>,
    /// Where others of the same name are, which are not used.
    pub shadows: Vec<String>,
    /// The digest of its component.
    pub digest: String,
    /// The bytes of its component.
    pub size: u64,
    /// The interfaces that it imports.
    pub imports: Vec<String>,
    /// The interfaces that it exports.
    pub exports: Vec<String>,
    /// Why it cannot be called, if that is known before running it.
    pub problem: Option<String>,
}

impl Plugin {
    /// Reads the component and lists what it imports and exports. Nothing is compiled or run.
    ///
    /// # Errors
    /// The component cannot be read. One that is refused is no error here: see
    /// [`Inspection::problem`].
    pub fn inspect(&self) -> Result<Inspection, Error> {
        let wasm = self.wasm().map_err(|fault| fault.of(self.name()))?;
        let digest = sha256(&wasm);
        let (surface, problem) = match Surface::read(&wasm) {
            Ok(surface) => {
                let problem = self.check(&digest, &surface).and_then(|()| self.check_stored_signature(&wasm)).err();
                (surface, problem)
            }
            Err(fault) => (Surface::default(), Some(fault)),
        };
        let locked = self.locked.as_deref();
        Ok(Inspection {
            manifest: Manifest { settings: self.settings.clone(), ..self.manifest.clone() },
            origin: self.origin.to_string(),
            shadows: self.shadows.iter().map(ToString::to_string).collect(),
            granted: self.granted.clone(),
            enabled: locked.is_none_or(|locked| locked.enabled),
            signer: locked.and_then(|locked| locked.signer.clone()),
            installed: locked.map(|locked| locked.installed.clone()),
            artifact: locked.and_then(|locked| locked.digest.clone()),
            digest: format!("sha256:{digest}"),
            size: wasm.len() as u64,
            imports: surface.imports,
            exports: surface.exports,
            problem: problem.map(|fault| fault.to_string()),
        })
    }

    /// The signature that was installed with it has to be good still.
    fn check_stored_signature(&self, wasm: &[u8]) -> Result<(), Fault> {
        let trust = &self.policy.trust;
        let file = self.file().filter(|_| self.locked.is_some()).map(|file| file.with_extension("wasm.minisig"));
        let Some(file) = file.filter(|file| trust.rule() != Signatures::Off && file.exists()) else { return Ok(()) };
        let signature = String::from_utf8_lossy(&read_capped(&file, MAX_SIGNATURE)?).into_owned();
        trust.check(wasm, &signature).map(drop).map_err(Fault::Signature)
    }
}
