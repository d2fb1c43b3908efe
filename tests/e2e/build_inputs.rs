//! What builds read besides a folder: git repositories, URLs, agents. The servers are of this machine.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use nacre_tests::{
    peers::available,
    sandbox::{Output, Sandbox},
};

use crate::trees::{shell, tar_entries};

/// What the server says of every file.
const MODIFIED: (&str, i64) = ("Tue, 14 Nov 2023 22:13:20 GMT", 1_700_000_000);

/// A repository with a branch, a subfolder and a tag, as files that any web server can serve; its commits are of one time.
const REPOSITORY: &str = "
    export GIT_AUTHOR_DATE='@1600000000 +0000' GIT_COMMITTER_DATE='@1600000000 +0000' HOME=$PWD
    git config --global user.name a; git config --global user.email a@b.example
    git init -q -b main work && cd work
    printf 'FROM scratch\\nARG SOURCE_DATE_EPOCH\\nLABEL epoch=$SOURCE_DATE_EPOCH\\nCOPY . /\\n' > Dockerfile
    echo one > file; chmod 755 file; git add .; git commit -qm one; git tag v1
    git checkout -qb branch; mkdir sub; cp Dockerfile sub; echo two > sub/two; git add .; git commit -qm two; git checkout -q main
    cd ..; mkdir www; git clone -q --bare work www/repo.git; git -C www/repo.git update-server-info";

/// A server of a folder's files; `/to/HOST/PATH` redirects to `http://HOST/PATH`.
struct Web(String);

impl Web {
    fn serve(folder: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        // It ends with the test's process.
        thread::spawn(move || listener.incoming().flatten().for_each(|stream| _ = answer(stream, &folder)));
        Self(address)
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.0)
    }
}

