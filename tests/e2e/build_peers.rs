//! The same Dockerfiles built by nacre, by Docker (its own BuildKit) and by buildah: the same files, the same settings.

use std::{collections::BTreeMap, fs};

use nacre_tests::{dockerd::Docker, peers::available, sandbox::Sandbox};
use serde_json::{Map, Value};

use crate::{
    import_peers::config,
    support::peer,
    trees::{shell, tar_entries},
};

/// The context of all cases.
const CONTEXT: &str = "
    mkdir -p context/src/deep context/etc context/empty && cd context
    echo one > one.txt; echo two > two.txt; echo secret > ignored.log
    echo main > src/main.c; echo util > src/deep/util.c; echo skip > src/skip.log
    ln -s main.c src/link.c; ln -s /etc/passwd src/absolute
    printf '#!/bin/sh\\necho ran\\n' > run.sh; chmod 755 run.sh
    echo 600 > etc/private; chmod 600 etc/private; chmod 1777 empty
    mkdir -p pack/inner; echo packed > pack/inner/file; chmod 750 pack/inner; tar -C pack -czf pack.tar.gz .; rm -r pack
    printf '*.log\\n**/*.log\\n!keep.log\\n' > .dockerignore; echo kept > keep.log
    find . -exec touch -h -d @1700000000 {} +";

/// What every case is built on: busybox with users and groups, `/data`, and a symlink to it. The mount points are there,
/// since buildah and older BuildKits leave those that they make.
pub(crate) const BASE: &str = "
    mkdir -p base/bin base/etc base/tmp base/root base/data/old base/usr/share base/run base/context base/scratch && touch base/etc/hosts base/etc/hostname base/etc/resolv.conf && cp /usr/bin/busybox base/bin/busybox
    for name in sh ls cat mkdir rm echo touch chmod chown ln mv cp id env test pwd sed printf mkfifo find; do ln -s busybox base/bin/$name; done
    printf 'root:x:0:0:root:/root:/bin/sh\\ndiver:x:1000:1000::/home/diver:/bin/sh\\n' > base/etc/passwd
    printf 'root:x:0:\\ndiver:x:1000:\\nreef:x:50:diver\\n' > base/etc/group
    chmod 1777 base/tmp; echo old > base/data/old/file; echo gone > base/data/gone; ln -s data base/link; chmod 700 base/root
    find base -exec touch -h -d @1600000000 {} +; tar --sort=name --owner=0 --group=0 -C base -cf base.tar .";

