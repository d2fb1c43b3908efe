//! `cargo xtask demo`: the main job on a real image, from a registry of nacre's own.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result, bail};
use nacre_archive::Layout;
use nacre_oci::{Memory, Options, Select, Silent, copy};

use crate::{busybox::Busybox, readme, run, setup};

/// What is shown. `$R` is the registry's address; `#` begins a word of explanation.
const SCRIPT: &[&str] = &[
    "# A real image for two platforms goes to the registry",
    "nacre copy oci:busybox docker://$R/library/busybox:1.35",
    "# Find it, look at it, fetch it",
    "nacre search $R/busybox",
    "nacre search --list-tags $R/library/busybox",
    "nacre inspect --remote --format '{{.Os}}/{{.Architecture}} of {{join .Platforms \", \"}}' $R/library/busybox:1.35",
    "nacre pull --all-platforms $R/library/busybox:1.35",
    "nacre images --digests",
    "nacre inspect --format '{{json .Config.Cmd}} {{.Size}} bytes' $R/library/busybox:1.35",
    "nacre history $R/library/busybox:1.35",
    "# Name it, publish it, carry it",
    "nacre tag $R/library/busybox:1.35 $R/team/app:1.0.0",
    "nacre push $R/team/app:1.0.0",
    "nacre save -o app.tar $R/team/app:1.0.0",
    "nacre rmi $R/team/app:1.0.0",
    "nacre load -i app.tar",
    "# Search with a third party's plugin: only what its settings approve",
    "nacre search --filter approved=true $R/team",
    "# Five builds have come in; what would each policy do?",
    "nacre pull -q -a $R/team/build",
    "nacre images",
    "nacre pin $R/team/build:1.0.0",
    "nacre image prune --dry-run --policy keep-last,keep=2,by=semver",
    "nacre image prune --dry-run --policy least-recently-used,budget=5MB",
    "nacre image prune --dry-run --policy team-retention --policy keep-last,keep=2",
    "nacre image prune --dry-run --all --filter until=24h",
    "# Write a plan, read it, carry it out",
    "nacre image prune --policy keep-last,keep=2,by=semver --plan plan.json",
    "nacre image prune --force --apply plan.json",
    "nacre image prune --force",
    "nacre images",
    "nacre plugin ls --format 'table {{.Name}}\\t{{.Version}}\\t{{.Provides}}'",
    "nacre system df",
];

/// Runs the script and shows it; with `write_readme` the transcript goes into README.md too.
pub fn demo(write_readme: bool) -> Result<()> {
    setup::target()?;
    let nacre = run::build(false)?;
    let folder = tempfile::tempdir()?;
    let busybox = Busybox::fetch(&folder.path().join("packages"))?;
    let stage = Stage { nacre, folder: folder.path(), busybox };
    stage.prepare()?;
    let server = stage.serve()?;
    let mut transcript = String::new();
    for line in SCRIPT {
        if line.contains("builds have come in") {
            stage.publish_builds(&server.address)?;
        }
        let shown = if line.starts_with('#') { format!("{line}\n") } else { stage.play(line, &server.address)? };
        print!("{shown}");
        transcript.push_str(&shown);
    }
    if write_readme {
        readme::replace("demo", &format!("```console\n{}```", transcript))?;
    }
    Ok(())
}

/// A folder with everything that the demo uses: nothing outside it is touched.
struct Stage<'a> {
    nacre: PathBuf,
    folder: &'a Path,
    busybox: Busybox,
}

impl Stage<'_> {
    /// The image as an OCI layout, and the examples' plugins where nacre looks for plugins.
    fn prepare(&self) -> Result<()> {
        self.layout("busybox", "1.35", "2026-05-07T20:33:00Z")?;
        for plugin in ["approved-only", "team-retention"] {
            run::install_example(plugin, &self.folder.join("plugins"))?;
        }
        fs::write(self.folder.join("config.toml"), "[plugins.approved-only]\nallow = [\"team/app\"]\n")?;
        Ok(())
    }

    /// The image as an OCI layout, with a tag and a date.
    fn layout(&self, folder: &str, tag: &str, created: &str) -> Result<()> {
        let memory = Memory::new();
        let root = self.busybox.image(&memory, created)?;
        let layout = Layout::create(&self.folder.join(folder))?;
        copy(&memory, &layout, &root, &[tag.to_owned()], &Options { select: Select::All, parallel: 1, progress: &Silent })?;
        Ok(())
    }

    fn command(&self, root: &str) -> Command {
        let mut command = Command::new(&self.nacre);
        command.current_dir(self.folder).env("NACRE_ROOT", self.folder.join(root)).env("HOME", self.folder);
        command.env("NACRE_PLUGINS", self.folder.join("plugins")).env("NACRE_CONFIG", self.folder.join("config.toml"));
        command.env_remove("DOCKER_CONFIG").env_remove("REGISTRY_AUTH_FILE").stdin(Stdio::null());
        command
    }

    fn serve(&self) -> Result<Server> {
        // The default address where it is free, so that a transcript looks like what a reader would see.
        let address = if TcpListener::bind("127.0.0.1:5000").is_ok() { "127.0.0.1:5000" } else { "127.0.0.1:0" };
        let mut command = self.command("served");
        let mut child = command.args(["serve", "--quiet", "--addr", address]).stderr(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stderr.take().context("no standard error")?).read_line(&mut line)?;
        let address = line.trim().rsplit_once("http://").with_context(|| format!("nacre serve said: {line}"))?.1.to_owned();
        Ok(Server { child, address })
    }

    /// The builds that the policies decide on: the same image under five versions, each with a date of its own.
    fn publish_builds(&self, address: &str) -> Result<()> {
        for (version, created) in [("1.0.0", 200), ("1.1.0", 100), ("1.2.0", 40), ("1.10.0", 20), ("2.0.0", 2)] {
            let name = format!("build-{version}");
            let at = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24 * created);
            self.layout(&name, version, &at.to_string())?;
            let mut command = self.command("scratch");
            command.args(["copy", "-q", &format!("oci:{name}"), &format!("docker://{address}/team/build:{version}")]);
            let output = command.output()?;
            if !output.status.success() {
                bail!("{}", String::from_utf8_lossy(&output.stderr));
            }
        }
        Ok(())
    }

    /// Runs one line through the shell, with `nacre` being the one that was built; returns it with its output.
    fn play(&self, line: &str, address: &str) -> Result<String> {
        let line = line.replace("$R", address);
        let mut command = self.command("store");
        let words = shell_words(&line);
        let (mut reader, writer) = std::io::pipe()?;
        let mut child = command.args(&words[1..]).stdout(writer.try_clone()?).stderr(writer).spawn()?;
        drop(command);
        let mut text = String::new();
        reader.read_to_string(&mut text)?;
        if !child.wait()?.success() {
            bail!("$ {line}\n{text}");
        }
        Ok(format!("$ {line}\n{text}\n"))
    }
}

/// Splits at blanks outside single quotes.
fn shell_words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (n, part) in line.split('\'').enumerate() {
        if n % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

/// The demo's registry, ended with the demo.
struct Server {
    child: Child,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
