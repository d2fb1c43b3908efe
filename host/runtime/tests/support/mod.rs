//! Jobs in sandboxes, over a root filesystem of one static busybox.
#![allow(dead_code, reason = "every test program uses its own part")]

use std::{
    fs::{self, File, Permissions},
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use nacre_layer::{Entry, Kind, TarReader, TarWriter};
use nacre_oci::Digest;
use nacre_runtime::{Boot, Exec, Run, TreeLayer};
use nacre_tests::peers::available;
use serde_json::{Value, json};
use tempfile::TempDir;

const BUSYBOX: &str = "/usr/bin/busybox";

/// Whether jobs can run here; says so if not.
#[allow(clippy::print_stderr, reason = "a skipped test has to say so")]
pub(crate) fn can_run() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("skipped: the test needs root");
    }
    root && available("runc") && available("busybox") && available("setpriv")
}

/// A store's root, a base layer, and a place for jobs; all may belong to another user.
pub(crate) struct Bench {
    dir: TempDir,
    user: Option<u32>,
    base: TreeLayer,
}

/// What came of a job.
pub(crate) struct Ended {
    pub(crate) output: Output,
    pub(crate) report: Value,
    pub(crate) layer: Vec<Entry>,
    pub(crate) tree: TreeLayer,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::of(None)
    }

    /// One whose jobs are an ordinary user's.
    pub(crate) fn of_user(uid: u32) -> Self {
        Self::of(Some(uid))
    }

    fn of(user: Option<u32>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        fs::copy(env!("CARGO_BIN_EXE_nacre-runtime-job"), dir.path().join("program")).unwrap();
        let base = layer(&dir.path().join("base.tar"), &base());
        let bench = Self { dir, user, base };
        bench.folder("root");
        bench
    }

    /// A folder of the jobs' user.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::create_dir(&path).unwrap();
        chown(&path, self.user, self.user).unwrap();
        path
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A layer with these entries.
    pub(crate) fn layer(&self, name: &str, entries: &[(Entry, &[u8])]) -> TreeLayer {
        layer(&self.path().join(name), entries)
    }

    /// A run of a shell script in the base.
    pub(crate) fn script(&self, script: &str) -> Run {
        Run {
            layers: vec![self.base.clone()],
            args: ["/bin/sh", "-c", script].map(String::from).to_vec(),
            env: vec![("PATH".into(), "/bin".into())],
            cwd: "/".into(),
            hostname: "sandbox".into(),
            ..Run::default()
        }
    }

    /// The command of a job in the folder `name`.
    pub(crate) fn command(&self, name: &str, run: impl Into<Option<Run>>) -> Command {
        self.job(name, json!({"run": run.into()}))
    }

    /// A container's start; before it, if something is to be executed, another that is killed after that.
    pub(crate) fn lives(&self, name: &str, boot: &Boot, exec: impl Into<Option<Exec>>) -> Command {
        self.job(name, json!({"boot": boot, "exec": exec.into()}))
    }

    /// A container of a shell script, as `create` leaves it.
    pub(crate) fn container(&self, id: &str, script: &str) -> Boot {
        let containers = self.path().join("root/containers");
        let folder = containers.join(id);
        fs::create_dir_all(&folder).unwrap();
        File::create(folder.join("lock")).unwrap();
        for path in [&containers, &folder, &folder.join("lock")] {
            chown(path, self.user, self.user).unwrap();
        }
        let run = Run { hostname: String::new(), ..self.script(script) };
        Boot { id: id.into(), run, ..Boot::default() }
    }

    fn job(&self, name: &str, mut job: Value) -> Command {
        let folder = self.folder(name);
        (job["root"], job["path"]) = (json!(self.path().join("root")), json!("/usr/sbin:/usr/bin:/sbin:/bin"));
        fs::write(folder.join("job.json"), job.to_string()).unwrap();
        let mut command = Command::new("setpriv");
        if let Some(user) = self.user {
            command.args(["--reuid", &user.to_string(), "--regid", &user.to_string(), "--clear-groups"]);
        }
        command.arg(self.path().join("program")).arg(folder).current_dir("/").stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, name: &str, run: &Run) -> Ended {
        let output = self.command(name, run.clone()).output().unwrap();
        self.ended(name, output)
    }

    pub(crate) fn spawn(&self, name: &str, run: &Run) -> Child {
        self.command(name, run.clone()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    pub(crate) fn ended(&self, name: &str, output: Output) -> Ended {
        let folder = self.path().join(name);
        let report: Value = serde_json::from_slice(&fs::read(folder.join("report.json")).unwrap()).unwrap();
        let blob = folder.join("layer");
        let made = report["diff_id"].as_str().map(|digest| (digest.parse().unwrap(), entries(&blob)));
        let (diff_id, layer) = made.unwrap_or_else(|| (Digest::of(b""), Vec::new()));
        Ended { output, report, layer, tree: TreeLayer { diff_id, blob } }
    }

    /// Deletes all that is kept; says what it was.
    pub(crate) fn reclaim(&self, name: &str) -> Value {
        let output = self.command(name, None).output().unwrap();
        self.ended(name, output).report["kept"].clone()
    }

    /// What is left of runs in the store.
    pub(crate) fn left(&self) -> Vec<PathBuf> {
        let ids = fs::read_dir(self.path().join("root/trees")).unwrap();
        ids.flat_map(|ids| fs::read_dir(ids.unwrap().path().join("runs")).unwrap()).map(|run| run.unwrap().path()).collect()
    }
}

impl Ended {
    /// What the program printed, if all went well.
    #[track_caller]
    pub(crate) fn text(&self) -> String {
        assert_eq!(self.report["error"], Value::Null);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert_eq!(self.report["code"], 0, "{}\n{}{}", self.report, text(&self.output.stdout), text(&self.output.stderr));
        text(&self.output.stdout)
    }

    /// The paths in the layer that was made; those that every first run in the base makes are left out.
    pub(crate) fn paths(&self) -> Vec<String> {
        let usual = ["dev", "proc", "sys"];
        self.layer.iter().map(Entry::name).filter(|name| !usual.contains(&name.as_str())).collect()
    }
}

pub(crate) fn folder(path: &str) -> (Entry, &'static [u8]) {
    (Entry { mtime: 1_700_000_000, ..Entry::new(path, Kind::Directory) }, b"")
}

pub(crate) fn file<'a>(path: &str, content: &'a [u8]) -> (Entry, &'a [u8]) {
    (Entry { size: content.len() as u64, mtime: 1_700_000_000, ..Entry::new(path, Kind::File) }, content)
}

