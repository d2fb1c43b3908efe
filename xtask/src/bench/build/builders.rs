//! The programs that build, each with the command that its users type.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::Result;
use nacre_tests::{dockerd::Docker, peers::available};

use super::inputs::Inputs;
use crate::{
    bench::tools::Nacre,
    run::{checked, is_root},
};

/// What every build is called.
const NAME: &str = "built:1";

/// A build.
pub struct Job {
    pub file: PathBuf,
    pub context: PathBuf,
    /// Whether what was built before may be used.
    pub cached: bool,
}

/// A program that is measured.
pub trait Builder {
    fn name(&self) -> &'static str;

    /// Fetches the base.
    fn begin(&mut self, inputs: &Inputs) -> Result<()>;

    /// Throws away what is left of earlier builds, but not the base.
    fn forget(&mut self) -> Result<()>;

    fn build(&self, job: &Job) -> Command;

    /// Whether a daemon does most of the work.
    fn is_client(&self) -> bool {
        false
    }
}

/// Those that are installed; nacre is the last.
pub fn all(nacre: &Path, folder: &Path) -> Result<Vec<Box<dyn Builder>>> {
    let mut builders: Vec<Box<dyn Builder>> = Vec::new();
    if let Some(docker) = Docker::start_with("overlay2") {
        builders.push(Box::new(BuildKit(docker)));
    }
    if available("buildah") && is_root() {
        builders.push(Box::new(Buildah { root: folder.join("buildah"), run: folder.join("buildah-run") }));
    }
    let home = folder.join("builds");
    fs::create_dir(&home)?;
    builders.push(Box::new(Own { nacre: Nacre { binary: nacre.to_owned(), folder: home } }));
    Ok(builders)
}

/// Adds what all understand.
fn job(mut command: Command, job: &Job) -> Command {
    command.args(["--network", "host", "-t", NAME, "-f"]).arg(&job.file);
    if !job.cached {
        command.arg("--no-cache");
    }
    command.arg(&job.context);
    command
}

struct BuildKit(Docker);

impl Builder for BuildKit {
    fn name(&self) -> &'static str {
        "docker (BuildKit)"
    }

    fn begin(&mut self, inputs: &Inputs) -> Result<()> {
        checked(self.0.command(&["pull", "-q", &inputs.base]).stdout(Stdio::null()))
    }

    fn forget(&mut self) -> Result<()> {
        let _ = self.0.run(&["rmi", "-f", NAME]);
        checked(self.0.command(&["builder", "prune", "-af"]).env("DOCKER_BUILDKIT", "1").stdout(Stdio::null()))
    }

    fn build(&self, what: &Job) -> Command {
        let mut command = self.0.command(&["build", "--progress", "plain"]);
        command.env("DOCKER_BUILDKIT", "1");
        job(command, what)
    }

    fn is_client(&self) -> bool {
        true
    }
}

struct Buildah {
    root: PathBuf,
    run: PathBuf,
}

impl Buildah {
    fn buildah(&self, args: &[&str]) -> Command {
        let mut command = Command::new("buildah");
        command.arg("--root").arg(&self.root).arg("--runroot").arg(&self.run).args(["--storage-driver", "overlay"]).args(args);
        command
    }
}

impl Builder for Buildah {
    fn name(&self) -> &'static str {
        "buildah"
    }

    fn begin(&mut self, inputs: &Inputs) -> Result<()> {
        checked(self.buildah(&["pull", "-q", "--tls-verify=false", &inputs.base]).stdout(Stdio::null()))
    }

    fn forget(&mut self) -> Result<()> {
        // The first build finds nothing to remove.
        let _ = self.buildah(&["rmi", "-f", NAME]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        checked(self.buildah(&["rmi", "--prune", "--force"]).stdout(Stdio::null()))
    }

    fn build(&self, what: &Job) -> Command {
        // It keeps a cache only of builds with layers.
        let layers = if what.cached { "--layers" } else { "--layers=false" };
        job(self.buildah(&["bud", layers, "--pull-never"]), what)
    }
}

impl Drop for Buildah {
    fn drop(&mut self) {
        // It leaves its store mounted on itself, and the folder cannot be deleted while it is.
        let _ = Command::new("umount").arg("--lazy").arg(self.root.join("overlay")).stderr(Stdio::null()).status();
    }
}

/// nacre. Before a build without a cache its store becomes what it was when the base had come: of the context and of what
/// was built nothing is known. What it knows of the base, its layers' files and their trees, is kept with it.
struct Own {
    nacre: Nacre,
}

impl Own {
    fn kept(&self) -> PathBuf {
        self.nacre.folder.join("kept")
    }
}

impl Builder for Own {
    fn name(&self) -> &'static str {
        "nacre"
    }

    fn begin(&mut self, inputs: &Inputs) -> Result<()> {
        checked(self.nacre.nacre(&["pull", "-q", &inputs.base]).stdout(Stdio::null()))?;
        for file in ["small", "run"] {
            let first = Job { file: inputs.file(file), context: inputs.context(), cached: false };
            checked(self.build(&first).stdout(Stdio::null()).stderr(Stdio::null()))?;
        }
        Ok(fs::rename(self.nacre.root(), self.kept())?)
    }

    fn forget(&mut self) -> Result<()> {
        let root = self.nacre.root();
        if root.exists() {
            checked(Command::new("rm").arg("-rf").arg(&root))?;
        }
        // Links do for what is never written to, which is all but the database.
        checked(Command::new("cp").arg("-al").arg(self.kept()).arg(&root))?;
        for entry in fs::read_dir(self.kept())? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                fs::remove_file(root.join(entry.file_name()))?;
                fs::copy(entry.path(), root.join(entry.file_name()))?;
            }
        }
        Ok(())
    }

    fn build(&self, what: &Job) -> Command {
        job(self.nacre.nacre(&["--progress", "plain", "build"]), what)
    }
}
