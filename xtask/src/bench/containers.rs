//! Containers: nacre beside docker and podman, each with the image present.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result};
use nacre_tests::{dockerd::Docker, peers::available};

use super::{
    Row,
    measure::{Sample, measure, median},
    report,
    tools::Nacre,
};
use crate::run::{checked, is_root};

/// What a container writes that is committed.
const MEGABYTES: u32 = 100;
/// How many containers run when they are listed.
const RUNNING: u32 = 100;
/// The container that is committed, and the image that is made of it.
const NAME: &str = "bench";
const MADE: &str = "made:1";

/// A program that is measured. All three take Docker's words.
struct Program {
    name: &'static str,
    kind: Kind,
}

enum Kind {
    Docker(Docker),
    Podman { root: PathBuf, run: PathBuf },
    Nacre(Nacre),
}

/// What one program takes for a piece of work, if it does that.
type Measured = fn(&Program, &str) -> Result<Option<Sample>>;

/// Measures containers of an image upon the one that the registry has as `bench:1`, and returns the table.
pub fn tables(nacre: &Path, folder: &Path, registry: &str) -> Result<String> {
    let image = publish(nacre, folder, registry)?;
    let programs = all(nacre, folder)?;
    programs.iter().try_for_each(|program| program.pull(&image))?;
    let works: [(String, Measured); 3] = [
        ("`run --rm IMAGE true`".to_owned(), run),
        (format!("`commit` of {MEGABYTES} MB that a container has written"), commit),
        (format!("`ps` with {RUNNING} running containers"), list),
    ];
    let mut rows = Vec::new();
    for (name, work) in works {
        eprintln!("{name}");
        let samples = programs.iter().map(|program| work(program, &image)).collect::<Result<_>>()?;
        rows.push(Row { name, samples });
    }
    let names: Vec<&str> = programs.iter().map(|program| program.name).collect();
    let mut text =
        "Containers on the host's network, of an image that is present. Wall time (processor time and peak memory of the client; \
                    docker's work is done by its daemon). Medians.\n\n"
            .to_owned();
    report::works(&mut text, &names, &rows);
    Ok(text)
}

/// The image `bench:1` with a shell.
fn publish(nacre: &Path, folder: &Path, registry: &str) -> Result<String> {
    let (image, context) = (format!("{registry}/bench-run:1"), folder.join("shell-for-containers"));
    fs::create_dir_all(context.join("bin"))?;
    fs::copy("/usr/bin/busybox", context.join("bin/busybox")).context("busybox-static is needed: run 'cargo xtask setup' as root")?;
    for applet in ["sh", "true", "dd", "sleep"] {
        symlink("busybox", context.join("bin").join(applet))?;
    }
    fs::write(context.join("Dockerfile"), format!("FROM {registry}/bench:1\nCOPY bin /bin\nENV PATH=/bin\n"))?;
    let store = Nacre { binary: nacre.to_owned(), folder: context.clone() };
    let quiet = |args: &[&str]| checked(store.nacre(args).stdout(Stdio::null()));
    quiet(&["--progress", "quiet", "build", "-t", &image, &context.display().to_string()])?;
    quiet(&["push", "-q", &image])?;
    Ok(image)
}

/// Those that are installed; nacre is the last.
fn all(nacre: &Path, folder: &Path) -> Result<Vec<Program>> {
    let mut programs = Vec::new();
    if let Some(docker) = Docker::start_with("overlay2") {
        programs.push(Program { name: "docker", kind: Kind::Docker(docker) });
    }
    if available("podman") && is_root() {
        let kind = Kind::Podman { root: folder.join("podman-containers"), run: folder.join("podman-containers-run") };
        programs.push(Program { name: "podman", kind });
    }
    let home = folder.join("containers");
    fs::create_dir(&home)?;
    programs.push(Program { name: "nacre", kind: Kind::Nacre(Nacre { binary: nacre.to_owned(), folder: home }) });
    Ok(programs)
}

/// Starts a program that ends at once, and waits for it.
fn run(program: &Program, image: &str) -> Result<Option<Sample>> {
    let mut command = program.command(&["run", "--rm", "--network", "host", image, "true"]);
    measure(&mut command)?;
    program.median(15, || measure(&mut command))
}

fn commit(program: &Program, image: &str) -> Result<Option<Sample>> {
    let (count, of) = (format!("count={MEGABYTES}"), "of=/srv-data");
    program.quiet(&["run", "--name", NAME, "--network", "host", image, "dd", "if=/dev/urandom", of, "bs=1M", &count])?;
    let median = program.median(3, || {
        let sample = measure(&mut program.command(&["commit", NAME, MADE]))?;
        program.quiet(&["rmi", MADE])?;
        Ok(sample)
    });
    program.quiet(&["rm", NAME])?;
    median
}

fn list(program: &Program, image: &str) -> Result<Option<Sample>> {
    let names: Vec<String> = (0..RUNNING).map(|number| format!("bench-{number}")).collect();
    for name in &names {
        program.quiet(&["run", "-d", "--name", name, "--network", "host", image, "sleep", "100000"])?;
    }
    let median = program.median(15, || measure(&mut program.command(&["ps"])));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    program.quiet(&[&["rm", "-f"], names.as_slice()].concat())?;
    median
}

impl Program {
    fn command(&self, args: &[&str]) -> Command {
        match &self.kind {
            Kind::Docker(docker) => docker.command(args),
            Kind::Nacre(nacre) => nacre.nacre(args),
            Kind::Podman { root, run } => {
                let mut command = Command::new("podman");
                command.arg("--root").arg(root).arg("--runroot").arg(run).args(["--storage-driver", "overlay"]);
                if let ["run", rest @ ..] = args {
                    // Limits that may be set in a container too; podman's own are higher.
                    command.args(["run", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]).args(rest);
                } else {
                    command.args(args);
                }
                command
            }
        }
    }

    fn pull(&self, image: &str) -> Result<()> {
        match self.kind {
            Kind::Podman { .. } => self.quiet(&["pull", "-q", "--tls-verify=false", image]),
            _ => self.quiet(&["pull", "-q", image]),
        }
    }

    fn quiet(&self, args: &[&str]) -> Result<()> {
        checked(self.command(args).stdout(Stdio::null()).stderr(Stdio::null()))
    }

    fn median(&self, rounds: usize, mut once: impl FnMut() -> Result<Sample>) -> Result<Option<Sample>> {
        let samples = (0..rounds).map(|_| once()).collect::<Result<Vec<_>>>()?;
        Ok(median(samples).map(|sample| if matches!(self.kind, Kind::Docker(_)) { sample.wall_only() } else { sample }))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Kind::Podman { root, .. } = &self.kind {
            // It leaves its store mounted on itself, and the folder cannot be deleted while it is.
            let _ = Command::new("umount").arg("--lazy").arg(root.join("overlay")).stderr(Stdio::null()).status();
        }
    }
}
