//! nacre and its peers, each with the commands that its users type.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::Result;
use nacre_tests::{dockerd::Docker, peers::available};

use super::{Work, archives};
use crate::run::{checked, is_root};

/// The places that the work is about.
#[derive(Clone)]
pub struct Scene {
    pub folder: PathBuf,
    /// The image in the registry that is pulled from; also its name once it is here.
    pub image: String,
    /// The image's name in the registry that is pushed to.
    pub target: String,
}

impl Scene {
    pub fn new(folder: &Path, registry: &str) -> Self {
        Self { folder: folder.to_owned(), image: format!("{registry}/bench:1"), target: String::new() }
    }

    pub fn with_target(&self, address: Option<String>) -> Self {
        Self { target: address.map(|address| format!("{address}/bench:1")).unwrap_or_default(), ..self.clone() }
    }

    /// What a program saved.
    pub fn archive(&self, tool: &str) -> PathBuf {
        self.folder.join(format!("{tool}.tar"))
    }
}

/// A program that is measured.
pub trait Tool {
    fn name(&self) -> &'static str;

    /// Throws away every image.
    fn empty(&mut self) -> Result<()>;

    /// The command for some work; `None` if it does not do that.
    fn command(&self, work: Work, scene: &Scene) -> Option<Command>;

    /// What has to be done first and is not measured.
    fn prepare(&self, work: Work, scene: &Scene) -> Result<()> {
        if work == Work::Save && scene.archive(self.name()).exists() {
            fs::remove_file(scene.archive(self.name()))?;
        }
        Ok(())
    }

    /// Whether a daemon does most of the work.
    fn is_client(&self) -> bool {
        false
    }
}

/// Those that are installed; nacre is the last.
pub fn all(nacre: &Path, folder: &Path) -> Result<Vec<Box<dyn Tool>>> {
    let mut tools: Vec<Box<dyn Tool>> = Vec::new();
    if let Some(docker) = Docker::start_with("overlay2") {
        tools.push(Box::new(Dockerd(docker)));
    }
    if available("podman") && is_root() {
        tools.push(Box::new(Podman { root: folder.join("podman"), run: folder.join("podman-run") }));
    }
    if available("skopeo") {
        tools.push(Box::new(Skopeo { store: folder.join("skopeo") }));
    }
    tools.push(Box::new(Nacre { binary: nacre.to_owned(), folder: folder.to_owned() }));
    Ok(tools)
}

fn words<'a>(command: &mut Command, args: impl IntoIterator<Item = &'a str>) -> Command {
    command.args(args);
    std::mem::replace(command, Command::new(""))
}

struct Dockerd(Docker);

impl Tool for Dockerd {
    fn name(&self) -> &'static str {
        "docker"
    }

    fn empty(&mut self) -> Result<()> {
        checked(self.0.command(&["image", "prune", "-af"]).stdout(Stdio::null()))
    }

    fn prepare(&self, work: Work, scene: &Scene) -> Result<()> {
        match work {
            Work::Push => checked(&mut self.0.command(&["tag", &scene.image, &scene.target])),
            _ => Ok(()),
        }
    }

    fn command(&self, work: Work, scene: &Scene) -> Option<Command> {
        let archive = scene.archive(self.name()).display().to_string();
        Some(match work {
            Work::Pull => self.0.command(&["pull", "-q", &scene.image]),
            Work::Push => self.0.command(&["push", "-q", &scene.target]),
            Work::Images => self.0.command(&["images"]),
            Work::Save => self.0.command(&["save", "-o", &archive, &scene.image]),
            // What it saves is the archive that all load.
            Work::Load => return None,
            Work::LoadPlain => self.0.command(&["load", "-q", "-i", &archive]),
            Work::Import => self.0.command(&["import", &archives::rootfs(scene).display().to_string(), "imported:1"]),
            Work::Start => self.0.command(&["--version"]),
        })
    }

    fn is_client(&self) -> bool {
        true
    }
}

struct Podman {
    root: PathBuf,
    run: PathBuf,
}

impl Podman {
    fn podman<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        let mut command = Command::new("podman");
        command.arg("--root").arg(&self.root).arg("--runroot").arg(&self.run).args(["--storage-driver", "overlay"]).args(args);
        command
    }
}

