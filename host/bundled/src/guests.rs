//! Building guests: WebAssembly components, from cargo workspaces of their own.
//!
//! This crate's build script uses it for the bundled plugins, tests and tasks for all others.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The target that cargo builds components for.
const TARGET: &str = "wasm32-wasip2";

/// What a build of the host sets for itself and a guest must not see: flags for the host's processor, and
/// clippy in the place of the compiler.
const HOST_ONLY: [&str; 7] = [
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_TARGET_DIR",
    "RUSTC_WORKSPACE_WRAPPER",
    "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER",
];

/// Builds the guest workspace in `workspace` below `target_dir` and returns the folder with the
/// components, each named after its package with `_` for `-`.
///
/// `target_dir` must not be that of a running cargo: it would wait for its own caller.
///
/// # Errors
/// A text that says what failed and what to do.
pub fn build(cargo: &OsStr, workspace: &Path, target_dir: &Path) -> Result<PathBuf, String> {
    let mut command = Command::new(cargo);
    command.args(["build", "--release", "--locked", "--target", TARGET, "--target-dir"]).arg(target_dir).current_dir(workspace);
    for name in HOST_ONLY {
        command.env_remove(name);
    }
    // The same component from the same source, whoever builds it and wherever.
    let home = |path: &Path| format!("--remap-path-prefix={}=.", path.display());
    let cargo_home = std::env::home_dir().map(|user| user.join(".cargo"));
    let remapped: Vec<String> = cargo_home.iter().map(|path| home(path)).chain([home(workspace)]).collect();
    command.env("CARGO_ENCODED_RUSTFLAGS", remapped.join("\u{1f}"));
    let output = command.output().map_err(|error| format!("cannot run {}: {error}", cargo.display()))?;
    if output.status.success() {
        return Ok(target_dir.join(TARGET).join("release"));
    }
    Err(explain(workspace, &String::from_utf8_lossy(&output.stderr)))
}

/// What cargo's words mean to whoever builds.
fn explain(workspace: &Path, said: &str) -> String {
    if said.contains(&format!("`{TARGET}` target may not be installed")) {
        return format!("the guests in {} need a target that is not installed: rustup target add {TARGET}", workspace.display());
    }
    format!("cannot build the guests in {}: {}", workspace.display(), said.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_target_is_explained() {
        let said = "error[E0463]: can't find crate for `core`\n = note: the `wasm32-wasip2` target may not be installed\n";
        let expected = "the guests in plugins need a target that is not installed: rustup target add wasm32-wasip2";
        assert_eq!(explain(Path::new("plugins"), said), expected);
        assert_eq!(explain(Path::new("x"), "error: no\n"), "cannot build the guests in x: error: no");
    }

    #[test]
    fn a_missing_cargo_is_named() {
        let nowhere = Path::new("/nonexistent");
        let said = build(OsStr::new("/nonexistent/cargo"), Path::new("/"), nowhere).unwrap_err();
        assert!(said.starts_with("cannot run /nonexistent/cargo: "), "{said}");
    }
}
