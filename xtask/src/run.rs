//! Running other programs: cargo, mostly.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

/// The repository's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask has a parent folder")
}

/// Runs a command and fails if it does.
pub fn checked(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {command:?}"))?;
    if !status.success() {
        bail!("{command:?} failed: {status}");
    }
    Ok(())
}

/// Whether a program is on the path.
pub fn found(program: &str) -> bool {
    env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

/// Whether this is the superuser.
pub fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n")
}

fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(root());
    command
}

/// Builds `nacre` and returns its path. What `NACRE_BIN` names is taken as it is, as by the tests.
pub fn build(release: bool) -> Result<PathBuf> {
    if let Some(binary) = env::var_os("NACRE_BIN") {
        return Ok(PathBuf::from(binary));
    }
    let profile = if release { "release" } else { "dev" };
    checked(&mut cargo(&["build", "--quiet", "--package", "nacre-cli", "--profile", profile]))?;
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    Ok(target.join(if release { "release" } else { "debug" }).join("nacre"))
}

/// Every test of the guests, natively, and of the workspace; `args` go to the latter's runner.
pub fn tests(args: &[String]) -> Result<()> {
    for guests in ["plugins", "examples"] {
        let manifest = format!("{guests}/Cargo.toml");
        let target = root().join("target/guests-native");
        checked(cargo(&["test", "--quiet", "--manifest-path", &manifest]).env("CARGO_TARGET_DIR", target))?;
    }
    let nacre = build(false)?;
    let runner: &[&str] = if found("cargo-nextest") { &["nextest", "run"] } else { &["test"] };
    checked(cargo(runner).arg("--workspace").args(args).env("NACRE_BIN", nacre))
}

/// The libraries below the plugin host and the command line know neither.
fn layering() -> Result<()> {
    for library in
        ["nacre-oci", "nacre-layer", "nacre-store", "nacre-registry", "nacre-archive", "nacre-serve", "nacre-runtime", "nacre-container"]
    {
        let output = cargo(&["tree", "--package", library, "--edges", "normal", "--prefix", "none"]).output()?;
        let tree = String::from_utf8(output.stdout)?;
        for line in tree.lines() {
            let name = line.split(' ').next().unwrap_or_default();
            if matches!(name, "clap" | "wasmtime" | "nacre-plugin" | "nacre-cli") {
                bail!("{library} depends on {name}, which it must not know (README, Architecture)");
            }
        }
        if !output.status.success() || !tree.starts_with(library) {
            bail!("cargo tree failed for {library}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
    Ok(())
}

/// Formatting, the order of the crates, clippy, and the dependency rules where cargo-deny is installed.
pub fn lint() -> Result<()> {
    let manifests = [".", "plugins", "examples", "tests/guests", "tests/fuzz"].map(|workspace| format!("{workspace}/Cargo.toml"));
    for manifest in &manifests {
        checked(&mut cargo(&["fmt", "--all", "--check", "--manifest-path", manifest]))?;
    }
    layering()?;
    checked(&mut cargo(&["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    if !found("cargo-deny") {
        eprintln!("cargo-deny is not installed: licences and sources were not checked");
        return Ok(());
    }
    let rules = root().join("deny.toml");
    for manifest in &manifests {
        let deny = ["deny", "--log-level", "error", "--manifest-path", manifest, "--config"];
        checked(cargo(&deny).arg(&rules).args(["check", "bans", "licenses", "sources"]))?;
    }
    Ok(())
}
