//! Bad input to `nacre build`: malformed graphs, frontends that go on forever, hostile contexts and strange Dockerfiles. Each
//! has to be one clear error, with the store as it was.

use std::{fs, os::unix::net::UnixListener, process::Stdio, thread, time::Duration};

use nacre_tests::sandbox::{Output, Sandbox};

use crate::{
    fixture::{assert_whole, guest, install},
    trees::{shell, tar_entries},
};

const FRONTEND: &str = r#"
plugin = { name = "acme/front", version = "1.0.0", api = "0.1" }
provides = { build-frontend = ["front"] }
limits = { memory = "64MiB", time = "1s" }
"#;

/// A sandbox with a context of these files.
fn sandbox(context: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    shell(&sandbox, &format!("mkdir context && cd context && {context}"));
    sandbox
}

/// Builds the context with a file from standard input.
fn build(sandbox: &Sandbox, options: &[&str], file: &[u8]) -> Output {
    let arguments = ["build", "--progress", "plain", "-f", "-"];
    sandbox.run(sandbox.command(arguments.iter().chain(options).chain(&["context"])), file)
}

/// The paths of what a Dockerfile makes.
fn built(sandbox: &Sandbox, file: &str) -> Vec<String> {
    build(sandbox, &["-o", "type=tar,dest=out.tar"], file.as_bytes()).ok();
    tar_entries(&fs::read(sandbox.path("out.tar")).unwrap()).into_keys().collect()
}

#[track_caller]
fn nothing_is_left(sandbox: &Sandbox) {
    assert_eq!(sandbox.nacre(["images", "-a", "-q"]).ok().stdout, "");
    assert_whole(sandbox);
    assert_eq!(sandbox.nacre(["system", "check", "--deep"]).ok().stdout, "nothing found\n");
}

const MALFORMED: &str = "nacre: plugin acme/front made a malformed build graph: ";
const LATE: &str = "took longer than 1 s: raise [limits] time in its plugin.toml or report it to its author";

/// What the frontend's file says, and what nacre says to what comes of it.
const GRAPHS: &[(&str, &str)] = &[
    ("anything", "operation 1: its input 7 does not stand before it"),
    ("self", "operation 1: its input 1 does not stand before it"),
    ("nowhere", "its output is operation 4294967295 of 1"),
    ("nothing", "operation 1: it has no program to run"),
    ("many 20001", "returned a graph of 20001 operations, more than 20000"),
    ("long", "needs more than 64 MiB"),
    ("label a\0b", "operation 1: a label with a NUL"),
    ("file /a\0b", "operation 1: a path with a NUL"),
    ("spin", LATE),
    ("loop Dockerfile", LATE),
    ("config 7", "returned a configuration that is no JSON object"),
    ("fetch http://169.254.169.254/x", "denied: not allowed to fetch from 169.254.169.254"),
    ("run ../x", "invalid reference '../x'"),
    ("resolve ../../x", "error: invalid reference '../../x'"),
];

#[test]
fn a_malformed_graph_is_the_plugins_mistake() {
    let sandbox = sandbox("touch x");
    install(&sandbox, "front", FRONTEND, &guest("tests/guests", "frontend"));
    let front = |text: &str| build(&sandbox, &["--frontend", "front", "--platform", "linux/amd64"], text.as_bytes());
    for (text, expected) in GRAPHS {
        let said = front(text).fails(1);
        assert!(said.stdout.is_empty() && said.stderr.lines().count() == 1, "{text}: {}", said.stderr);
        let whose = said.stderr.starts_with(MALFORMED) || said.stderr.contains("acme/front: ") || said.stderr.starts_with("error: ");
        assert!(whose && said.stderr.contains(expected), "{text}: {}", said.stderr);
    }
    let long = front(&format!("file /{}", "x".repeat(4097))).fails(1).stderr;
    assert!(long.contains("operation 1: a path of 4098 bytes, more than 4096"), "{long}");
    nothing_is_left(&sandbox);
}

