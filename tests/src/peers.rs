//! Real peers: Debian's `docker-registry`, started for one test and gone with it.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Who may log in at a registry with [`Options::htpasswd`].
pub const USER: &str = "nacre";
/// The password of [`USER`].
pub const PASSWORD: &str = "open sesame";
/// Both as `htpasswd -Bbn` writes them.
const HTPASSWD: &str = "nacre:$2y$05$Y7fPRIjc2qJRCVJbgh6N6OL56Px/t1J.Ac7dJsjFztr1wiF/SxMJq\n";

/// What kind of registry to start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Ask for [`USER`] and [`PASSWORD`].
    pub htpasswd: bool,
    /// Speak TLS, with a certificate for 127.0.0.1 and localhost by an authority of its own.
    pub tls: bool,
}

/// A running `docker-registry` on a free port of 127.0.0.1 with its data in a temporary folder. Dropping it ends it.
pub struct Registry {
    child: Child,
    folder: tempfile::TempDir,
    address: SocketAddr,
}

impl Registry {
    /// Starts a registry and waits until it listens; `None` (after saying so) if it is not installed. With the
    /// environment variable `CI` set, a missing peer is a failure.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(options: &Options) -> Option<Self> {
        if !available("docker-registry") {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let config = path.join("config.yml");
        fs::write(&config, configuration(path, options)).unwrap();
        let log = fs::File::create(path.join("log")).unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut child = command.spawn().unwrap();
        let address = listening(&mut child, &path.join("log"));
        Some(Self { child, folder, address })
    }

    /// `127.0.0.1:PORT`, as it stands in a reference.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// The folder with its data, configuration and log.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The certificate of the authority that vouches for it, with [`Options::tls`].
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It may have ended by itself; there is nothing to do about it then.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a program is installed; says so if not.
///
/// # Panics
/// If it is not and the environment variable `CI` is set: there, every peer has to be tested.
pub fn available(program: &str) -> bool {
    available_on(program, &std::env::var_os("PATH").unwrap_or_default())
}

/// [`available`] on a path of one's own.
///
/// # Panics
/// As [`available`].
#[allow(clippy::print_stderr, reason = "a skipped test has to say so")]
pub fn available_on(program: &str, path: &std::ffi::OsStr) -> bool {
    let found = std::env::split_paths(path).any(|folder| folder.join(program).is_file());
    assert!(found || std::env::var_os("CI").is_none(), "{program} is not installed");
    if !found {
        eprintln!("skipped: {program} is not installed");
    }
    found
}

fn configuration(folder: &Path, options: &Options) -> String {
    let at = |name: &str| folder.join(name).display().to_string();
    let mut text = format!(
        "version: 0.1\nlog: {{level: info, fields: {{}}}}\nstorage:\n  filesystem: {{rootdirectory: '{}'}}\n  delete: {{enabled: true}}\n",
        at("data")
    );
    if options.htpasswd {
        fs::write(folder.join("htpasswd"), HTPASSWD).unwrap();
        text += &format!("auth:\n  htpasswd: {{realm: nacre, path: '{}'}}\n", at("htpasswd"));
    }
    text += "http:\n  addr: 127.0.0.1:0\n";
    if options.tls {
        certify(folder);
        text += &format!("  tls: {{certificate: '{}', key: '{}'}}\n", at("server.crt"), at("server.key"));
    }
    text
}

/// Makes an authority (`ca.crt`) and a certificate by it (`server.crt`, `server.key`).
fn certify(folder: &Path) {
    let openssl = |line: &str| {
        let done = Command::new("openssl").args(line.split(' ')).current_dir(folder).output().unwrap();
        assert!(done.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&done.stderr));
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1,DNS:localhost\n").unwrap();
    openssl(&format!("req -x509 {key} -keyout ca.key -out ca.crt -subj /CN=nacre-tests-authority -days 2"));
    openssl(&format!("req {key} -keyout server.key -out server.csr -subj /CN=localhost"));
    openssl("x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out server.crt -days 2 -extfile names");
}

/// Waits for the line of the log that says where it listens: it was told to find a free port itself.
fn listening(child: &mut Child, log: &Path) -> SocketAddr {
    let limit = Instant::now() + Duration::from_secs(20);
    loop {
        let text = fs::read_to_string(log).unwrap();
        let said = text.split("listening on ").nth(1).and_then(|rest| rest.split(['"', ',', '\n']).next()?.parse().ok());
        if let Some(address) = said {
            return address;
        }
        let ended = child.try_wait().unwrap();
        assert!(ended.is_none() && Instant::now() < limit, "docker-registry does not start: {text}");
        thread::sleep(Duration::from_millis(10));
    }
}
