//! A Docker daemon of the test's own: no network, no image store but its temporary one.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::peers::available;

/// A running daemon; it ends when this is dropped.
pub struct Docker {
    daemon: Child,
    folder: TempDir,
}

impl Docker {
    /// Starts `dockerd` with everything it writes in a temporary folder. `None`, with a line that says why, if it is not
    /// installed or the test does not run as root.
    ///
    /// # Panics
    /// If the daemon does not come up; where the environment variable `CI` is set, also instead of skipping.
    pub fn start() -> Option<Self> {
        Self::start_with("vfs")
    }

    /// [`Docker::start`] with another storage driver: `vfs` works everywhere, `overlay2` is quicker.
    ///
    /// # Panics
    /// As [`Docker::start`].
    pub fn start_with(driver: &str) -> Option<Self> {
        if !available("dockerd") || !available("docker") || !is_root() {
            return None;
        }
        let folder = TempDir::with_prefix("nacre-docker-").unwrap();
        let daemon = daemon(folder.path(), driver).spawn().unwrap();
        let mut docker = Self { daemon, folder };
        docker.wait();
        Some(docker)
    }

    /// Runs `docker ARGS` against the daemon.
    ///
    /// # Panics
    /// If `docker` cannot be started.
    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs `docker ARGS` and returns what it printed.
    ///
    /// # Panics
    /// If it fails.
    pub fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "docker {args:?}: {}\n{}", text(&output.stderr), self.log());
        text(&output.stdout)
    }

    /// `docker ARGS` against the daemon, to be run.
    pub fn command(&self, args: &[&str]) -> Command {
        // Debian's own comes with the daemon and has BuildKit's client built in; one that was put before it in the path may not.
        let program = ["/usr/bin/docker", "docker"].into_iter().find(|program| *program == "docker" || Path::new(program).exists());
        let mut command = Command::new(program.expect("the last one always is"));
        command.arg("--host").arg(socket(self.folder.path())).args(args);
        // The user's own settings and credentials have no place here.
        command.env("DOCKER_CONFIG", self.folder.path()).env_remove("DOCKER_CONTEXT").env_remove("DOCKER_TLS_VERIFY");
        command.stdin(Stdio::null());
        command
    }

    fn wait(&mut self) {
        let end = Instant::now() + Duration::from_secs(60);
        while !self.run(&["version"]).status.success() {
            let ended = self.daemon.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < end, "dockerd did not come up: {ended:?}\n{}", self.log());
            sleep(Duration::from_millis(100));
        }
    }

    fn log(&self) -> String {
        let log = std::fs::read(log(self.folder.path())).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(4000)..]).into_owned()
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        // Asked politely it takes its containerd along.
        let _ = Command::new("kill").arg(self.daemon.id().to_string()).status();
        let end = Instant::now() + Duration::from_secs(20);
        while matches!(self.daemon.try_wait(), Ok(None)) && Instant::now() < end {
            sleep(Duration::from_millis(50));
        }
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

fn daemon(folder: &Path, driver: &str) -> Command {
    let output = std::fs::File::create(log(folder)).unwrap();
    let mut command = Command::new("dockerd");
    command.args(["--iptables=false", "--bridge=none", "--storage-driver", driver]);
    command.arg("--config-file").arg(empty_config(folder));
    command.arg("--host").arg(socket(folder));
    for (flag, name) in [("--data-root", "data"), ("--exec-root", "exec"), ("--pidfile", "pid")] {
        command.arg(flag).arg(folder.join(name));
    }
    command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
    command
}

fn empty_config(folder: &Path) -> PathBuf {
    let path = folder.join("daemon.json");
    std::fs::write(&path, "{}").unwrap();
    path
}

fn socket(folder: &Path) -> String {
    format!("unix://{}", folder.join("docker.sock").display())
}

fn log(folder: &Path) -> PathBuf {
    folder.join("log")
}

#[allow(clippy::print_stderr, reason = "a skipped test has to say so")]
fn is_root() -> bool {
    let root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout.trim_ascii() == b"0");
    assert!(root || std::env::var_os("CI").is_none(), "dockerd needs root");
    if !root {
        eprintln!("skipped: dockerd needs root");
    }
    root
}