/// A name, and a Dockerfile. `FROM base` is added in front where there is no FROM.
const CASES: &[(&str, &str)] = &[
    ("copy-files", "COPY one.txt two.txt /there/\nCOPY one.txt /renamed\nCOPY run.sh /bin/"),
    ("copy-folder", "COPY src /src\nCOPY empty /empty/\nCOPY etc /etc/"),
    ("copy-all", "WORKDIR /app\nCOPY . ."),
    ("copy-glob", "COPY *.txt /texts/\nCOPY s?c/*.c /c/"),
    ("copy-owner", "COPY --chown=diver:reef src /owned\nCOPY --chown=12:34 one.txt /owned/deeper/one"),
    ("copy-into-link", "COPY one.txt /link/\nCOPY two.txt /link/old/file"),
    ("copy-over", "COPY one.txt /data/gone\nCOPY src /data/old"),
    ("add-archive", "ADD pack.tar.gz /unpacked/\nCOPY pack.tar.gz /kept.tar.gz"),
    ("add-file", "ADD one.txt src /added/"),
    (
        "stages",
        "FROM base AS build\nRUN mkdir /out && echo built > /out/result && chmod 640 /out/result\nFROM base\nCOPY --from=build /out /final",
    ),
    ("stage-by-number", "FROM base\nRUN echo zero > /zero\nFROM scratch\nCOPY --from=0 /zero /etc/group /"),
    ("scratch", "FROM scratch\nCOPY src/deep /\nCMD [\"/util.c\"]"),
    ("run-writes", "RUN echo hi > /hi && mkdir -p -m 750 /a/b && ln -s hi /soft && ln /hi /hard"),
    ("run-removes", "RUN rm -r /data/gone /data/old\nRUN rm /link && mkdir /link && touch /link/file"),
    ("run-replaces", "RUN rm -r /data && echo file > /data\nRUN rm /data && mkdir /data && echo new > /data/new"),
    ("run-owners", "RUN chown -R diver:reef /data && chmod 2775 /data/old && chmod u+s /bin/busybox"),
    ("run-moves", "RUN mv /data/old /data/moved && cp -a /data/moved /copy && mkfifo /pipe"),
    ("run-as-user", "USER diver\nWORKDIR /tmp\nRUN id -u > who && id -G > groups && pwd > where"),
    ("run-environment", "ARG greeting=hello\nENV name=world other=\"a b\"\nRUN echo \"$greeting $name $other\" > /said"),
    ("run-exec-form", "RUN [\"/bin/sh\", \"-c\", \"echo exec > /exec\"]\nSHELL [\"/bin/sh\", \"-ec\"]\nRUN echo shell > /shell"),
    (
        "run-mounts",
        // Buildah takes the mounts' points away, even the base's.
        "RUN --mount=type=tmpfs,target=/scratch touch /scratch/x && ls /scratch > /seen\nRUN --mount=type=bind,target=/context cat /context/one.txt > /one\nRUN rm -rf /scratch /context",
    ),
    ("workdir", "WORKDIR /a\nWORKDIR b/c\nRUN pwd > here\nWORKDIR /link/sub\nCOPY one.txt ."),
    (
        "settings",
        "ENV A=1 B=\"two words\"\nLABEL k=v \"long key\"=\"long value\"\nEXPOSE 80 53/udp\nVOLUME /data /other\nUSER diver\nSTOPSIGNAL SIGINT\nENTRYPOINT [\"/bin/sh\"]\nCMD [\"-c\", \"id\"]",
    ),
    ("health", "HEALTHCHECK --interval=5s --retries=2 CMD ls /\nONBUILD RUN echo later"),
    ("expansion", "ARG v=1.2\nENV dir=/opt/${v:-none} file=${missing:-one}\nCOPY $file.txt ${dir}/\nLABEL version=\"v$v\" escaped=\\$v"),
    ("arguments", "ARG first\nARG second=two\nARG second\nENV all=$first-$second\nRUN echo $all $first > /all"),
];