#[test]
fn what_a_frontend_writes_reaches_no_terminal_raw() {
    let sandbox = sandbox("touch x");
    install(&sandbox, "front", FRONTEND, &guest("tests/guests", "frontend"));
    let front = |text: &str| build(&sandbox, &["--frontend", "front", "--platform", "linux/amd64"], text.as_bytes());
    let label = front("label \x1b[31mred\x07\u{202e}\r\nnext").ok().stderr;
    assert!(label.contains("#1 \\x1b[31mred\\x07\\u{202e}\\r\\nnext\n"), "{label}");
    let warned = front("warn 2000").ok().stderr;
    let longest = warned.lines().map(|line| line.chars().count()).max();
    assert!(warned.matches("warning: ").count() <= 1001 && longest < Some(2_100), "{} warnings, {longest:?}", warned.lines().count());
    let mistake = front("mistake \x1b[2Jx").fails(1).stderr;
    assert_eq!(mistake, "error: \\x1b[2Jx\n --> Dockerfile:3\n");
}

#[test]
fn no_path_of_a_graph_leads_out() {
    let sandbox = sandbox("touch x");
    install(&sandbox, "front", FRONTEND, &guest("tests/guests", "frontend"));
    let options = ["--frontend", "front", "--platform", "linux/amd64", "-o", "type=local,dest=out"];
    for (path, lands) in [("/../../outside", "out/outside"), ("../a/../b", "out/b"), ("/deep/../../c", "out/c")] {
        build(&sandbox, &options, format!("file {path}").as_bytes()).ok();
        assert!(sandbox.path(lands).is_file(), "{path}");
    }
    assert!(!sandbox.path("outside").exists());
    for path in ["", "/", "/..", "."] {
        let said = build(&sandbox, &options, format!("file {path}").as_bytes()).fails(1).stderr;
        assert!(said.contains("error: ") || said.contains("nacre: "), "{path}: {said}");
    }
}

#[test]
fn special_files_of_a_context_are_never_opened() {
    let sandbox =
        sandbox("mkfifo fifo; ln -s loop2 loop1; ln -s loop1 loop2; ln -s . self; ln -s /etc/passwd absolute; mkdir d; ln -s ../.. d/up");
    let _listener = UnixListener::bind(sandbox.path("context/socket")).unwrap();
    let all = built(&sandbox, "FROM scratch\nCOPY . /\n");
    assert_eq!(all, ["absolute", "d", "d/up", "fifo", "loop1", "loop2", "self", "socket"]);
    assert_eq!(built(&sandbox, "FROM scratch\nCOPY self/self/self/d /x/\nADD fifo socket /y/\n"), ["x", "x/up", "y", "y/fifo", "y/socket"]);
    for (source, why) in [
        ("loop1", "/loop1: too many symbolic links"),
        ("absolute", "\"/absolute\": not found"),
        ("d/up/../../etc/passwd", "\"/etc/passwd\": not found"),
        ("../../../etc/passwd", "\"/etc/passwd\": not found"),
        ("d/up/x", "not found"),
    ] {
        let said = build(&sandbox, &[], format!("FROM scratch\nCOPY {source} /\n").as_bytes()).fails(1).stderr;
        assert!(said.contains(why) && said.contains("Dockerfile:2\n"), "{source}: {said}");
    }
    let read = sandbox.nacre(["build", "-f", "context/socket", "context"]).fails(1).stderr;
    assert!(read.starts_with("nacre: cannot read context/socket") && read.lines().count() == 1, "{read}");
    nothing_is_left(&sandbox);
}

