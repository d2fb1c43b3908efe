//! Imported images beside Docker's own, and in Docker's, Podman's and skopeo's hands.

use nacre_tests::{dockerd::Docker, peers::available, sandbox::Sandbox};
use serde_json::{Map, Value};

use crate::{
    support::peer,
    trees::{self, shell},
};

/// Each a `docker import` of its own, with one change per line.
const CHANGES: &[&str] = &[
    "CMD",
    "CMD []",
    "CMD echo  hi   there",
    "CMD [\"a\",\"b c\"]",
    "CMD ['a']",
    "CMD -- x",
    "CMD ex\\\nec x",
    "ENTRYPOINT []",
    "ENTRYPOINT [\"/init\"]\nCMD run",
    "CMD run\nENTRYPOINT /init now",
    "ENV a=b c=\"d e\" f=g\\ h",
    "ENV k v w",
    "ENV k \"v  w\" \\x 'y $z'",
    "ENV a=1\nENV b=$a a=2 c=${a}${x:-d}${a:+e}\nLABEL $a=$b '$a'=\"\\$a\\x\"",
    "ENV a=b=c d== \"e f\"=g",
    "ENV a=${b",
    "ENV a='x",
    "ENV k",
    "ENV =x",
    "ENV a=1 b",
    "LABEL a=b \"c d\"=e a=f",
    "LABEL k v w",
    "EXPOSE 80 81/udp 7000-7002 8080:90/TCP",
    "ENV p=\"80\"\nEXPOSE $p",
    "EXPOSE x",
    "EXPOSE 80/foo",
    "EXPOSE",
    "HEALTHCHECK NONE",
    "HEALTHCHECK CMD curl  x",
    "HEALTHCHECK --interval=1m30s --timeout=1.5h --start-period=2s --retries=3 CMD [\"a\",\"b\"]",
    "HEALTHCHECK --interval=1us CMD x",
    "HEALTHCHECK CMD",
    "HEALTHCHECK foo",
    "ONBUILD RUN a b\nonbuild   copy a  b",
    "ONBUILD ONBUILD RUN x",
    "USER a b",
    "USER",
    "VOLUME /a /b",
    "VOLUME [\"/a\",\"/b c\"]",
    "VOLUME [\"/a\"",
    "VOLUME [\"\"]",
    "WORKDIR /a/../b/",
    "WORKDIR /a\nWORKDIR b\nWORKDIR ../c",
    "WORKDIR",
    "RUN x",
    "SHELL [\"a\"]",
];

/// The settings that say something, and that an image has.
pub(crate) fn config(inspected: &str) -> Map<String, Value> {
    let all: Value = serde_json::from_str(inspected).unwrap();
    let says = |value: &Value| !(value.is_null() || value == "" || value == &Value::Array(vec![]));
    let container = ["Hostname", "Domainname", "AttachStdin", "AttachStdout", "AttachStderr", "Tty", "OpenStdin", "StdinOnce", "Image"];
    let own = all[0]["Config"].as_object().unwrap().clone().into_iter();
    own.filter(|(key, value)| says(value) && !container.contains(&key.as_str())).collect()
}

#[test]
fn changes_are_dockers() {
    let (Some(docker), sandbox) = (Docker::start(), Sandbox::new()) else { return };
    shell(&sandbox, "echo x > x; tar -cf x.tar x");
    let tar = sandbox.path("x.tar").display().to_string();
    for lines in CHANGES {
        let changes: Vec<&str> = if lines.contains("\\\n") { vec![*lines] } else { lines.lines().collect() };
        let flags: Vec<&str> = changes.iter().flat_map(|change| ["-c", change]).collect();
        let theirs = docker.run(&[&["import"], &flags[..], &[&tar]].concat());
        let ours = sandbox.nacre([&["import", "-q"], &flags[..], &[&tar]].concat());
        let said = String::from_utf8_lossy(&theirs.stderr).into_owned();
        assert_eq!(ours.code == Some(0), theirs.status.success(), "{lines}: {}{said}", ours.stderr);
        if theirs.status.success() {
            let theirs = docker.ok(&["inspect", String::from_utf8(theirs.stdout).unwrap().trim()]);
            let ours = sandbox.nacre(["inspect", ours.stdout.trim()]).ok().stdout;
            assert_eq!(config(&ours), config(&theirs), "{lines}");
        }
    }
}

#[test]
fn an_imported_image_is_at_home_everywhere() {
    let sandbox = Sandbox::new();
    trees::make(&sandbox);
    shell(&sandbox, "tar --sort=name -C tree -czf tree.tar.gz .");
    sandbox.nacre(["import", "-q", "-c", "CMD [\"/bin/run\"]", "-m", "by hand", "tree.tar.gz", "example.com/tree:1"]).ok();
    sandbox.nacre(["save", "-o", "tree.saved", "example.com/tree:1"]).ok();
    let saved = sandbox.path("tree.saved").display().to_string();
    let layers = sandbox.nacre(["inspect", "-f", "{{json .RootFS.Layers}}", "example.com/tree:1"]).ok().stdout;
    if let Some(docker) = Docker::start() {
        assert!(docker.ok(&["load", "-i", &saved]).contains("example.com/tree:1"));
        assert_eq!(docker.ok(&["inspect", "-f", "{{json .RootFS.Layers}}", "example.com/tree:1"]), layers);
        assert_eq!(docker.ok(&["inspect", "-f", "{{.Comment}}|{{.Config.Cmd}}", "example.com/tree:1"]), "by hand|[/bin/run]\n");
        // What Docker makes of the same archive has the same layer.
        let own = docker.ok(&["import", &sandbox.path("tree.tar.gz").display().to_string()]);
        assert_eq!(docker.ok(&["inspect", "-f", "{{json .RootFS.Layers}}", own.trim()]), layers);
    }
    if available("skopeo") {
        peer(&sandbox, "skopeo", &["copy", &format!("docker-archive:{saved}"), "dir:checked"]);
    }
    if available("podman") {
        let store = ["--root", "podman", "--runroot", "podman-run", "--storage-driver", "vfs"];
        peer(&sandbox, "podman", &[&store[..], &["load", "-q", "-i", &saved]].concat());
        let said = peer(&sandbox, "podman", &[&store[..], &["inspect", "-f", "{{json .RootFS.Layers}}", "example.com/tree:1"]].concat());
        assert_eq!(String::from_utf8(said).unwrap(), layers);
    }
}
