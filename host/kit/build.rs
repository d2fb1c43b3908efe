//! Embeds what a new project brings along: the interfaces, the SDK's sources, and the templates.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Folders of the repository, and what the list of each one's files is called.
const FOLDERS: [(&str, &str); 3] = [("wit", "WIT"), ("plugins/sdk", "SDK"), ("host/kit/templates", "TEMPLATES")];

fn main() {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let root = here.ancestors().nth(2).expect("host/kit is two levels below the root");
    let mut code = String::new();
    for (folder, list) in FOLDERS {
        let folder = root.join(folder);
        println!("cargo::rerun-if-changed={}", folder.display());
        let mut files = Vec::new();
        walk(&folder, &mut files);
        files.sort();
        writeln!(code, "pub(crate) const {list}: &[(&str, &str)] = &[").expect("a string takes all");
        for file in files {
            let name = file.strip_prefix(&folder).expect("it was found there").to_str().expect("our names are UTF-8");
            writeln!(code, "    ({name:?}, include_str!({:?})),", file.display().to_string()).expect("a string takes all");
        }
        code.push_str("];\n");
    }
    let guests = root.join("plugins/Cargo.toml");
    println!("cargo::rerun-if-changed={}", guests.display());
    writeln!(code, "pub(crate) const GUESTS: &str = include_str!({:?});", guests.display().to_string()).expect("a string takes all");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("embedded.rs"), code).expect("cargo's own folder can be written");
}

/// The files below a folder.
fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("cannot read {}: {error}", folder.display()));
    for path in entries.map(|entry| entry.expect("a folder that is read can be read on").path()) {
        match path.is_dir() {
            true => walk(&path, files),
            false => files.push(path),
        }
    }
}
