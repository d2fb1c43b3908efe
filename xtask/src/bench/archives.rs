//! Files that become images: the image's own files again, as a compressed tar archive, as cpio and as zip.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::Result;
use nacre_tests::peers::available;

use super::{
    measure::{Sample, repeat},
    tools::{Nacre, Scene},
};
use crate::run::checked;

/// Makes the archives in the scene's folder, from the layers of the image that was made there.
pub fn make(scene: &Scene) -> Result<()> {
    eprintln!("making archives");
    let tree = scene.folder.join("tree");
    fs::create_dir(&tree)?;
    for blob in fs::read_dir(scene.folder.join("image/blobs/sha256"))? {
        let path = blob?.path();
        // The manifest and the config are small, and no archives.
        if fs::metadata(&path)?.len() > 1_000_000 {
            checked(Command::new("tar").arg("-xzf").arg(&path).arg("-C").arg(&tree))?;
        }
    }
    shell(scene, "tar --sort=name -C tree -cf - . | gzip -6 > rootfs.tar.gz")?;
    if available("cpio") {
        shell(scene, "cd tree && find . | sort | cpio --quiet -o -H newc > ../rootfs.cpio")?;
    }
    if available("zip") {
        shell(scene, "cd tree && zip -q -r -y ../rootfs.zip .")?;
    }
    shell(scene, "tar -C tree -cf small.tar --no-recursion .")?;
    Ok(fs::remove_dir_all(tree)?)
}

/// The compressed archive that all import.
pub fn rootfs(scene: &Scene) -> PathBuf {
    scene.folder.join("rootfs.tar.gz")
}

/// An import that is about nothing: it has the plugins compiled.
pub fn warm(nacre: &Nacre, scene: &Scene) -> Result<()> {
    let small = scene.folder.join("small.tar").display().to_string();
    checked(nacre.nacre(&["import", "-q", &small]).stdout(Stdio::null()))
}

/// Gunzip and SHA-256 of the same bytes, which an import cannot do without.
pub fn limit(scene: &Scene) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "gzip -dc rootfs.tar.gz | openssl dgst -sha256"]).current_dir(&scene.folder);
    command
}

/// How fast formats are that a plugin parses; layers are not compressed, so that nothing else counts.
pub fn parsed(binary: &Path, scene: &Scene) -> Result<Vec<(String, Sample)>> {
    let nacre = Nacre { binary: binary.to_owned(), folder: scene.folder.join("parsed") };
    fs::create_dir(&nacre.folder)?;
    warm(&nacre, scene)?;
    let mut measured = Vec::new();
    for format in ["cpio", "zip"] {
        let file = scene.folder.join(format!("rootfs.{format}"));
        let Ok(meta) = fs::metadata(&file) else { continue };
        let sample = repeat(&mut nacre.nacre(&["import", "-q", "--compress", "none", &file.display().to_string()]), 3)?;
        measured.push((format!("import, {format} of {} MB, layer not compressed", meta.len() / 1_000_000), sample));
    }
    Ok(measured)
}

fn shell(scene: &Scene, line: &str) -> Result<()> {
    checked(Command::new("sh").args(["-c", line]).current_dir(&scene.folder))
}
