//! C: bindings of our own making, zig's C compiler with its libc for WASI, and the core module made a component.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nacre_plugin::lifecycle::componentize;
use wit_bindgen_c::Enabled;
use wit_bindgen_core::Files;
use wit_parser::{Resolve, SourceMap};

use super::{read, read_wit, tool::Tool};
use crate::Error;

/// Names of the compiler: zig's own, and that of the package `ziglang`.
const NAMES: [&str; 2] = ["zig", "python-zig"];
const ZIG: Tool = Tool { name: "zig", install: "pip install ziglang==0.17.1" };

pub(super) fn build(folder: &Path) -> Result<Vec<u8>, Error> {
    let scratch = folder.join("build");
    let bindings = bindings(&scratch.join("wit"))?;
    for (name, content) in bindings.iter() {
        let path = scratch.join(name);
        fs::write(&path, content).map_err(Error::writing(&path))?;
    }
    ZIG.run(compiler()?.args(arguments(folder)?).current_dir(folder))?;
    let module = read(&scratch.join("core.wasm"))?;
    let component = componentize::component(&module).map_err(|fault| Error::Project(fault.to_string()))?;
    Ok(component.into_owned())
}

/// `nacre.h`, `nacre.c`, and the object file with the world's types.
fn bindings(wit: &Path) -> Result<Files, Error> {
    let wrong = |error: String| Error::Project(format!("{}: {error}", wit.display()));
    let mut texts = SourceMap::new();
    for (name, text) in read_wit(wit)? {
        texts.push(Path::new(&name), text);
    }
    let mut resolve = Resolve::new();
    let group = texts.parse().map_err(|(_, error)| wrong(error.to_string()))?;
    let package = resolve.push_group(group).map_err(|error| wrong(error.to_string()))?;
    let world = resolve.select_world(&[package], Some("plugin")).map_err(|error| wrong(error.to_string()))?;
    let options = wit_bindgen_c::Opts { rename_world: Some("nacre".into()), autodrop_borrows: Enabled::Yes, ..Default::default() };
    let mut files = Files::default();
    options.build().generate(&mut resolve, world, &mut files).map_err(|error| wrong(error.to_string()))?;
    Ok(files)
}

/// The first compiler that there is.
fn compiler() -> Result<Command, Error> {
    let runs = |name: &&str| {
        let mut command = Command::new(name);
        command.arg("version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let name = NAMES.into_iter().find(|name| runs(name));
    name.map(Command::new).ok_or(Error::Missing { tool: ZIG.name, install: ZIG.install })
}

/// All of the project's C files with their bindings, as a library with an entry for each export.
fn arguments(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let flags = [
        "cc",
        "-target",
        "wasm32-wasi",
        "-mexec-model=reactor",
        "-Os",
        "-s",
        "-Wall",
        "-Wl,-z,stack-size=262144",
        "-I",
        "build",
        "-o",
        "build/core.wasm",
    ];
    let mut sources = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::reading(folder))? {
        let name = PathBuf::from(entry.map_err(Error::reading(folder))?.file_name());
        sources.extend(name.extension().is_some_and(|end| end == "c").then_some(name.clone()));
    }
    sources.sort();
    let generated = ["build/nacre.c", "build/nacre_component_type.o"].map(PathBuf::from);
    Ok(flags.map(PathBuf::from).into_iter().chain(sources).chain(generated).collect())
}
