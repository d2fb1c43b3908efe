//! A place where the real binary runs without touching anything outside.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader, PipeReader, Read, Write, pipe},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Sender},
    },
    thread,
    time::Duration,
};

/// How long `nacre serve` may take to say where it listens: far more than it needs, to end a test that would hang.
const START: Duration = Duration::from_secs(30);

/// A folder with a store, plugins, configuration and credentials of its own; gone when dropped.
pub struct Sandbox {
    folder: tempfile::TempDir,
    environment: BTreeMap<&'static str, PathBuf>,
}

/// What a command did.
#[derive(Clone, Debug)]
pub struct Output {
    /// The command line, for messages.
    pub command: String,
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Sandbox {
    /// An empty store, no plugins, an empty configuration file.
    ///
    /// # Panics
    /// If the folder cannot be made.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let environment = BTreeMap::from([
            ("HOME", at("home")),
            ("TMPDIR", at("tmp")),
            ("NACRE_ROOT", at("root")),
            ("NACRE_PLUGINS", at("plugins")),
            ("NACRE_CONFIG", at("config.toml")),
            ("DOCKER_CONFIG", at("docker")),
            ("REGISTRY_AUTH_FILE", at("auth.json")),
        ]);
        for variable in ["HOME", "TMPDIR", "NACRE_PLUGINS", "DOCKER_CONFIG"] {
            fs::create_dir(&environment[variable]).unwrap();
        }
        fs::write(&environment["NACRE_CONFIG"], "").unwrap();
        Self { folder, environment }
    }

    /// The store's root.
    pub fn root(&self) -> &Path {
        &self.environment["NACRE_ROOT"]
    }

    /// The plugins' folder.
    pub fn plugins(&self) -> &Path {
        &self.environment["NACRE_PLUGINS"]
    }

    /// The configuration file, empty at first.
    pub fn config(&self) -> &Path {
        &self.environment["NACRE_CONFIG"]
    }

    /// A path for a file of the test's own. Commands run in this folder, so the bare name does for them.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A command of the binary, to be changed before [`Sandbox::run`]. Of the environment it has `PATH` only.
    ///
    /// # Panics
    /// If the binary was not built.
    pub fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(binary());
        command.args(arguments).current_dir(self.folder.path());
        command.env_clear().env("PATH", env::var_os("PATH").unwrap_or_default()).envs(&self.environment);
        command
    }

    /// Runs the binary with nothing on standard input.
    ///
    /// # Panics
    /// If it cannot be started, or prints something else than UTF-8.
    pub fn nacre<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Output {
        self.run(self.command(arguments), b"")
    }

    /// Runs a command with `input` on its standard input.
    ///
    /// # Panics
    /// If it cannot be started, or prints something else than UTF-8.
    pub fn run(&self, mut command: Command, input: &[u8]) -> Output {
        let text = describe(&command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().expect("it is piped");
        let output = thread::scope(|scope| {
            // A command that does not read its input to the end ends the pipe, which is no failure of the test's.
            scope.spawn(move || _ = stdin.write_all(input));
            child.wait_with_output().unwrap()
        });
        let utf8 = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap_or_else(|e| panic!("{text}: {e}"));
        Output { code: output.status.code(), stdout: utf8(output.stdout), stderr: utf8(output.stderr), command: text.clone() }
    }

    /// Starts `nacre serve` over the sandbox's store, on a port of its own.
    ///
    /// # Panics
    /// If it does not say where it listens.
    pub fn serve(&self) -> Server {
        self.serve_with::<&str>([])
    }

    /// Starts `nacre serve` with further arguments.
    ///
    /// # Panics
    /// If it does not say where it listens.
    pub fn serve_with<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Server {
        let mut command = self.command(["serve", "--addr", "127.0.0.1:0"]);
        command.args(arguments);
        Server::start(command)
    }
}

impl Default for Sandbox {
    fn default() -> Self {
        Self::new()
    }
}

/// The binary to test: `NACRE_BIN`, or that of the same profile.
fn binary() -> PathBuf {
    let beside = || Some(env::current_exe().ok()?.parent()?.parent()?.join("nacre"));
    let path = env::var_os("NACRE_BIN").map(PathBuf::from).or_else(beside).unwrap_or_default();
    assert!(path.is_file(), "{} is not there: run `cargo build -p nacre-cli`, or set NACRE_BIN", path.display());
    path
}

