//! `cargo xtask demo`: the main job on a real image, from a registry of nacre's own.

use std::{
    env,
    ffi::OsString,
    fs,
    io::Read,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use nacre_archive::Layout;
use nacre_oci::{Memory, Options, Select, Silent, copy};

use crate::{busybox::Busybox, readme, run, server::Server, setup, site};

/// What is shown, by the shell. `$R` is the registry's address; `#` begins a word of explanation; `author:` a line that a
/// plugin's author types, in nacre's folder and with a store of his own.
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
    "# Other formats come in and go out, each parsed in a sandbox: a Debian package, a disk image",
    "nacre import -q -c 'CMD [\"/bin/busybox\", \"sh\"]' -m 'made of a package' busybox.deb team/package:1",
    "nacre tree --limit 3 team/package:1",
    "nacre cat team/package:1 /var/lib/dpkg/info/busybox-static.list | tail -2",
    "nacre save --format squashfs -o package.squashfs team/package:1",
    "nacre import -q package.squashfs team/disk:1",
    "nacre compare team/package:1 team/disk:1",
    "# Build on it, without a daemon; the second time nothing is left to do",
    "cat site/Dockerfile",
    "nacre build -t team/site:1 site",
    "nacre build -t team/site:1 site 2>&1 | grep -B1 --no-group-separator CACHED",
    "nacre history team/site:1",
    "nacre cat team/site:1 /srv/www/index.html",
    "nacre build --print-graph=dot site | head -8",
    "# Plugins of third parties, in Rust, Python, JavaScript and C: built, tested, published",
    "author: for p in $P; do nacre plugin build examples/$p; done",
    "author: for p in $P; do nacre plugin test examples/$p; done",
    "author: for p in $P; do nacre plugin push -q examples/$p $R/plugins/$p:1.0.0; done",
    "# Somebody else installs them from the registry, and sees what they ask for",
    "nacre plugin inspect --format '{{.plugin.name}} wants {{json .capabilities}}' $R/plugins/layer-sizes:1.0.0",
    "for p in $P; do nacre plugin install --yes $R/plugins/$p:1.0.0; done",
    "nacre plugin ls --format 'table {{.Name}}\t{{.Version}}\t{{.Provides}}' | grep acme/",
    "nacre search --filter approved=true $R/team",
    "nacre search --filter rank=fit --format '{{.Name}}' $R/b",
    "nacre layer-sizes --over 1MB",
    "nacre import -q hello.apk team/hello:1",
    "nacre save --format mtree -o hello.mtree team/hello:1; grep hello.conf hello.mtree",
    "# Frontends are plugins too: a dialect of Dockerfiles, which shares their cache, and a list of what is in an image",
    "cat site/Dockerfile.plus",
    "nacre build -t team/site:plus -f site/Dockerfile.plus site 2>&1 | grep -B1 --no-group-separator CACHED",
    "cat site/image.toml",
    "nacre build -q -t team/site:list -f site/image.toml site",
    "nacre images team/site",
    "# Rules of one's own for what comes in",
    "nacre pull -q $R/library/busybox:1.35 || nacre plugin disable no-root office-hours",
    "# Five builds have come in; what would each policy do?",
    "nacre pull -q -a $R/team/build",
    "nacre images",
    "nacre pin $R/team/build:1.0.0",
    "nacre image prune --dry-run --policy keep-last,keep=2,by=semver",
    "nacre image prune --dry-run --policy least-recently-used,budget=5MB",
    "nacre image prune --dry-run --policy team-retention --policy keep-last,keep=2",
    "nacre image prune --dry-run --policy weekly,weeks=2",
    "nacre image prune --dry-run --policy ci-tags,prefix=1.,days=30",
    "nacre image prune --dry-run --all --filter until=24h",
    "# Write a plan, read it, carry it out",
    "nacre image prune --policy keep-last,keep=2,by=semver --plan plan.json",
    "nacre image prune --force --apply plan.json",
    "nacre image prune --force",
    "nacre images",
    "nacre system df",
];

