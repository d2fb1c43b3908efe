//! The OCI runtime alone: what a RUN cannot do without.

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::{
    bench::measure::{Sample, repeat},
    run::checked,
};

/// `runc run` of a bundle with the same program, beside what a build with RUN took more than one without.
pub fn limit(folder: &Path, run: Sample, from: Sample) -> Result<(String, Sample, Sample)> {
    let bundle = folder.join("bundle");
    fs::create_dir_all(bundle.join("rootfs/bin"))?;
    fs::copy("/usr/bin/busybox", bundle.join("rootfs/bin/busybox")).context("busybox-static is needed")?;
    symlink("busybox", bundle.join("rootfs/bin/sh"))?;
    checked(Command::new("runc").arg("spec").current_dir(&bundle))?;
    let path = bundle.join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path)?)?;
    config["process"]["terminal"] = json!(false);
    config["process"]["args"] = json!(["/bin/sh", "-c", "true"]);
    fs::write(&path, config.to_string())?;
    let mut command = Command::new("runc");
    command.arg("--root").arg(folder.join("runc")).args(["run", "bench"]).current_dir(&bundle).stdin(Stdio::null());
    let alone = repeat(&mut command, 9)?;
    let more = Sample { wall: run.wall - from.wall, own: None };
    Ok(("`RUN true`: `runc run` of the same program".to_owned(), alone, more))
}
