//! The check before anything is compiled: what a component imports and exports.
//!
//! Only the outer import and export sections count: whatever is nested inside a component can reach
//! the host through them alone.

use serde::{Deserialize, Serialize};
use wasmparser::{ComponentExportSectionReader, ComponentImportSectionReader, Encoding, Parser, Payload};
use wasmtime::Engine;

use crate::capability::{Capabilities, imports_allowed};
use crate::error::{Fault, join, one_line};
use crate::manifest::Manifest;
use crate::{admission, command, export, frontend, import, prune, search};

/// The version of WASI that is linked, with any patch level.
const WASI: &str = "0.2.";
/// The WASI interfaces that can be had without a capability, because they are inert.
const INERT: [&str; 5] = ["wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:io/", "wasi:random/"];

/// The names of a component's imports and exports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Surface {
    pub(crate) imports: Vec<String>,
    pub(crate) exports: Vec<String>,
}

impl Surface {
    /// Reads a component's surface.
    pub(crate) fn read(wasm: &[u8]) -> Result<Surface, Fault> {
        if Engine::detect_precompiled(wasm).is_some() {
            return Err(Fault::NotAComponent("is already compiled, which cannot be checked: ship the component itself".into()));
        }
        parse(wasm).map_err(Fault::NotAComponent)
    }

    /// Whether it imports anything that needs a capability.
    pub(crate) fn needs_grants(&self) -> bool {
        self.imports.iter().any(|name| !is_allowed(name, &Capabilities::default()))
    }

    /// Whether the component may be run if its manifest's capabilities are granted, and offers what its manifest promises.
    pub(crate) fn check(&self, manifest: &Manifest) -> Result<(), Fault> {
        for name in self.imports.iter().chain(&self.exports) {
            check_version(name)?;
        }
        let refused: Vec<&String> = self.imports.iter().filter(|name| !is_allowed(name, &manifest.capabilities)).collect();
        if !refused.is_empty() {
            return Err(Fault::Import { imports: one_line(&join(refused.into_iter())) });
        }
        let exported = |interface: &str| self.exports.iter().any(|name| unversioned(name) == unversioned(interface));
        match promised(manifest).find(|(_, interface)| !exported(interface)) {
            Some((provides, export)) => Err(Fault::Export { provides, export: export.into() }),
            None => Ok(()),
        }
    }
}

/// What the manifest promises, and the interface that stands for it.
fn promised(manifest: &Manifest) -> impl Iterator<Item = (&'static str, &'static str)> {
    let interface = |kind| match kind {
        "search-filter" => search::INTERFACE,
        "prune-policy" => prune::INTERFACE,
        "import-format" => import::INTERFACE,
        "export-format" => export::INTERFACE,
        "build-frontend" => frontend::INTERFACE,
        _ => admission::INTERFACE,
    };
    let kinds = manifest.provides.kinds().into_iter().filter(|(_, names)| !names.is_empty());
    let command = (!manifest.commands.is_empty()).then_some(("a command", command::INTERFACE));
    kinds.map(move |(kind, _)| (kind, interface(kind))).chain(command)
}

fn parse(wasm: &[u8]) -> Result<Surface, String> {
    let damaged = |error: wasmparser::BinaryReaderError| format!("is damaged: {}", one_line(error.message()));
    let mut surface = Surface::default();
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.map_err(damaged)? {
            Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                return Err("is a core module, not a component: build it for the target wasm32-wasip2".into());
            }
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => surface.imports.extend(imports(section).map_err(damaged)?),
            Payload::ComponentExportSection(section) if depth == 0 => surface.exports.extend(exports(section).map_err(damaged)?),
            _ => {}
        }
    }
    Ok(surface)
}

fn imports(section: ComponentImportSectionReader<'_>) -> wasmparser::Result<Vec<String>> {
    section.into_iter().map(|import| Ok(import?.name.name.to_owned())).collect()
}

fn exports(section: ComponentExportSectionReader<'_>) -> wasmparser::Result<Vec<String>> {
    section.into_iter().map(|export| Ok(export?.name.name.to_owned())).collect()
}

/// Nacre's own interfaces must be of the version that is spoken here.
fn check_version(name: &str) -> Result<(), Fault> {
    let Some((_, version)) = name.strip_prefix("nacre:plugin/").and_then(|name| name.split_once('@')) else {
        return Ok(());
    };
    match version.strip_prefix(crate::API).is_some_and(|rest| rest.starts_with('.')) {
        true => Ok(()),
        false => Err(Fault::Version { wants: one_line(version) }),
    }
}

fn is_allowed(import: &str, capabilities: &Capabilities) -> bool {
    let (name, version) = import.split_once('@').unwrap_or((import, ""));
    let inert = INERT.iter().any(|prefix| name.starts_with(prefix)) && version.starts_with(WASI);
    inert || imports_allowed(import, capabilities)
}

fn unversioned(name: &str) -> &str {
    name.split_once('@').map_or(name, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_inert_interfaces_are_allowed() {
        for allowed in ["wasi:io/streams@0.2.6", "wasi:filesystem/preopens@0.2.0", "nacre:plugin/host@0.1.0", "nacre:plugin/types@0.1.7"] {
            assert!(is_allowed(allowed, &Capabilities::default()), "{allowed}");
        }
        for refused in [
            "wasi:sockets/tcp@0.2.6",
            "wasi:http/types@0.2.0",
            "wasi:io/streams@0.3.0",
            "wasi:io/streams",
            "run",
            "nacre:plugin/hosts@0.1.0",
            "acme:wasi/io@0.2.0",
        ] {
            assert!(!is_allowed(refused, &Capabilities::default()), "{refused}");
        }
    }

    #[test]
    fn our_interfaces_are_of_our_version() {
        assert!(check_version("nacre:plugin/search@0.1.5").is_ok());
        assert!(check_version("wasi:io/streams@0.2.6").is_ok());
        for other in ["nacre:plugin/search@0.2.0", "nacre:plugin/host@1.0.0", "nacre:plugin/host@0.10.0"] {
            assert!(matches!(check_version(other), Err(Fault::Version { .. })), "{other}");
        }
    }
}