/// The examples, and the language of those that are not in Rust.
const EXAMPLES: &[(&str, &str)] = &[
    ("approved-only", ""),
    ("team-retention", ""),
    ("apk", ""),
    ("mtree", ""),
    ("no-root", ""),
    ("layer-sizes", ""),
    ("dockerfile-plus", ""),
    ("image-toml", ""),
    ("ranker", "componentize-py"),
    ("weekly", "componentize-py"),
    ("office-hours", "jco"),
    ("ci-tags", "python-zig"),
];

/// Runs the script and shows it; with `write_readme` the transcript goes into README.md too.
pub fn demo(write_readme: bool) -> Result<()> {
    setup::target()?;
    setup::languages()?;
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
    /// The image as an OCI layout, a package of each kind, what is built, and the settings of the examples' plugins.
    fn prepare(&self) -> Result<()> {
        self.layout("busybox", "1.35", "2026-05-07T20:33:00Z")?;
        fs::copy(self.busybox.package()?, self.folder.join("busybox.deb"))?;
        fs::copy(run::root().join("examples/apk/cases/hello/hello.apk"), self.folder.join("hello.apk"))?;
        site::write(self.folder)?;
        let settings = "[plugins.approved-only]\nallow = [\"team/app\"]\n\n[plugins.no-root]\nallow = [\"docker.io/team/*\"]\n";
        fs::write(self.folder.join("config.toml"), settings)?;
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
        self.surround(&mut command, root);
        command.env("HOME", self.folder);
        command
    }

    /// What a program needs to know of the stage.
    fn surround(&self, command: &mut Command, root: &str) {
        command.current_dir(self.folder).env("NACRE_ROOT", self.folder.join(root)).stdin(Stdio::null());
        command.env("NACRE_PLUGINS", self.folder.join(format!("{root}-plugins"))).env("NACRE_CONFIG", self.folder.join("config.toml"));
        command.env_remove("DOCKER_CONFIG").env_remove("REGISTRY_AUTH_FILE");
    }

    fn serve(&self) -> Result<Server> {
        // The default address where it is free, so that a transcript looks like what a reader would see.
        let address = if TcpListener::bind("127.0.0.1:5000").is_ok() { "127.0.0.1:5000" } else { "127.0.0.1:0" };
        Server::start(self.command("served"), address)
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

    /// Runs one line in the shell, with `nacre` being the one that was built; returns it with its output.
    fn play(&self, line: &str, address: &str) -> Result<String> {
        let (author, line) = line.strip_prefix("author: ").map_or((false, line), |line| (true, line));
        let line = line.replace("$R", address);
        let mut shell = Command::new("sh");
        self.surround(&mut shell, if author { "author" } else { "store" });
        if author {
            // Cargo and the languages' tools keep their things in the real home.
            shell.current_dir(run::root()).env("CARGO_TARGET_DIR", run::root().join("target/guests"));
        } else {
            shell.env("HOME", self.folder);
        }
        let (mut reader, writer) = std::io::pipe()?;
        shell.env("PATH", self.path()?).env("P", examples().join(" "));
        let mut child = shell.args(["-c", &line]).stdout(writer.try_clone()?).stderr(writer).spawn()?;
        drop(shell);
        let mut text = String::new();
        reader.read_to_string(&mut text)?;
        if !child.wait()?.success() {
            bail!("$ {line}\n{text}");
        }
        let line = line.replace("$P", &examples().join(" "));
        Ok(format!("$ {line}\n{text}\n"))
    }

    /// Where the shell finds programs: nacre, the languages' tools, and the rest.
    fn path(&self) -> Result<OsString> {
        let nacre = self.nacre.parent().context("nacre is in no folder")?.to_owned();
        Ok(env::join_paths([nacre].into_iter().chain(setup::tools()))?)
    }
}

/// The examples whose languages can be built here.
fn examples() -> Vec<&'static str> {
    let there = |tool: &str| tool.is_empty() || setup::tools().any(|folder| folder.join(tool).is_file());
    EXAMPLES.iter().filter(|(_, tool)| there(tool)).map(|(name, _)| *name).collect()
}
