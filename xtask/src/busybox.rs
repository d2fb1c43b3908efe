//! A real image to show things on: Debian's static busybox for two architectures.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use flate2::{Compression, GzBuilder};
use nacre_oci::{Descriptor, Digest, History, ImageConfig, Index, Manifest, Memory, Platform, RunConfig, media_type};

use crate::run::{checked, found};

/// Image architecture and Debian's word for it (the same for these two).
const ARCHITECTURES: &[&str] = &["amd64", "arm64"];
const VERSION: &str = "1.35.0";

/// The unpacked packages, and what every image made of them has in common.
pub struct Busybox {
    roots: Vec<(&'static str, PathBuf)>,
    applets: Vec<String>,
}

impl Busybox {
    /// Fetches the packages into `folder`.
    pub fn fetch(folder: &Path) -> Result<Self> {
        if !found("apt-get") || !found("dpkg-deb") {
            bail!("the demo's image is made from Debian's busybox-static, which needs apt-get and dpkg-deb");
        }
        let roots = ARCHITECTURES.iter().map(|arch| Ok((*arch, unpack(arch, folder)?))).collect::<Result<Vec<_>>>()?;
        let applets = applets(&roots)?;
        Ok(Self { roots, applets })
    }

    /// The package for this machine's architecture, or else the first.
    pub fn package(&self) -> Result<PathBuf> {
        let host = Platform::host().architecture;
        let found = self.roots.iter().find(|(arch, _)| *arch == host).or(self.roots.first()).context("there is no package")?;
        package(found.1.parent().context("the package has no folder")?)
    }

    /// Puts a bootable image for two platforms, `created` at that time (RFC 3339), into `memory`; returns its index.
    pub fn image(&self, memory: &Memory, created: &str) -> Result<Descriptor> {
        let one = |(arch, root): &(&str, PathBuf)| one(memory, arch, root, &self.applets, created);
        let manifests = self.roots.iter().map(one).collect::<Result<Vec<_>>>()?;
        let annotations = BTreeMap::from([("org.opencontainers.image.description".to_owned(), DESCRIPTION.to_owned())]);
        let media_type = media_type::OCI_INDEX.to_owned();
        let index = Index { schema_version: 2, media_type, artifact_type: None, manifests, subject: None, annotations };
        Ok(memory.add(media_type::OCI_INDEX, serde_json::to_vec(&index)?))
    }
}

const DESCRIPTION: &str = "Tiny versions of many common UNIX utilities";

/// Downloads and unpacks the package for an architecture without touching the system's package state.
fn unpack(arch: &str, folder: &Path) -> Result<PathBuf> {
    let base = folder.join(arch);
    for part in ["lists/partial", "cache/archives/partial", "root"] {
        fs::create_dir_all(base.join(part))?;
    }
    let apt = |words: &[&str]| -> Result<()> {
        let mut command = Command::new("apt-get");
        for (option, value) in [
            ("Dir::State::lists", base.join("lists").display().to_string()),
            ("Dir::Cache", base.join("cache").display().to_string()),
            ("Dir::State::status", "/dev/null".to_owned()),
            ("APT::Architecture", arch.to_owned()),
            ("APT::Architectures", arch.to_owned()),
            ("APT::Sandbox::User", String::new()),
        ] {
            command.arg("-o").arg(format!("{option}={value}"));
        }
        checked(command.arg("-qq").args(words).current_dir(&base))
    };
    apt(&["update"])?;
    apt(&["download", "busybox-static"])?;
    checked(Command::new("dpkg-deb").arg("-x").arg(package(&base)?).arg(base.join("root")))?;
    Ok(base.join("root"))
}

fn package(folder: &Path) -> Result<PathBuf> {
    let deb = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "deb");
    let found = fs::read_dir(folder)?.flatten().map(|entry| entry.path()).find(deb);
    found.context("apt-get download left no package")
}

/// The commands that busybox answers to, asked of the one that runs here.
fn applets(roots: &[(&str, PathBuf)]) -> Result<Vec<String>> {
    let host = Platform::host().architecture;
    let Some((_, root)) = roots.iter().find(|(arch, _)| *arch == host) else { return Ok(vec!["sh".into()]) };
    let output = Command::new(root.join("bin/busybox")).arg("--list").output().context("busybox does not run")?;
    Ok(String::from_utf8(output.stdout)?.lines().filter(|name| *name != "busybox").map(str::to_owned).collect())
}

fn one(memory: &Memory, arch: &str, root: &Path, applets: &[String], created: &str) -> Result<Descriptor> {
    let tar = root_filesystem(&fs::read(root.join("bin/busybox"))?, applets)?;
    let layer = memory.add(media_type::OCI_LAYER_GZIP, gzip(&tar)?);
    let created = Some(created.to_owned());
    let row = |text: &str, empty_layer| History {
        created: created.clone(),
        created_by: Some(text.to_owned()),
        empty_layer,
        ..History::default()
    };
    let config = ImageConfig {
        created: created.clone(),
        architecture: arch.into(),
        os: "linux".into(),
        config: RunConfig {
            cmd: Some(vec!["sh".into()]),
            env: vec!["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into()],
            labels: BTreeMap::from([("org.opencontainers.image.version".into(), VERSION.into())]),
            ..RunConfig::default()
        },
        rootfs: nacre_oci::RootFs { diff_ids: vec![Digest::of(&tar)], ..Default::default() },
        history: vec![row("ADD busybox-static /bin", false), row("CMD [\"sh\"]", true)],
        ..ImageConfig::default()
    };
    let manifest = Manifest {
        schema_version: 2,
        media_type: media_type::OCI_MANIFEST.into(),
        artifact_type: None,
        config: memory.add(media_type::OCI_CONFIG, config.to_bytes()),
        layers: vec![layer],
        subject: None,
        annotations: BTreeMap::new(),
    };
    let mut descriptor = memory.add(media_type::OCI_MANIFEST, serde_json::to_vec(&manifest)?);
    descriptor.platform = Some(Platform::new("linux", arch, None));
    Ok(descriptor)
}

fn gzip(tar: &[u8]) -> Result<Vec<u8>> {
    let mut out = GzBuilder::new().mtime(0).write(Vec::new(), Compression::new(6));
    out.write_all(tar)?;
    Ok(out.finish()?)
}

/// A root filesystem that boots to a shell: busybox, its links, accounts, and the usual folders.
fn root_filesystem(busybox: &[u8], applets: &[String]) -> Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    let header = |kind: tar::EntryType, mode: u32, size: usize| {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(size as u64);
        header
    };
    for (folder, mode) in
        [("bin", 0o755), ("dev", 0o755), ("etc", 0o755), ("proc", 0o555), ("root", 0o700), ("sys", 0o555), ("tmp", 0o1777)]
    {
        tar.append_data(&mut header(tar::EntryType::Directory, mode, 0), format!("{folder}/"), &b""[..])?;
    }
    tar.append_data(&mut header(tar::EntryType::Regular, 0o755, busybox.len()), "bin/busybox", busybox)?;
    for applet in applets {
        tar.append_link(&mut header(tar::EntryType::Symlink, 0o777, 0), format!("bin/{applet}"), "busybox")?;
    }
    for (path, text) in [
        ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
        ("etc/group", "root:x:0:\nnogroup:x:65534:\n"),
        ("etc/os-release", "NAME=busybox\nID=busybox\n"),
    ] {
        tar.append_data(&mut header(tar::EntryType::Regular, 0o644, text.len()), path, text.as_bytes())?;
    }
    Ok(tar.into_inner()?)
}