fn describe(command: &Command) -> String {
    let words = command.get_args().map(|word| word.to_string_lossy());
    std::iter::once("nacre".into()).chain(words).collect::<Vec<_>>().join(" ")
}

impl Output {
    /// It has to have succeeded.
    ///
    /// # Panics
    /// If it failed.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.fails(0)
    }

    /// It has to have ended with this exit code.
    ///
    /// # Panics
    /// If it ended otherwise.
    #[track_caller]
    pub fn fails(self, code: i32) -> Self {
        let Self { command, stdout, stderr, .. } = &self;
        assert_eq!(self.code, Some(code), "the exit code of: {command}\n--- stdout\n{stdout}--- stderr\n{stderr}");
        self
    }

    /// Standard output's lines.
    pub fn lines(&self) -> Vec<&str> {
        self.stdout.lines().collect()
    }
}

/// A running `nacre serve`, killed when dropped.
pub struct Server {
    child: Child,
    address: String,
    log: Arc<Mutex<String>>,
}

impl Server {
    fn start(mut command: Command) -> Self {
        let text = describe(&command);
        let (reader, writer) = pipe().unwrap();
        command.stdin(Stdio::null()).stdout(writer.try_clone().unwrap()).stderr(writer);
        let child = command.spawn().unwrap();
        // The command holds the pipe's other end, which would keep the reader waiting.
        drop(command);
        let (sender, receiver) = mpsc::channel();
        let log = Arc::new(Mutex::new(String::new()));
        let kept = Arc::clone(&log);
        thread::spawn(move || listen(reader, &sender, &kept));
        let mut server = Self { child, address: String::new(), log };
        match receiver.recv_timeout(START) {
            Ok(address) => server.address = address,
            Err(_) => panic!("{text} did not say where it listens: {}", server.log()),
        }
        server
    }

    /// `HOST:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A reference on this server, such as `127.0.0.1:1234/busybox:1` for `busybox:1`.
    pub fn name(&self, image: &str) -> String {
        format!("{}/{image}", self.address)
    }

    /// What it printed so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The process, to send it signals.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only for a process that has ended.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Keeps what the server prints, until it ends, and tells the first address.
fn listen(reader: PipeReader, sender: &Sender<String>, log: &Mutex<String>) {
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    while reader.by_ref().take(1 << 20).read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
        let text = String::from_utf8_lossy(&line).into_owned();
        if let Some(address) = address(&text) {
            // Nobody listens after the first.
            _ = sender.send(address.to_owned());
        }
        log.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
        line.clear();
    }
}

/// The `HOST:PORT` of the first `http://` in a line.
fn address(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("http://")?;
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || ".:[]-".contains(c))).unwrap_or(rest.len());
    let address = rest[..end].trim_end_matches(['.', ':']);
    address.contains(':').then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_address_in_what_a_server_says() {
        for (line, found) in [
            ("serving /x at http://127.0.0.1:4711\n", Some("127.0.0.1:4711")),
            ("http://127.0.0.1:80/v2/, stop with Ctrl-C", Some("127.0.0.1:80")),
            ("listening on http://[::1]:5000.", Some("[::1]:5000")),
            ("see https://example.org", None),
            ("http://nowhere", None),
        ] {
            assert_eq!(address(line), found, "{line}");
        }
    }

    #[test]
    fn a_server_is_found_heard_and_ended() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo starting >&2; echo at http://127.0.0.1:4711/; exec sleep 1000"]);
        let server = Server::start(command);
        assert_eq!(server.name("a:b"), "127.0.0.1:4711/a:b");
        assert!(server.log().starts_with("starting\n"), "{}", server.log());
        let process = PathBuf::from(format!("/proc/{}", server.pid()));
        assert!(process.exists());
        drop(server);
        assert!(!process.exists(), "it still runs");
    }

    #[test]
    fn a_command_sees_the_sandbox_and_nothing_else() {
        let sandbox = Sandbox::new();
        let mut command = Command::new("env");
        command.env_clear().envs(&sandbox.environment);
        let inside = sandbox.folder.path().to_str().unwrap();
        let output = sandbox.run(command, b"ignored").ok();
        assert_eq!(output.lines().len(), sandbox.environment.len());
        assert!(output.lines().iter().all(|line| line.contains(inside)), "{}", output.stdout);
    }
}
