//! Everything that building and testing need beyond Rust and a C compiler.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Result, bail};

use crate::run::{checked, found, is_root, root};

/// The peers that tests and benchmarks compare with, by the program that shows a package is there.
const PACKAGES: &[(&str, &str)] = &[
    ("/usr/bin/docker-registry", "docker-registry"),
    ("/usr/bin/skopeo", "skopeo"),
    ("/usr/bin/podman", "podman"),
    ("/usr/bin/umoci", "umoci"),
    ("/usr/sbin/dockerd", "docker.io"),
    ("/usr/sbin/runc", "runc"),
    ("/usr/bin/htpasswd", "apache2-utils"),
    ("/usr/sbin/nginx", "nginx-light"),
    ("/usr/bin/curl", "curl"),
    ("/usr/bin/openssl", "openssl"),
    ("/usr/bin/xz", "xz-utils"),
    ("/usr/bin/zstd", "zstd"),
    ("/usr/bin/cpio", "cpio"),
    ("/usr/bin/zip", "zip"),
    ("/usr/bin/bzip2", "bzip2"),
    ("/usr/bin/python3", "python3"),
    ("/usr/bin/node", "nodejs"),
    ("/usr/bin/npm", "npm"),
    ("/usr/bin/mksquashfs", "squashfs-tools"),
    ("/usr/sbin/mke2fs", "e2fsprogs"),
    ("/usr/bin/buildah", "buildah"),
    ("/usr/bin/busybox", "busybox-static"),
    ("/usr/bin/git", "git"),
    ("/usr/sbin/debootstrap", "debootstrap"),
    // What builds as an ordinary user need.
    ("/usr/bin/newuidmap", "uidmap"),
    ("/usr/bin/fuse-overlayfs", "fuse-overlayfs"),
];

/// Those of them that plugins' languages need.
const LANGUAGES: [&str; 4] = ["python3", "python3-venv", "nodejs", "npm"];

/// The WebAssembly target, the peers from Debian, and the tools of the languages that plugins are written in.
pub fn all() -> Result<()> {
    target()?;
    packages()?;
    languages()
}

/// The tools of the languages that plugins are written in, and what those need of Debian. Where one cannot be had, it says so:
/// what needs it is skipped.
pub fn languages() -> Result<()> {
    let missing: Vec<&str> = missing().into_iter().filter(|package| LANGUAGES.contains(package)).collect();
    install(&missing)?;
    for (what, done) in [("Python and C", python()), ("JavaScript", javascript())] {
        if let Err(error) = done {
            eprintln!("plugins in {what} cannot be built here: {error}");
        }
    }
    Ok(())
}

/// Where [`languages`] puts programs, and then the path.
pub fn tools() -> impl Iterator<Item = PathBuf> {
    let own = ["target/tools/python/bin", "target/tools/js/node_modules/.bin"].map(|folder| root().join(folder));
    let path = env::var_os("PATH").unwrap_or_default();
    own.into_iter().chain(env::split_paths(&path).collect::<Vec<_>>())
}

/// What plugins in Python and C are built with, in a virtual environment of its own (the versions that the kit names).
fn python() -> Result<()> {
    let folder = root().join("target/tools/python");
    if folder.join("bin/componentize-py").exists() && folder.join("bin/python-zig").exists() {
        return Ok(());
    }
    if !found("python3") {
        eprintln!("python3 is not installed, so the tests of plugins in Python and C are skipped");
        return Ok(());
    }
    checked(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    let install = ["install", "--quiet", "--disable-pip-version-check", "componentize-py==0.25.1", "ziglang==0.17.1"];
    checked(Command::new(folder.join("bin/pip")).args(install))
}

/// What plugins in JavaScript are built with.
fn javascript() -> Result<()> {
    let folder = root().join("target/tools/js");
    if folder.join("node_modules/.bin/jco").exists() {
        return Ok(());
    }
    if !found("npm") {
        eprintln!("npm is not installed, so the tests of plugins in JavaScript are skipped");
        return Ok(());
    }
    std::fs::create_dir_all(&folder)?;
    let install = ["install", "--silent", "--no-audit", "--no-fund", "@bytecodealliance/jco@1.35.0", "componentize-qjs@0.4.5"];
    checked(Command::new("npm").args(install).current_dir(folder))
}

/// The target that plugins are built for.
pub fn target() -> Result<()> {
    let sysroot = Command::new("rustc").args(["--print", "sysroot"]).output()?;
    let sysroot = String::from_utf8(sysroot.stdout)?;
    if Path::new(sysroot.trim()).join("lib/rustlib/wasm32-wasip2").is_dir() {
        return Ok(());
    }
    if !found("rustup") {
        bail!("the Rust target wasm32-wasip2 is missing: install it with your distribution's Rust, or use rustup");
    }
    checked(Command::new("rustup").args(["target", "add", "wasm32-wasip2"]))
}

fn packages() -> Result<()> {
    install(&missing())
}

/// Debian's packages that are not here.
fn missing() -> Vec<&'static str> {
    let mut missing: Vec<&str> = PACKAGES.iter().filter(|(program, _)| !Path::new(program).exists()).map(|(_, package)| *package).collect();
    // A package of files that depend on Python's version.
    let venv = Command::new("python3").args(["-c", "import ensurepip"]).stderr(Stdio::null()).status();
    if !venv.is_ok_and(|status| status.success()) {
        missing.push("python3-venv");
    }
    missing
}

fn install(missing: &[&str]) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    if !is_root() || !found("apt-get") {
        eprintln!("not installed, so what needs them is skipped: {}", missing.join(", "));
        return Ok(());
    }
    eprintln!("installing {}", missing.join(", "));
    checked(Command::new("apt-get").args(["update", "-qq"]))?;
    let install = ["install", "-qq", "-y", "--no-install-recommends"];
    checked(Command::new("apt-get").args(install).args(missing).env("DEBIAN_FRONTEND", "noninteractive"))
}
