//! What nacre writes, skopeo, podman and umoci read, and the other way round, digest for digest.
//!
//! A test whose tool is not installed says so and passes, except where `CI` is set.
#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::print_stderr, reason = "a skipped test has to say so")]

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use nacre_archive::{Archive, AtomicFile, Kind, Layout, write_docker_archive, write_oci_archive};
use nacre_layer::Codec;
use nacre_oci::{
    Descriptor, Digest, Document, ImageConfig, Manifest, Memory, Platform, Reference, Select, Silent, Source, copy, media_type,
    read_document, read_small, validate,
};
use nacre_tests::{conformance, images};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn at(&self, scheme: &str, name: &str) -> String {
        format!("{scheme}:{}", self.path(name).display())
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let mut file = AtomicFile::create(&self.path(name)).unwrap();
        file.write_all(bytes).unwrap();
        file.commit().unwrap();
    }

    fn archive(&self, name: &str) -> Archive {
        Archive::open(&self.path(name), &self.path("temp"), &Silent).unwrap()
    }
}

fn installed(tool: &str) -> bool {
    let there = Command::new(tool).arg("--version").output().is_ok_and(|output| output.status.success());
    assert!(there || std::env::var_os("CI").is_none(), "{tool} is not installed");
    if !there {
        eprintln!("skipped: {tool} is not installed");
    }
    there
}

fn run(tool: &str, arguments: &[&str]) -> String {
    let output = Command::new(tool).args(arguments).output().unwrap();
    assert!(output.status.success(), "{tool} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// An image of this machine's platform with a plain and a gzip layer, and a third one that may be zstd.
fn image(memory: &Memory, zstd: bool) -> Descriptor {
    let platform = Platform::host().to_string();
    let plain: Vec<Vec<u8>> = (1..4_u8).map(|n| images::layer(&format!("etc/{n}"), &images::noise(40_000, n.into()))).collect();
    let base = images::image(memory, &images::Recipe { platform: &platform, layers: plain.clone(), ..images::Recipe::default() });
    let (_, Document::Manifest(mut manifest)) = read_document(memory, &base).unwrap() else { panic!("a manifest") };
    let packed = |with: Codec, layer: &[u8]| {
        let mut encoder = with.writer(Vec::new()).unwrap();
        encoder.write_all(layer).unwrap();
        encoder.finish().unwrap()
    };
    manifest.layers[1] = memory.add(media_type::OCI_LAYER_GZIP, packed(Codec::Gzip, &plain[1]));
    if zstd {
        manifest.layers[2] = memory.add(media_type::OCI_LAYER_ZSTD, packed(Codec::Zstd, &plain[2]));
    }
    let mut root = memory.add(media_type::OCI_MANIFEST, serde_json::to_vec(&manifest).unwrap());
    root.platform = base.platform;
    root
}

fn manifest(source: &dyn Source, at: &Descriptor) -> Manifest {
    match read_document(source, at).unwrap().1 {
        Document::Manifest(manifest) => manifest,
        Document::Index(_) => panic!("a manifest"),
    }
}

fn diff_ids(source: &dyn Source, at: &Descriptor) -> Vec<Digest> {
    let config = read_small(source, &manifest(source, at).config, 1 << 20).unwrap();
    ImageConfig::parse(&config).unwrap().rootfs.diff_ids
}

fn names(texts: &[&str]) -> Vec<Reference> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// Everything that skopeo's `dir:` holds, by its digest.
fn held(folder: &Path) -> Vec<Digest> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| !path.ends_with("version")).map(|path| Digest::of(&fs::read(path).unwrap())).collect()
}

#[test]
fn skopeo_reads_our_archives_and_layouts() {
    if !installed("skopeo") {
        return;
    }
    let (folder, memory) = (Folder::new(), Memory::new());
    let one = image(&memory, true);
    let root = images::index(&memory, std::slice::from_ref(&one));
    let list = [(root.clone(), names(&["busybox:1"]))];
    folder.write("docker.tar", &write_docker_archive(&memory, &list, &Select::All, &Silent, Vec::new()).unwrap());
    folder.write("oci.tar", &write_oci_archive(&memory, &[(root.clone(), vec!["1".into()])], &Select::All, &Silent, Vec::new()).unwrap());
    copy(&memory, &Layout::create(&folder.path("layout")).unwrap(), &root, &["1".into()], &conformance::everything()).unwrap();
    for from in [folder.at("oci-archive", "docker.tar"), folder.at("oci-archive", "oci.tar:1"), folder.at("oci", "layout:1")] {
        assert_eq!(Digest::of(run("skopeo", &["inspect", "--raw", &from]).as_bytes()), root.digest, "{from}");
        run("skopeo", &["copy", "--all", "--preserve-digests", &from, &folder.at("dir", "all")]);
        let mut seen = held(&folder.path("all"));
        seen.sort();
        let expected = nacre_oci::plan(&memory, &root, &Select::All).unwrap();
        let mut expected: Vec<Digest> =
            expected.blobs.iter().chain(expected.documents.iter().map(|raw| &raw.descriptor)).map(|d| d.digest.clone()).collect();
        expected.sort();
        assert_eq!(seen, expected, "{from}");
        fs::remove_dir_all(folder.path("all")).unwrap();
    }
    // As a docker-archive it sees the uncompressed layers.
    for from in [folder.at("docker-archive", "docker.tar"), folder.at("docker-archive", "docker.tar:busybox:1")] {
        run("skopeo", &["copy", &from, &folder.at("dir", "plain")]);
        let seen = held(&folder.path("plain"));
        assert!(diff_ids(&memory, &one).iter().all(|id| seen.contains(id)), "{from}");
        assert!(seen.contains(&manifest(&memory, &one).config.digest), "{from}");
    }
}

