//! Everything that building and testing need beyond Rust and a C compiler.

use std::{path::Path, process::Command};

use anyhow::{Result, bail};

use crate::run::{checked, found, is_root};

/// The peers that tests and benchmarks compare with, by the program that shows a package is there.
const PACKAGES: &[(&str, &str)] = &[
    ("/usr/bin/docker-registry", "docker-registry"),
    ("/usr/bin/skopeo", "skopeo"),
    ("/usr/bin/podman", "podman"),
    ("/usr/bin/umoci", "umoci"),
    ("/usr/sbin/dockerd", "docker.io"),
    ("/usr/sbin/runc", "runc"),
    ("/usr/bin/htpasswd", "apache2-utils"),
    ("/usr/bin/openssl", "openssl"),
    ("/usr/bin/xz", "xz-utils"),
    ("/usr/bin/zstd", "zstd"),
    ("/usr/bin/bzip2", "bzip2"),
    ("/usr/bin/mksquashfs", "squashfs-tools"),
    ("/usr/sbin/mke2fs", "e2fsprogs"),
];

/// The WebAssembly target, and the peers from Debian.
pub fn all() -> Result<()> {
    target()?;
    packages()
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
    let missing: Vec<&str> = PACKAGES.iter().filter(|(program, _)| !Path::new(program).exists()).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !is_root() || !found("apt-get") {
        eprintln!("not installed, so the tests that need them are skipped: {}", missing.join(", "));
        return Ok(());
    }
    eprintln!("installing {}", missing.join(", "));
    checked(Command::new("apt-get").args(["update", "-qq"]))?;
    let install = ["install", "-qq", "-y", "--no-install-recommends"];
    checked(Command::new("apt-get").args(install).args(missing).env("DEBIAN_FRONTEND", "noninteractive"))
}
