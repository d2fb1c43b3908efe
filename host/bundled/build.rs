//! Compiles `plugins/` to components and writes the list that embeds them.

use std::path::{Path, PathBuf};
use std::{env, fs};

#[path = "src/guests.rs"]
#[allow(unreachable_pub, reason = "public in the library, private here")]
mod guests;

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let workspace = root.join("plugins");
    for path in ["plugins", "wit", "host/bundled/build.rs", "host/bundled/src/guests.rs"] {
        println!("cargo::rerun-if-changed={}", root.join(path).display());
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let cargo = env::var_os("CARGO").expect("cargo sets CARGO");
    match guests::build(&cargo, &workspace, &target_dir(&out)) {
        Ok(built) => fs::write(out.join("plugins.rs"), list(&workspace, &built)).expect("OUT_DIR can be written"),
        Err(error) => error.lines().for_each(|line| println!("cargo::error={line}")),
    }
}

/// A folder of its own below the workspace's target folder (the nearest one that cargo tagged): the
/// latter is locked by the cargo that runs this script, and the profiles share the guests.
fn target_dir(out: &Path) -> PathBuf {
    out.ancestors().find(|dir| dir.join("CACHEDIR.TAG").exists()).unwrap_or(out).join("guests")
}

/// The source of the list: each folder in `plugins/` with a `plugin.toml` and its component.
fn list(workspace: &Path, built: &Path) -> String {
    let entries = fs::read_dir(workspace).expect("plugins/ can be read").flatten();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.join("plugin.toml").exists()).collect();
    folders.sort();
    let entry = |folder: &PathBuf| {
        let name = folder.file_name().expect("a folder in plugins/ has a name").to_string_lossy().replace('-', "_");
        let (manifest, wasm) = (folder.join("plugin.toml"), built.join(format!("{name}.wasm")));
        format!("    (include_str!({manifest:?}), include_bytes!({wasm:?})),\n")
    };
    let entries: String = folders.iter().map(entry).collect();
    format!(
        "/// The bundled plugins: the text of each `plugin.toml` and the bytes of its component.\npub const PLUGINS: &[(&str, &[u8])] = &[\n{entries}];\n"
    )
}