#[test]
fn we_read_what_skopeo_writes() {
    if !installed("skopeo") {
        return;
    }
    let (folder, memory) = (Folder::new(), Memory::new());
    let one = image(&memory, false);
    let root = images::index(&memory, std::slice::from_ref(&one));
    copy(&memory, &Layout::create(&folder.path("in")).unwrap(), &root, &["x".into()], &conformance::everything()).unwrap();
    let from = folder.at("oci", "in:x");
    run("skopeo", &["copy", "--all", "--preserve-digests", &from, &folder.at("oci-archive", "out.tar:v2")]);
    run("skopeo", &["copy", "--all", "--preserve-digests", &from, &folder.at("oci", "out:v2")]);
    conformance::source(&folder.archive("out.tar"), &root, "v2");
    conformance::source(&Layout::open(&folder.path("out")).unwrap(), &root, "v2");
    // Its docker-archive knows no zstd.
    run("skopeo", &["copy", &from, &folder.at("docker-archive", "docker.tar:busybox:1")]);
    let archive = folder.archive("docker.tar");
    assert_eq!((archive.kind(), &archive.images()[0].names), (Kind::Docker, &names(&["busybox:1"])));
    let read = archive.resolve("busybox:1").unwrap();
    validate(&archive, &read, &Select::All).unwrap();
    assert_eq!(diff_ids(&archive, &read), diff_ids(&memory, &one));
}

/// podman with a storage of its own.
fn podman(folder: &Folder, arguments: &[&str]) -> String {
    let (root, runroot) = (folder.path("storage").display().to_string(), folder.path("run").display().to_string());
    run("podman", &[&["--root", &root, "--runroot", &runroot, "--storage-driver", "vfs"], arguments].concat())
}

#[test]
fn podman_loads_ours_and_we_read_what_it_saves() {
    if !installed("podman") {
        return;
    }
    let (folder, memory) = (Folder::new(), Memory::new());
    let one = image(&memory, true);
    let root = images::index(&memory, std::slice::from_ref(&one));
    let bytes = write_docker_archive(&memory, &[(root, names(&["example.org/a:1", "example.org/b:2"]))], &Select::All, &Silent, Vec::new());
    folder.write("ours.tar", &bytes.unwrap());
    podman(&folder, &["load", "-q", "-i", &folder.path("ours.tar").display().to_string()]);
    let id = podman(&folder, &["image", "inspect", "--format", "{{.Id}}", "example.org/a:1"]);
    assert_eq!(id.trim(), manifest(&memory, &one).config.digest.hex(), "podman's image id is the config's digest");
    for (format, kind) in [("docker-archive", Kind::Docker), ("oci-archive", Kind::Oci)] {
        let path = folder.path(format).display().to_string();
        podman(&folder, &["save", "-q", "--format", format, "-o", &path, "example.org/a:1"]);
        let archive = folder.archive(format);
        assert_eq!((archive.kind(), &archive.images()[0].names), (kind, &names(&["example.org/a:1"])));
        let read = archive.resolve("example.org/a:1").unwrap();
        validate(&archive, &read, &Select::All).unwrap();
        assert_eq!(diff_ids(&archive, &read), diff_ids(&memory, &one));
    }
}

#[test]
fn umoci_reads_our_layout() {
    if !installed("umoci") {
        return;
    }
    let (folder, memory) = (Folder::new(), Memory::new());
    let platform = Platform::host().to_string();
    let root = images::image(&memory, &images::Recipe { platform: &platform, ..images::Recipe::default() });
    let layout = Layout::create(&folder.path("layout")).unwrap();
    copy(&memory, &layout, &root, &["v1".into(), "v2".into()], &conformance::everything()).unwrap();
    let path = folder.path("layout").display().to_string();
    assert_eq!(run("umoci", &["list", "--layout", &path]), "v1\nv2\n");
    run("umoci", &["unpack", "--rootless", "--image", &format!("{path}:v1"), &folder.path("bundle").display().to_string()]);
    assert_eq!(fs::read(folder.path("bundle/rootfs/etc/hello")).unwrap(), b"hello\n");
    run("umoci", &["gc", "--layout", &path]);
    validate(&layout, &root, &Select::All).unwrap();
    run("umoci", &["tag", "--image", &format!("{path}:v1"), "v3"]);
    assert_eq!(layout.resolve("v3").unwrap().digest, root.digest);
}
