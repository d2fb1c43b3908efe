#![allow(clippy::unwrap_used, reason = "tests")]

use std::os::unix::fs::symlink;

use nacre_oci::{Memory, RawManifest, Select, copy, media_type, read_document, read_small};
use nacre_tests::{conformance, images};

use super::*;

fn layout() -> (tempfile::TempDir, Layout) {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::create(&folder.path().join("layout")).unwrap();
    (folder, layout)
}

fn blob(layout: &Layout, descriptor: &Descriptor) -> PathBuf {
    layout.path.join("blobs/sha256").join(descriptor.digest.hex())
}

#[test]
fn is_a_source_and_a_sink() {
    for name in ["v1", "busybox:1", "example.org:5000/a/b:tag", "some text"] {
        conformance::round_trip(&layout().1, name);
    }
    conformance::refuses_damage(&layout().1);
}

#[test]
fn leaves_nothing_but_the_layout_behind() {
    let (_folder, layout) = layout();
    conformance::refuses_damage(&layout);
    let names = |path: &Path| -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(path).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&layout.path), ["blobs", "index.json", "oci-layout"]);
    assert_eq!(names(&layout.path.join("blobs/sha256")).len(), 1);
}

#[test]
fn lists_what_has_no_name_once() {
    let (_folder, layout) = layout();
    let memory = Memory::new();
    let root = images::multi_platform(&memory);
    let copied = copy(&memory, &layout, &root, &[], &conformance::everything()).unwrap();
    assert!(layout.images().unwrap().is_empty());
    layout.add(&copied.root).unwrap();
    layout.add(&copied.root).unwrap();
    assert_eq!(layout.resolve("").unwrap().digest, root.digest);
    layout.tag("x", &copied.root).unwrap();
    assert_eq!(layout.images().unwrap().len(), 1);
}

#[test]
fn many_may_tag_at_once() {
    let (_folder, layout) = layout();
    let target = RawManifest::new(Some(media_type::OCI_INDEX), br#"{"schemaVersion":2,"manifests":[]}"#.to_vec()).unwrap();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let (target, path) = (&target, &layout.path);
            scope.spawn(move || Layout::open(path).unwrap().tag(&format!("t{n}"), target).unwrap());
        }
    });
    assert_eq!(layout.images().unwrap()[0].tags.len(), 8);
}

#[test]
fn nothing_but_regular_files_is_read_and_no_link_is_written_through() {
    let (folder, layout) = layout();
    let memory = Memory::new();
    let root = images::image(&memory, &images::Recipe::default());
    let put = |layout: &Layout| copy(&memory, layout, &root, &["x".into()], &conformance::everything());
    put(&layout).unwrap();
    let (path, outside) = (blob(&layout, &root), folder.path().join("outside"));
    fs::rename(&path, &outside).unwrap();
    let read = |layout: &Layout| read_small(layout, &root, 1 << 20);
    assert!(matches!(read(&layout), Err(Error::NotFound { .. })));
    symlink(&outside, &path).unwrap();
    assert!(matches!(read(&layout), Err(Error::Malformed { .. })) && !layout.contains(&root).unwrap());
    fs::remove_file(&path).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    assert!(matches!(read(&layout), Err(Error::Malformed { .. })) && !layout.contains(&root).unwrap());
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(matches!(read(&layout), Err(Error::Malformed { .. })));
    fs::remove_dir(&path).unwrap();
    fs::rename(layout.path.join("blobs/sha256"), folder.path().join("elsewhere")).unwrap();
    symlink(folder.path().join("elsewhere"), layout.path.join("blobs/sha256")).unwrap();
    assert!(read(&layout).is_err() && put(&layout).is_err());
    assert!(!folder.path().join("elsewhere").join(root.digest.hex()).exists(), "it wrote through a link");
}

#[test]
fn a_changed_blob_is_noticed_and_one_of_the_wrong_size_mended() {
    let (_folder, layout) = layout();
    let memory = Memory::new();
    let root = images::image(&memory, &images::Recipe::default());
    let layer = nacre_oci::plan(&memory, &root, &Select::All).unwrap().blobs[0].clone();
    copy(&memory, &layout, &root, &["x".into()], &conformance::everything()).unwrap();
    let mut bytes = fs::read(blob(&layout, &layer)).unwrap();
    bytes[0] ^= 1;
    fs::write(blob(&layout, &layer), &bytes).unwrap();
    assert!(matches!(read_small(&layout, &layer, 1 << 20), Err(Error::Mismatch { .. })));
    fs::write(blob(&layout, &layer), &bytes[1..]).unwrap();
    assert!(matches!(read_small(&layout, &layer, 1 << 20), Err(Error::Mismatch { .. })));
    copy(&memory, &layout, &root, &["x".into()], &conformance::everything()).unwrap();
    nacre_oci::validate(&layout, &root, &Select::All).unwrap();
}

#[test]
fn opens_layouts_only_and_creates_in_empty_folders_only() {
    let folder = tempfile::tempdir().unwrap();
    assert!(Layout::open(&folder.path().join("none")).is_err());
    assert!(Layout::open(folder.path()).is_err_and(|e| e.to_string().contains("no OCI layout")));
    fs::write(folder.path().join("file"), "").unwrap();
    assert!(matches!(Layout::create(folder.path()), Err(Error::Conflict(_))));
    let (_folder, layout) = layout();
    for (name, text) in [("index.json", ""), ("index.json", "null"), ("oci-layout", r#"{"imageLayoutVersion":"9"}"#)] {
        fs::write(layout.path.join(name), text).unwrap();
        assert!(Layout::open(&layout.path).and_then(|layout| layout.images()).is_err(), "{name} {text}");
    }
    fs::write(layout.path.join("oci-layout"), LAYOUT_FILE).unwrap();
    fs::write(layout.path.join("index.json"), vec![b' '; 5 << 20]).unwrap();
    assert!(matches!(layout.images(), Err(Error::TooLarge { .. })));
}

#[test]
fn keeps_docker_documents_as_they_are() {
    let (_folder, layout) = layout();
    let memory = Memory::new();
    let root = images::image(&memory, &images::Recipe { docker: true, ..images::Recipe::default() });
    copy(&memory, &layout, &root, &["a/b:1".into()], &conformance::everything()).unwrap();
    let (raw, _) = read_document(&layout, &layout.resolve("1").unwrap()).unwrap();
    assert_eq!(raw.descriptor.media_type, media_type::DOCKER_MANIFEST);
    assert_eq!(layout.resolve(&root.digest.to_string()).unwrap().digest, root.digest);
}
