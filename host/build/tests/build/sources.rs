//! Files by HTTP and trees out of git repositories, from servers of this process.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::fd::OwnedFd,
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, LazyLock, Mutex},
    thread,
};

use nacre_oci::Digest;
use nacre_plugin::graph::{GitSource, HttpSource, Operation, Source};
use nacre_registry::{Client, Config};
use tokio::runtime::Runtime;

use crate::support::{Fixture, Graph};

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

fn online() -> Fixture {
    let mut fixture = Fixture::new();
    fixture.environment.registries = Arc::new(|| Ok(Client::new(Config::default(), RUNTIME.handle().clone())));
    fixture
}

/// Answers every connection with `answer`; its address.
fn listen(answer: impl Fn(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || listener.incoming().flatten().for_each(&answer));
    address
}

/// A web server with one file: its content, its version, and the requests that it saw.
#[derive(Clone)]
struct Web {
    address: String,
    file: Arc<Mutex<(String, u32)>>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Web {
    fn new() -> Self {
        let (file, seen) = (Arc::new(Mutex::new(("first".to_owned(), 1))), Arc::<Mutex<Vec<String>>>::default());
        let (shared, heard) = (Arc::clone(&file), Arc::clone(&seen));
        let address = listen(move |mut stream| {
            let (mut request, mut piece) = (String::new(), [0; 1024]);
            while !request.contains("\r\n\r\n") {
                let count = stream.read(&mut piece).unwrap();
                request.push_str(&String::from_utf8_lossy(&piece[..count]));
            }
            let (content, version) = shared.lock().unwrap().clone();
            let answer = if request.contains(" /none?") {
                "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned()
            } else if request.contains(&format!("if-none-match: \"{version}\"")) {
                "HTTP/1.1 304 Not Modified\r\n\r\n".to_owned()
            } else {
                let time = "Tue, 14 Nov 2023 22:13:20 GMT";
                let length = content.len();
                format!("HTTP/1.1 200 OK\r\netag: \"{version}\"\r\nlast-modified: {time}\r\ncontent-length: {length}\r\n\r\n{content}")
            };
            heard.lock().unwrap().push(request.lines().next().unwrap().to_owned() + " " + answer.lines().next().unwrap());
            stream.write_all(answer.as_bytes()).unwrap();
        });
        Self { address, file, seen }
    }

    fn graph(&self, path: &str, checksum: Option<String>) -> Graph {
        let http = HttpSource { url: format!("http://{}/{path}?token=hidden", self.address), checksum, name: "a.txt".into() };
        let mut graph = Graph::default();
        graph.add("ADD", Operation::Source(Source::Http(http)));
        graph
    }

    /// The statuses that were answered since the last call.
    fn answered(&self) -> Vec<String> {
        let seen = std::mem::take(&mut *self.seen.lock().unwrap());
        seen.iter().map(|line| line.rsplit("HTTP/1.1 ").next().unwrap()[..3].to_owned()).collect()
    }
}

#[test]
fn a_file_is_fetched_once_for_each_version() {
    let (fixture, web) = (online(), Web::new());
    let graph = web.graph("a", None);
    let (first, _) = fixture.build(&graph);
    assert_eq!(fixture.files(&first), [["a.txt 5@1700000000"]]);
    assert_eq!(web.answered(), ["200"]);
    let (second, heard) = fixture.build(&graph);
    assert_eq!((web.answered(), heard.count("cached")), (vec!["304".to_owned()], 1));
    assert_eq!(second.root, first.root);
    *web.file.lock().unwrap() = ("changed".into(), 2);
    assert_eq!(fixture.files(&fixture.build(&graph).0), [["a.txt 7@1700000000"]]);
    assert_eq!(web.answered(), ["200"]);
    let material = &first.materials[0];
    assert_eq!(material.uri, format!("http://{}/a", web.address), "a query may be a secret");
    assert_eq!(material.digest["sha256"], Digest::of(b"first").hex());
}

#[test]
fn a_checksum_needs_no_server_twice_and_is_heeded() {
    let (fixture, web) = (online(), Web::new());
    let graph = web.graph("a", Some(Digest::of(b"first").to_string()));
    fixture.build(&graph);
    web.answered();
    let (_, heard) = fixture.build(&graph);
    assert_eq!((web.answered().len(), heard.count("cached")), (0, 1));
    let error = fixture.try_build(&web.graph("a", Some(Digest::of(b"other").to_string()))).0.err().unwrap().to_string();
    assert!(error.contains("digest mismatch"), "{error}");
    let error = fixture.try_build(&web.graph("none", None)).0.err().unwrap().to_string();
    assert!(error.contains("invalid response status 404") && !error.contains("hidden"), "{error}");
}

/// A folder of repositories, served by git's own daemon.
struct Repositories {
    folder: tempfile::TempDir,
    address: String,
}

impl Repositories {
    /// `None` where there is no git.
    fn new() -> Option<Self> {
        if !nacre_tests::peers::available("git") {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().display().to_string();
        let address = listen(move |stream| {
            let both: OwnedFd = stream.into();
            let mut daemon = Command::new("git");
            daemon.args(["daemon", "--inetd", "--export-all", &format!("--base-path={base}")]);
            let mut child = daemon.stdin(Stdio::from(both.try_clone().unwrap())).stdout(both).stderr(Stdio::null()).spawn().unwrap();
            thread::spawn(move || child.wait());
        });
        Some(Self { folder, address })
    }

    fn git(&self, args: &[&str]) -> String {
        let mut git = Command::new("git");
        git.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", self.folder.path()).env("GIT_CONFIG_NOSYSTEM", "1");
        for who in ["AUTHOR", "COMMITTER"] {
            git.env(format!("GIT_{who}_NAME"), "n").env(format!("GIT_{who}_EMAIL"), "n@example.org");
            git.env(format!("GIT_{who}_DATE"), "2005-06-07T08:09:10Z");
        }
        let settings = ["-c", "protocol.file.allow=always", "-c", "init.defaultBranch=main"];
        let output = git.args(settings).args(args).current_dir(self.folder.path()).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn write(&self, name: &str, content: &str) {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// A repository with a tag `v1` on an older commit, a folder, a link out, and a submodule.
    fn fill(&self) {
        self.git(&["init", "-q", "inner"]);
        self.write("inner/in.txt", "in");
        self.git(&["-C", "inner", "add", "."]);
        self.git(&["-C", "inner", "commit", "-q", "-m", "inner"]);
        self.git(&["init", "-q", "app"]);
        self.write("app/top.txt", "old");
        self.write("app/sub/s.txt", "sub");
        std::os::unix::fs::symlink("/etc", self.folder.path().join("app/out")).unwrap();
        self.git(&["-C", "app", "add", "."]);
        self.git(&["-C", "app", "commit", "-q", "-m", "first"]);
        self.git(&["-C", "app", "tag", "-a", "-m", "one", "v1"]);
        self.write("app/top.txt", "newer");
        self.git(&["-C", "app", "submodule", "--quiet", "add", "../inner", "mod"]);
        self.git(&["-C", "app", "commit", "-q", "-a", "-m", "second"]);
    }

    fn graph(&self, change: impl FnOnce(&mut GitSource)) -> Graph {
        let mut source = GitSource {
            remote: format!("git://{}/app", self.address),
            reference: String::new(),
            folder: String::new(),
            keep_git_dir: false,
            submodules: true,
            checksum: None,
        };
        change(&mut source);
        let mut graph = Graph::default();
        graph.add("ADD", Operation::Source(Source::Git(source)));
        graph
    }
}

const TIME: &str = "1118131750";

fn names(fixture: &Fixture, graph: &Graph) -> Vec<String> {
    let mut names = fixture.files(&fixture.build(graph).0).remove(0);
    names.iter_mut().for_each(|name| *name = name.strip_suffix(&format!("@{TIME}")).unwrap_or(name).to_owned());
    names
}

#[test]
fn trees_are_those_of_the_references() {
    let (fixture, Some(git)) = (online(), Repositories::new()) else { return };
    git.fill();
    let head = names(&fixture, &git.graph(|_| {}));
    assert_eq!(head, [".gitmodules 46", "mod 0", "out 0", "sub 0", "top.txt 5", "sub/s.txt 3", "mod/in.txt 2"]);
    let tagged = names(&fixture, &git.graph(|source| source.reference = "v1".into()));
    assert_eq!(tagged, ["out 0", "sub 0", "top.txt 3", "sub/s.txt 3"]);
    assert_eq!(names(&fixture, &git.graph(|source| source.folder = "sub".into())), ["s.txt 3"]);
    assert!(!names(&fixture, &git.graph(|source| source.submodules = false)).contains(&"mod/in.txt 2".to_owned()));
    let first = git.git(&["-C", "app", "rev-parse", "v1^{commit}"]);
    assert_eq!(names(&fixture, &git.graph(|source| source.reference.clone_from(&first))), tagged);
    let kept = names(&fixture, &git.graph(|source| source.keep_git_dir = true));
    assert!(kept.iter().any(|name| name.starts_with(".git/HEAD ")), "{kept:?}");
    assert!(!kept.iter().any(|name| name.contains("FETCH_HEAD") || name.contains("hooks")), "{kept:?}");
}

#[test]
fn the_commit_is_what_counts() {
    let (fixture, Some(git)) = (online(), Repositories::new()) else { return };
    git.fill();
    let commit = git.git(&["-C", "app", "rev-parse", "HEAD"]);
    let (built, _) = fixture.build(&git.graph(|source| source.checksum = Some(commit[..12].into())));
    assert_eq!(built.materials[0].digest["gitCommit"], commit);
    let (_, heard) = fixture.build(&git.graph(|source| source.reference.clone_from(&commit)));
    assert_eq!(heard.count("cached"), 1);
    let wrong = fixture.try_build(&git.graph(|source| source.checksum = Some("123456".into()))).0.err().unwrap().to_string();
    assert!(wrong.contains("expected checksum to match 123456"), "{wrong}");
    let missing = fixture.try_build(&git.graph(|source| source.reference = "none".into())).0.err().unwrap().to_string();
    assert!(missing.contains("does not contain ref none"), "{missing}");
}

#[test]
fn nothing_of_this_machine_is_reached() {
    let (fixture, Some(git)) = (online(), Repositories::new()) else { return };
    git.fill();
    let local = git.folder.path().join("app").display().to_string();
    let refused = |graph: &Graph| fixture.try_build(graph).0.err().unwrap().to_string();
    for remote in [local.clone(), format!("file://{local}"), "ext::sh -c id".into(), "--upload-pack=touch x".into()] {
        let error = refused(&git.graph(|source| source.remote.clone_from(&remote)));
        assert!(error.contains("it is no git://"), "{remote}: {error}");
    }
    let led_out = refused(&git.graph(|source| source.folder = "out".into()));
    assert!(led_out.contains("contains non-directory \"out\""), "{led_out}");
    assert!(refused(&git.graph(|source| source.reference = "--upload-pack=x".into())).contains("no references of that form"));
    // A submodule may not be a folder of this machine either.
    git.git(&["-C", "app", "config", "-f", ".gitmodules", "submodule.mod.url", &format!("file://{local}")]);
    git.git(&["-C", "app", "commit", "-q", "-a", "-m", "third"]);
    let error = refused(&git.graph(|_| {}));
    assert!(error.contains("not allowed"), "{error}");
    assert!(fs::read_dir(&fixture.environment.cache).unwrap().flatten().all(|entry| !holds_git(&entry.path())), "a checkout was left");
}

fn holds_git(folder: &Path) -> bool {
    folder.join(".git").exists()
}

#[test]
fn a_missing_git_is_named() {
    let (mut fixture, Some(git)) = (online(), Repositories::new()) else { return };
    fixture.environment.runtime.path = "/nowhere".into();
    let error = fixture.try_build(&git.graph(|_| {})).0.err().unwrap().to_string();
    assert!(error.contains("apt-get install git"), "{error}");
}