fn answer(mut stream: TcpStream, folder: &Path) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    lines.map_while(Result::ok).find(String::is_empty);
    let target = first.split(' ').nth(1).unwrap_or("/");
    let path = target.split('?').next().unwrap_or_default().trim_start_matches('/');
    if let Some(place) = path.strip_prefix("to/") {
        return write!(stream, "HTTP/1.1 302 Found\r\nLocation: http://{place}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    let Ok(content) = fs::read(folder.join(path)) else {
        return write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    let (modified, length) = (MODIFIED.0, content.len());
    write!(stream, "HTTP/1.1 200 OK\r\nLast-Modified: {modified}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")?;
    stream.write_all(&content)
}

fn sandbox() -> (Sandbox, Web) {
    let sandbox = Sandbox::new();
    shell(&sandbox, REPOSITORY);
    let web = Web::serve(sandbox.path("www"));
    (sandbox, web)
}

fn build(sandbox: &Sandbox, arguments: &[&str]) -> Output {
    sandbox.nacre(["build", "--progress", "plain"].iter().chain(arguments))
}

/// The built files as `-o` writes them: names, and for each what `tar_entries` tells.
fn files(sandbox: &Sandbox, arguments: &[&str]) -> Vec<(String, String)> {
    build(sandbox, &[&["-o", "type=tar,dest=out.tar"], arguments].concat()).ok();
    tar_entries(&fs::read(sandbox.path("out.tar")).unwrap()).into_iter().collect()
}

fn names(files: &[(String, String)]) -> Vec<&str> {
    files.iter().map(|(name, _)| name.as_str()).collect()
}

#[test]
fn contexts_are_repositories() {
    let (sandbox, web) = sandbox();
    let url = web.url("repo.git");
    let main = files(&sandbox, &[&url]);
    assert_eq!(names(&main), ["Dockerfile", "file"], "without the repository itself");
    assert!(main[0].1.starts_with("file 644 0:0 1600000000 ") && main[1].1.starts_with("file 755 0:0 1600000000 "), "{main:?}");
    assert_eq!(names(&files(&sandbox, &[&format!("{url}#branch")])), ["Dockerfile", "file", "sub", "sub/Dockerfile", "sub/two"]);
    assert_eq!(names(&files(&sandbox, &[&format!("{url}#branch:sub")])), ["Dockerfile", "two"]);
    assert_eq!(names(&files(&sandbox, &[&format!("{url}#v1")])), ["Dockerfile", "file"]);
    let commit = Command::new("git").args(["-C", "work", "rev-parse", "main"]).current_dir(sandbox.path("")).output().unwrap().stdout;
    assert_eq!(names(&files(&sandbox, &[&format!("{url}#{}", String::from_utf8(commit).unwrap().trim())])), ["Dockerfile", "file"]);
    let kept = files(&sandbox, &["--build-arg", "BUILDKIT_CONTEXT_KEEP_GIT_DIR=1", &url]);
    assert!(names(&kept).contains(&"git/HEAD") || names(&kept).contains(&".git/HEAD"), "{:?}", names(&kept));
    for (wrong, why) in [("#none", "cannot fetch none"), ("#branch:none", "has no folder none"), ("#--x", "is no reference")] {
        let said = build(&sandbox, &[&format!("{url}{wrong}")]).fails(1).stderr;
        assert!(said.contains(why) && said.lines().count() == 1, "{wrong}: {said}");
    }
}

#[test]
fn contexts_are_archives_and_files_of_servers() {
    let (sandbox, web) = sandbox();
    shell(&sandbox, "tar -C work --exclude=.git -czf www/context.tar.gz . && printf 'FROM scratch\\nLABEL a=b\\n' > www/plain");
    assert_eq!(names(&files(&sandbox, &[&web.url("context.tar.gz")])), ["Dockerfile", "file"]);
    build(&sandbox, &["-t", "plain", &web.url("plain")]).ok();
    assert!(build(&sandbox, &[&web.url("none.tar")]).fails(1).stderr.contains("was not found"));
    // Both kinds as a context beside the build's own.
    shell(&sandbox, "mkdir here && printf 'FROM scratch\\nCOPY --from=more file /\\n' > here/Dockerfile");
    for more in [web.url("repo.git#main"), web.url("context.tar.gz")] {
        assert_eq!(names(&files(&sandbox, &["--build-context", &format!("more={more}"), "here"])), ["file"], "{more}");
    }
    for (wrong, why) in [
        (web.url("plain"), "is no archive"),
        ("target:base".into(), "only bake files have targets"),
        (r"C:\work".into(), "is a path of Windows"),
    ] {
        let said = build(&sandbox, &["--build-context", &format!("more={wrong}"), "here"]).fails(1).stderr;
        assert!(said.contains(why) && said.lines().count() == 1, "{wrong}: {said}");
    }
    assert!(build(&sandbox, &[r"C:\work"]).fails(1).stderr.contains("is a path of Windows"));
}

#[test]
fn the_contexts_time_is_an_epoch() {
    let (sandbox, web) = sandbox();
    shell(&sandbox, "tar -C work --exclude=.git -cf www/context.tar .");
    let epoch = |context: &str| {
        build(&sandbox, &["-t", "app", "--build-arg", "SOURCE_DATE_EPOCH=context", context]).ok();
        sandbox.nacre(["inspect", "--format", "{{.Config.Labels.epoch}} {{.Created}}", "app"]).ok().stdout.trim().to_owned()
    };
    assert_eq!(epoch(&web.url("repo.git")), "1600000000 2020-09-13T12:26:40Z");
    assert_eq!(epoch(&web.url("context.tar")), format!("{} 2023-11-14T22:13:20Z", MODIFIED.1));
    assert!(!epoch("work").contains("2020-09-13"), "a folder has no time");
}

#[test]
fn repositories_and_files_are_added() {
    let (sandbox, web) = sandbox();
    let (git, file) = (web.url("repo.git#branch:sub"), web.url("repo.git/HEAD"));
    let dockerfile = |text: &str| {
        shell(&sandbox, "mkdir -p here");
        fs::write(sandbox.path("here/Dockerfile"), text).unwrap();
        files(&sandbox, &["here"])
    };
    assert_eq!(names(&dockerfile(&format!("FROM scratch\nADD {git} /\nADD {file} /\n"))), ["Dockerfile", "HEAD", "two"]);
    let kept = dockerfile(&format!("FROM scratch\nADD --keep-git-dir=true {} /x/\n", web.url("repo.git#main")));
    assert!(names(&kept).contains(&"x/.git/HEAD"), "{:?}", names(&kept));
    // To elsewhere, as the Dockerfile may fetch from everywhere.
    let elsewhere = web.url(&format!("to/{}/repo.git/HEAD", web.0));
    assert_eq!(names(&dockerfile(&format!("FROM scratch\nADD {elsewhere} /\n"))), ["HEAD"]);
}

/// A root filesystem with a shell and OpenSSH's `ssh-add`.
const SSH_BASE: &str = "
    mkdir -p here/base/bin && cp $(command -v busybox) here/base/bin/busybox && ln -s busybox here/base/bin/sh
    for file in $(command -v ssh-add) $(ldd $(command -v ssh-add) | grep -o '/[^ ]*'); do
        mkdir -p here/base$(dirname $file) && cp -L $file here/base$file
    done
    ssh-keygen -q -t ed25519 -N '' -C first -f key && ssh-keygen -q -t ed25519 -N '' -C second -f other
    printf '%s\\n' 'FROM scratch' 'COPY base /' \
        'RUN --mount=type=ssh,required ssh-add -l' \
        'RUN --mount=type=ssh,id=b,target=/run/b.sock,mode=0640,uid=5,gid=6 busybox stat -c \"%a %u:%g %F\" /run/b.sock; ssh-add -l' > here/Dockerfile";

/// An agent of the test's own, which ends with it.
struct Agent(std::process::Child);

impl Drop for Agent {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

#[test]
fn programs_use_agents_and_keys() {
    if !["runc", "busybox", "ssh-agent", "ssh-add", "ssh-keygen"].into_iter().all(available) {
        return;
    }
    let sandbox = Sandbox::new();
    shell(&sandbox, SSH_BASE);
    let socket = sandbox.path("agent").display().to_string();
    let _agent = Agent(Command::new("ssh-agent").args(["-D", "-a", &socket]).stdout(Stdio::null()).spawn().unwrap());
    shell(&sandbox, "until test -S agent; do sleep 0.01; done; SSH_AUTH_SOCK=agent ssh-add -q key");
    let said = build(&sandbox, &["--ssh", &format!("default={socket}"), "--ssh", "b=key,other", "here"]).ok().stderr;
    assert_eq!((said.matches(" first (ED25519)").count(), said.matches(" second (ED25519)").count()), (2, 1), "{said}");
    assert!(said.contains(" 640 5:6 socket"), "{said}");
    // The agents of the build are gone, and the user's is not.
    shell(&sandbox, "SSH_AUTH_SOCK=agent ssh-add -l");
    let root = sandbox.path("").display().to_string();
    let agents = Command::new("ps").args(["-eo", "args"]).output().unwrap().stdout;
    let left = String::from_utf8_lossy(&agents).lines().filter(|line| line.contains("nacre-ssh-") && line.contains(&root)).count();
    assert_eq!(left, 0);
    let mut command = sandbox.command(["build", "--ssh", "default", "--ssh", "b=other", "--no-cache", "here"]);
    command.env("SSH_AUTH_SOCK", &socket);
    sandbox.run(command, b"").ok();
    for (ssh, why) in [
        ("default", "the environment has no SSH_AUTH_SOCK"),
        ("default=here/Dockerfile", "ssh-add: "),
        ("default=here", "is neither an agent's socket nor a key's file"),
    ] {
        let said = build(&sandbox, &["--ssh", ssh, "here"]).fails(1).stderr;
        assert!(said.contains(why) && said.lines().count() == 1, "{ssh}: {said}");
    }
    let missing = build(&sandbox, &["--no-cache", "here"]).fails(1).stderr;
    assert!(missing.contains("give an agent with --ssh default") && missing.contains("Dockerfile:3"), "{missing}");
}
