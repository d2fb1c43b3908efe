//! What a plugin can be for, and the world that one plugin has.

use std::str::FromStr;

use nacre_plugin::Manifest;
use nacre_plugin::capability::{Access, imports_allowed};

/// One of the worlds in `wit/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    /// Decides which search results are shown.
    SearchFilter,
    /// Decides which images are deleted.
    PrunePolicy,
    /// Makes an image of a file.
    ImportFormat,
    /// Writes an image as a file.
    ExportFormat,
    /// Decides what may be pulled, pushed, built, imported, loaded, tagged and removed.
    Admission,
    /// Turns a file into a build.
    BuildFrontend,
    /// Adds subcommands.
    Command,
}

impl World {
    /// All of them.
    pub const ALL: [World; 7] = [
        World::SearchFilter,
        World::PrunePolicy,
        World::ImportFormat,
        World::ExportFormat,
        World::Admission,
        World::BuildFrontend,
        World::Command,
    ];

    /// Its name in `wit/`, in `[provides]` and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            World::SearchFilter => "search-filter",
            World::PrunePolicy => "prune-policy",
            World::ImportFormat => "import-format",
            World::ExportFormat => "export-format",
            World::Admission => "admission",
            World::BuildFrontend => "build-frontend",
            World::Command => "command",
        }
    }

    /// The interface that a plugin of this world exports.
    pub fn interface(self) -> &'static str {
        match self {
            World::SearchFilter => "search",
            World::PrunePolicy => "prune",
            World::ImportFormat => "importer",
            World::ExportFormat => "exporter",
            World::Admission => "reviewer",
            World::BuildFrontend => "frontend",
            World::Command => "runner",
        }
    }

    /// What a manifest promises.
    pub fn of(manifest: &Manifest) -> Vec<World> {
        let provides = &manifest.provides;
        let promised = |world: &World| match world {
            World::SearchFilter => !provides.search_filter.is_empty(),
            World::PrunePolicy => !provides.prune_policy.is_empty(),
            World::ImportFormat => !provides.import_format.is_empty(),
            World::ExportFormat => !provides.export_format.is_empty(),
            World::Admission => !provides.admission.is_empty(),
            World::BuildFrontend => !provides.build_frontend.is_empty(),
            World::Command => !manifest.commands.is_empty(),
        };
        World::ALL.into_iter().filter(promised).collect()
    }

    /// The interfaces that this world imports without a capability, beside `host`.
    fn imports(self) -> &'static [&'static str] {
        match self {
            World::SearchFilter | World::PrunePolicy | World::Admission => &[],
            World::ImportFormat | World::ExportFormat => &["bytes", "files", "images"],
            World::BuildFrontend => &["build"],
            World::Command => &["bytes", "files", "images", "terminal"],
        }
    }
}

impl FromStr for World {
    type Err = String;

    fn from_str(text: &str) -> Result<World, String> {
        let names = || World::ALL.map(World::name).join(", ");
        World::ALL.into_iter().find(|world| world.name() == text).ok_or_else(|| format!("no such world: known are {}", names()))
    }
}

/// The WIT of a world `plugin` that has what the manifest promises and may import what it asks for. Interpreters
/// import all that their world has, so a plugin in Python or JavaScript would otherwise need every capability there is.
pub(crate) fn wit(manifest: &Manifest) -> String {
    let worlds = World::of(manifest);
    let capabilities = &manifest.capabilities;
    let granted = [
        ("store", capabilities.store != Access::None),
        ("store-write", capabilities.store == Access::Write),
        ("registry", !capabilities.registries.is_empty()),
        ("fetch", imports_allowed("nacre:plugin/fetch", capabilities)),
        ("context", !capabilities.context.is_empty()),
    ];
    let mut imports: Vec<&str> = worlds.iter().flat_map(|world| world.imports()).copied().collect();
    imports.sort_unstable();
    imports.dedup();
    imports.extend(granted.iter().filter(|(_, asked)| *asked).map(|(interface, _)| *interface));
    let imports = imports.iter().map(|interface| format!("  import {interface};\n"));
    let exports = worlds.iter().map(|world| format!("  export {};\n", world.interface()));
    let lines: String = imports.chain(exports).collect();
    format!("package nacre:plugin@0.1.0;\n\nworld plugin {{\n  include base;\n{lines}}}\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn manifest(rest: &str) -> Manifest {
        Manifest::parse(&format!("[plugin]\nname = \"x\"\nversion = \"1.0.0\"\napi = \"0.1\"\n{rest}")).unwrap()
    }

    #[test]
    fn a_world_has_what_the_manifest_says_and_no_more() {
        let both = manifest("[provides]\nsearch-filter = [\"a\"]\nprune-policy = [\"b\"]\n");
        assert_eq!(wit(&both), "package nacre:plugin@0.1.0;\n\nworld plugin {\n  include base;\n  export search;\n  export prune;\n}\n");
        let import = manifest("[provides]\nimport-format = [\"a\"]\n");
        assert!(wit(&import).contains("  import bytes;\n  import files;\n  import images;\n  export importer;\n"));
    }

    #[test]
    fn names_are_those_of_wit() {
        assert_eq!("command".parse(), Ok(World::Command));
        assert_eq!(
            "x".parse::<World>().unwrap_err(),
            "no such world: known are search-filter, prune-policy, import-format, export-format, admission, build-frontend, command"
        );
    }
}
