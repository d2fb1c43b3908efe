//! Rust: cargo makes components for the target `wasm32-wasip2`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::{read, tool::Tool};
use crate::Error;

const CARGO: Tool = Tool { name: "cargo", install: "get Rust from your distribution or with rustup" };
const TARGET: &str = "wasm32-wasip2";

/// What a build of the author's machine sets for itself and a plugin must not see.
const HOST_ONLY: [&str; 7] = [
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_TARGET_DIR",
    "RUSTC_WORKSPACE_WRAPPER",
    "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER",
];

/// A line of cargo's report about what it made.
#[derive(Deserialize)]
struct Report {
    manifest_path: Option<PathBuf>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

pub(super) fn build(folder: &Path) -> Result<Vec<u8>, Error> {
    let folder = folder.canonicalize().map_err(Error::reading(folder))?;
    has_target()?;
    let mut command = Command::new("cargo");
    command.args(["build", "--release", "--quiet", "--target", TARGET, "--message-format", "json-render-diagnostics"]);
    command.current_dir(&folder);
    for name in HOST_ONLY {
        command.env_remove(name);
    }
    // The same component from the same source, whoever builds it and wherever.
    let homes = std::env::home_dir().map(|user| user.join(".cargo"));
    let homes = homes.iter().map(PathBuf::as_path).chain([folder.as_path()]);
    let flags: Vec<String> = homes.map(|home| format!("--remap-path-prefix={}=.", home.display())).collect();
    command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    let said = CARGO.run(&mut command)?;
    let reports = said.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Report>(line).ok());
    let ours = reports.filter(|report| report.manifest_path.as_deref() == Some(&folder.join("Cargo.toml")));
    let wasm = ours.flat_map(|report| report.filenames).find(|file| file.extension().is_some_and(|end| end == "wasm"));
    let missing = || Error::Project("Cargo.toml: want [lib] crate-type = [\"cdylib\"], which makes a component".into());
    read(&wasm.ok_or_else(missing)?)
}

/// Says how the target is installed, which cargo's own words hide among many.
fn has_target() -> Result<(), Error> {
    let mut command = Command::new("rustc");
    let output = command.args(["--print", "target-libdir", "--target", TARGET]).stderr(Stdio::null()).output();
    let found = output.is_ok_and(|output| Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir());
    match found {
        true => Ok(()),
        false => Err(Error::Missing { tool: "the Rust target wasm32-wasip2", install: "rustup target add wasm32-wasip2" }),
    }
}