pub(crate) fn link(path: &str, target: &str) -> (Entry, &'static [u8]) {
    (Entry { link: Some(target.into()), mode: 0o777, ..Entry::new(path, Kind::Symlink) }, b"")
}

fn base() -> Vec<(Entry, &'static [u8])> {
    let busybox: &'static [u8] = fs::read(BUSYBOX).unwrap().leak();
    let mut program = file("bin/busybox", busybox);
    program.0.mode = 0o755;
    let mut entries = vec![folder("bin"), program];
    let names =
        "sh true ls cat id env touch sleep stat grep sort wc pwd rm mkdir hostname head ip nc chown chmod mv ln readlink mknod find";
    entries.extend(names.split(' ').map(|name| link(&format!("bin/{name}"), "busybox")));
    let mut tmp = folder("tmp");
    tmp.0.mode = 0o1777;
    entries.extend([folder("etc"), folder("home"), folder("home/diver"), folder("srv"), tmp]);
    entries.push(file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\ndiver:x:1000:1000::/home/diver:/bin/sh\n"));
    entries.push(file("etc/group", b"root:x:0:\nweb:x:33:diver\ndiver:x:1000:\n"));
    entries.push(file("srv/a", b"lower\n"));
    entries
}

fn layer(path: &Path, entries: &[(Entry, &[u8])]) -> TreeLayer {
    let mut tar = TarWriter::new(Vec::new());
    for (entry, content) in entries {
        tar.add(entry, &mut &**content).unwrap();
    }
    let bytes = tar.finish().unwrap();
    fs::write(path, &bytes).unwrap();
    TreeLayer { diff_id: Digest::of(&bytes), blob: path.into() }
}

fn entries(path: &Path) -> Vec<Entry> {
    let mut tar = TarReader::new(File::open(path).unwrap()).as_layer();
    std::iter::from_fn(|| tar.next_entry().unwrap()).map(|member| member.entry).collect()
}

/// A job in a mount namespace that a shell script has prepared; `$1` is the bench's folder.
pub(crate) fn prepared(bench: &Bench, script: &str, command: &Command) -> Command {
    let mut wrapped = Command::new("unshare");
    wrapped.args(["--mount", "sh", "-ec", &format!("{script}; shift; exec \"$@\""), "sh"]).arg(bench.path());
    wrapped.arg(command.get_program()).args(command.get_args()).current_dir("/").stdin(Stdio::null());
    wrapped
}

/// Waits until no process has this word in its command line: those that are killed end on their own time.
pub(crate) fn wait_for_end_of(word: &str) {
    let running = || {
        let lines = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
        lines.into_iter().any(|line| String::from_utf8_lossy(&line).contains(word))
    };
    let waited = (0..1000).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        !running()
    });
    assert!(waited, "a process of a killed sandbox still runs");
}