#[test]
fn dockerfiles_mean_the_same_everywhere() {
    let sandbox = Sandbox::new();
    shell(&sandbox, CONTEXT);
    shell(&sandbox, BASE);
    sandbox.nacre(["import", "-q", "base.tar", "base"]).ok();
    let docker = Docker::start();
    if let Some(docker) = &docker {
        docker.ok(&["import", &sandbox.path("base.tar").display().to_string(), "base"]);
    }
    let buildah = available("buildah");
    if buildah {
        sandbox.nacre(["save", "--format", "oci-archive", "-o", "base.oci.tar", "base"]).ok();
        peer(&sandbox, "buildah", &[&STORAGE[..], &["pull", "-q", "oci-archive:base.oci.tar"]].concat());
        peer(&sandbox, "buildah", &[&STORAGE[..], &["tag", "docker.io/library/base", "localhost/base"]].concat());
    }
    let mut differences = Vec::new();
    for (name, text) in CASES {
        let text = if text.contains("FROM ") { (*text).to_owned() } else { format!("FROM base\n{text}") };
        fs::write(sandbox.path("Dockerfile"), text).unwrap();
        sandbox.nacre(["build", "-q", "-f", "Dockerfile", "--build-arg", "first=1", "-t", "ours", "context"]).ok();
        let ours = result(&sandbox, "ours");
        if let Some(docker) = &docker {
            built_by_docker(&sandbox, docker);
            differences.extend(compare(&format!("{name}, Docker"), &ours, &result(&sandbox, "docker.io/library/theirs:docker")));
        }
        if buildah {
            built_by_buildah(&sandbox);
            differences.extend(compare(&format!("{name}, buildah"), &ours, &result(&sandbox, "localhost/theirs:buildah")));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Buildah's own store, in the sandbox.
const STORAGE: [&str; 6] = ["--root", "buildah", "--runroot", "buildah-run", "--storage-driver", "vfs"];

fn built_by_docker(sandbox: &Sandbox, docker: &Docker) {
    let (file, context) = (sandbox.path("Dockerfile").display().to_string(), sandbox.path("context").display().to_string());
    let mut build =
        docker.command(&["build", "-q", "-f", &file, "--build-arg", "first=1", "--network", "none", "-t", "theirs:docker", &context]);
    let built = build.env("DOCKER_BUILDKIT", "1").output().unwrap();
    assert!(built.status.success(), "{}: {}", fs::read_to_string(&file).unwrap(), String::from_utf8_lossy(&built.stderr));
    docker.ok(&["save", "-o", &sandbox.path("theirs.tar").display().to_string(), "theirs:docker"]);
    sandbox.nacre(["load", "-q", "-i", "theirs.tar"]).ok();
}

fn built_by_buildah(sandbox: &Sandbox) {
    let build =
        ["bud", "-q", "--isolation", "chroot", "--format", "docker", "--identity-label=false", "--layers", "--build-arg", "first=1"];
    let named = ["-f", "Dockerfile", "-t", "theirs:buildah", "context"];
    peer(sandbox, "buildah", &[&STORAGE[..], &build, &named].concat());
    fs::remove_file(sandbox.path("theirs.tar")).ok();
    peer(
        sandbox,
        "buildah",
        &[&STORAGE[..], &["push", "-q", "theirs:buildah", "docker-archive:theirs.tar:localhost/theirs:buildah"]].concat(),
    );
    sandbox.nacre(["load", "-q", "-i", "theirs.tar"]).ok();
}

/// What an image says and holds.
struct Image {
    config: Map<String, Value>,
    files: BTreeMap<String, String>,
}

fn result(sandbox: &Sandbox, name: &str) -> Image {
    let mut config = config(&sandbox.nacre(["inspect", name]).ok().stdout);
    // Said by one version of a builder and left out by the next: they mean what is meant without them.
    config.remove("ArgsEscaped");
    if config.get("WorkingDir").is_some_and(|folder| folder == "/") {
        config.remove("WorkingDir");
    }
    sandbox.nacre(["save", "--format", "tarball", "-o", "flat.tar", name]).ok();
    let files = tar_entries(&fs::read(sandbox.path("flat.tar")).unwrap());
    Image { config, files: files.into_iter().map(|(path, entry)| (path, timeless(&entry))).collect() }
}

/// An entry without its time: builders made it at different ones.
fn timeless(entry: &str) -> String {
    let words: Vec<&str> = entry.split(' ').collect();
    let time = if entry.starts_with("link") { words.len() - 1 } else { 3 };
    words.iter().enumerate().filter(|(index, _)| *index != time).map(|(_, word)| *word).collect::<Vec<_>>().join(" ")
}

fn compare(case: &str, ours: &Image, theirs: &Image) -> Vec<String> {
    let mut found = Vec::new();
    for key in ours.config.keys().chain(theirs.config.keys()) {
        let (our, their) = (ours.config.get(key), theirs.config.get(key));
        if our != their {
            found.push(format!("{case}: {key} is {our:?}, theirs {their:?}"));
        }
    }
    for path in ours.files.keys().chain(theirs.files.keys()) {
        let (our, their) = (ours.files.get(path), theirs.files.get(path));
        if our != their {
            found.push(format!("{case}: {path} is {our:?}, theirs {their:?}"));
        }
    }
    found.sort();
    found.dedup();
    found
}