impl Tool for Podman {
    fn name(&self) -> &'static str {
        "podman"
    }

    fn empty(&mut self) -> Result<()> {
        checked(self.podman(&["rmi", "-af"]).stdout(Stdio::null()))
    }

    fn command(&self, work: Work, scene: &Scene) -> Option<Command> {
        let (own, dockers) = (scene.archive(self.name()), scene.archive("docker"));
        let own = own.display().to_string();
        let remote = format!("docker://{}", scene.target);
        Some(match work {
            Work::Pull => self.podman(&["pull", "-q", "--tls-verify=false", &scene.image]),
            Work::Push => self.podman(&["push", "-q", "--tls-verify=false", &scene.image, &remote]),
            Work::Images => self.podman(&["images"]),
            Work::Save => self.podman(&["save", "-q", "-o", &own, &scene.image]),
            Work::Load => self.podman(&["load", "-q", "-i", &own]),
            Work::LoadPlain if dockers.exists() => self.podman(&["load", "-q", "-i", &dockers.display().to_string()]),
            Work::LoadPlain => return None,
            Work::Import => self.podman(&["import", "-q", &archives::rootfs(scene).display().to_string(), "imported:1"]),
            Work::Start => self.podman(&["--version"]),
        })
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        // Podman leaves its store mounted on itself, and the folder cannot be deleted while it is.
        let _ = Command::new("umount").arg("--lazy").arg(self.root.join("overlay")).stderr(Stdio::null()).status();
    }
}

/// With an OCI layout as its store.
struct Skopeo {
    store: PathBuf,
}

impl Tool for Skopeo {
    fn name(&self) -> &'static str {
        "skopeo"
    }

    fn empty(&mut self) -> Result<()> {
        remove_folder(&self.store)
    }

    fn command(&self, work: Work, scene: &Scene) -> Option<Command> {
        let store = format!("oci:{}:bench", self.store.display());
        let archive = format!("oci-archive:{}:bench", scene.archive(self.name()).display());
        let dockers = scene.archive("docker");
        let copy = |args: &[&str]| words(Command::new("skopeo").args(["--insecure-policy", "copy", "-q"]), args.iter().copied());
        Some(match work {
            Work::Pull => copy(&["--src-tls-verify=false", &format!("docker://{}", scene.image), &store]),
            Work::Push => copy(&["--dest-tls-verify=false", &store, &format!("docker://{}", scene.target)]),
            Work::Save => copy(&[&store, &archive]),
            Work::Load => copy(&[&archive, &store]),
            // Into an OCI layout it would compress the layers.
            Work::LoadPlain if dockers.exists() => {
                copy(&[&format!("docker-archive:{}", dockers.display()), &format!("dir:{}", self.store.display())])
            }
            Work::Images | Work::LoadPlain | Work::Import => return None,
            Work::Start => words(&mut Command::new("skopeo"), ["--version"]),
        })
    }
}

/// nacre itself, with everything of its own in the folder.
pub struct Nacre {
    pub binary: PathBuf,
    pub folder: PathBuf,
}

impl Nacre {
    pub fn root(&self) -> PathBuf {
        self.folder.join("nacre")
    }

    pub fn nacre(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(args).env("NACRE_ROOT", self.root()).env("HOME", self.folder.join("home"));
        command.env_remove("NACRE_CONFIG").env_remove("NACRE_PLUGINS").env_remove("XDG_CACHE_HOME").env_remove("DOCKER_CONFIG");
        command
    }
}

impl Tool for Nacre {
    fn name(&self) -> &'static str {
        "nacre"
    }

    fn empty(&mut self) -> Result<()> {
        remove_folder(&self.root())
    }

    fn prepare(&self, work: Work, scene: &Scene) -> Result<()> {
        let archive = scene.archive(self.name());
        match work {
            Work::Push => checked(&mut self.nacre(&["tag", &scene.image, &scene.target])),
            Work::Save if archive.exists() => Ok(fs::remove_file(archive)?),
            Work::Import => archives::warm(self, scene),
            _ => Ok(()),
        }
    }

    fn command(&self, work: Work, scene: &Scene) -> Option<Command> {
        let own = scene.archive(self.name()).display().to_string();
        let dockers = scene.archive("docker");
        Some(match work {
            Work::Pull => self.nacre(&["pull", "-q", &scene.image]),
            Work::Push => self.nacre(&["push", "-q", &scene.target]),
            Work::Images => self.nacre(&["images"]),
            Work::Save => self.nacre(&["save", "-o", &own, &scene.image]),
            Work::Load => self.nacre(&["load", "-q", "-i", &own]),
            Work::LoadPlain if dockers.exists() => self.nacre(&["load", "-q", "-i", &dockers.display().to_string()]),
            Work::LoadPlain => return None,
            Work::Import => self.nacre(&["import", "-q", &archives::rootfs(scene).display().to_string(), "imported:1"]),
            Work::Start => self.nacre(&["--version"]),
        })
    }
}

fn remove_folder(path: &Path) -> Result<()> {
    if path.exists() {
        fs::remove_dir_all(path)?;
    }
    Ok(())
}