#[test]
fn a_context_that_changes_meanwhile_is_an_error_or_one_of_its_states() {
    let sandbox = sandbox("mkdir many; for i in $(seq 400); do echo $i > many/$i; done; head -c 30000000 /dev/zero > grows");
    let changing = "cd context && while [ ! -e ../stop ]; do echo more >> grows; rm -f many/2??; for i in $(seq 200 299); do echo new > many/$i; done; done";
    let writer = std::process::Command::new("sh").args(["-c", changing]).current_dir(sandbox.path("")).stderr(Stdio::null()).spawn();
    let mut writer = writer.unwrap();
    let mut failed = Vec::new();
    for _ in 0..6 {
        let said = build(&sandbox, &["-q", "--no-cache"], b"FROM scratch\nCOPY . /\n");
        if said.code != Some(0) {
            failed.push(said.fails(1).stderr);
        }
        thread::sleep(Duration::from_millis(10));
    }
    fs::write(sandbox.path("stop"), "").unwrap();
    writer.wait().unwrap();
    let told = |said: &String| said.contains("changed while it was read") || said.contains("No such file") || said.contains("not found");
    assert!(failed.iter().all(told), "{failed:?}");
    assert!(
        failed.iter().any(|said| said.contains("context/grows changed while it was read; build again when nothing writes to it")),
        "{failed:?}"
    );
    build(&sandbox, &["-q"], b"FROM scratch\nCOPY . /\n").ok();
    sandbox.nacre(["image", "prune", "-a", "-f"]).ok();
    sandbox.nacre(["builder", "prune", "-a", "-f"]).ok();
    nothing_is_left(&sandbox);
}

#[test]
fn strange_dockerfiles_are_read_to_the_end() {
    let sandbox = sandbox("echo x > x");
    let long = format!("FROM scratch\nLABEL long={}\nCOPY x /\n", "y".repeat(60_000));
    let mut mixed = b"\xef\xbb\xbf# escape=`\r\nFROM scratch\r\n\r\n \t# comment\r\nCOPY x `\r\n  # inside\r\n\r\n  /there\r\n".to_vec();
    mixed.extend(b"LABEL a=\"\xff\xfe\"");
    for file in [long.as_bytes(), &mixed, b"FROM scratch\nCOPY <<x /y\n$(rm -rf /)\nx\n"] {
        build(&sandbox, &["-q"], file).ok();
    }
    let chain: String = (1..500).map(|n| format!("FROM s{} AS s{n}\nLABEL n={n}\n", n - 1)).collect();
    build(&sandbox, &["-q"], format!("FROM scratch AS s0\n{chain}").as_bytes()).ok();
    let bomb: String = (1..30).map(|n| format!("ARG a{n}=$a{m}$a{m}$a{m}$a{m}\n", m = n - 1)).collect();
    let twice = "x".repeat(5 << 20);
    let line = format!("FROM scratch\nLABEL a={}", "y".repeat(1 << 20));
    let unended = format!("FROM scratch\nCOPY <<EOF /x\n{}", "line\n".repeat(10));
    for file in [
        "",
        "\n\n",
        "#\n",
        "FROM",
        "FROM scratch\nCOPY",
        "FROM \x1b[31m\n",
        "FROM a AS b\nFROM b AS a\nFROM ${",
        "FROM scratch\n\0\0",
        "FROM x/../../y",
        "FROM -rm",
        "FROM scratch\nCOPY x /\n\\",
        "RUN true\n",
        &twice,
        &line,
        &unended,
        &format!("FROM scratch\nARG a0=xxxxxxxxxxxxxxxx\n{bomb}LABEL a=$a29\n"),
    ] {
        let start: String = file.chars().take(40).collect();
        let said = build(&sandbox, &["-q"], file.as_bytes());
        assert_eq!(said.code, Some(1), "{start:?}");
        let said = said.stderr;
        assert!(said.lines().any(|line| line.starts_with("error: ") || line.starts_with("nacre: ")), "{start:?}: {said}");
        assert!(said.len() < 2_000 && !said.contains(['\x1b', '\0']), "{start:?}: {said:?}");
    }
}
